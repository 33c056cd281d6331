//! Texts that other programs write: colors, reports of new secrets, and bodies of requests.
//!
//! `«…»` marks what must be hidden.

use std::borrow::Cow;

use spanwise_core::Redact;
use spanwise_redact::Policy;

use crate::text_grammar::check;

#[test]
fn colors_do_not_separate_a_key_from_its_value() {
    check(&[
        // The output of `tracing_subscriber::fmt`.
        "\x1b[3muser\x1b[0m\x1b[2m=\x1b[0m\"ada\" \x1b[3mpassword\x1b[0m\x1b[2m=\x1b[0m\"«tulip 9»\" \x1b[3mn\x1b[0m=3",
        "\x1b[3mpassword\x1b[0m\x1b[2m=\x1b[0m«tulip» \x1b[3mn\x1b[0m\x1b[2m=\x1b[0m3",
        "{\"log\":\"\\u001b[3mpassword\\u001b[0m\\u001b[2m=\\u001b[0m\\\"«tulip 9»\\\" n=3\"}",
        "\"\\u{1b}[3mpassword\\u{1b}[0m\\u{1b}[2m=\\u{1b}[0m«tulip9931» n=3\"",
        "\\x1b[1mpin\\x1b[0m: «4821»",
        // The output of `jq`.
        "\x1b[34;1m\"password\"\x1b[0m\x1b[1;39m:\x1b[0m \x1b[0;32m\"«tulip 9»\"\x1b[0m",
        // The output of `grep`.
        "\x1b[01;31m\x1b[Kpassword\x1b[m\x1b[K=«tulip9931»",
        "password=«tu\x1b[01;31m\x1b[Kli\x1b[m\x1b[Kp9931»",
        "\x1b[1mAuthorization\x1b[0m: «Bearer tulip9931»",
        "password=«tulip9931»\x1b[0m x",
        "\x1b[1mpin=«4821» x",
        "\x1b[38;5;2mauth=«tulip9931» x",
    ]);
}

#[test]
fn colors_of_harmless_texts_stay() {
    check(&[
        "\x1b[3muser\x1b[0m\x1b[2m=\x1b[0mada \x1b[3mtokens\x1b[0m\x1b[2m=\x1b[0m3",
        "\x1b[1msession\x1b[0m: \x1b[33mexpired\x1b[0m",
        "{\"log\":\"\\u001b[1msession\\u001b[0m: \\u001b[33mexpired\\u001b[0m\"}",
        "\x1b[0m=tulip",
        "[0m=tulip x10m=tulip item=3",
        "pin[3m=tulip",
    ]);
}

#[test]
fn secrets_after_their_owner() {
    check(&[
        "A temporary password is generated for root@localhost: «hT;dk9Xq#pQ2»",
        "The generated password for root is «hT;dk9Xq,pQ2»",
        "password for user ada: «tulip9931»",
        "Your password is: «tulip9931».",
        "verification code for ada: «483920»",
        "api key of tenant acme was set to «Xk9-42-Lp»",
        "Unseal Key 1: «tulip9931abcdefghijkl=»",
        "password for database: «Tulip-99»",
        "the value of the password is «Xk9-42-Lp»",
        "the default value of the api key was set to «Xk9-42-Lp»",
        "could not read token for ada: InvalidSignature",
        "password for scott: ORA-28001: the password has expired",
        "access token refreshed for tenant: t-9981",
        "password changed for user: u-10042",
        "password for user ada: expired at 2026-12-01T10:00:00Z",
        "session for tenant: acme-prod-17",
        "cache key 1: user42",
        "API key 2: expired",
        "10:12:45 worker 12: started",
    ]);
}

#[test]
fn numbered_words_after_names_of_variables() {
    check(&[
        "ENV PGPASSWORD «tulip9931»",
        "setenv DB_PASSWORD «tulip9931»;",
        "x-api-key «tulip9931»",
        "reading DB_PASSWORD from vault1",
        "API_TOKEN version345 is active",
        "GITHUB_TOKEN user5512 found",
        "DB_PASSWORD row12 is null",
        "column api_key row5512 is null",
    ]);
}

#[test]
fn passwords_in_forms_with_several_parts() {
    check(&[
        "--B\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada\r\n--B\r\n\
         Content-Disposition: form-data; name=\"password\"\r\n\r\n«tulip\r\n 9»\r\n--B--\r\n",
        "Content-Disposition: form-data; name=\"pin\"\nContent-Type: text/plain\n\n«4821»\n--B",
        "{\"body\":\"Content-Disposition: form-data; name=\\\"password\\\"\\r\\n\\r\\n«tulip 9»\\r\\n--B--\",\"n\":1}",
        "{\"body\":\"Content-Disposition: form-data; name=\\\"password\\\"\\r\\n\\r\\n«tulip 9»\",\"n\":1}",
        "form-data; name=\"password\"\n\n«tulip»\n--B\nform-data; name=\"n\"\n\n3\n--B--",
        "form-data; name=\"user[password]\"; filename=\"a\"\r\n\r\n«tulip»\r\n--B--",
        "{\"body\":\"form-data; name=\\\"pins[0]\\\"\\r\\n\\r\\n«4821»\\r\\n--B--\"}",
        "form-data; name=\"note\"\n\ntulip\n--B--",
        "form-data; name=\"password\" is required\n\nrequest failed\n",
        "name=\"password\"\n\ntulip\n--B--",
    ]);
}

#[test]
fn compared_passwords_are_both_hidden() {
    check(&[
        "wrong password: «got tulip9931, want rose8820,» 3 attempts left",
        "invalid password: «expected \"tulip9931\", got \"rose8820\"»",
        "password: «got tulip9931 instead of rose8820»",
        "password: «got tulip9931,» order=rose8820",
        "password: «changed from tulip9931 to rose8820»",
        "wrong password: «tried session4711»",
    ]);
}

#[test]
fn ids_in_reasons_about_a_password_stay() {
    check(&[
        "password: expired for user4711 of tenant17",
        "password: expired at 2026-12-01T10:00:00Z",
        "wrong password: attempt from host db1.internal:5432",
        "password: could not be read from /run/secrets/db1pw",
        "password: not found for 0190a3c4-7d2e-7b1a-9f00-3c2b1a0d4e5f",
        "password: too short (8 < 12), request_id=abc123de",
        "password: «must not be tulip-31»",
        "wrong password: «attempt with tulip-31»",
    ]);
}

#[test]
fn version_of_four_numbers_is_shown_by_its_key() {
    let policy = Policy::secrets_and_pii();
    let shown = |key, text: &'static str| policy.value(key, text);
    for key in ["app_version", "appVer", "os.version", "firmware"] {
        assert_eq!(shown(key, "203.0.113.7"), "203.0.113.7", "{key}");
        assert_eq!(shown(key, "\"203.0.113.7\""), "\"203.0.113.7\"", "{key}");
    }
    let hidden = [
        ("peer", "203.0.113.7"),
        ("server", "203.0.113.7"),
        ("version_peer", "203.0.113.7"),
    ];
    for (key, text) in hidden {
        assert_eq!(shown(key, text), "[REDACTED]", "{key}");
    }
    assert_eq!(
        shown("version", "1.18 from 203.0.113.7"),
        "1.18 from [REDACTED]"
    );
    let mut appended = String::new();
    assert!(!policy.redact_into(Some("app_version"), "203.0.113.7", &mut appended));
    assert!(matches!(
        shown("app_version", "203.0.113.7"),
        Cow::Borrowed(_)
    ));
}

#[test]
fn columns_in_statements_and_errors_of_databases() {
    check(&[
        "UPDATE `users` SET `password`='«tulip 9»', `name`='ada' WHERE `id`=1",
        "UPDATE [users] SET [password] = '«tulip 9»' WHERE [id] = 1",
        "SELECT * FROM `users` WHERE `users`.`token` = '«tulip 9»'",
        "Key (token)=«(tulip9931)» already exists.",
        "DETAIL: Key (tenant, token)=«(7, tulip 9)» already exists.",
        "Key (token, tenant)=«(tulip9931, 7)» already exists.",
        "Key (\"apiKey\")=«(tulip9931)» already exists.",
        "Key (lower(token))=«(tulip9931)» already exists.",
        "Key (tenant, name)=(7, ada) already exists.",
        "invalid value for `password`: must have at least 12 characters",
        "`token`: InvalidSignature, `session`: expired",
        "f (12)=(x) f()=(x) )=(x)",
        "len(token)=(12), count(session)=(3)",
    ]);
}

#[test]
fn options_at_the_start_and_in_compact_lists() {
    check(&[
        "--password «tulip»",
        "--token «Mo0nRi55» --verbose",
        "{\"args\":[\"--user\",\"ada\",\"--password\",\"«tulip 9»\",\"-v\"]}",
        "{\"m\":\"[\\\"--password\\\",\\\"«tulip»\\\"]\"}",
        "{\"args\":[\"--password\",\"«tulip 9»\"]}",
        "['mysql','-u','root','-p«tulip»']",
        "--password is required",
        "-- no option",
        "[\"--password\",\"--token\"]",
    ]);
}
