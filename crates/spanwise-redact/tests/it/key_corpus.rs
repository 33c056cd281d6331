//! Keys of real software with the verdict of each tier.

use spanwise_core::{KeyVerdict, Redact};
use spanwise_redact::Policy;

/// The verdict of each tier, by the name of its list.
const VERDICTS: [(&str, KeyVerdict, KeyVerdict); 5] = [
    ("secret", KeyVerdict::Redact, KeyVerdict::Redact),
    ("pii", KeyVerdict::Pass, KeyVerdict::Redact),
    ("address", KeyVerdict::Pass, KeyVerdict::Text),
    ("id", KeyVerdict::Trust, KeyVerdict::Trust),
    ("shown", KeyVerdict::Pass, KeyVerdict::Pass),
];

/// Returns the keys with the names of their lists.
fn corpus() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("../data/keys.txt").lines();
    let (mut keys, mut list) = (Vec::new(), "");
    for line in lines.filter(|line| !line.starts_with('#')) {
        match line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            Some(name) => list = name,
            None => keys.extend(line.split_whitespace().map(|key| (key, list))),
        }
    }
    keys
}

#[test]
fn keys_of_real_software_get_the_expected_verdict() {
    let (secrets, pii) = (Policy::secrets(), Policy::secrets_and_pii());
    let mut wrong = Vec::new();
    for (key, list) in corpus() {
        let verdicts = VERDICTS
            .iter()
            .find(|(name, ..)| list.starts_with(name))
            .unwrap();
        let actual = (secrets.key(key), pii.key(key));
        if actual != (verdicts.1, verdicts.2) {
            wrong.push(format!("{key} of `{list}`: {actual:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} keys:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn corpus_is_large_and_has_no_duplicate_key() {
    let corpus = corpus();
    let count = |name: &str| {
        corpus
            .iter()
            .filter(|(_, list)| list.starts_with(name))
            .count()
    };
    assert!(count("secret") >= 500 && count("shown") >= 500 && count("pii") >= 100);
    let mut keys: Vec<&str> = corpus.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    let twice: Vec<&str> = keys
        .windows(2)
        .filter(|two| two[0] == two[1])
        .map(|two| two[0])
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
}
