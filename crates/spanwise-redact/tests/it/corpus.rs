//! Two corpora of real texts: secrets that must be hidden, and harmless texts that must not change.

use std::{borrow::Cow, collections::BTreeSet, fmt::Write as _, ops::Range, sync::Arc};

use serde_json::Value;
use spanwise_core::Redact;
use spanwise_json::JsonLayer;
use spanwise_redact::Policy;
use spanwise_testing::support::Lines;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::SubscriberExt;

/// A leak is this many consecutive characters of a secret.
const LEAK_LEN: usize = 5;

/// The tier of a line, which is its first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Secret,
    Pii,
    Both,
}

/// A line of a corpus.
struct Sample {
    /// The heading above the line.
    kind: &'static str,
    tier: Tier,
    /// The decoded text, without the marks.
    text: String,
    /// The marked parts of `text`.
    secrets: Vec<Range<usize>>,
}

/// A failure: how the text was logged, the sample, the fault and the output.
struct Failure<'s>(&'static str, &'s Sample, String, String);

fn samples(corpus: &'static str) -> Vec<Sample> {
    let mut kind = "";
    let mut samples = Vec::new();
    for line in corpus.lines().filter(|line| !line.is_empty()) {
        if let Some(heading) = line.strip_prefix('#') {
            kind = heading.trim();
            continue;
        }
        let (tier, text) = line.split_once(' ').expect("a tier and a text");
        let tier = match tier {
            "secret" => Tier::Secret,
            "pii" => Tier::Pii,
            "both" => Tier::Both,
            _ => panic!("not a tier: {line}"),
        };
        let (text, secrets) = decoded(text);
        samples.push(Sample {
            kind,
            tier,
            text,
            secrets,
        });
    }
    samples
}

/// Returns the text without marks and escapes, and the marked parts.
fn decoded(line: &str) -> (String, Vec<Range<usize>>) {
    let mut text = String::new();
    let mut secrets = Vec::new();
    let mut start = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '⟦' => assert!(start.replace(text.len()).is_none(), "nested: {line}"),
            '⟧' => secrets.push(start.take().expect("an opening mark")..text.len()),
            '\\' => {
                let mut ahead = rest.clone();
                let decoded = match ahead.next() {
                    Some('n') => Some("\n"),
                    Some('r') => Some("\r"),
                    Some('t') => Some("\t"),
                    Some('\\') => Some("\\"),
                    Some('|') => Some(""),
                    _ => None,
                };
                text.push_str(decoded.unwrap_or("\\"));
                if decoded.is_some() {
                    rest = ahead;
                }
            }
            c => text.push(c),
        }
    }
    assert!(start.is_none(), "not closed: {line}");
    (text, secrets)
}

impl Sample {
    /// Returns the text without its secrets.
    fn surroundings(&self) -> String {
        let mut rest = self.text.clone();
        for secret in self.secrets.iter().rev() {
            rest.replace_range(secret.clone(), "\0");
        }
        rest
    }

    /// Returns pieces of the secrets that must not be shown.
    fn pieces(&self) -> BTreeSet<String> {
        let mut pieces = BTreeSet::new();
        for secret in &self.secrets {
            let chars: Vec<char> = self.text[secret.clone()].chars().collect();
            let length = chars.len().min(LEAK_LEN);
            pieces.extend(chars.windows(length).map(String::from_iter));
        }
        pieces
    }

    /// Returns the parts that must stay readable: the first word of the text, and the host after a
    /// password.
    fn needed(&self) -> Vec<&str> {
        let before = &self.text[..self.secrets[0].start];
        // The armour of a private key may be hidden with it.
        let before = before.split("-----").next().unwrap_or_default();
        let mut needed = Vec::new();
        let first = before.split(|c: char| !c.is_alphanumeric());
        needed.extend(first.filter(|word| !word.is_empty()).take(1));
        for secret in &self.secrets {
            // Under a key such as `dsn` the whole URL may be hidden.
            let run = self.text[..secret.start].rsplit(char::is_whitespace).next();
            let is_url = run.is_some_and(|run| run.contains("://") && !run.contains('='));
            let host = self.text[secret.end..].strip_prefix('@');
            if let Some(host) = host.filter(|_| is_url) {
                let end = host.find(|c: char| !(c.is_alphanumeric() || "-.".contains(c)));
                needed.push(&host[..end.unwrap_or(host.len())]);
            }
        }
        needed
    }

    /// Returns the pieces of the secrets that `shown` contains, escaped or not.
    fn leaks(&self, shown: &str) -> Vec<String> {
        let mut pieces = self.pieces().into_iter();
        let mut leaks = Vec::new();
        pieces.by_ref().for_each(|piece| {
            let escaped = [
                piece.clone(),
                inner(&Value::from(&*piece).to_string()),
                inner(&format!("{piece:?}")),
            ];
            if escaped.iter().any(|piece| shown.contains(&**piece)) {
                leaks.push(piece);
            }
        });
        leaks
    }

    /// Returns whether the sample applies to the policy of this tier.
    fn is_for(&self, tier: Tier) -> bool {
        match self.tier {
            Tier::Secret | Tier::Both => true,
            Tier::Pii => tier == Tier::Pii,
        }
    }
}

fn inner(quoted: &str) -> String {
    quoted[1..quoted.len() - 1].to_owned()
}

fn policies() -> [(Tier, Policy); 2] {
    [
        (Tier::Secret, Policy::secrets()),
        (Tier::Pii, Policy::secrets_and_pii()),
    ]
}

/// Returns the lines that a `JsonLayer` with this policy writes for the texts as values of a field.
fn logged(policy: &Policy, samples: &[Sample]) -> Vec<String> {
    let lines = Lines::default();
    let layer = JsonLayer::new()
        .redact(Arc::new(policy.clone()))
        .with_writer(lines.clone());
    with_default(tracing_subscriber::registry().with(layer), || {
        for sample in samples {
            tracing::info!(note = &*sample.text, "read");
        }
    });
    lines.take().lines().map(str::to_owned).collect()
}

fn note(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    line["note"].as_str().unwrap().to_owned()
}

/// Reports all failures at once, each with its details.
#[track_caller]
fn report(failures: &[Failure<'_>], total: usize) {
    let mut table = String::new();
    for Failure(place, sample, fault, shown) in failures {
        let _ = writeln!(table, "[{}] {place}: {fault}", sample.kind);
        let _ = writeln!(table, "  text   {}\n  output {shown}", sample.text);
    }
    let lines: BTreeSet<&str> = failures.iter().map(|failure| &*failure.1.text).collect();
    assert!(
        failures.is_empty(),
        "{} failures in {} of {total} texts\n{table}",
        failures.len(),
        lines.len(),
    );
}

#[test]
fn corpus_of_secrets_is_valid() {
    let samples = samples(include_str!("../data/secrets.txt"));
    let mut wrong = Vec::new();
    for sample in &samples {
        assert!(!sample.secrets.is_empty(), "no mark: {}", sample.text);
        assert!(sample.tier != Tier::Both, "{}", sample.text);
        let surroundings = sample.surroundings();
        let mut pieces = sample.pieces().into_iter();
        if let Some(piece) = pieces.find(|piece| surroundings.contains(piece)) {
            wrong.push(format!("{piece:?} is outside the marks: {}", sample.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let texts: BTreeSet<&str> = samples.iter().map(|sample| &*sample.text).collect();
    assert_eq!(texts.len(), samples.len(), "a text occurs twice");
    assert!(samples.len() >= 450, "{}", samples.len());
}

#[test]
fn corpus_of_harmless_texts_is_valid() {
    let samples = samples(include_str!("../data/harmless.txt"));
    let mut texts = BTreeSet::new();
    for sample in &samples {
        assert!(sample.secrets.is_empty(), "a mark: {}", sample.text);
        assert!(sample.tier != Tier::Pii, "{}", sample.text);
        assert!(texts.insert(&sample.text), "twice: {}", sample.text);
    }
    assert!(samples.len() >= 700, "{}", samples.len());
}

#[test]
fn secrets_are_hidden_wherever_they_stand() {
    let samples = samples(include_str!("../data/secrets.txt"));
    let mut failures = Vec::new();
    for (tier, policy) in policies() {
        let lines = logged(&policy, &samples);
        for (sample, line) in samples.iter().zip(&lines) {
            if !sample.is_for(tier) {
                continue;
            }
            let text = &sample.text;
            let in_json = serde_json::json!({"note": text, "n": 1}).to_string();
            let places = [
                ("plain", text.clone()),
                ("in JSON", in_json),
                ("in Debug", format!("Note {{ text: {text:?}, n: 1 }}")),
                (
                    "in a sentence",
                    format!("the call failed: {text} (attempt 3)"),
                ),
            ];
            let read = places.map(|(place, text)| (place, policy.text(&text).into_owned()));
            // A piece may occur in the timestamp by chance.
            let field = serde_json::from_str::<Value>(line).unwrap()["note"].to_string();
            for (place, shown) in read.iter().chain([&("logged", field)]) {
                let leaks = sample.leaks(shown);
                if !leaks.is_empty() {
                    let fault = format!("shows {leaks:?}");
                    failures.push(Failure(place, sample, fault, shown.clone()));
                }
            }
            let [(_, plain), (_, in_json), ..] = &read;
            let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
            if is_json(text) && !is_json(plain) || !is_json(in_json) {
                let fault = "is no longer JSON".to_owned();
                failures.push(Failure("in JSON", sample, fault, in_json.clone()));
            }
            if tier == Tier::Pii && sample.tier == Tier::Secret {
                continue;
            }
            for (place, shown) in [("plain", plain.clone()), ("logged", note(line))] {
                for needed in sample.needed() {
                    if !shown.contains(needed) {
                        let fault = format!("hides {needed:?}");
                        failures.push(Failure(place, sample, fault, shown.clone()));
                    }
                }
            }
        }
    }
    report(&failures, samples.len());
}

#[test]
fn harmless_texts_pass_unchanged() {
    let samples = samples(include_str!("../data/harmless.txt"));
    let mut failures = Vec::new();
    for (tier, policy) in policies() {
        let lines = logged(&policy, &samples);
        for (sample, line) in samples.iter().zip(&lines) {
            if tier == Tier::Pii && sample.tier == Tier::Secret {
                continue;
            }
            let text = &sample.text;
            let places = [
                ("plain", text.clone()),
                ("in JSON", serde_json::json!({"note": text}).to_string()),
                ("in Debug", format!("{text:?}")),
            ];
            for (place, text) in places {
                if let Cow::Owned(shown) = policy.text(&text) {
                    let fault = format!("is changed ({tier:?})");
                    failures.push(Failure(place, sample, fault, shown));
                }
            }
            let shown = note(line);
            if shown != *text {
                let fault = format!("is changed ({tier:?})");
                failures.push(Failure("logged", sample, fault, shown));
            }
        }
    }
    report(&failures, samples.len());
}
