//! The events and spans that a `LevelLayer` enables, and that a `LevelFiltered` sink receives.

use std::time::{Duration, Instant};

use crate::support::SeenMessages;
use spanwise_core::{LayerExt, LevelHandle, LevelLayer, Levels, TargetLevels};
use tracing::{
    Level, Span, debug, debug_span, enabled, error, error_span, field::Empty, info, info_span,
    level_filters::LevelFilter, span_enabled, trace, trace_span, warn,
};
use tracing_subscriber::prelude::*;

/// Installs a stack with these levels, until the guard is dropped.
fn install(levels: &str) -> (SeenMessages, LevelHandle, tracing::subscriber::DefaultGuard) {
    let seen = SeenMessages::default();
    let layer = LevelLayer::new(levels.parse().unwrap());
    let handle = layer.handle();
    let stack = tracing_subscriber::registry()
        .with(seen.clone())
        .with(layer);
    (seen, handle, stack.set_default())
}

#[test]
fn longest_matching_target_decides() {
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
fn default_level_remains_without_a_bare_level() {
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
fn span_directive_enables_events_in_its_spans() {
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
fn span_directive_does_not_widen_another() {
    for levels in ["info,[b]=debug", "info,[a]=trace,[b]=debug"] {
        let (_, handle, _default) = install(levels);
        let check = || {
            info_span!("b").in_scope(|| {
                assert!(!debug_span!("inside").is_disabled(), "{levels}");
                assert!(trace_span!("inside").is_disabled(), "{levels}");
                assert!(!trace_span!("b").is_disabled(), "it is named");
            });
        };
        check();
        // The changed directive keeps its spans.
        handle.set_levels(&levels.replace("info", "warn")).unwrap();
        check();
    }
    let (_, _, _default) = install("info,[a]=trace,[b]=debug");
    info_span!("a").in_scope(|| assert!(!trace_span!("inside").is_disabled()));
}

#[test]
fn changed_span_level_applies_to_open_spans() {
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
fn panicking_value_does_not_break_span_directives() {
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

/// Returns the names of the enabled spans, with the targets `it` (our own) and `hyper`.
fn enabled_spans() -> Vec<&'static str> {
    let spans: [Span; 6] = [
        error_span!("error"),
        info_span!("info"),
        debug_span!("debug"),
        trace_span!("trace"),
        info_span!(target: "hyper::client", "hyper info"),
        debug_span!(target: "hyper::client", "hyper debug"),
    ];
    // `span_enabled!` agrees with the span.
    assert_eq!(span_enabled!(Level::INFO), !spans[1].is_disabled());
    // With the feature `log` of `tracing`, a disabled span has metadata too.
    let enabled = spans.iter().filter(|span| !span.is_disabled());
    let enabled = enabled.filter_map(Span::metadata);
    enabled.map(|metadata| metadata.name()).collect()
}

const UP_TO_INFO: &[&str] = &["error", "info", "hyper info"];
const OWN: &[&str] = &["error", "info"];

#[test]
fn levels_of_events_leave_spans_enabled() {
    let with_debug = &["error", "info", "debug", "hyper info", "hyper debug"][..];
    let own_debug = &["error", "info", "debug", "hyper info"][..];
    let cases: &[(&str, &str, &[&str])] = &[
        // By default, up to INFO.
        ("info", "", UP_TO_INFO),
        ("warn", "", UP_TO_INFO),
        ("error", "", UP_TO_INFO),
        ("off,shop=error", "", UP_TO_INFO),
        ("warn,hyper=error", "", UP_TO_INFO),
        ("off,[request]=info", "", UP_TO_INFO),
        // More verbose events enable more spans.
        ("debug", "", with_debug),
        ("warn,it=debug", "", own_debug),
        // A target that is `off` disables its spans, but not the spans of other targets.
        ("warn,hyper=off", "", OWN),
        ("off,hyper=off,it=error", "", OWN),
        ("warn,hyper=off,hyper::client=error", "", UP_TO_INFO),
        ("off", "", &[]),
        ("off,hyper=off", "", &[]),
        // An explicit level of spans applies exactly.
        ("warn", "info", UP_TO_INFO),
        ("debug", "info", UP_TO_INFO),
        ("info", "warn", &["error"]),
        ("off", "error", &["error"]),
        ("info", "off", &[]),
        ("trace", "off", &[]),
        ("warn", "debug", with_debug),
        ("warn,hyper=off", "info", OWN),
        // Span levels of a target.
        ("warn", "hyper=off", OWN),
        ("warn", "it=debug", own_debug),
        ("warn", "off,hyper=info", &["hyper info"]),
        ("warn,hyper=off", "hyper=info", UP_TO_INFO),
        ("off", "hyper=info", &["hyper info"]),
        ("debug", "hyper=info", own_debug),
    ];
    // With a filtered layer in the stack, `enabled` is called for each span.
    for is_filtered in [false, true] {
        for (events, spans, expected) in cases {
            let spans: TargetLevels = spans.parse().unwrap();
            let layer = LevelLayer::new(events.parse().unwrap()).span_levels(spans.clone());
            let filtered = SeenMessages::default().with_filter(LevelFilter::ERROR);
            let stack = tracing_subscriber::registry();
            let _default = if is_filtered {
                stack.with(filtered).with(layer).set_default()
            } else {
                stack.with(layer).set_default()
            };
            let enabled = enabled_spans();
            assert_eq!(enabled, *expected, "{events} / {spans} / {is_filtered}");
        }
    }
}

#[test]
fn enabled_spans_enable_no_event() {
    for spans in ["", "trace", "info,hyper=trace"] {
        let seen = SeenMessages::default();
        let layer = LevelLayer::new("warn".parse().unwrap())
            .span_levels(spans.parse::<TargetLevels>().unwrap());
        let stack = tracing_subscriber::registry().with(seen.clone());
        let _default = stack.with(layer).set_default();
        info_span!("request").in_scope(|| {
            assert!(!enabled!(Level::INFO));
            assert!(!tracing::event_enabled!(Level::INFO));
            info!("no");
            debug!(target: "hyper", "no");
            error!("error");
        });
        assert_eq!(seen.take(), ["error"], "{spans}");
    }
}

#[test]
fn spans_follow_events_uses_event_levels() {
    let layer = LevelLayer::new("warn,hyper=debug".parse().unwrap()).spans_follow_events();
    let handle = layer.handle();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    assert_eq!(enabled_spans(), ["error", "hyper info", "hyper debug"]);
    handle.set_levels("info").unwrap();
    assert_eq!(enabled_spans(), UP_TO_INFO);
    handle.set_levels("off").unwrap();
    assert_eq!(enabled_spans(), [""; 0]);
}

#[test]
fn level_changes_leave_spans_enabled() {
    let (_, handle, _default) = install("info");
    for levels in ["warn", "error", "off,shop=warn", "info"] {
        handle.set_levels(levels).unwrap();
        assert_eq!(enabled_spans(), UP_TO_INFO, "{levels}");
        let hour = Duration::from_secs(3600);
        handle.set_levels_for(hour, "warn,hyper=off").unwrap();
        assert_eq!(enabled_spans(), OWN, "{levels}");
    }
}

#[test]
fn span_directive_adds_to_span_levels() {
    let seen = SeenMessages::default();
    let layer =
        LevelLayer::new("warn,[request]=debug".parse().unwrap()).span_levels(LevelFilter::OFF);
    let stack = tracing_subscriber::registry().with(seen.clone());
    let _default = stack.with(layer).set_default();
    info_span!("request").in_scope(|| debug!("in the span"));
    info_span!("other").in_scope(|| debug!("in another"));
    assert!(info_span!("other").is_disabled());
    assert_eq!(seen.take(), ["in the span"]);
}

#[test]
fn malformed_directives_get_suggestions() {
    let check = |levels: &str, expected: &[&str]| {
        let error = levels.parse::<Levels>().unwrap_err();
        assert_eq!(error.problems().len(), expected.len(), "{error}");
        for part in expected {
            assert!(error.to_string().contains(part), "{error}");
        }
    };
    check("inof", &["`inof` is not a level: did you mean `info`?"]);
    check("verbose", &["did you mean `debug`?"]);
    check("9", &["`9` is not a level: use one of off, error"]);
    check("info;debug", &["`info;debug` is not a directive"]);
    check(
        "shop=debgu,hyper=notice,info",
        &["`shop=debgu`", "did you mean `info`"],
    );
    check("shop=", &["`shop=`"]);
    check("=debug", &["`=debug`"]);
    check("[request", &["`[request` is not a span directive"]);
    check("[request]=loud", &["`loud` is not a level"]);
    check("[request]debug", &["is not a span directive"]);
}

#[test]
fn directive_that_cannot_match_is_rejected() {
    for (levels, problem) in [
        (
            "info,h2:warn",
            "`h2:warn` is not a directive: write `h2=warn`",
        ),
        ("h2::warn", "write `h2=warn`"),
        (
            "info/foo",
            "text after `/` is not searched for; write `info`",
        ),
        ("Information", "did you mean `info`?"),
        ("Shop", "`Shop` is neither a level nor the path of a module"),
        ("shop.db", "write `shop.db=trace`"),
        ("7zip", "neither a level nor"),
        (
            "RUST_LOG=debug",
            "the value repeats the name of its variable",
        ),
        (
            "LOG_LEVEL=debug",
            "the value repeats the name of its variable",
        ),
        ("info=debug", "`info` is a level and not a target"),
        ("3=debug", "`3` is a level and not a target"),
        ("0.5=debug", "`0.5` is a level and not a target"),
        ("shop:db=debug", "`shop:db` is not the path of a module"),
        ("shop:::db=debug", "`shop:::db` is not the path of a module"),
        ("::shop=debug", "`::shop` is not the path of a module"),
        ("crate::db=debug", "`crate::db` is not the path of a module"),
        ("src/main.rs=debug", "`src/main.rs` is a file"),
        ("*=debug", "is not a directive"),
        ("shop debug", "is not a directive"),
        ("shop==debug", "is not a level"),
        ("\"info\"", "is not a level"),
        ("[]=debug", "is not a span directive"),
        ("[{}]=debug", "is not a span directive"),
        ("[a]b=debug", "is not a span directive"),
        ("[a{b=}]=debug", "is not a span directive"),
        ("[a{b=\"x}]=debug", "is not a span directive"),
        ("[a{b c=1}]=debug", "is not a span directive"),
        ("[a{b=(}]=debug", "is not a span directive"),
        ("crate::db[a]=debug", "is not the path of a module"),
    ] {
        let error = levels.parse::<Levels>().unwrap_err();
        assert!(error.to_string().contains(problem), "{levels:?}: {error}");
    }
}

#[test]
fn target_may_be_named_like_a_float() {
    for target in ["inf", "nan", "NaN", "infinity", "nan::db"] {
        let levels: Levels = format!("warn,{target}=debug").parse().unwrap();
        assert_eq!(levels.level(target), LevelFilter::DEBUG, "{target}");
        let in_spans = format!("warn,{target}[request]=debug").parse::<Levels>();
        assert!(in_spans.is_ok(), "{target}");
    }
    let levels: Levels = "warn,infinity,nan".parse().unwrap();
    assert_eq!(levels.to_string(), "warn,infinity=trace,nan=trace");
    for directive in ["inf", "1e3", "1e3=debug", "7=debug", "-1"] {
        assert!(directive.parse::<Levels>().is_err(), "{directive}");
    }
}

#[test]
fn levels_without_events_exceed_nothing() {
    let levels: Levels = "shop=info".parse().unwrap();
    let exceed = |captured: LevelFilter| TargetLevels::from(captured).exceed(&levels);
    assert!(!exceed(LevelFilter::OFF));
    assert!(exceed(LevelFilter::ERROR), "other targets have no level");
    assert!(!TargetLevels::default().exceed(&levels));
}

#[test]
fn span_directive_limits_numbers() {
    let fields = |count: usize| {
        let fields: Vec<String> = (0..count).map(|field| format!("f{field}=1")).collect();
        fields.join(",")
    };
    for (directive, is_accepted) in [
        (format!("[a{{{}}}]=debug", fields(4)), true),
        (format!("my-shop[a{{{}}}]=debug", fields(3)), true),
        (format!("my-shop[a{{{}}}]=debug", fields(4)), false),
        (format!("[a{{{}}}]=debug", fields(5)), false),
        // The number of fields would exhaust the memory or overflow a counter.
        (format!("[a{{{}}}]=debug", fields(28)), false),
        (format!("[a{{{}}}]=debug", fields(1000)), false),
    ] {
        let parsed = directive.parse::<Levels>();
        assert_eq!(parsed.is_ok(), is_accepted, "{directive}");
        if let Err(error) = parsed {
            assert!(error.to_string().contains("too many numbers"), "{error}");
        }
    }
}

#[test]
fn span_directive_value_is_a_pattern() {
    for (value, matching, others) in [
        ("acme-[0-9]+", &["acme-17"][..], &["acme-", "acme-x"][..]),
        ("[^=,{]+", &["acme"], &["a=b", "a,b", "a{b"]),
        ("a(b|c)*", &["a", "abc"], &["ad"]),
        ("\"a.c?\"", &["ab", "abc"], &["a"]),
        ("\"{c}=,\"", &["{c}=,"], &["c"]),
        (r"\{2\}", &["{2}"], &["22"]),
        (r#""a\=\,b""#, &["a=,b"], &["ab"]),
        (r"\[a\]\.", &["[a]."], &["a", "[a]x"]),
        (r"\\", &["\\"], &["x"]),
        ("{a2}", &["{a2}"], &["a2"]),
    ] {
        let (seen, _, _default) = install(&format!("info,[request{{tenant={value}}}]=debug"));
        let log = |tenant: &&str| {
            info_span!("request", tenant = %tenant).in_scope(|| debug!("{tenant}"));
        };
        matching.iter().chain(others).for_each(log);
        assert_eq!(seen.take(), matching, "{value}");
    }
    for value in [
        "acme-.{2}",
        "a{2,3}",
        "a{2,}",
        "a{,2}",
        r"\d{2}",
        r"\p{L}+",
        r"\x{41}",
        "(a|b{1})",
        "\"a{2}\"",
        "[ab]{2}",
    ] {
        let directive = format!("[request{{tenant={value}}}]=debug");
        let error = directive.parse::<Levels>().unwrap_err().to_string();
        assert!(error.contains("write out the repetition"), "{error}");
        assert!(error.contains(&directive), "{error}");
    }
}

#[test]
fn level_aliases_and_case_are_accepted() {
    for (levels, shown) in [
        ("WARNING", "warn"),
        ("Warning,shop=FATAL", "warn,shop=error"),
        ("critical", "error"),
        ("INFO,[request]=Debug", "info,[request]=debug"),
        ("shop::=debug", "shop::=debug"),
        (
            "HTTP=debug,kafka.consumer=warn,a/b=info",
            "HTTP=debug,kafka.consumer=warn,a/b=info",
        ),
    ] {
        assert_eq!(levels.parse::<Levels>().unwrap().to_string(), shown);
    }
}

#[test]
fn span_directive_matches_any_way_of_recording() {
    for directive in [
        "[request{tenant=acme}]=debug",
        "[request{tenant=\"acme\"}]=debug",
        "[ request { tenant = \"acme\" } ] = debug",
        "[{tenant=ac.e}]=debug",
    ] {
        let (seen, _, _default) = install(&format!("info,{directive}"));
        info_span!("request", tenant = "acme").in_scope(|| debug!("str"));
        info_span!("request", tenant = %"acme").in_scope(|| debug!("display"));
        info_span!("request", tenant = ?"acme").in_scope(|| debug!("debug"));
        let late = info_span!("request", tenant = Empty);
        late.record("tenant", String::from("acme"));
        late.in_scope(|| debug!("late"));
        for other in ["acme2", "my acme", "globex"] {
            info_span!("request", tenant = other).in_scope(|| debug!("other"));
            info_span!("request", tenant = ?other).in_scope(|| debug!("other"));
        }
        assert_eq!(
            seen.take(),
            ["str", "display", "debug", "late"],
            "{directive}"
        );
    }
    let (seen, _, _default) = install("info,[request{code=404,path=\"/a,b={c}\"}]=debug");
    let path = "/a,b={c}";
    info_span!("request", code = 404, path).in_scope(|| debug!("number"));
    info_span!("request", code = 404_u64, path = ?path).in_scope(|| debug!("unsigned"));
    info_span!("request", code = %404, path).in_scope(|| debug!("text"));
    info_span!("request", code = 500, path).in_scope(|| debug!("other"));
    assert_eq!(seen.take(), ["number", "unsigned", "text"]);

    let (seen, _, _default) = install("info,my-shop[request]=debug");
    info_span!(target: "my_shop", "request").in_scope(|| debug!("underscore"));
    info_span!(target: "my-shop", "request").in_scope(|| debug!("hyphen"));
    assert_eq!(seen.take(), ["underscore", "hyphen"]);
}

#[test]
fn directive_with_only_fields_enables_their_spans() {
    let (_, handle, _default) = install("info,[{id}]=debug");
    assert!(debug_span!("other").is_disabled());
    assert!(trace_span!("other", n = 1).is_disabled());
    assert!(!debug_span!("request", id = 1).is_disabled());
    assert!(!trace_span!("request", id = Empty).is_disabled());
    handle.set_levels("info,[{id,tenant}]=debug").unwrap();
    assert!(debug_span!("request", id = 1).is_disabled());
    assert!(!debug_span!("request", tenant = "acme", id = 1).is_disabled());
}

#[test]
fn redundant_span_directive_is_rejected() {
    let (_, handle, _default) = install("info");
    for (levels, changes) in [
        ("[health]=warn", false),
        ("[health]=info", false),
        ("[health]=off", false),
        ("[health]=debug", true),
        ("warn,[health]=info", true),
        ("info,hyper=warn,[health]=info", true),
        ("off,[health]=error", true),
        ("trace,[health]=trace", false),
    ] {
        let set = handle.set_levels(levels);
        assert_eq!(set.is_ok(), changes, "{levels}: {set:?}");
        let set = handle.set_levels_for(Duration::from_secs(3600), levels);
        assert_eq!(set.is_ok(), changes, "{levels}: {set:?}");
    }
    assert_eq!(
        handle
            .set_levels("off,[health]=off")
            .unwrap_err()
            .to_string(),
        "`[health]=off` changes nothing: a span directive can only enable more; to show less of a \
         target, write `target=off`"
    );
}

#[test]
fn everything_env_filter_accepts_is_accepted() {
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
fn temporary_levels_are_restored() {
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
fn set_levels_ends_temporary_levels() {
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
fn with_levels_affects_only_its_own_layer() {
    let (errors, all) = (SeenMessages::default(), SeenMessages::default());
    let leveled = errors
        .clone()
        .with_levels("error,shop=info".parse().unwrap());
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

#[test]
fn shifted_levels_keep_their_order() {
    for (levels, steps, shifted) in [
        ("warn", 0, "warn"),
        ("warn", 1, "info"),
        ("warn", -2, "off"),
        ("warn", 127, "trace"),
        ("warn", -128, "off"),
        // One level more verbose than `off` is `error`.
        ("off", 1, "error"),
        ("info,shop=debug,hyper=off", 1, "debug,shop=trace,hyper=off"),
        ("info,shop=debug,hyper=off", -3, "off,shop=error,hyper=off"),
        ("shop=info", 1, "shop=debug"),
        // A span directive without an effect would be an error.
        ("info,[request]=debug", 1, "debug,[request]=trace"),
        ("info,[request]=debug", 2, "trace"),
        ("info,[request]=debug", -3, "off,[request]=error"),
    ] {
        let parsed: Levels = levels.parse().unwrap();
        let parsed = parsed.shifted(steps);
        assert_eq!(parsed.to_string(), shifted, "{levels} by {steps}");
        assert!(parsed.check_spans().is_ok(), "{levels} by {steps}");
    }
}

#[test]
fn with_directives_from_merges_directives() {
    for (levels, other, both) in [
        ("info", "error", "info"),
        ("info", "hyper=off", "info,hyper=off"),
        ("info,shop=debug", "shop=trace,off", "info,shop=trace"),
        ("debug", "[request]=debug", "debug"),
        ("info", "[request]=debug", "info,[request]=debug"),
    ] {
        let parsed: Levels = levels.parse().unwrap();
        let parsed = parsed.with_directives_from(&other.parse().unwrap());
        assert_eq!(parsed.to_string(), both, "{levels} and {other}");
        assert!(parsed.check_spans().is_ok(), "{levels} and {other}");
    }
}

#[test]
fn longest_match_of_modules_and_prefixes_wins() {
    let levels: Levels = "info,sqlx=warn".parse().unwrap();
    let levels = levels
        .with_module("shop", LevelFilter::DEBUG)
        .with_module("shop.orders", LevelFilter::ERROR)
        .with_module("sqlx", LevelFilter::TRACE);
    for (target, level) in [
        ("shop", LevelFilter::DEBUG),
        ("shop::db", LevelFilter::DEBUG),
        ("shop::orders", LevelFilter::ERROR),
        ("shop::orders::db", LevelFilter::ERROR),
        ("shopping", LevelFilter::INFO),
        ("sqlx::query", LevelFilter::TRACE),
        ("sqlx_core", LevelFilter::WARN),
    ] {
        assert_eq!(levels.level(target), level, "{target}");
    }
    let over: Levels = "shop=warn".parse().unwrap();
    let over = over.or(&levels);
    assert_eq!(over.level("shop"), LevelFilter::WARN);
    assert_eq!(over.level("shop::orders"), LevelFilter::ERROR);
    assert_eq!(
        over.with_default_level(LevelFilter::OFF).level("hyper"),
        LevelFilter::OFF
    );
}
