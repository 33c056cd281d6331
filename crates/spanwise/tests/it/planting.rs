//! Plants secrets in every place that can be logged, and searches for them in the output of a sink.

#![allow(unreachable_pub, reason = "a module of a test")]

#[cfg(feature = "sentry")]
pub mod envelopes;
#[cfg(feature = "otel")]
pub mod exports;
pub mod keys;
pub mod needles;
pub mod places;
pub mod programs;
pub mod secrets;
pub mod sinks;

use std::collections::BTreeSet;

use self::keys::{FIELDS, KeyPlace, Keyed, TEXTS};
use self::needles::{Needles, events_in};
use self::places::{PLACES, Place};
use self::secrets::{Dice, KINDS, Kind, Tier};

/// One secret, in one place.
pub struct Planting {
    /// The secret and its place, for the report of a leak.
    pub what: String,
    pub place: &'static str,
    pub tier: Tier,
    /// The number in the event that contains the secret.
    pub event: u64,
    /// The texts that must be hidden.
    pub cores: Vec<String>,
    log: Box<dyn Fn() + Send + Sync>,
}

impl Planting {
    /// Plants a secret that is recognized by its format.
    pub fn of_kind(
        event: u64,
        kind: &Kind,
        (place, log): Place,
        (before, after): (&str, &str),
    ) -> Self {
        let secret = kind.grow(&mut Dice::new(event));
        let text = format!("{before}{}{after}", secret.text);
        Self {
            what: kind.name(),
            place,
            tier: kind.tier,
            event,
            cores: vec![secret.core],
            log: Box::new(move || log(event, &text)),
        }
    }

    /// Plants a secret that is recognized by its key.
    pub fn of_key(event: u64, key: &'static str, tier: Tier, (place, log): KeyPlace) -> Self {
        let mut dice = Dice::new(event);
        let keyed = Keyed {
            key,
            word: dice.fill("<A20>"),
            text: dice.fill("<A20> \"<A25>\\ é, };<A22>"),
            number: dice.fill("4<d11>").parse().expect("a number"),
        };
        Self {
            what: format!("key `{key}`"),
            place,
            tier,
            event,
            cores: vec![
                keyed.word.clone(),
                keyed.text.clone(),
                keyed.number.to_string(),
            ],
            log: Box::new(move || log(event, &keyed)),
        }
    }
}

/// Returns each kind in each place, and each key in each of its places.
///
/// Kinds that are detected alike are only in the most common place of each sort.
pub fn everything() -> Vec<Planting> {
    let mut plan = Vec::new();
    for kind in KINDS {
        for place in PLACES {
            if !kind.is_alike || SOME_PLACES.contains(&place.0) {
                let event = FIRST + plan.len() as u64;
                plan.push(Planting::of_kind(event, kind, *place, ("", "")));
            }
        }
    }
    for (key, tier, is_alike) in all_keys() {
        for place in FIELDS.iter().chain(TEXTS) {
            if !is_alike || SOME_KEY_PLACES.contains(&place.0) {
                let event = FIRST + plan.len() as u64;
                plan.push(Planting::of_key(event, key, tier, *place));
            }
        }
    }
    plan
}

/// Returns a fifth of [`everything`]. Five consecutive numbers return different fifths. So each
/// sink receives every kind, every key and every place, and several sinks receive each pair of
/// them.
pub fn everything_for(sink: usize) -> Vec<Planting> {
    let mut plan = everything();
    plan.retain(|planting| (planting.event as usize + sink).is_multiple_of(5));
    plan
}

/// The numbers of events have seven digits, and the first digit is 7.
pub const FIRST: u64 = 7_000_000;

const SOME_PLACES: [&str; 6] = [
    "a field, as str",
    "the middle of the message",
    "the field of a struct, by Debug",
    "nested JSON",
    "the path of a URL",
    "a field recorded late, as str",
];

const SOME_KEY_PLACES: [&str; 7] = [
    "a field, as str",
    "a field of a span, as u64",
    "a field recorded late, as str",
    "key=value in the message",
    "nested JSON",
    "JSON in JSON in a field",
    "lines of headers",
];

/// Each name of the specification: alone, as the last part of a path, and, if the rule says so, as
/// a part of a name. With whether it is another spelling of one that is there.
pub fn all_keys() -> Vec<(&'static str, Tier, bool)> {
    use keys::{
        PII_NAMES, PII_SPELLINGS, SECRET_ENDS, SECRET_NAMES, SECRET_PARTS, SECRET_SPELLINGS,
    };
    let mut keys: Vec<(String, Tier, bool)> = Vec::new();
    let mut add = |names: &str, tier, is_alike, spell: &dyn Fn(&str) -> String| {
        let names = names.split_whitespace();
        keys.extend(names.map(|name| (spell(name), tier, is_alike)));
    };
    for (names, tier) in [
        (SECRET_NAMES, Tier::Secret),
        (SECRET_PARTS, Tier::Secret),
        (PII_NAMES, Tier::Pii),
    ] {
        add(names, tier, false, &str::to_owned);
        add(names, tier, true, &|name| format!("user.{name}"));
    }
    add(SECRET_PARTS, Tier::Secret, true, &|name| {
        format!("my_{name}_2")
    });
    add(SECRET_ENDS, Tier::Secret, true, &|name| {
        format!("my_{name}")
    });
    add(SECRET_SPELLINGS, Tier::Secret, true, &str::to_owned);
    add(PII_SPELLINGS, Tier::Pii, true, &str::to_owned);
    let leaked = keys.into_iter();
    leaked
        .map(|(key, tier, is_alike)| (&*key.leak(), tier, is_alike))
        .collect()
}

pub fn log(plan: &[Planting]) {
    for planting in plan {
        (planting.log)();
    }
}

/// Returns the problems in the output of `sink` for `plan`: leaked secrets and missing events.
pub fn wrongs(
    sink: &'static str,
    output: &[u8],
    plan: &[Planting],
    needles: &Needles,
) -> Vec<String> {
    let wrong = |planting: &Planting, what: &str| {
        format!("{} | {} | {sink}: {what}", planting.what, planting.place)
    };
    let leaked = needles.found_in(output).into_iter().map(|(index, at)| {
        let around = &output[at.saturating_sub(100)..output.len().min(at + 60)];
        let around = String::from_utf8_lossy(around);
        wrong(&plan[index], &format!("leaked in …{around}…"))
    });
    let arrived = events_in(output);
    let missing = plan
        .iter()
        .filter(|planting| !arrived.contains(&planting.event))
        .map(|planting| wrong(planting, "the event did not arrive"));
    leaked.chain(missing).collect()
}

/// Asserts that there is no problem.
#[track_caller]
pub fn assert_none(wrongs: &[String]) {
    let count = wrongs.len();
    let shown = wrongs[..count.min(60)].join("\n");
    assert!(wrongs.is_empty(), "{count} in all:\n{shown}");
}

/// Returns the places where the search finds no secret although nothing is hidden. In such a place
/// the search would miss a leak.
pub fn blind_spots(output: &[u8], plan: &[Planting], needles: &Needles) -> BTreeSet<&'static str> {
    let found = needles.found_in(output);
    let unseen = plan
        .iter()
        .enumerate()
        .filter(|(index, _)| !found.contains_key(index));
    unseen.map(|(_, planting)| planting.place).collect()
}
