//! Texts from the fuzzers that once showed a secret or produced invalid JSON.

use spanwise_core::Redact;
use spanwise_redact::{Action, Policy};

/// `«…»` marks in `text` what must be hidden.
#[track_caller]
fn check(text: &str) {
    let plain = text.replace(['«', '»'], "");
    let mut expected = String::new();
    for (index, part) in text.split(['«', '»']).enumerate() {
        expected.push_str(if index % 2 == 0 { part } else { "[REDACTED]" });
    }
    let shown = Policy::secrets_and_pii().text(&plain).into_owned();
    assert_eq!(shown, expected, "of {plain}");
}

#[track_caller]
fn check_json(text: &str, expected: &str) {
    serde_json::from_str::<serde_json::Value>(text).unwrap();
    let shown = Policy::secrets_and_pii().text(text).into_owned();
    assert_eq!(shown, expected, "of {text}");
    serde_json::from_str::<serde_json::Value>(&shown).unwrap();
}

const GITHUB: &str = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";

#[test]
fn keys_after_an_empty_value_hide_their_own_value() {
    check("sid= «password=»\"«hunter2»\" x");
    check("sid= «password:» '«hunter 2»' x");
    check("pin: «password=>» \"«hunter2»\"");
    check(r#"Form { prompt: "password:", pin: "«1234»" }"#);
}

#[test]
fn tokens_after_bearer_are_hidden_whole() {
    let token = format!("sntrys_{}==_{}", "eyJpYXQi".repeat(8), "abcDEF12".repeat(5));
    check(&format!("sent Bearer «{token}» x"));
}

#[test]
fn escaped_line_breaks_end_words() {
    for before in ["\\n", "\\r\\n", "\\\\n", "\\t", "\\u003c"] {
        for secret in [
            GITHUB,
            "4111111111111111",
            "123-45-6789",
            "203.0.113.7",
            "2001:db8:0:0:8a2e::7334",
            "ada@example.org",
            "DE02120300000000202051",
        ] {
            check(&format!("a{before}«{secret}» b"));
        }
        check(&format!("a{before}https://«{}»@host/", "aB3".repeat(8)));
    }
    check(r"https://h/p?a=b\u0026sig=«abcdefgh12»\u0026pin=«1234»");
    check("https://h/p?a=b&SIG=«abcdefghij»&Signature=«abcdefghij»");
}

#[test]
fn passwords_with_brackets_or_quotes_are_hidden_whole() {
    check("password=«hunter(2)two» x");
    check("password=«(a)b[c]d», x");
    check("password=«ab\"c d\"ef» x");
    check("f(password=«Some(\"a b\")»), [pin=«[1]»]");
}

#[test]
fn values_that_start_with_redacted_are_hidden() {
    check("password=«[REDACTED]hunter2» x");
    check("password=\"«[REDACTED] hunter2»\" x");
    check("Authorization: «[REDACTED] hunter2»\nHost: x");
}

#[test]
fn json_escapes_are_hidden_whole() {
    check_json(
        r#"{"note":"CREATE USER a IDENTIFIED BY \"}= x"}"#,
        r#"{"note":"CREATE USER a IDENTIFIED BY \"}= x"}"#,
    );
    check_json(
        r#"{"note":"CREATE USER a IDENTIFIED BY x7\"}"}"#,
        r#"{"note":"CREATE USER a IDENTIFIED BY [REDACTED]\"}"}"#,
    );
    // The value of an option is not after the string that contains the option.
    check_json(
        r#"{"note":"a --b -bearer \\"}"#,
        r#"{"note":"a --b -bearer \\"}"#,
    );
}

#[test]
fn quoted_headers_are_hidden_to_the_closing_quote() {
    check("can't: Authorization: «Digest username=\"ada\", response=\"f00\"»");
    check(r#"["Authorization: «Digest username=\"ada\", response=\"f00\"»","x"]"#);
    check(r#""Authorization: «Digest username=\"ada\", r=\"f00\"»\r\nHost: x""#);
}

#[test]
fn headers_after_an_apostrophe_end_with_their_string() {
    check(r#"body: {"note":"it's the cookie: «banner»","private_key":"«abc\ndef»"} end"#);
    check(
        r#"body: "{\"note\":\"it's the cookie: «banner»\",\"private_key\":\"«abc\\ndef»\"}" end"#,
    );
    let inner = r#"{"note":"don't set cookie: here","password":"correct 'horse' battery"}"#;
    let expected = r#"{"note":"don't set cookie: [REDACTED]","password":"[REDACTED]"}"#;
    let document = |inner: &str| serde_json::json!({ "body": inner }).to_string();
    check_json(&document(inner), &document(expected));
    check_json(&document(&document(inner)), &document(&document(expected)));
}

#[test]
fn keys_inside_hidden_values_hide_their_own_values() {
    check(r#"{"note":"password: '«abc","private_key":"it's\ndef»"} end"#);
    check("{'note':'cookie: «a»', \"pin\":\"«1'2»\", 'n':1}");
    // The inner key ends with the value, or is inside a closed value.
    check(r#"{"password":"«x pin: 'y»","n":1}"#);
    let policy = Policy::secrets();
    assert_eq!(
        policy.text(r#"{"authorization": https://h/p?X-Api-Key=ky1OS3zS2)}4yuurLUEK&a=b"#),
        r#"{"authorization": "[REDACTED]"&a=b"#
    );
    assert_eq!(
        policy.text(r#"login: {"credentials":{"pin":"1","n":2},"m":3}"#),
        r#"login: {"credentials":"[REDACTED]","m":3}"#
    );
}

#[test]
fn tokens_after_an_escape_leave_the_escape_whole() {
    let token = format!("k_live_{}", "a1B2".repeat(8));
    check_json(
        &format!(r#"{{"a":"x\r{token}"}}"#),
        r#"{"a":"x\r[REDACTED]"}"#,
    );
}

#[test]
fn quoted_values_after_a_bracket_are_hidden_whole() {
    check("pin:«[x,y\nAuthorization: Digest a)b[}woEq»\nHost: h");
    check(r#"pin:«[x,"u":",y Login { apiKey: "MVY)-OkoAp»", n: 1 }"#);
}

#[test]
fn values_after_a_space_are_not_query_parameters() {
    check("https://h/p?sig= «X-Api-Key=r7hHxOO57<!#PRkbPsVau» x");
}

#[test]
fn hidden_json_numbers_become_strings() {
    check_json(
        r#"{"n":4111111111111111,"m":1}"#,
        r#"{"n":"[REDACTED]","m":1}"#,
    );
    check_json("[1, -4111111111111111 ,2]", r#"[1, "[REDACTED]" ,2]"#);
    check("[«203.0.113.7»] is no JSON");
    check("[«203.0.113.7»]");
    check_json(r#"{"pin":4111111111111111}"#, r#"{"pin":"[REDACTED]"}"#);
}

#[test]
fn values_in_json_strings_end_with_the_string() {
    check_json(
        r#"{"a":"it's password: 'abc","b":1}"#,
        r#"{"a":"it's password: '[REDACTED]","b":1}"#,
    );
    check_json(
        r#"{"a":"token=(abc","b":1}"#,
        r#"{"a":"token=[REDACTED]","b":1}"#,
    );
    check_json(
        r#"{"a":"Enter password:","b":"c"}"#,
        r#"{"a":"Enter password:","b":"c"}"#,
    );
    check_json(
        r#"{"a":"Enter password:","pin":"1234"}"#,
        r#"{"a":"Enter password:","pin":"[REDACTED]"}"#,
    );
    check_json(
        r#"{"password:":12,"b":1}"#,
        r#"{"password:":"[REDACTED]","b":1}"#,
    );
    check_json(
        r#"{"a":"-----BEGIN PRIVATE KEY-----\nabc","b":"def","c":1}"#,
        r#"{"a":"[REDACTED]","b":"[REDACTED]","c":1}"#,
    );
    check_json(r#"{"a":"x\nada@example.org"}"#, r#"{"a":"x\n[REDACTED]"}"#);
    let long = "a".repeat(62);
    check_json(
        &format!(r#"{{"a":"\u0013{long}@example.org"}}"#),
        r#"{"a":"\u0013[REDACTED]"}"#,
    );
}

#[test]
fn secrets_with_double_colons_are_hidden() {
    check("apiKey: «OJVfRafXG:::TzrjHzxZl»\nx");
    check("apiKey: «OJVfRafXG::TzrjHzxZl»\nx");
    check("apiKey: «OJVfRafXG::tzrjhzxzl»\nx");
    check("apiKey: «ojvfrafxg:::tzrjhzxzl»\nx");
    for module in ["shop_session::Store::open", "store::TokenStore", "a::b"] {
        check(&format!("session: {module}\nx"));
    }
}

#[test]
fn only_small_numbers_begin_an_object_identifier() {
    check("Oid=«203.58.113.168»;x");
    check("oid: «44.1.2.3»");
    for text in ["OID 1.3.6.1", "snmp_oid=2.16.1.7;x", "oid=0.4.0.127"] {
        check(text);
    }
}

#[test]
fn harmless_phrases_of_two_words_are_shown() {
    check("A cheap first pass: decides whether values are forwarded");
    check("unexpected token: tulip9931");
    check("a pass: «decides9» x");
    check("first pass=«Mo0nRi55» x");
    check("first password: «Mo0nRi55» x");
    let policy = Policy::secrets().hide("pass").unwrap();
    assert_eq!(
        policy.text("first pass: is over"),
        "first pass: [REDACTED] over"
    );
}

#[test]
fn variables_of_source_code_are_shown() {
    for text in [
        "let address = listener.local_addr()?;",
        "let mut token = Token::parse(text);",
        "let forwarded = context.forward(|| {",
        "let address = |callsite| plans.get(callsite);",
    ] {
        check(text);
    }
    for text in [
        "let password = «Mo0nRi55»;",
        "let pin = «4821»;",
        "let token = \"«Mo0nRi55»\";",
        "let token = «decode(\"Mo0nRi55\")»;",
        "outlet token=«a.b(c)» x",
    ] {
        check(text);
    }
}

#[test]
fn values_of_json_end_where_json_ends_them() {
    for name in ["n'", "n", "a\\\"b'", "", "n: 'x", "n\\\\"] {
        for value in [
            "{\"a\":[\"b]\"]}",
            "[1,[]]",
            "{ \"x\": 2 }",
            "-1.5e3",
            "\"a,'b\"",
            "\"x: '\"",
        ] {
            check_json(
                &format!(r#"{{"credentials":{value},"{name}":1}}"#),
                &format!(r#"{{"credentials":"[REDACTED]","{name}":1}}"#),
            );
        }
    }
}

#[test]
fn list_ends_are_not_kept_as_strings() {
    let policy = Policy::secrets().action(Action::KeepLast(4));
    let shown = policy.text(r#"{"access_token":["abcdefgh","hijklmnop"]}"#);
    assert_eq!(shown, r#"{"access_token":"[REDACTED]"}"#);
}

#[test]
fn unchanged_text_is_not_reported_as_redacted() {
    let policy = Policy::secrets_and_pii()
        .hide_with("foo", Action::KeepLast(3))
        .unwrap();
    let policy: &dyn Redact = &policy;
    let mut shown = String::from("before ");
    assert!(!policy.replacement_into(None, "foo=***234", &mut shown));
    assert_eq!(shown, "before ");
}
