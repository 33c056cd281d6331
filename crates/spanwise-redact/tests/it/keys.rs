//! Secret keys, and the effect of `LOG_REDACT` and user rules on them.

use spanwise_core::{KeyVerdict, Redact};
use spanwise_redact::{Action, Detector, Policy, PolicyOverrides};

#[track_caller]
fn check(policy: &Policy, verdict: KeyVerdict, keys: &str) {
    for key in keys.split_whitespace() {
        assert_eq!(policy.key(key), verdict, "{key}");
    }
}

#[test]
fn secret_names_match_in_every_spelling() {
    let policy = Policy::secrets();
    check(
        &policy,
        KeyVerdict::Redact,
        "secrets secretKey secret_id recovery_secrets secretary_password X-Api-Key xApiKey user.x_api_key X_API_KEY password userPassword db.passwd PASSPHRASE client_secret clientSecret \
         access-token accessToken id_token token csrf_token my.token auth user.auth Authorization proxy-authorization \
         http.request.header.authorization http.request.header.cookie http.response.header.set-cookie http.request.header.x-api-key \
         sid otp pin cvv card_cvv ssn jwt session session_id PHPSESSID connect.sid db_pwd mysql_pwd dsn privateKey \
         aws_secret_access_key credit_card cardNumber mnemonic connectionString access_tokens refresh_tokens credentials",
    );
}

#[test]
fn only_ids_of_a_fixed_form_are_trusted() {
    let policy = Policy::secrets_and_pii();
    check(
        &policy,
        KeyVerdict::Trust,
        "request_id traceId span_id http.request_id",
    );
    check(
        &policy,
        KeyVerdict::Pass,
        "tokens reset_tokens authority cache_key author x_request_id request_id_hash",
    );
    for (key, text) in [
        (
            "reset_tokens",
            "[\"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.bW9zc3k3bW9zc3k3\"]",
        ),
        ("authority", "https://ada:mossy7@db.example"),
        (
            "cache_key",
            "session:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.bW9zc3k3bW9zc3k3",
        ),
    ] {
        let shown = policy.value(key, text);
        assert!(shown.contains("[REDACTED]"), "{key}: {shown}");
        assert!(
            !shown.contains("mossy7") && !shown.contains("eyJ"),
            "{key}: {shown}"
        );
    }
}

#[test]
fn addresses_are_decided_by_their_value() {
    let policy = Policy::secrets_and_pii();
    check(&policy, KeyVerdict::Text, "address user.address ip host_ip");
    check(&policy, KeyVerdict::Pass, "listen_address server.address");
    for shown in [
        "127.0.0.1:8080",
        "10.0.0.7",
        "[::1]:80",
        "fe80::1",
        "[fe80::1%eth0]:443",
        "0.0.0.0:80",
        ":8080",
        "localhost",
        "localhost:5432",
        "db.internal:5432",
        "api.shop.example",
        "https://shop.example/a",
        "/run/shop.sock",
        "0x7ffe12a0",
        "10.0.0.0/8",
        "Some(127.0.0.1:80)",
        "unknown",
        "",
    ] {
        assert_eq!(policy.value("address", shown), shown);
        assert_eq!(policy.value("ip", shown), shown);
        let pair = format!("address=\"{shown}\" n=1");
        assert_eq!(policy.text(&pair), pair);
    }
    for hidden in [
        "Unter den Linden 5",
        "12 Main Street, Springfield",
        "Hauptstr.5",
        "Berlin",
        "ada@example.org",
        "4711",
    ] {
        assert_eq!(policy.value("user.address", hidden), "[REDACTED]");
        assert_eq!(policy.value("ip", hidden), "[REDACTED]");
        let pair = format!("address=\"{hidden}\" n=1");
        assert_eq!(policy.text(&pair), "address=\"[REDACTED]\" n=1");
        assert_eq!(Policy::secrets().value("address", hidden), hidden);
    }
    for key in [
        "user[address]",
        "address_",
        "ADDRESS",
        "addre\u{17f}s",
        "addres\u{17f}",
        "ip_",
    ] {
        assert_eq!(policy.value(key, "12 Main Street"), "[REDACTED]", "{key}");
        assert_eq!(policy.value(key, "10.0.0.0/8"), "10.0.0.0/8", "{key}");
    }
    assert_eq!(
        policy.value("address", "203.0.113.77:443"),
        "[REDACTED]:443"
    );
    assert_eq!(policy.value("ip", "203.0.113.77"), "[REDACTED]");
    let kept = policy.hide_with("address", Action::KeepLast(4)).unwrap();
    assert_eq!(kept.replace("address", "12 Main Street"), "***reet");
    let shown = kept.show("address").unwrap();
    assert_eq!(shown.value("address", "12 Main Street"), "12 Main Street");
}

#[test]
fn booleans_pass_unless_a_user_rule_hides_the_key() {
    let policy = Policy::secrets_and_pii()
        .hide("employee_no")
        .unwrap()
        .hide("token")
        .unwrap();
    for key in ["password", "session", "email", "request_id", "status"] {
        let verdict = policy.key_of_bool(key);
        assert!(
            matches!(verdict, KeyVerdict::Pass | KeyVerdict::Trust),
            "{key}"
        );
    }
    for key in ["employee_no", "token", "user.token"] {
        assert_eq!(policy.key_of_bool(key), KeyVerdict::Redact, "{key}");
    }
    let all = policy.action(Action::Remove);
    assert_eq!(all.key_of_bool("password"), KeyVerdict::Pass);
    assert_eq!(all.key_of_bool("employee_no"), KeyVerdict::Remove);
    let only = Policy::allow_only(["order_id"]).unwrap();
    assert_eq!(only.key_of_bool("password"), KeyVerdict::Redact);
}

#[test]
fn lookalike_letters_are_normalized() {
    let policy = Policy::secrets();
    for key in [
        "pa\u{17f}\u{17f}word",
        "p\u{430}ssword",
        "ｐａｓｓｗｏｒｄ",
        "pass\u{200b}word",
        "ѕessiоn",
        "AΡΙ_ΚΕΥ",
    ] {
        assert_eq!(policy.key(key), KeyVerdict::Redact, "{key}");
        for text in [
            format!("{key}=mossy7 n=1"),
            format!("a \u{201e}{key}=mossy7"),
            format!("{{\"{key}\":\"mossy7\"}}"),
        ] {
            assert!(!policy.text(&text).contains("mossy7"), "{text}");
        }
    }
    for text in [
        r#"{"p\u0061ssword":"mossy7"}"#,
        r#"{"a":"{\"p\\u0061ssword\":\"mossy7\"}"}"#,
    ] {
        assert!(!policy.text(text).contains("mossy7"), "{text}");
    }
    check(&policy, KeyVerdict::Pass, "größe имя 名前 пароли");
    let rule = policy.hide("größe").unwrap();
    check(&rule, KeyVerdict::Redact, "größe GRÖßE x.groß_e");
}

/// The name of a built-in rule applies to all keys that the rule hides.
#[test]
fn built_in_rule_names_switch_the_rule() {
    let shown = Policy::secrets().show("session").unwrap();
    check(
        &shown,
        KeyVerdict::Pass,
        "session user_session tmuxSession session2",
    );
    check(
        &shown,
        KeyVerdict::Redact,
        "session_id session_key session_token session_secret",
    );
    let again = shown.hide("session").unwrap();
    check(&again, KeyVerdict::Redact, "session user_session");

    // Any other name is one key.
    let one = Policy::secrets().show("user_session").unwrap();
    check(
        &one,
        KeyVerdict::Pass,
        "user_session userSession x.user_session",
    );
    check(&one, KeyVerdict::Redact, "session my_session");

    let token = Policy::secrets().show("token").unwrap();
    check(&token, KeyVerdict::Pass, "token reset_token");
    check(&token, KeyVerdict::Redact, "access_token csrf_token");

    let email = Policy::secrets().hide("email").unwrap();
    check(&email, KeyVerdict::Redact, "email user_email");
    check(&email, KeyVerdict::Pass, "phone first_name");

    let last = Policy::secrets_and_pii()
        .hide_with("iban", Action::KeepLast(4))
        .unwrap();
    check(&last, KeyVerdict::Replace, "iban payer_iban");
    check(&last, KeyVerdict::Redact, "email");
}

/// A user rule takes precedence over names that are shown by default.
#[test]
fn user_rules_for_value_apply_beside_a_name() {
    let policy = Policy::secrets_and_pii().hide("value").unwrap();
    for text in [
        r#"{"name":"password","value":"true"}"#,
        r#"{"name":"address","value":"10.1.2.3"}"#,
        "name: password, value: not set yet",
    ] {
        let shown = policy.text(text);
        let hidden = ["true", "10.1.2.3", "not set"];
        let is_shown = hidden.iter().any(|value| shown.contains(value));
        assert!(!is_shown, "{shown}");
    }
}

#[test]
fn user_rules_override_built_in_rules() {
    let policy = Policy::secrets()
        .hide("request_id")
        .unwrap()
        .hide("token_count")
        .unwrap()
        .hide("client.address")
        .unwrap()
        .hide("*_method")
        .unwrap();
    check(
        &policy,
        KeyVerdict::Redact,
        "request_id x.request_id token_count client.address auth_method",
    );
    check(&policy, KeyVerdict::Pass, "server.address token_type");
}

#[test]
fn rules_can_be_added_and_removed() {
    let policy = Policy::secrets()
        .hide("employee_no")
        .unwrap()
        .hide("*_handle")
        .unwrap()
        .hide("*tele*")
        .unwrap()
        .hide("user.*.badge")
        .unwrap()
        .hide("**.shoe")
        .unwrap()
        .hide("items[*].size")
        .unwrap()
        .show("session")
        .unwrap()
        .show("client_secret")
        .unwrap();
    check(
        &policy,
        KeyVerdict::Redact,
        "employeeNo staff.employee_no twitterHandle telefax user.home.badge user.a.Badge shoe a.b.shoe items[3].size items.3.size secret",
    );
    check(
        &policy,
        KeyVerdict::Pass,
        "employee handler user.badge user.a.b.badge shoes items.size items session client_secret ClientSecret",
    );
    let again = policy.hide("session").unwrap();
    check(&again, KeyVerdict::Redact, "session");
}

#[test]
fn paths_match_inside_json() {
    let policy = Policy::secrets()
        .hide("user.*.badge")
        .unwrap()
        .hide("items[*].size")
        .unwrap();
    assert_eq!(
        policy.text(r#"{"user":{"home":{"badge":"b-1","x":1}},"badge":"b","items":[{"size":42},{"size":[1,2],"n":1}]}"#),
        r#"{"user":{"home":{"badge":"[REDACTED]","x":1}},"badge":"b","items":[{"size":"[REDACTED]"},{"size":"[REDACTED]","n":1}]}"#
    );
    assert_eq!(
        policy.text(r#"{"user":{"home":{"badge":"b-1 and it is cut"#),
        r#"{"user":{"home":{"badge":"[REDACTED]""#
    );
}

#[test]
fn paths_may_begin_with_the_field_name() {
    let policy = Policy::secrets()
        .hide("order.items[*].size")
        .unwrap()
        .hide("user.*.badge")
        .unwrap();
    let items = r#"[{"size":42},{"size":[1,2],"n":1}]"#;
    let hidden = r#"[{"size":"[REDACTED]"},{"size":"[REDACTED]","n":1}]"#;
    assert_eq!(policy.value("order.items", items), hidden);
    assert_eq!(policy.value("items", items), items);
    assert_eq!(policy.text(items), items);
    let user = r#"{"home":{"badge":"b-1"}}"#;
    assert_eq!(
        policy.value("user", user),
        r#"{"home":{"badge":"[REDACTED]"}}"#
    );
}

#[test]
fn paths_match_in_json_arrays_at_the_root() {
    let policy = Policy::secrets().hide("codes[*]").unwrap();
    for (list, hidden) in [
        (
            r#"["hunter","swordfish"]"#,
            r#"["[REDACTED]","[REDACTED]"]"#,
        ),
        (
            " [ \"hunter\" , [true] ]",
            r#" [ "[REDACTED]" , "[REDACTED]" ]"#,
        ),
        ("[1234]", r#"["[REDACTED]"]"#),
    ] {
        assert_eq!(policy.value("codes", list), hidden);
        assert_eq!(policy.value("names", list), list);
    }
}

#[test]
fn allow_only_passes_only_the_named_keys() {
    let policy = Policy::allow_only(["order_id", "http.*", "**.status"]).unwrap();
    check(
        &policy,
        KeyVerdict::Pass,
        "order_id shop.order_id http.route a.b.status",
    );
    check(&policy, KeyVerdict::Redact, "user password orders");
    assert_eq!(policy.text("card 4111111111111111"), "card [REDACTED]");
}

#[test]
fn allow_only_accepts_further_rules() {
    let policy = Policy::allow_only(["order_id", "iban", "email", "http.*"])
        .unwrap()
        .hide("email")
        .unwrap()
        .hide_with("*iban", Action::KeepLast(4))
        .unwrap()
        .hide("http.cookie_jar")
        .unwrap()
        .show("status")
        .unwrap();
    check(&policy, KeyVerdict::Pass, "order_id http.route status");
    check(
        &policy,
        KeyVerdict::Redact,
        "email user.email http.cookie_jar other",
    );
    check(&policy, KeyVerdict::Replace, "iban payer_iban");
    assert_eq!(policy.replace("iban", "DE02120300000000202051"), "***2051");
    let again = policy.show("email").unwrap().show("payer_iban").unwrap();
    check(&again, KeyVerdict::Pass, "email payer_iban");
    check(&again, KeyVerdict::Replace, "iban");
    check(&again.hide("email").unwrap(), KeyVerdict::Redact, "email");
    // A key that was hidden before can be allowed.
    let email = Policy::allow_only(["email"]).unwrap();
    check(&email, KeyVerdict::Pass, "email");
    assert_eq!(
        email.replace("iban", "DE02120300000000202051"),
        "[REDACTED]"
    );
}

#[test]
fn actions_choose_the_replacement() {
    let policy = Policy::secrets()
        .hide_with("iban", Action::KeepLast(4))
        .unwrap()
        .hide_with("gone", Action::Remove)
        .unwrap();
    assert_eq!(policy.key("iban"), KeyVerdict::Replace);
    assert_eq!(policy.key("gone"), KeyVerdict::Remove);
    assert_eq!(policy.replace("iban", "DE02120300000000202051"), "***2051");
    assert_eq!(policy.replace("iban", "ÄÖÜäöüßé"), "***öüßé");
    assert_eq!(policy.replace("iban", "1234567"), "[REDACTED]");
    assert_eq!(
        policy.text(r#"iban=DE02120300000000202051 gone=1 {"iban":"a\n34567890"}"#),
        r#"iban=***2051 gone=[REDACTED] {"iban":"[REDACTED]"}"#
    );
    let all = Policy::secrets().action(Action::Remove);
    assert_eq!(all.key("password"), KeyVerdict::Remove);
}

#[test]
fn keys_take_precedence_over_detectors() {
    let policy = Policy::secrets_and_pii()
        .hide_with("iban", Action::KeepLast(4))
        .unwrap()
        .hide_with("mail", Action::KeepLast(3))
        .unwrap();
    for (text, expected) in [
        ("iban=DE02120300000000202051 x", "iban=***2051 x"),
        (
            r#"{"iban":"DE02120300000000202051"}"#,
            r#"{"iban":"***2051"}"#,
        ),
        // The detector matches a part of the value.
        ("mail='to ada@example.org'", "mail='***org'"),
        // The matches overlap.
        ("iban=DE02 1203 0000 0000 2020 51", "iban=[REDACTED]"),
    ] {
        assert_eq!(policy.text(text), expected);
    }
    let counts = [
        ("iban".to_owned(), 1),
        ("key iban".to_owned(), 2),
        ("key mail".to_owned(), 1),
    ];
    assert_eq!(policy.counts(), counts);
}

#[test]
fn invalid_rules_are_reported() {
    for (text, part) in [
        ("", "empty part"),
        ("maybe", "neither `on` nor `off`"),
        ("пароль", "write `+пароль` to hide that key"),
        ("off,+a", "combines `off`"),
        ("+", "it is empty"),
        ("+***", "names cannot have"),
        ("+ab*", "the beginning of a name"),
        ("+*ab*", "at least three letters"),
        ("+a.b*c.*x", "whole name"),
        ("+*.*", "whole name"),
        ("+a,-A", "hides and shows `A`"),
        ("+a,,", "empty part"),
        ("+pass=word", "names cannot have"),
    ] {
        let error = text.parse::<PolicyOverrides>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    for text in [
        "on",
        "ON",
        "on,+a",
        " +a , -b ",
        "+user.*.token,+**.ssn,+items[*].card",
        "OFF",
    ] {
        assert!(text.parse::<PolicyOverrides>().is_ok(), "{text}");
    }
}

#[test]
fn mistakes_are_reported_with_suggestions() {
    const KEY: &str = "; write a name, `*end`, `*part*`, or a path such as `user.*.token`";
    let key = |text: &str, why: &str| format!("`{text}` is not a valid key: {why}{KEY}");
    let commas = |text: &str, what: &str| {
        format!(
            "`{text}` contains {what}: separate keys with commas, as in `+employee_no,-session`"
        )
    };
    let other = |text: &str, meant: &str| {
        format!("`{text}` is neither `on` nor `off`: did you mean `{meant}`?")
    };
    let list = "an array element is written `[*]`, without an index";
    let everything = "it would hide everything; use `Policy::allow_only` to show only some keys";
    let mut cases = vec![
        (
            "+employee_no -session",
            commas("+employee_no -session", "a space"),
        ),
        (
            "+employee_no;-session",
            commas("+employee_no;-session", "a `;`"),
        ),
        ("+items[].card", key("items[].card", list)),
        ("+items[0].card", key("items[0].card", list)),
        (
            "+$.items[*].card",
            key(
                "$.items[*].card",
                "a path begins with its first key, not with `$`",
            ),
        ),
        (
            "+/items/card",
            key("/items/card", "the parts of a path are separated by dots"),
        ),
        ("+a[*", key("a[*", "its brackets do not match")),
        ("+a*]", key("a*]", "its brackets do not match")),
        ("+a[*]b", key("a[*]b", "its brackets do not match")),
        ("+foo..bar", key("foo..bar", "a part of it is empty")),
        ("+foo.", key("foo.", "a part of it is empty")),
        ("+*", key("*", everything)),
        ("+**", key("**", everything)),
        (
            "-*",
            "`-*` would show everything: write `off` for that".to_owned(),
        ),
        (
            "+pii,-PII",
            "`+pii,-PII` hides and shows `PII`: write only one of them".to_owned(),
        ),
    ];
    cases.extend(["false", "no", "None", "0"].map(|word| (word, other(word, "off"))));
    cases.extend(["true", "YES", "1"].map(|word| (word, other(word, "on"))));
    for (text, expected) in cases {
        let error = text.parse::<PolicyOverrides>().unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
    for rule in [
        "items[*][*]",
        "[*].size",
        "a.[*].b",
        "app.io/name",
        "first name",
    ] {
        assert!(Policy::secrets().hide(rule).is_ok(), "{rule}");
    }
}

#[test]
fn detector_and_tier_names_switch_their_rules() {
    let text = "ada@example.org 203.0.113.7 4111111111111111 phone=1 /p?sig=abcdefgh12";
    let all = "[REDACTED] [REDACTED] [REDACTED] phone=[REDACTED] /p?sig=[REDACTED]";
    let secrets = "ada@example.org 203.0.113.7 [REDACTED] phone=1 /p?sig=[REDACTED]";
    let overridden = |overrides: &str, policy: Policy| {
        let overrides: PolicyOverrides = overrides.parse().unwrap();
        let again: PolicyOverrides = overrides.to_string().parse().unwrap();
        assert_eq!(overrides, again);
        overrides.apply(policy).unwrap()
    };
    let (some, every) = (Policy::secrets, Policy::secrets_and_pii);
    assert_eq!(overridden("+pii", some()).text(text), all);
    assert_eq!(overridden("+pii", every()).text(text), all);
    assert_eq!(overridden("-pii", every()).text(text), secrets);
    assert_eq!(overridden("-pii", some()).text(text), secrets);
    assert_eq!(
        overridden("-pii,+email", every()).text(text),
        "[REDACTED] 203.0.113.7 [REDACTED] phone=1 /p?sig=[REDACTED]"
    );
    assert_eq!(
        overridden("+pii,-email,-IPv4,-card,-url_query", some()).text(text),
        "ada@example.org 203.0.113.7 4111111111111111 phone=[REDACTED] /p?sig=abcdefgh12"
    );
    let policy = overridden("+email,+card,-jwt", some());
    check(&policy, KeyVerdict::Redact, "email card");
    check(&policy, KeyVerdict::Pass, "jwt phone");
    check(
        &overridden("-pii", every()),
        KeyVerdict::Pass,
        "email address zip",
    );
    let overrides: PolicyOverrides = "-url_query,+PII,+email".parse().unwrap();
    assert_eq!(overrides.to_string(), "on,+pii,+email,-urlquery");
    let kept = every().hide_with("email", Action::KeepLast(3)).unwrap();
    for overrides in ["+pii", "-pii,+email"] {
        assert_eq!(
            overridden(overrides, kept.clone()).replace("email", "ada@x.org"),
            "***org"
        );
    }
}

#[test]
fn debug_of_policies_is_short() {
    let policy = Policy::secrets().without_detector(Detector::Card);
    let shown = format!("{policy:?}");
    assert!(shown.starts_with("Policy { keys: 9"), "{shown}");
    assert!(
        shown.contains("pem, jwt") && !shown.contains("card"),
        "{shown}"
    );
    assert!(shown.contains("action: Redact"), "{shown}");
    assert!(shown.len() < 400, "{shown}");
    let some = policy.hide("*shoe*").unwrap().show("token").unwrap();
    assert!(format!("{some:?}").contains("shown: 1"), "{some:?}");
    let only = Policy::allow_only(["a", "b"]).unwrap();
    assert!(format!("{only:?}").contains("only: 2"), "{only:?}");
}
