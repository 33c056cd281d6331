//! Words of secrets and PII in every spelling and at every place of a key.

use spanwise_core::{KeyVerdict, Redact};
use spanwise_redact::Policy;

/// Words that hide a key, separated by `|`.
const SECRETS: &str = "password | passwd | passphrase | passcode | secret | credential | credentials | api key | private key \
    | access key | signing key | encryption key | authorization | access token | refresh token | bearer token | auth token \
    | session token | csrf token | session id | credit card | card number | card no | social security | client assertion \
    | mnemonic | connection string | auth | sid | sess | otp | totp | pin | cvv | cvc | ssn | sso | jwt | csrf | xsrf | salt | pass \
    | pwd | pw | session | cookie | cookies | token | dsn | psk | pin code | otp code | mfa code | cvv code | recovery codes \
    | verification code | account key | auth key | deploy key | hmac key | license key | master key | sentry key | session key \
    | shared key | ssh key | storage key | subscription key | tls key | auth header | proxy auth | seed phrase | client secret \
    | webhook secret | password hash | secret value | old password | password confirmation | hashed password";

const PII: &str = "email | email address | phone | phone number | mobile | mobile number | msisdn | first name | last name \
    | given name | family name | full name | surname | maiden name | dob | birthdate | birth date | date of birth | home address \
    | billing address | street | postcode | postal code | zip code | passport | passport number | national id | tax id | iban \
    | bank account | account number | client ip | remote addr | drivers license | real ip";

/// Endings of keys that describe a secret.
const ABOUT: &str = "length | len | count | type | name | version | changed at | expires at | ttl | policy | required | enabled | id";

fn list(words: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    words
        .split('|')
        .map(|phrase| phrase.split_whitespace().collect())
}

fn capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// Returns the spellings of some words, with and without other words before them.
fn spellings(words: &[&str]) -> Vec<String> {
    let mut keys = Vec::new();
    for before in [&[][..], &["db"], &["my", "app"], &["x"]] {
        let words: Vec<&str> = before.iter().chain(words).copied().collect();
        let pascal: Vec<String> = words.iter().map(|word| capital(word)).collect();
        let screaming = words.join("_").to_uppercase();
        keys.extend([
            words.join("_"),
            words.join("-"),
            words.join("."),
            words.join(" "),
            capital(&words.join(" ")),
            words[0].to_owned() + &pascal[1..].concat(),
            pascal.concat(),
            pascal.join("-"),
            pascal.join("_"),
            format!("user.{}", words.join("_")),
            format!("http.request.header.{}", words.join("-")),
            format!("{}2", words.join("_")),
            format!("{}_1", words.join("_")),
            format!("user[{}]", words.join("_")),
            format!("{screaming}_PROD"),
            format!("APP__{screaming}"),
            screaming,
        ]);
        if before.len() < 2 {
            keys.push(words.concat());
            keys.push(words.concat().to_uppercase());
        }
    }
    keys
}

/// Returns texts that contain a key with a secret.
fn texts(key: &str) -> Vec<String> {
    const SECRET: &str = "Mo0nRi55tulip";
    let mut texts = vec![
        format!("{{\"{key}\":\"{SECRET}\",\"n\":1}}"),
        format!("{{\"a\":[{{\"{key}\": \"{SECRET}\"}}]}}"),
        format!("{{\"body\":\"{{\\\"{key}\\\":\\\"{SECRET}\\\"}}\"}}"),
        format!("Login {{ name: \"ada\", \"{key}\": \"{SECRET}\" }}"),
    ];
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if key.bytes().all(is_word) {
        texts.extend([
            format!("login {key}={SECRET} n=1"),
            format!("{key}='{SECRET}' n=1"),
            format!("https://shop.example/a?n=1&{key}={SECRET}#top"),
            format!("PATH=/bin\n{key}={SECRET}\nHOME=/root\n"),
            format!("export {key}=\"{SECRET}\""),
            format!("{key}: {SECRET}"),
        ]);
    }
    texts
}

#[track_caller]
fn check(policy: &Policy, words: &'static str) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for words in list(words) {
        for key in spellings(&words) {
            count += 1;
            let verdict = policy.key(&key);
            if verdict != KeyVerdict::Redact {
                wrong.push(format!("{key}: {verdict:?}"));
                continue;
            }
            for text in texts(&key) {
                let shown = policy.text(&text);
                if shown.contains("Mo0n") || shown.contains("tulip") {
                    wrong.push(format!("{text} became {shown}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn secrets_are_hidden_in_every_spelling_and_place() {
    check(&Policy::secrets(), SECRETS);
}

#[test]
fn pii_is_hidden_in_every_spelling_and_place() {
    check(&Policy::secrets_and_pii(), PII);
    let secrets = Policy::secrets();
    for key in list(PII).flat_map(|words| spellings(&words)) {
        assert_eq!(secrets.key(&key), KeyVerdict::Pass, "{key}");
    }
}

#[test]
fn keys_about_secrets_pass_in_every_spelling() {
    let policy = Policy::secrets();
    // Ids that are secrets themselves.
    let secret_ids = ["secret id", "access key id", "session id"];
    let mut wrong = Vec::new();
    for words in list(SECRETS) {
        for about in list(ABOUT) {
            let words = [&words[..], &about[..]].concat();
            let joined = words.join(" ");
            if secret_ids.iter().any(|id| joined.ends_with(id)) || joined == "sess id" {
                continue;
            }
            for key in spellings(&words) {
                // Without a separator, only the words after a strong word are recognized.
                let is_joined = !key.contains(['_', '-', '.', ' '])
                    && !key.bytes().skip(1).any(|b| b.is_ascii_uppercase());
                let is_shouted = key.bytes().all(|byte| byte.is_ascii_uppercase());
                if !is_joined && !is_shouted && policy.key(&key) != KeyVerdict::Pass {
                    wrong.push(key);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn long_keys_are_decided_by_their_ends() {
    for start in ["a", "é", "ӛ", "İ", "Ⱥ", "密", "\\u0061", "ｐ"] {
        for count in [60, 64, 127, 128, 129, 512, 1_000] {
            let start = start.repeat(count);
            let key = format!("{start}_password");
            assert_eq!(Policy::secrets().key(&key), KeyVerdict::Redact, "{key}");
            let name = format!("{start}_shelf_no");
            let policy = Policy::secrets().hide(&name).unwrap();
            assert_eq!(policy.key(&name), KeyVerdict::Redact, "{name}");
        }
    }
}

#[test]
fn keys_are_compared_as_they_look() {
    let policy = Policy::secrets();
    for key in [
        "paſſword",
        "pаssword",
        "рaѕѕwоrd",
        "ｐａｓｓｗｏｒｄ",
        "pass\u{200b}word",
        "p\\u0061ssword",
        "p\\\\u0061ssword",
        "p\\x61ssword",
        "p\\u{61}ssword",
        "pässwörd",
        "pa\u{301}ssword",
        "𝐩𝒂𝓼𝔰𝕨𝖔𝗋𝘥",
        "ⓟⓐⓢⓢⓦⓞⓡⓓ",
        "ᴘᴀꜱꜱᴡᴏʀᴅ",
        // Any other escape separates words.
        "a\\nb\\password",
        "password\\",
    ] {
        assert_eq!(policy.key(key), KeyVerdict::Redact, "{key}");
    }
    for key in ["πassword", "pass\\u00word", "pass\\uZZZZword"] {
        assert_eq!(policy.key(key), KeyVerdict::Pass, "{key}");
    }
    // The sharp s looks like no ASCII letter.
    let policy = Policy::secrets().hide("größe").unwrap();
    assert_eq!(policy.key("große"), KeyVerdict::Redact);
    assert_eq!(policy.key("grosse"), KeyVerdict::Pass);
}
