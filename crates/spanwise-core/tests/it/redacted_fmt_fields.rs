//! Span fields that several `fmt` layers share, because their field formatters have one type.

use std::sync::Arc;

use crate::support::redaction::{NoHunter, SECRET, no_hunter};
use spanwise_core::{Fault, LayerExt, Layers, Redact, Redacted, SelfReport, UnsharedFields};
use spanwise_testing::support::Lines;
use tracing::{Dispatch, field::Empty, info, info_span, level_filters::LevelFilter};
use tracing_subscriber::{
    Registry,
    fmt::{self, format::DefaultFields},
    prelude::*,
};

fn log() {
    let span = info_span!("span", text = SECRET, late = Empty).entered();
    info!("in the span");
    span.record("late", SECRET);
    info!("in the span");
}

/// Returns the output of the plain and of the redacted layer.
fn written(plain: &Lines, redacted: &Lines, stack: impl Into<Dispatch>) -> (String, String) {
    tracing::dispatcher::with_default(&stack.into(), log);
    (plain.take(), redacted.take())
}

fn faults(report: &SelfReport) -> Vec<(Fault, u64)> {
    report.stats().faults
}

#[test]
fn undetected_shared_fields_leak() {
    // A custom formatter, whose type core cannot name: the redacted layer leaks. `UnsharedFields`
    // is the remedy.
    let (plain, redacted) = (Lines::default(), Lines::default());
    let stack = Registry::default()
        .with(fmt::layer().json().with_writer(plain.clone()))
        .with(
            fmt::layer()
                .json()
                .with_writer(redacted.clone())
                .redacted(no_hunter()),
        );
    let (_, leaks) = written(&plain, &redacted, stack);
    assert!(
        leaks.contains(SECRET),
        "if it does not leak any more, say so in the docs"
    );
}

/// Macros, because the type of a `fmt` layer depends on the layers below it.
macro_rules! plain {
    ($fmt:expr, $lines:expr) => {
        $fmt.without_time()
            .with_ansi(false)
            .with_writer($lines.clone())
    };
}

macro_rules! redacted {
    ($layer:expr, $report:expr) => {
        redacted!($layer, $report, no_hunter())
    };
    ($layer:expr, $report:expr, $policy:expr) => {
        $layer.redacted($policy).report($report.clone())
    };
}

#[test]
fn unshared_fields_share_nothing() {
    macro_rules! check {
        ($fmt:expr) => {
            let (plain, redacted) = (Lines::default(), Lines::default());
            let report = SelfReport::silent();
            let after = Registry::default()
                .with(plain!($fmt, plain))
                .with(redacted!(
                    plain!($fmt.map_fmt_fields(UnsharedFields::new), redacted),
                    report
                ));
            let (theirs, shown) = written(&plain, &redacted, after);
            assert_eq!(shown, theirs.replace(SECRET, "***"));
            assert!(theirs.contains(SECRET) && theirs.lines().count() == 2);

            let before = Registry::default()
                .with(redacted!(
                    plain!($fmt.map_fmt_fields(UnsharedFields::new), redacted),
                    report
                ))
                .with(plain!($fmt, plain));
            assert_eq!(written(&plain, &redacted, before), (theirs, shown));
            assert_eq!(faults(&report), []);
        };
    }
    check!(fmt::layer());
    check!(fmt::layer().json());
    check!(fmt::layer().compact());
}

#[test]
fn shared_fields_disable_the_redacted_layer() {
    let (theirs, ours) = (Lines::default(), Lines::default());
    let report = SelfReport::silent();
    let mut stacks = 0;
    let mut check = |stack: Dispatch| {
        let (theirs, shown) = written(&theirs, &ours, stack);
        assert_eq!(theirs.lines().count(), 2);
        assert_eq!(shown, "");
        stacks += 1;
        assert_eq!(faults(&report), [(Fault::Setup, stacks)]);
    };
    macro_rules! ours {
        () => {
            redacted!(plain!(fmt::layer(), ours), report)
        };
    }
    let registry = Registry::default;
    check(
        registry()
            .with(plain!(fmt::layer(), theirs))
            .with(ours!())
            .into(),
    );
    check(
        registry()
            .with(ours!())
            .with(plain!(fmt::layer(), theirs))
            .into(),
    );
    check(
        registry()
            .with(ours!().with_filter(LevelFilter::TRACE))
            .with(plain!(fmt::layer(), theirs).with_levels(LevelFilter::TRACE.into()))
            .into(),
    );
    let mut list = Layers::<Registry>::default();
    list.push(plain!(fmt::layer(), theirs));
    list.push(ours!().with_levels(LevelFilter::TRACE.into()));
    check(registry().with(list).into());
}

#[test]
fn fields_are_shared_only_behind_one_policy() {
    let report = SelfReport::silent();
    let stack = |first: Arc<dyn Redact>, second: Arc<dyn Redact>| -> Dispatch {
        let lines = Lines::default();
        let stack = Registry::default().with(redacted!(plain!(fmt::layer(), lines), report, first));
        let stack = stack.with(redacted!(plain!(fmt::layer(), lines), report, second));
        stack.into()
    };
    let policy = no_hunter();
    let _one = stack(policy.clone(), policy.clone());
    assert_eq!(faults(&report), []);
    let _two = stack(policy, no_hunter());
    assert_eq!(faults(&report), [(Fault::Setup, 2)]);
}

#[test]
fn redacted_layer_without_fields_stays_active() {
    let report = SelfReport::silent();
    let others = crate::support::SeenMessages::default();
    let redacted = others.clone().redacted(no_hunter()).report(report.clone());
    let stack = Dispatch::new(
        Registry::default()
            .with(fmt::layer().with_writer(std::io::sink))
            .with(redacted),
    );
    assert_eq!(faults(&report), []);
    // Later look-ups are not affected.
    assert!(stack.is::<DefaultFields>() && stack.is::<Redacted<crate::support::SeenMessages>>());
    let alone = fmt::layer::<Registry>().redacted(Arc::new(NoHunter));
    assert!(Dispatch::new(Registry::default().with(alone)).is::<DefaultFields>());
}
