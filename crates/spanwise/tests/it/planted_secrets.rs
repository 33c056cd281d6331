//! No kind of secret, in any place, is in the bytes that any sink writes.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use crate::planting::{
    FIRST, Planting, all_keys, assert_none, blind_spots, everything, everything_for,
    keys::{FIELDS, TEXTS},
    needles::Needles,
    places::PLACES,
    programs::wrongs_of_programs,
    secrets::{KINDS, Tier},
    sinks::SINKS,
    wrongs,
};
use crate::support::Lines;
use proptest::prelude::*;
use spanwise_core::{NoRedaction, Redact};
use spanwise_redact::Policy;
use tracing_subscriber::prelude::*;

/// Returns the bytes that a sink writes for the plan.
fn written(
    sink: crate::planting::sinks::Sink,
    policy: Arc<dyn Redact>,
    plan: &[Planting],
) -> Vec<u8> {
    let lines = Lines::default();
    let stack = tracing_subscriber::registry().with(sink(lines.clone(), policy));
    tracing::subscriber::with_default(stack, || {
        // A unit of work that fails at the end, so that a recorder writes its buffered lines.
        let unit = tracing::info_span!("unit").entered();
        crate::planting::log(plan);
        tracing::error!("the end");
        drop(unit);
    });
    // Some sinks write when they are dropped. Another thread that registers a callsite holds the
    // stack meanwhile, and may be the one that drops it.
    lines.wait_for_drops();
    lines.text().into_bytes()
}

/// All planted secrets, and the texts to search for.
static PLAN: LazyLock<(Vec<Planting>, Needles)> = LazyLock::new(|| {
    let plan = everything();
    let needles = Needles::new(&plan);
    (plan, needles)
});

#[test]
fn layers_write_no_planted_secret() {
    let policy = Arc::new(Policy::secrets_and_pii());
    let (plan, needles) = &*PLAN;
    let (name, sink) = SINKS[0];
    let output = written(sink, policy.clone(), plan);
    let mut all = wrongs(name, &output, plan, needles);
    for (number, (name, sink)) in SINKS.iter().enumerate().skip(1) {
        let plan = everything_for(number);
        let output = written(*sink, policy.clone(), &plan);
        all.extend(wrongs(name, &output, &plan, &Needles::new(&plan)));
    }
    assert_none(&all);
}

#[test]
fn programs_write_no_planted_secret() {
    assert_none(&wrongs_of_programs(
        "planted_secrets::programs_write_no_planted_secret",
    ));
}

#[test]
fn policy_of_secrets_alone_hides_them() {
    let mut plan = everything();
    plan.retain(|planting| planting.tier == Tier::Secret);
    let (name, sink) = SINKS[0];
    let output = written(sink, Arc::new(Policy::secrets()), &plan);
    assert_none(&wrongs(name, &output, &plan, &Needles::new(&plan)));
}

/// Text that contains nothing like a secret, and no part of a secret.
fn harmless() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-z]{1,9}",
        1 => "[a-zäöüéß]{1,6}",
        1 => "[0-9]{1,3}",
        1 => Just("日本語".to_owned()),
        1 => Just("🎉".to_owned()),
        1 => Just("\u{1b}[1m".to_owned()),
        1 => Just("(12,5 %)".to_owned()),
        1 => Just("a/b".to_owned()),
        1 => Just("user=ann".to_owned()),
        1 => Just("n: 1".to_owned()),
        1 => Just("\n".to_owned()),
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn surrounding_text_reveals_no_secret(
        (before, after) in (harmless(), harmless()),
        (kind, place) in (0..KINDS.len(), 0..PLACES.len()),
        (key, key_place) in (0..KEYS.len(), 0..FIELDS.len() + TEXTS.len()),
        event in FIRST..FIRST + 999_999,
        sink in 0..SINKS.len(),
    ) {
        let (name, sink) = SINKS[sink];
        let (key, tier, _) = KEYS[key];
        let key_place = FIELDS.iter().chain(TEXTS).nth(key_place).unwrap();
        let around = (&*format!("{before} "), &*format!(" {after}"));
        let plan = [
            Planting::of_kind(event, &KINDS[kind], PLACES[place], around),
            Planting::of_key(event + 1, key, tier, *key_place),
        ];
        let output = written(sink, Arc::new(Policy::secrets_and_pii()), &plan);
        assert_none(&wrongs(name, &output, &plan, &Needles::new(&plan)));
    }
}

/// The names are leaked, so each name is created once.
static KEYS: LazyLock<Vec<(&'static str, Tier, bool)>> = LazyLock::new(all_keys);

const ALL: &str = "a layer of one's own";

#[test]
fn search_finds_unhidden_secrets() {
    let (plan, needles) = &*PLAN;
    // One layer shows everything. For the other sinks, one kind and one key in every place are
    // sufficient.
    let (name, sink) = SINKS.iter().find(|(name, _)| *name == ALL).unwrap();
    let output = written(*sink, Arc::new(NoRedaction), plan);
    let mut unseen: BTreeSet<_> = blind_spots(&output, plan, needles)
        .into_iter()
        .map(|place| (*name, place))
        .collect();
    let mut plan = everything();
    let kind = plan[0].what.clone();
    plan.retain(|planting| planting.what == kind || planting.what == "key `sid`");
    assert_eq!(plan.len(), PLACES.len() + FIELDS.len() + TEXTS.len());
    let needles = Needles::new(&plan);
    for (name, sink) in SINKS {
        let output = written(*sink, Arc::new(NoRedaction), &plan);
        let spots = blind_spots(&output, &plan, &needles);
        unseen.extend(spots.into_iter().map(|place| (*name, place)));
    }
    // This format shows an error without its causes.
    let causes = [
        "the cause of an error",
        "the cause of the cause of an error",
    ];
    let expected = causes.map(|cause| ("fmt json", cause));
    assert_eq!(unseen, expected.into_iter().collect());
}
