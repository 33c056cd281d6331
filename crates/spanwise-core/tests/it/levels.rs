//! What a `LevelLayer` lets through, and what a `Leveled` sink sees.

use std::time::{Duration, Instant};

use crate::support::Seen;
use spanwise_core::{LayerExt, LevelHandle, LevelLayer, Levels};
use tracing::{Level, debug, enabled, error, field::Empty, info, info_span, trace, warn};
use tracing_subscriber::prelude::*;

/// A stack with these levels, in force until the guard is dropped.
fn install(levels: &str) -> (Seen, LevelHandle, tracing::subscriber::DefaultGuard) {
    let seen = Seen::default();
    let layer = LevelLayer::new(levels.parse().unwrap());
    let handle = layer.handle();
    let stack = tracing_subscriber::registry()
        .with(seen.clone())
        .with(layer);
    (seen, handle, stack.set_default())
}

#[test]
fn a_target_s_level_is_that_of_its_longest_match() {
    let (seen, _, _default) = install("warn,shop=info,shop::db=off,my-crate=debug");
    info!(target: "other", "no");
    warn!(target: "other", "other");
    info!(target: "shop::orders", "orders");
    debug!(target: "shop::orders", "no");
    error!(target: "shop::db::pool", "no");
    debug!(target: "my_crate::inner", "hyphen");
    debug!(target: "my-crate", "hyphen too");
    assert_eq!(seen.take(), ["other", "orders", "hyphen", "hyphen too"]);
}

#[test]
fn without_a_bare_level_the_default_remains() {
    let (seen, handle, _default) = install("info");
    handle.set_levels("shop=debug").unwrap();
    info!(target: "other", "other");
    debug!(target: "other", "no");
    debug!(target: "shop", "shop");
    assert_eq!(seen.take(), ["other", "shop"]);
    handle.set_levels("off,shop=warn").unwrap();
    error!(target: "other", "no");
    warn!(target: "shop", "shop");
    assert_eq!(seen.take(), ["shop"]);
    assert_eq!(handle.levels().to_string(), "off,shop=warn");
}

#[test]
fn a_span_directive_enables_what_happens_in_the_spans_it_names() {
    let (seen, handle, _default) = install("info,[request{tenant_id=acme}]=debug");
    let log = |tenant: &'static str| {
        let request = info_span!("request", tenant_id = tenant);
        request.in_scope(|| {
            debug!("{tenant} debug");
            trace!("{tenant} trace");
        });
    };
    log("acme");
    log("globex");
    debug!("outside");
    assert_eq!(seen.take(), ["acme debug"]);

    handle
        .set_levels("info,[request{tenant_id=acme}]=trace")
        .unwrap();
    log("acme");
    assert_eq!(seen.take(), ["acme debug", "acme trace"]);
    handle.set_levels("info").unwrap();
    log("acme");
    assert_eq!(seen.take(), Vec::<String>::new());
}

#[test]
fn a_new_level_for_a_span_directive_holds_for_the_spans_that_are_open() {
    let (seen, handle, _default) = install("info,[request{id=7}]=debug");
    let request = info_span!("request", id = Empty);
    request.record("id", 7);
    let _request = request.enter();
    trace!("before");
    handle.set_levels("info,[request{id=7}]=trace").unwrap();
    trace!("after");
    debug!("after");
    assert_eq!(seen.take(), ["after", "after"]);
}

#[test]
fn a_value_that_panics_in_a_span_directive_breaks_nothing() {
    struct Broken;
    impl std::fmt::Debug for Broken {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no debug")
        }
    }
    let (seen, _, _default) = install("info,[request{id=seven}]=debug");
    info_span!("request", id = ?Broken).in_scope(|| info!("in"));
    assert_eq!(seen.take(), ["in"]);
}

#[test]
fn every_malformed_directive_is_named_with_what_was_meant() {
    let check = |levels: &str, expected: &[&str]| {
        let error = levels.parse::<Levels>().unwrap_err();
        assert_eq!(error.problems().count(), expected.len(), "{error}");
        for part in expected {
            assert!(error.to_string().contains(part), "{error}");
        }
    };
    check("inof", &["`inof` is not a level: did you mean `info`?"]);
    check("verbose", &["did you mean `debug`?"]);
    check("9", &["`9` is not a level: use one of off, error"]);
    check("info;debug", &["`info;debug` is not a directive"]);
    check(
        "shop=debgu,hyper=warning,info",
        &["`shop=debgu`", "did you mean `warn`"],
    );
    check("shop=", &["`shop=`"]);
    check("=debug", &["`=debug`"]);
    check("[request", &["`[request` is not a span directive"]);
    check("[request]=loud", &["`loud` is not a level"]);
    check("[request]debug", &["is not a span directive"]);
}

#[test]
fn what_env_filter_accepts_is_accepted() {
    for levels in [
        "",
        "info",
        "INFO ",
        "info\n",
        "4",
        "off",
        "shop",
        "shop=debug",
        "shop::db=trace,info",
        " info , a=warn ,",
        "[request]",
        "[request]=debug",
        "shop[request]=debug",
        "[request{id}]=debug",
        "[{id=7}]=trace",
        "shop[request{id=7,tenant=\"a,b\"}]=info,warn",
    ] {
        let parsed: Result<Levels, _> = levels.parse();
        assert!(parsed.is_ok(), "{levels:?}: {parsed:?}");
        let shown = parsed.unwrap().to_string();
        assert_eq!(
            shown.parse::<Levels>().unwrap().to_string(),
            shown,
            "{levels:?}"
        );
    }
}

#[test]
fn levels_set_for_a_while_fall_back_by_themselves() {
    let (seen, handle, _default) = install("info");
    handle
        .set_levels_for(Duration::from_millis(50), "debug")
        .unwrap();
    debug!("for a while");
    assert_eq!(seen.take(), ["for a while"]);
    let end = Instant::now() + Duration::from_secs(10);
    while handle.levels().to_string() != "info" {
        assert!(Instant::now() < end, "the levels never fell back");
        std::thread::yield_now();
    }
    debug!("no");
    assert_eq!(seen.len(), 0);
}

#[test]
fn setting_levels_ends_a_temporary_setting() {
    let (_, handle, _default) = install("info");
    handle
        .set_levels_for(Duration::from_secs(3600), "trace")
        .unwrap();
    handle
        .set_levels_for(Duration::from_secs(3600), "debug")
        .unwrap();
    handle.set_levels("warn").unwrap();
    assert_eq!(handle.levels().to_string(), "warn");
    assert!(handle.set_levels("wran").is_err());
    assert!(
        handle
            .set_levels_for(Duration::from_secs(1), "wran")
            .is_err()
    );
    assert_eq!(handle.levels().to_string(), "warn");
}

#[test]
fn a_leveled_sink_sees_its_levels_and_its_neighbour_all() {
    let (errors, all) = (Seen::default(), Seen::default());
    let leveled = errors.clone().leveled("error,shop=info".parse().unwrap());
    let _default = tracing_subscriber::registry()
        .with(leveled)
        .with(all.clone())
        .set_default();
    assert!(enabled!(Level::TRACE));
    info!(target: "other", "other");
    error!(target: "other", "other error");
    info!(target: "shop::db", "shop");
    debug!(target: "shop::db", "shop debug");
    assert_eq!(errors.take(), ["other error", "shop"]);
    assert_eq!(all.take().len(), 4);
}
