//! Random texts: planted secrets are hidden, harmless texts do not change, and noise is accepted.
//!
//! A run checks [`LINES`] texts, or the number in `SPANWISE_GENERATED_LINES`. Each run has the same
//! texts, unless `SPANWISE_GENERATED_SEED` is a number other than 1.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde_json::Value;
use spanwise_core::Redact;
use spanwise_redact::Policy;

mod harmless;
mod noise;
mod planted;

/// The number of texts in one run of `cargo test`.
const LINES: u64 = 3_000;
/// A run reports this many failures of a form in full, and counts the others.
const MAX_REPORTED: u64 = 3;

/// A generated text.
struct Line {
    /// The name of its form.
    form: &'static str,
    text: String,
    /// The characters of the secret, each as written in `text`. Empty in a harmless text.
    secret: Vec<String>,
    /// Whether only the policy for PII hides it.
    is_pii: bool,
    /// The text around the secret.
    surroundings: String,
}

/// The generator `SplitMix64`, which returns the same numbers for the same seed on all machines.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    fn is_one_of(&mut self, count: u64) -> bool {
        self.within(0..count) == 0
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.within(0..items.len() as u64)).unwrap()]
    }

    /// Returns `length` characters of the alphabet.
    fn text(&mut self, alphabet: &str, length: u64) -> String {
        let bytes = alphabet.as_bytes();
        (0..length).map(|_| char::from(self.pick(bytes))).collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is a setting of a test, not of the library"
)]
fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// Checks the lines of a generator, and reports all failures at once.
#[track_caller]
fn run(generate: fn(&mut Random) -> Line, check: impl Fn(&Line) -> Option<(String, String)>) {
    let seed = setting("SPANWISE_GENERATED_SEED", 1);
    let mut failed: BTreeMap<&str, u64> = BTreeMap::new();
    let mut table = String::new();
    for number in 0..setting("SPANWISE_GENERATED_LINES", LINES) {
        let line = generate(&mut Random(
            seed.wrapping_mul(0x1_0000_0001) ^ (number << 20),
        ));
        let Some((fault, shown)) = check(&line) else {
            continue;
        };
        let count = failed.entry(line.form).or_default();
        *count += 1;
        if *count <= MAX_REPORTED {
            let _ = writeln!(table, "[{}] line {number}: {fault}", line.form);
            let _ = writeln!(table, "  text   {}\n  output {shown}", line.text);
        }
    }
    let total: u64 = failed.values().sum();
    assert!(total == 0, "{total} failures {failed:#?}\n{table}");
}

#[test]
fn planted_secrets_are_hidden() {
    let policies = [Policy::secrets(), Policy::secrets_and_pii()];
    run(planted::line, |line| {
        let policies = &policies[usize::from(line.is_pii)..];
        policies.iter().find_map(|policy| {
            let shown = policy.text(&line.text);
            let length = line.secret.len().min(5);
            let mut pieces = line.secret.windows(length).map(<[String]>::concat);
            let is_left =
                |piece: &String| shown.contains(&**piece) && !line.surroundings.contains(&**piece);
            let piece = pieces.find(is_left)?;
            Some((format!("shows {piece:?}"), shown.into_owned()))
        })
    });
}

#[test]
fn harmless_texts_are_borrowed() {
    let policies = [Policy::secrets(), Policy::secrets_and_pii()];
    run(harmless::line, |line| {
        let text = &line.text;
        let in_json = serde_json::json!({"note": text, "n": 1}).to_string();
        let places = [text.clone(), in_json, format!("Note {{ text: {text:?} }}")];
        places.iter().find_map(|place| {
            policies.iter().find_map(|policy| match policy.text(place) {
                Cow::Borrowed(_) => None,
                Cow::Owned(shown) => Some(("is changed".to_owned(), shown)),
            })
        })
    });
}

#[test]
fn noise_is_accepted_and_json_stays_valid() {
    let policies = [Policy::secrets(), Policy::secrets_and_pii()];
    let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    run(noise::line, |line| {
        policies.iter().find_map(|policy| {
            let read = AssertUnwindSafe(|| policy.text(&line.text).into_owned());
            match catch_unwind(read) {
                Ok(shown) if is_json(&line.text) && !is_json(&shown) => {
                    Some(("is no longer JSON".to_owned(), shown))
                }
                Ok(_) => None,
                Err(_) => Some(("panics".to_owned(), String::new())),
            }
        })
    });
}

/// Returns the text as written inside a JSON string.
fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
