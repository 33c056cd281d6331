//! Planted secrets are hidden in any text, and clean texts are borrowed.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use proptest::{prelude::*, strategy::ValueTree, string::string_regex};
use spanwise_core::Redact;
use spanwise_redact::Policy;

static POLICY: LazyLock<Policy> = LazyLock::new(Policy::secrets_and_pii);

/// Text around a secret that cannot be part of it.
fn around() -> impl Strategy<Value = (String, String)> {
    ("\\PC{0,60}", "\\PC{0,60}")
        .prop_map(|(before, after)| (format!("{before} "), format!(" {after}")))
}

/// A secret, and the pair that contains it.
fn planted() -> impl Strategy<Value = (String, String)> {
    let token = prop_oneof![
        "ghp_[A-Za-z0-9]{36}",
        "AKIA[A-Z2-7]{16}",
        "eyJ[A-Za-z0-9_-]{20}\\.[A-Za-z0-9_-]{20}\\.[A-Za-z0-9_-]{20}",
        "xoxb-[0-9]{12}-[a-zA-Z0-9]{20}",
        "sk-ant-api03-[A-Za-z0-9_-]{90}",
        Just("4111111111111111".to_owned()),
        Just("5500 0000 0000 0004".to_owned()),
    ];
    let free = token.prop_map(|token| (token.clone(), token));
    let value = "[A-Za-z0-9_!%*+-]{4,30}".prop_filter("says nothing", |value| {
        // `%NAME%` and `xxxx` are placeholders.
        value
            .chars()
            .any(|c| c.is_ascii_digit() || c.is_ascii_lowercase() && c != 'x')
            && !["null", "none", "true", "false", "undefined"]
                .contains(&value.to_lowercase().as_str())
    });
    let key = prop_oneof![
        Just("password"),
        Just("apiKey"),
        Just("X-Api-Key"),
        Just("db.client_secret"),
        Just("pin"),
        Just("accessToken"),
    ];
    let form = prop_oneof![
        Just("{k}={v}"),
        Just("{k}: {v}"),
        Just("{k} = '{v}'"),
        Just("{\"{k}\":\"{v}\"}"),
        Just("{\"a\":{\"{k}\" : \"{v}\"}}"),
        Just("\"{\\\"{k}\\\":\\\"{v}\\\"}\""),
        Just("Login { {k}: \"{v}\" }"),
        Just("Login { {k}: Some(\"{v}\") }"),
        Just("postgres://user:{v}@db/{k}"),
        Just("https://h/p?{k}={v}&a=b"),
    ];
    let keyed = (key, form, value)
        .prop_map(|(key, form, value)| (form.replace("{k}", key).replace("{v}", &value), value));
    prop_oneof![free, keyed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn planted_secrets_do_not_survive(((before, after), (planted, secret)) in (around(), planted())) {
        let text = format!("{before}{planted}{after}");
        let shown = POLICY.text(&text);
        prop_assume!(!before.contains(&secret) && !after.contains(&secret));
        // A short secret may be part of a key, or of the replacement.
        let rest = shown.replace("[REDACTED]", "").replace(&planted.replace(&secret, ""), "");
        let in_form = planted.matches(&secret).count() > 1;
        prop_assert!(in_form || !rest.contains(&secret), "{text}\n{shown}");
    }

    #[test]
    fn any_text_is_read_and_what_is_clean_is_borrowed(text in any::<String>()) {
        let shown = POLICY.text(&text);
        if let Cow::Borrowed(same) = &shown {
            prop_assert_eq!(*same, text.as_str());
        }
        prop_assert_eq!(POLICY.text(&shown), shown.clone());
    }

    #[test]
    fn text_made_of_what_detectors_look_for_is_read(
        parts in prop::collection::vec(prop_oneof![
            Just("password"), Just("="), Just(":"), Just("\""), Just("\\"), Just("{"), Just("}"), Just("["), Just("]"), Just("("),
            Just("'"), Just("://"), Just("@"), Just("."), Just("eyJ"), Just("-----BEGIN"), Just("PRIVATE KEY-----"), Just("4111"),
            Just(" "), Just("-"), Just("é"), Just("bearer "), Just("basic "), Just("GB29"), Just("::"), Just("?"), Just("&"),
            Just("\n"), Just("Some"), Just("token"),
        ], 0..40),
    ) {
        let text = parts.concat();
        let by_path = Policy::secrets_and_pii().hide("**.a.b").unwrap();
        let _ = by_path.text(&text);
    }
}

/// Texts generated from the published patterns are detected.
#[test]
fn published_token_patterns_are_detected() {
    let patterns: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(include_str!("../data/patterns.json")).unwrap();
    // Secrets with a check digit, with a key, or that must parse have separate tests.
    let checked = [
        "card",
        "iban",
        "ssn",
        "ipv4",
        "ipv6",
        "basic",
        "bearer",
        "url_query",
        "kv",
        "url_userinfo",
        "email",
    ];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for (name, pattern) in patterns
        .iter()
        .filter(|(name, _)| !checked.contains(&name.as_str()))
    {
        let regex = pattern["regex"].replace("(?-u:\\b)", "");
        let regex = regex
            .replace("[\\s\\S]", "[ -~]")
            .replace("\\s", " ")
            .replace("(?i)", "");
        let strategy = string_regex(&regex).unwrap();
        for _ in 0..200 {
            let text = strategy.new_tree(&mut runner).unwrap().current();
            let shown = POLICY.text(&text);
            let end: String = text.chars().rev().take(8).collect();
            assert!(shown.contains("[REDACTED]"), "{name}: {text}");
            let is_hidden = !shown.contains(&end.chars().rev().collect::<String>());
            assert!(
                is_hidden || name == "url_token_user",
                "{name}: {text}\n{shown}"
            );
        }
    }
}
