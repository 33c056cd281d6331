//! Canaries with each printable character, in every prefix, pair and notation of a value.

use proptest::prelude::*;
use spanwise_core::Redact;
use spanwise_redact::Policy;

/// A leak is this many consecutive characters of a canary.
const LEAK_LEN: usize = 5;

/// A notation of a value, and the characters that end the value. The writer of such a text would
/// escape these characters.
struct Form {
    text: &'static str,
    ends: &'static str,
}

const fn form(text: &'static str, ends: &'static str) -> Form {
    Form { text, ends }
}

/// `{k}` is the key and `{v}` the canary.
const FORMS: &[Form] = &[
    form("{k}={v}", " "),
    form("{k}={v} status=200", " "),
    form("{k} = {v}, next", " "),
    form("{k}:{v}", " :"),
    form("{k}: {v}", " "),
    form("{k} := {v}", " "),
    form("{k} => {v}", " "),
    form("export {k}={v}", " "),
    form("tool --{k} {v} --verbose", " -"),
    form("tool --{k}={v} --verbose", " "),
    form("({k}={v})", " "),
    form("{{k}={v}}", " "),
    form("[{k}={v}]", " "),
    form("<p>{k}={v}</p>", " "),
    form("`{k}={v}`", " "),
    form("'{k}={v}'", " '"),
    form("\"{k}={v}\"", " \"\\"),
    form("{k}='{v}'", "\\"),
    form("{k}=\"{v}\"", "\\"),
    form("{k}: '{v}', n: 1", "\\"),
    form("{\"{k}\":\"{v}\",\"n\":1}", "\\\""),
    form("{\"a\":{\"{k}\" : \"{v}\"}}", "\\\""),
    form("{'{k}': '{v}', 'n': 1}", "\\'"),
    form("Login { {k}: \"{v}\", n: 1 }", "\\\""),
    form("Login { {k}: Some(\"{v}\"), n: 1 }", "\\\""),
    form("Login { {k}: Inner { a: \"{v}\" }, n: 1 }", "\\\""),
    form("a=1&{k}={v}&b=2", " &"),
    form("a=1&{k}=Some(\"{v}\")", "\\\""),
    form("POST a=1&user[{k}]={v}&b=2", " &"),
    form("{k}[]={v}", " "),
    form("Server=db;User ID=sa;{k}={v};Encrypt=True", ";"),
    form("Server=db;{k}={v}", " ;"),
    form("https://h.example/p?a=1&{k}={v}&b=2", " &"),
    form("/p?{k}={v}", " &"),
    form("jdbc:mysql://db/shop?user=a&{k}={v}&b=2", " &"),
    form("headers[\"{k}\"] = \"{v}\"", "\\\""),
    form("<{k}>{v}</{k}>", "<"),
    form("a%3D1%26{k}%3D{v}%26b%3D2", " %&\"'<>#\\"),
    form("postgres://shop:{v}@db.example:5432/shop", ""),
    form("redis://:{v}@cache/0", " "),
    form("https://ci:{v}@git.example/x", " "),
    form("shop:{v}@tcp(db:3306)/shop", " "),
    form("jdbc:oracle:thin:shop/{v}@//db:1521/x", " "),
    form("CREATE USER shop IDENTIFIED BY '{v}'", "\\'"),
    form("ALTER USER shop PASSWORD '{v}'", "\\'"),
    form("mysql -p'{v}' shop", "'\\"),
    form("curl -u ada:{v} https://h.example", " "),
    form("Authorization: Bearer {v}\nHost: x", ""),
    form("Cookie: a={v}; b=c", ""),
];

const KEYS: &[&str] = &[
    "password",
    "apiKey",
    "X-Api-Key",
    "db.client_secret",
    "access_token",
    "DB_PASS",
];

/// Texts before and after a pair.
const AROUND: &[(&str, &str)] = &[
    ("", ""),
    ("could not connect: ", " (attempt 3)"),
    ("it's late, ", ""),
    ("a=1 b=\"c d\" ", " e=2"),
    ("2026-11-28T10:00:00Z INFO shop::db: ", ""),
    ("line one\n", "\nline two"),
];

/// Returns the pieces of the canary that a text shows.
fn leaks(shown: &str, canary: &str) -> Vec<String> {
    let chars: Vec<char> = canary.chars().collect();
    let pieces = chars.windows(LEAK_LEN).map(String::from_iter);
    pieces
        .filter(|piece| shown.contains(piece.as_str()))
        .collect()
}

fn check(
    policy: &Policy,
    form: &Form,
    key: &str,
    around: (&str, &str),
    canary: &str,
) -> Option<String> {
    let text = form.text.replace("{k}", key).replace("{v}", canary);
    let text = format!("{}{text}{}", around.0, around.1);
    let shown = policy.text(&text);
    let leaks = leaks(&shown, canary);
    (!leaks.is_empty()).then(|| format!("{text}\n  became {shown}"))
}

#[test]
fn each_printable_character_is_hidden() {
    let policy = Policy::secrets();
    let mut failures = Vec::new();
    let mut count = 0;
    for (index, form) in FORMS.iter().enumerate() {
        for (turn, c) in (' '..='~')
            .enumerate()
            .filter(|(_, c)| !form.ends.contains(*c))
        {
            for place in [0, 3, 6, 12] {
                let mut canary = "Mo0nRi55Elm7".to_owned();
                canary.insert(place, c);
                let key = KEYS[(index + turn) % KEYS.len()];
                let around = AROUND[(turn + place) % AROUND.len()];
                count += 1;
                failures.extend(check(&policy, form, key, around, &canary));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn several_characters_stay_hidden(
        form in 0..FORMS.len(),
        key in 0..KEYS.len(),
        around in 0..AROUND.len(),
        letters in "[A-Za-z0-9]{12}",
        marks in prop::collection::vec(("[ -~]", 0..12_usize), 0..2),
    ) {
        let form = &FORMS[form];
        let mut canary = format!("q7{letters}");
        for (mark, at) in marks.into_iter().filter(|(mark, _)| !form.ends.contains(mark.as_str())) {
            canary.insert_str(at + 1, &mark);
        }
        // Small letters after a `#` are a fragment, which is shown.
        let is_small = |rest: &str| rest.chars().all(|c| c.is_ascii_lowercase() || "-_./".contains(c));
        prop_assume!(canary.split_once('#').is_none_or(|(_, rest)| !is_small(rest)));
        let failure = check(&Policy::secrets(), form, KEYS[key], AROUND[around], &canary);
        prop_assert!(failure.is_none(), "{}", failure.unwrap_or_default());
    }
}
