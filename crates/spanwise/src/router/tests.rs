//! Tests of routes and filters in whole stacks that are built from `Routing` values.

use std::{fs, path::Path, sync::Arc};

use serde_json::Value;
use spanwise_core::{Fault, SinkStats, TargetLevels};
use tracing::{Dispatch, Level, level_filters::LevelFilter};

use super::{FilterEvent, Verdict};
use crate::{
    Builder, Format, Preset, Telemetry,
    sink_settings::{
        Condition, FieldTest, FieldValue, FileSettings, Filter, Route, Routing, SinkKind,
        SinkSettings,
    },
    start,
};

mod filters;

/// A stack in which each sink writes to a file with the name of the sink.
struct Running {
    directory: tempfile::TempDir,
    dispatch: Dispatch,
    telemetry: Telemetry,
}

impl Running {
    fn new(routing: Routing) -> Self {
        Self::with_builder(Builder::new(Preset::Prod), routing)
    }

    fn with_builder(builder: Builder, routing: Routing) -> Self {
        Self::try_with_builder(builder, routing).unwrap()
    }

    fn try_with_builder(builder: Builder, mut routing: Routing) -> Result<Self, crate::InitError> {
        let directory = tempfile::tempdir().unwrap();
        for sink in &mut routing.sinks {
            if let SinkKind::File(file) = &mut sink.kind {
                file.path = directory.path().join(&sink.name);
            }
        }
        let builder = builder.output(crate::Output::None);
        let (dispatch, telemetry) = start::with_routing(builder, routing)?;
        Ok(Self {
            directory,
            dispatch,
            telemetry,
        })
    }

    /// Runs `log` in the stack. Returns the files that the sinks have written, and their counts.
    fn log(self, log: impl FnOnce()) -> Logged {
        tracing::dispatcher::with_default(&self.dispatch, log);
        let stats = self.telemetry.handle().stats().sinks;
        let running = self.telemetry.handle().running();
        self.telemetry
            .handle()
            .flush(std::time::Duration::from_secs(60));
        let stats = running
            .backgrounds
            .iter()
            .map(|output| output.stats())
            .chain(stats);
        Logged {
            stats: stats.collect(),
            directory: self.directory,
        }
    }
}

/// The files that the sinks have written, by the names of the sinks, and the counts of the sinks.
struct Logged {
    directory: tempfile::TempDir,
    stats: Vec<SinkStats>,
}

impl Logged {
    fn lines(&self, sink: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.path().join(sink)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    fn messages(&self, sink: &str) -> Vec<String> {
        let message = |line: Value| line["message"].as_str().unwrap().to_owned();
        self.lines(sink).into_iter().map(message).collect()
    }

    fn filtered_count(&self, sink: &str) -> u64 {
        let stats = self.stats.iter().find(|stats| stats.name == sink);
        stats.unwrap().filtered
    }
}

/// A file sink that accepts all events.
fn file(name: &str) -> SinkSettings {
    SinkSettings {
        name: name.to_owned(),
        shown_name: format!("sink.{name}"),
        kind: SinkKind::File(FileSettings {
            path: Path::new(name).to_owned(),
            rotation: None,
            retention: None,
            compression: None,
            mode: None,
            per_process: false,
        }),
        bit: 0,
        enabled: true,
        format: Format::Json,
        fields: spanwise_json::FieldList::default(),
        max_field: None,
        max_line: None,
        color: crate::Color::Auto,
        level: LevelFilter::TRACE.into(),
        filters: Vec::new(),
        sampler: None,
        recorder: true,
        redaction: crate::sink_settings::SinkRedaction::Inherited,
        background: None,
        buffer: None,
        when_full: spanwise_appender::WhenFull::default(),
        fallback: Vec::new(),
    }
}

fn files(names: &[&str]) -> Vec<SinkSettings> {
    names.iter().map(|name| file(name)).collect()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn route(sinks: &[&str]) -> Route {
    Route {
        sinks: Some(strings(sinks)),
        ..Route::default()
    }
}

fn exclusive_route(sinks: &[&str]) -> Route {
    Route {
        exclusive: true,
        ..route(sinks)
    }
}

fn with_level(level: LevelFilter, route: Route) -> Route {
    Route {
        level: Some(level),
        ..route
    }
}

fn routes(routes: &[(&str, Route)]) -> Vec<(String, Route)> {
    let routes = routes.iter();
    routes
        .map(|(target, route)| ((*target).to_owned(), route.clone()))
        .collect()
}

fn field_is(field: &str, value: &str) -> Condition {
    let values = vec![FieldValue::Text(value.to_owned())];
    Condition::Field(field.to_owned(), FieldTest::Is(values))
}

fn problems(routing: Routing) -> Vec<String> {
    match Running::try_with_builder(Builder::new(Preset::Prod), routing) {
        Err(crate::InitError::Settings(problems)) => problems,
        Err(other) => panic!("{other}"),
        Ok(_) => Vec::new(),
    }
}

#[test]
fn event_goes_to_sinks_of_its_route_and_parents() {
    let routing = Routing {
        sinks: files(&["main", "shop", "orders", "audit"]),
        routes: routes(&[
            ("shop", route(&["shop"])),
            ("shop.orders", route(&["orders"])),
            ("shop::audit", exclusive_route(&["audit"])),
        ]),
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| {
        tracing::info!(target: "hyper", "other");
        tracing::info!(target: "shopping", "no module of shop");
        tracing::info!(target: "shop::cart", "in shop");
        tracing::info!(target: "shop::orders::db", "in orders");
        tracing::info!(target: "shop.orders", "with a dot");
        tracing::info!(target: "shop::audit::trail", "exclusive");
    });
    assert_eq!(
        logged.messages("main"),
        [
            "other",
            "no module of shop",
            "in shop",
            "in orders",
            "with a dot"
        ]
    );
    assert_eq!(
        logged.messages("shop"),
        ["in shop", "in orders", "with a dot"]
    );
    assert_eq!(logged.messages("orders"), ["in orders", "with a dot"]);
    assert_eq!(logged.messages("audit"), ["exclusive"]);
}

#[test]
fn sink_of_two_routes_gets_an_event_once() {
    let routing = Routing {
        sinks: files(&["main"]),
        root: route(&["main"]),
        routes: routes(&[("shop", route(&["main"]))]),
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| tracing::info!(target: "shop", "once"));
    assert_eq!(logged.messages("main"), ["once"]);
}

#[test]
fn level_of_the_nearest_route_counts() {
    let routing = Routing {
        sinks: files(&["main"]),
        root: with_level(LevelFilter::WARN, Route::default()),
        routes: routes(&[
            ("shop", with_level(LevelFilter::DEBUG, Route::default())),
            ("shop::orders", Route::default()),
            ("shop::db", with_level(LevelFilter::ERROR, Route::default())),
        ]),
        ..Routing::default()
    };
    let running = Running::new(routing);
    let enabled = |target, level| running.telemetry.handle().levels().level(target) >= level;
    assert!(enabled("shop::orders", LevelFilter::DEBUG));
    assert!(!enabled("shop::orders", LevelFilter::TRACE));
    assert!(!enabled("shop::db::pool", LevelFilter::WARN));
    assert!(!enabled("hyper", LevelFilter::INFO));
    let logged = running.log(|| {
        tracing::debug!(target: "shop::orders", "of the parent");
        tracing::warn!(target: "shop::db", "below its own");
        tracing::info!(target: "hyper", "below the root");
        tracing::info!(target: "shopping", "below the root, too");
        // The level disables the callsite, so the event costs nothing.
        assert!(!tracing::enabled!(target: "shop::db", Level::WARN));
    });
    assert_eq!(logged.messages("main"), ["of the parent"]);
}

#[test]
fn sink_has_levels_by_target_of_its_own() {
    let levels: TargetLevels = "warn,shop=info".parse().unwrap();
    let routing = Routing {
        sinks: vec![
            SinkSettings {
                level: levels,
                ..file("main")
            },
            file("all"),
        ],
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| {
        tracing::info!(target: "shop::cart", "shop");
        tracing::info!(target: "hyper", "hyper");
        tracing::warn!(target: "hyper", "warning");
    });
    assert_eq!(logged.messages("main"), ["shop", "warning"]);
    assert_eq!(logged.messages("all"), ["shop", "hyper", "warning"]);
}

#[test]
fn warnings_of_switched_off_sinks_go_to_the_main_sink() {
    let off = SinkSettings {
        enabled: false,
        ..file("off")
    };
    let routing = Routing {
        sinks: vec![file("main"), off],
        routes: routes(&[
            ("shop", exclusive_route(&["off"])),
            ("quiet", exclusive_route(&[])),
        ]),
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| {
        tracing::info!(target: "shop", "info");
        tracing::warn!(target: "shop", "warning");
        tracing::error!(target: "quiet", "nowhere on purpose");
    });
    assert_eq!(logged.messages("main"), ["warning"]);
}

#[test]
fn explanation_reports_no_switched_off_sinks() {
    let off = SinkSettings {
        enabled: false,
        ..file("off")
    };
    let routing = Routing {
        sinks: vec![file("main"), off],
        routes: routes(&[("shop", exclusive_route(&["off"]))]),
        ..Routing::default()
    };
    let running = Running::new(routing);
    let handle = running.telemetry.handle();
    let setup_faults = || {
        let stats = handle.stats();
        let setup = stats.faults.iter().find(|(it, _)| *it == Fault::Setup);
        setup.map_or(0, |(_, count)| *count)
    };
    let before = setup_faults();
    let explained = handle.explain_event("shop", Level::WARN);
    assert_eq!(explained.sinks, ["main"]);
    assert_eq!(setup_faults(), before);
    running.log(|| tracing::warn!(target: "shop", "warning"));
    assert_eq!(setup_faults(), before + 1);
}

#[test]
fn dump_follows_the_routes_of_its_lines() {
    let routing = Routing {
        sinks: files(&["main", "audit"]),
        routes: routes(&[("audit", exclusive_route(&["audit"]))]),
        ..Routing::default()
    };
    let builder = Builder::new(Preset::Prod).recorder("debug");
    let logged = Running::with_builder(builder, routing).log(|| {
        let _request = tracing::info_span!("request").entered();
        tracing::debug!(target: "audit", "kept for audit");
        tracing::debug!(target: "shop", "kept for main");
        tracing::error!(target: "shop", "failed");
    });
    let header = "flight recorder: buffered events of this request follow";
    assert_eq!(logged.messages("main"), [header, "kept for main", "failed"]);
    assert_eq!(logged.messages("audit"), [header, "kept for audit"]);
}

#[test]
fn summary_reaches_the_sinks_of_its_events() {
    let routing = Routing {
        sinks: files(&["main", "audit"]),
        routes: routes(&[("audit", exclusive_route(&["audit"]))]),
        ..Routing::default()
    };
    let builder = Builder::new(Preset::Prod).sampler("audit=first:1/1h");
    let running = Running::with_builder(builder, routing);
    let handle = running.telemetry.handle();
    let logged = running.log(|| {
        for _ in 0..3 {
            tracing::info!(target: "audit", "again");
        }
        handle.running().sampler.as_ref().unwrap().emit_summaries();
    });
    assert_eq!(logged.messages("audit"), ["again", "events suppressed"]);
}

#[test]
fn explanation_names_route_level_sinks_and_filters() {
    let routing = Routing {
        sinks: vec![
            file("main"),
            SinkSettings {
                filters: strings(&["no_debug"]),
                level: LevelFilter::ERROR.into(),
                ..file("errors")
            },
        ],
        filters: vec![(
            "no_debug".to_owned(),
            Filter::Keep(Condition::Level(LevelFilter::INFO)),
        )],
        root: with_level(LevelFilter::WARN, route(&["main"])),
        routes: routes(&[("shop", with_level(LevelFilter::INFO, route(&["errors"])))]),
        ..Routing::default()
    };
    let running = Running::new(routing);
    let handle = running.telemetry.handle();
    let explain = |target, level| handle.explain_event(target, level).to_string();
    assert_eq!(
        explain("shop::pay", Level::ERROR),
        "shop::pay at ERROR: route shop, level info (route.shop), sinks main, errors, filters \
         errors: no_debug"
    );
    assert_eq!(
        explain("shop::pay", Level::WARN),
        "shop::pay at WARN: route shop, level info (route.shop), sinks main, not errors (error)"
    );
    assert_eq!(
        explain("hyper", Level::INFO),
        "hyper at INFO: route root, level warn (root), no sink"
    );
    handle.set_levels("debug").unwrap();
    assert_eq!(
        explain("hyper", Level::INFO),
        "hyper at INFO: route root, level debug (Handle::set_levels), sinks main"
    );
}

#[test]
fn records_of_log_are_routed_by_their_own_target() {
    let routing = Routing {
        sinks: files(&["main", "audit"]),
        routes: routes(&[("audit", exclusive_route(&["audit"]))]),
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| {
        for target in ["audit", "hyper", "audit::trail"] {
            let mut record = log::Record::builder();
            let record = record.level(log::Level::Info).target(target);
            let message = format_args!("{target}");
            tracing_log::format_trace(&record.args(message).build()).unwrap();
        }
    });
    assert_eq!(logged.messages("main"), ["hyper"]);
    assert_eq!(logged.messages("audit"), ["audit", "audit::trail"]);
}

#[test]
fn sampler_of_a_sink_reports_what_it_suppressed() {
    let routing = Routing {
        sinks: vec![
            SinkSettings {
                sampler: Some(Some("info=first:1/1h".parse().unwrap())),
                ..file("sampled")
            },
            file("whole"),
        ],
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| {
        for _ in 0..3 {
            tracing::info!("again");
        }
    });
    assert_eq!(logged.messages("sampled"), ["again", "events suppressed"]);
}
