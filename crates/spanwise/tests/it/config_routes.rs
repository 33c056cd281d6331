//! Routes, filters and sinks of configuration files, as a program starts them.

mod filtered_fields;
mod last_resort;
mod named_formats;
mod warn_outputs;

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use spanwise::{
    __private::{from_file_text_and_vars, without_installing},
    Builder, InitError,
    filter::{FilterEvent, Verdict},
};
use spanwise_core::internal::{
    parse_level,
    runtime_callsite::{Origin, RuntimeCallsite, UNNAMED_EVENT},
};
use tracing::{Level, debug, dispatcher, error, info, info_span, warn};

/// The files of sinks, by their name without `.log`.
struct Logged(BTreeMap<String, String>);

impl Logged {
    fn messages(&self, sink: &str) -> Vec<String> {
        let lines = self.0[sink].lines();
        let message = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["message"].as_str().unwrap().to_owned()
        };
        lines.map(message).collect()
    }
}

/// Runs `log` in a program with this configuration, in which `DIR` is a directory.
fn run(file: &str, vars: &[(&str, &str)], log: impl FnOnce()) -> Logged {
    run_with(file, vars, |builder| builder, log)
}

fn run_with(
    file: &str,
    vars: &[(&str, &str)],
    change: impl FnOnce(Builder) -> Builder,
    log: impl FnOnce(),
) -> Logged {
    let directory = tempfile::tempdir().unwrap();
    let file = file.replace("DIR", directory.path().to_str().unwrap());
    let vars = [&[("LOG_PRESET", "prod")], vars].concat();
    let builder = change(from_file_text_and_vars(&file, &vars).unwrap());
    let (dispatch, telemetry) = without_installing(builder).unwrap();
    dispatcher::with_default(&dispatch, log);
    assert!(telemetry.handle().flush(Duration::from_secs(60)));
    let entries = fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
    let files = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        let name = name.strip_suffix(".log")?.to_owned();
        Some((name, fs::read_to_string(entry.path()).unwrap()))
    });
    Logged(files.collect())
}

/// Returns the problems of a start.
fn problems(file: &str) -> Vec<String> {
    let builder = from_file_text_and_vars(file, &[("LOG_PRESET", "prod")]);
    match builder.and_then(without_installing) {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

const TWO_ROUTES: &str = r#"
    [sink.all]
    kind = "file"
    path = "DIR/all.log"
    [sink.orders]
    kind = "file"
    path = "DIR/orders.log"
    [sink.audit]
    kind = "file"
    path = "DIR/audit.log"
    [route."shop::orders"]
    sinks = ["orders"]
    level = "debug"
    [route.audit]
    sinks = ["audit"]
    exclusive = true
"#;

fn log_of_two_routes() {
    debug!(target: "shop::orders::db", "order, debug");
    info!(target: "audit", "audited");
    debug!(target: "hyper", "below the level");
    info!(target: "hyper", "other");
}

#[test]
fn routes_of_a_file_send_events_to_its_sinks() {
    let logged = run(TWO_ROUTES, &[], log_of_two_routes);
    assert_eq!(logged.messages("all"), ["order, debug", "other"]);
    assert_eq!(logged.messages("orders"), ["order, debug"]);
    assert_eq!(logged.messages("audit"), ["audited"]);
}

#[test]
fn rust_log_is_laid_over_the_levels_of_routes() {
    let vars = [("RUST_LOG", "shop::orders=warn,hyper=debug")];
    let logged = run(TWO_ROUTES, &vars, log_of_two_routes);
    assert_eq!(logged.messages("all"), ["below the level", "other"]);
    let logged = run(TWO_ROUTES, &[("RUST_LOG", "error")], log_of_two_routes);
    assert!(logged.messages("all").is_empty());
}

#[test]
fn sink_has_rendering_levels_and_policy_of_its_own() {
    let file = r#"
        [sink.json]
        kind = "file"
        path = "DIR/json.log"
        fields = "level>severity"
        level = "warn,shop=info"
        [sink.text]
        kind = "file"
        path = "DIR/text.log"
        format = "compact"
        [sink.secret]
        kind = "file"
        path = "DIR/secret.log"
        redact = "insecure_off"
    "#;
    let logged = run(file, &[], || {
        info!(target: "shop", password = "hunter2", "paid");
        info!(target: "hyper", "connected");
    });
    let json = &logged.0["json"];
    assert!(
        json.contains(r#""severity":"INFO""#) && json.contains("[REDACTED]"),
        "{json}"
    );
    assert_eq!(logged.messages("json"), ["paid"]);
    let text = &logged.0["text"];
    assert!(
        text.contains("paid") && text.contains("connected"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
    assert!(logged.0["secret"].contains("hunter2"));
}

#[test]
fn sink_without_a_format_has_that_of_main() {
    let file = r#"
        [format.located]
        base = "json"
        fields = "+location"
        max_field = "256B"
        [sink.main]
        kind = "none"
        format = "located"
        [sink.all]
        kind = "file"
        path = "DIR/all.log"
    "#;
    let long = "x".repeat(1000);
    let logged = run(file, &[], || info!(long, "paid"));
    let line: Value = serde_json::from_str(&logged.0["all"]).unwrap();
    assert!(line["file"].is_string(), "{line}");
    assert!(line["long"].as_str().unwrap().len() < 300, "{line}");
}

#[test]
fn max_line_of_main_is_that_of_sinks_without_a_format() {
    let file = r#"
        [format.brief]
        base = "json"
        max_line = "512B"
        [sink.main]
        kind = "none"
        max_line = "4KiB"
        [sink.inherits]
        kind = "file"
        path = "DIR/inherits.log"
        [sink.own]
        kind = "file"
        path = "DIR/own.log"
        max_line = "2KiB"
        [sink.short]
        kind = "file"
        path = "DIR/short.log"
        format = "brief"
        [sink.default]
        kind = "file"
        path = "DIR/default.log"
        format = "json"
    "#;
    let lengths = |vars: &[(&str, &str)]| {
        let text = "x".repeat(200);
        let logged = run(file, vars, || {
            let _outer = info_span!("outer", a = text, b = text, c = text, d = text).entered();
            let _inner = info_span!("inner", e = text, f = text, g = text, h = text).entered();
            info!(i = text, j = text, k = text, l = text, "paid");
        });
        let length = |sink: &str| logged.0[sink].trim_end().len();
        ["inherits", "own", "short", "default"].map(length)
    };
    let [inherits, own, short, default] = lengths(&[]);
    assert!(
        default > 2400 && inherits == default,
        "{default} {inherits}"
    );
    assert!((1500..=2048).contains(&own), "{own}");
    assert!(short <= 512, "{short}");
    let [inherits, own, ..] = lengths(&[("LOG_MAX_LINE", "1KiB")]);
    assert!((600..=1024).contains(&inherits), "{inherits}");
    assert!((1500..=2048).contains(&own), "{own}");
}

#[test]
fn each_console_sink_shows_span_fields_itself() {
    let file = r#"
        [sink.all]
        kind = "file"
        path = "DIR/all.log"
        format = "pretty"
        [sink.orders]
        kind = "file"
        path = "DIR/orders.log"
        format = "pretty"
        [route.orders]
        sinks = ["orders"]
    "#;
    let logged = run(file, &[], || {
        let _span = info_span!("request", order_id = 42).entered();
        info!(target: "hyper", "first");
        info!(target: "orders", "second");
    });
    assert!(logged.0["orders"].contains("42"), "{}", logged.0["orders"]);
    assert!(logged.0["all"].contains("42"), "{}", logged.0["all"]);
}

#[test]
fn sampler_and_recorder_can_be_off_for_a_sink() {
    let file = r#"
        [sample]
        rules = "info=0"
        [recorder]
        capture = "debug"
        [sink.usual]
        kind = "file"
        path = "DIR/usual.log"
        [sink.whole]
        kind = "file"
        path = "DIR/whole.log"
        sample = "off"
        recorder = false
    "#;
    let logged = run(file, &[], || {
        let _request = info_span!("request").entered();
        debug!("buffered");
        info!("sampled");
        error!("failed");
    });
    // The summary of the sampler of the other sink reaches all sinks.
    assert_eq!(logged.messages("whole")[..2], ["sampled", "failed"]);
    let usual = logged.messages("usual");
    assert!(usual.contains(&"buffered".to_owned()), "{usual:?}");
    assert!(usual.contains(&"failed".to_owned()), "{usual:?}");
}

#[test]
fn filters_of_a_file_decide_by_values_and_code() {
    let file = r#"
        [filter]
        no_probes = { drop = { field = "url.path", is = ["/health", "/metrics"] } }
        only_slow = { keep = { field = "duration_ms", above = 1000 } }
        tame_timeouts = { level = { as = "warn", target = "shop::gateway", message = "timed out" } }
        special = { code = true }
        [sink.main_file]
        kind = "file"
        path = "DIR/main_file.log"
        filters = ["no_probes", "special"]
        [sink.slow]
        kind = "file"
        path = "DIR/slow.log"
        filters = ["only_slow"]
        [sink.errors]
        kind = "file"
        path = "DIR/errors.log"
        level = "error"
        [sink.dev]
        kind = "file"
        path = "DIR/dev.log"
        filters = ["debug_only"]
        [root]
        filters = ["tame_timeouts"]
    "#;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sight = Arc::clone(&seen);
    let special = move |event: &FilterEvent<'_>| {
        let mut seen = sight.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(event.field("card"));
        match event.message().as_deref() {
            Some("hidden") => Verdict::Drop,
            _ => Verdict::Keep,
        }
    };
    let filtered = |builder: Builder| builder.filter("special", special);
    let logged = run_with(file, &[], filtered, || {
        info!(url.path = "/health", "probe");
        info!(duration_ms = 1500, card = "4111 1111 1111 1111", "slow");
        info!("hidden");
        error!(target: "shop::gateway", "it timed out");
        error!(target: "shop::db", "it timed out");
    });
    let all = ["slow", "it timed out", "it timed out"];
    assert_eq!(logged.messages("main_file"), all);
    assert_eq!(logged.messages("slow"), ["slow"]);
    assert_eq!(logged.messages("errors").len(), 1, "{}", logged.0["errors"]);
    assert!(logged.messages("dev").is_empty());
    assert!(logged.0["main_file"].contains(r#""level":"WARN","target":"shop::gateway""#));
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        !seen.is_empty() && !seen[0].contains("1111 1111"),
        "{seen:?}"
    );
}

#[test]
fn what_no_output_can_do_is_an_error() {
    let file = r#"
        [filter]
        special = { code = true }
        [sink.main_file]
        kind = "stdout"
        filters = ["special"]
    "#;
    let expected = "config:3:9: filter.special.code needs a function that the program does not \
                    register: call `Builder::filter(\"special\", …)`, or remove the filter";
    assert_eq!(problems(file), [expected]);
}

/// The events of a table in `tests/data/python_logging.json` that each sink gets.
fn compare_with_python(table: &str, file: &str) {
    let data = include_str!("../data/python_logging.json");
    let data: Value = serde_json::from_str(data).unwrap();
    let mut tables = data["tables"].as_array().unwrap().iter();
    let table = tables.find(|it| it["name"] == table).unwrap();
    let events = table["events"].as_array().unwrap();
    assert!(events.len() >= 40, "{}", events.len());
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for handler in table["config"]["handlers"].as_object().unwrap().keys() {
        expected.insert(handler.clone(), Vec::new());
    }
    for event in events {
        let (logger, level) = (text(&event["logger"]), text(&event["level"]));
        let mut handlers: Vec<&str> = event["handlers"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        // Python calls a handler of a logger and of its parent twice. That is the one difference.
        handlers.dedup();
        for handler in handlers {
            expected
                .get_mut(handler)
                .unwrap()
                .push(format!("{logger} {level}"));
        }
    }
    for separator in [".", "::"] {
        let logged = run(file, &[], || {
            for event in events {
                emit(text(&event["logger"]), text(&event["level"]), separator);
            }
        });
        for (sink, events) in &expected {
            assert_eq!(logged.messages(sink), *events, "{sink}, with {separator}");
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Logs an event with a target that is known only now.
fn emit(logger: &str, level: &str, separator: &str) {
    let callsite = RuntimeCallsite::get(&Origin {
        name: UNNAMED_EVENT,
        level: parse_level(level)
            .unwrap()
            .into_level()
            .unwrap_or(Level::ERROR),
        target: &logger.replace('.', separator),
        module_path: None,
        file: None,
        line: None,
        fields: &["message"],
    });
    let callsite = callsite.unwrap();
    if callsite.is_enabled() {
        callsite.emit(&[Some(&format!("{logger} {level}").as_str())]);
    }
}

#[test]
fn configuration_of_the_guide_does_what_python_does() {
    let guide = include_str!("../../../../docs/from-django.md");
    let (_, file) = guide.split_once("```toml\n").unwrap();
    let (file, _) = file.split_once("```").unwrap();
    // The output of the test cannot be read.
    let stdout = "kind = \"stdout\"";
    assert!(file.contains(stdout));
    let file = file.replace(
        stdout,
        "kind = \"file\"\npath = \"/var/log/shop/console.log\"",
    );
    let file = file.replace("/var/log/shop/django.log", "/var/log/shop/file.log");
    compare_with_python("django", &file.replace("/var/log/shop", "DIR"));
}

#[test]
fn loggers_of_purposes_do_what_python_does() {
    let mut file = String::new();
    for (sink, level) in [
        ("console", "trace"),
        ("app", "info"),
        ("errors", "error"),
        ("business", "info"),
        ("performance", "trace"),
        ("audit", "trace"),
    ] {
        file += &format!(
            "[sink.{sink}]\nkind = \"file\"\npath = \"DIR/{sink}.log\"\nlevel = \"{level}\"\n"
        );
    }
    file += r#"
        [root]
        sinks = ["console", "errors"]
        level = "info"
        [route.shop]
        sinks = ["app"]
        level = "debug"
        [route."shop.orders"]
        sinks = ["business"]
        exclusive = true
        [route."shop::orders::audit"]
        sinks = ["audit"]
        level = "info"
        [route.performance]
        sinks = ["performance"]
        level = "debug"
        exclusive = true
        [route.sqlx]
        level = "error"
        [route.my-client]
        sinks = ["app"]
        level = "warn"
        exclusive = true
    "#;
    compare_with_python("service", &file);
}

#[test]
fn switched_off_sinks_leave_warnings_to_another() {
    let file = r#"
        [sink.first]
        kind = "file"
        path = "DIR/first.log"
        [sink.off]
        kind = "file"
        path = "DIR/off.log"
        enabled = false
        [route.shop]
        sinks = ["off"]
        exclusive = true
    "#;
    let logged = run(file, &[], || {
        info!(target: "shop", "info");
        warn!(target: "shop", "warning");
    });
    assert_eq!(logged.messages("first"), ["warning"]);
    assert!(!logged.0.contains_key("off"));
}

#[cfg(feature = "sentry")]
#[test]
fn sentry_obeys_routes_levels_and_filters() {
    alone!();
    let receiver = crate::receiver::Receiver::start();
    let file = r#"
        [filter]
        tame = { level = { as = "warn", message = "expected" } }
        not_mine = { drop = { field = "kind", is = "other" } }
        [sink.console]
        kind = "stdout"
        [sink.errors]
        kind = "sentry"
        dsn = "DSN"
        filters = ["not_mine"]
        [root]
        sinks = ["console", "errors"]
        filters = ["tame"]
        [route.audit]
        sinks = ["console"]
        exclusive = true
    "#;
    let file = file.replace("DSN", &receiver.dsn());
    let vars = [("LOG_PRESET", "prod")];
    let telemetry = from_file_text_and_vars(&file, &vars)
        .unwrap()
        .init()
        .unwrap();
    error!(target: "audit", "routed elsewhere");
    error!("an expected failure");
    error!(kind = "other", "filtered");
    error!("sent");
    assert!(telemetry.handle().flush(Duration::from_secs(60)));
    let stats = telemetry.handle().stats().sinks;
    let of_sentry = stats.iter().find(|stats| stats.name == "sentry").unwrap();
    assert_eq!(of_sentry.filtered, 1);
    let explained = telemetry.handle().explain_event("audit", Level::ERROR);
    assert_eq!(explained.sinks, ["console"]);
    telemetry.shutdown(Duration::from_secs(60));
    let sent = receiver.events();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].to_string().contains("sent"), "{sent:?}");
}

fn explained(file: &str, vars: &[(&str, &str)], target: &str, level: Level) -> String {
    let vars = [&[("LOG_PRESET", "prod")], vars].concat();
    let builder = from_file_text_and_vars(file, &vars).unwrap();
    let (_, telemetry) = without_installing(builder).unwrap();
    telemetry.handle().explain_event(target, level).to_string()
}

#[test]
fn level_of_an_event_names_its_source() {
    let file =
        "levels = 'info,sqlx=warn'\n[sink.a]\nkind = 'none'\n[route.shop]\nlevel = 'debug'\n";
    let source = |vars: &[(&str, &str)], target: &str| {
        let text = explained(file, vars, target, Level::ERROR);
        let (_, source) = text.split_once(" (").unwrap();
        source.split_once("), ").unwrap().0.to_owned()
    };
    for (target, expected) in [
        ("hyper", "config:1"),
        ("sqlx", "config:1"),
        ("shop::pay", "route.shop"),
    ] {
        assert_eq!(source(&[], target), expected, "{target}");
    }
    let vars = [("RUST_LOG", "hyper=trace,shop::db=error")];
    for (target, expected) in [
        ("hyper", "RUST_LOG"),
        ("sqlx", "config:1"),
        ("shop::db", "RUST_LOG"),
        ("shop::pay", "route.shop"),
    ] {
        assert_eq!(source(&vars, target), expected, "{target}");
    }
    for variable in ["RUST_LOG", "LOG_LEVEL"] {
        for target in ["hyper", "sqlx", "shop::pay"] {
            assert_eq!(source(&[(variable, "warn")], target), variable, "{target}");
        }
    }
}

#[test]
fn explanation_names_excluded_sinks_and_the_recorder() {
    let file = "[recorder]\ncapture = 'shop=debug'\n[sink.main]\nkind = 'none'\n[sink.errors]\n\
                kind = 'none'\nlevel = 'error'\n[route.shop]\nsinks = ['errors']\n";
    let explain = |target, level| {
        let text = explained(file, &[("RUST_LOG", "info")], target, level);
        text.split_once("), ").unwrap().1.to_owned()
    };
    assert_eq!(explain("shop", Level::ERROR), "sinks main, errors");
    assert_eq!(
        explain("shop", Level::INFO),
        "sinks main, not errors (error)"
    );
    assert_eq!(
        explain("shop", Level::DEBUG),
        "no sink, buffered by the recorder"
    );
    assert_eq!(explain("shop", Level::TRACE), "no sink");
    assert_eq!(explain("hyper", Level::DEBUG), "no sink");
    let vars = [("RUST_LOG", "info,shop=off")];
    let of_off = explained(file, &vars, "shop", Level::INFO);
    assert!(of_off.ends_with("), no sink"), "{of_off}");
}

#[test]
fn level_of_the_running_program_names_its_source() {
    let vars = [("LOG_PRESET", "prod"), ("RUST_LOG", "shop=debug")];
    let builder = Builder::from_vars(vars).unwrap();
    let (_, telemetry) = without_installing(builder).unwrap();
    let handle = telemetry.handle();
    let source = |target| handle.explain_event(target, Level::ERROR).level_origin;
    assert_eq!(source("shop"), "RUST_LOG");
    assert_eq!(source("hyper"), "preset prod");
    handle.set_levels("hyper=error").unwrap();
    assert_eq!(source("shop"), "RUST_LOG");
    assert_eq!(source("hyper"), "Handle::set_levels");
}

#[test]
fn explanation_without_routes_names_excluded_sinks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.log");
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_FILE", path.to_str().unwrap()),
        ("LOG_FILE_LEVEL", "warn"),
    ];
    let builder = Builder::from_vars(vars).unwrap();
    let (_, telemetry) = without_installing(builder).unwrap();
    let explain = |level| telemetry.handle().explain_event("shop", level);
    assert_eq!(explain(Level::WARN).sinks, ["file", "main"]);
    assert_eq!(explain(Level::INFO).sinks, ["main"]);
    assert_eq!(explain(Level::INFO).excluded_sinks, ["file (warn)"]);
}

#[test]
fn changed_level_does_not_show_a_captured_event() {
    let file = r#"
        [recorder]
        capture = "debug"
        [sink.main]
        kind = "none"
        [sink.app]
        kind = "file"
        path = "DIR/app.log"
        [filter]
        loud = { level = { as = "error", target = "shop" } }
        [root]
        sinks = ["app"]
        filters = ["loud"]
    "#;
    let logged = run(file, &[("RUST_LOG", "info")], || {
        let _request = info_span!("request").entered();
        debug!(target: "shop", "captured");
        info!(target: "other", "shown");
    });
    assert_eq!(logged.messages("app"), ["shown"]);
}

#[test]
fn warnings_do_not_go_to_a_sink_that_writes_nothing() {
    let file = "[sink.main]\nkind = 'none'\n[sink.console]\nkind = 'stderr'\n\
                [sink.off]\nkind = 'stderr'\nenabled = false\n[root]\nsinks = ['main', 'console']\n\
                [route.shop]\nsinks = ['off']\nexclusive = true\n";
    let text = explained(file, &[], "shop", Level::WARN);
    assert!(text.contains("sinks console"), "{text}");
}

#[test]
#[cfg(feature = "sentry")]
fn exporter_of_a_variable_gets_events_of_the_root() {
    let file = "[sink.console]\nkind = 'none'\n[root]\nsinks = ['console']\n";
    let vars = [("SENTRY_DSN", "http://k@127.0.0.1:9/1")];
    let text = explained(file, &vars, "shop", Level::ERROR);
    assert!(
        text.contains("sinks sentry, console") || text.contains("sinks console, sentry"),
        "{text}"
    );
    let in_file = format!("{file}[sink.sentry]\ndsn = 'http://k@127.0.0.1:9/1'\n");
    assert!(problems(&in_file)[0].contains("sink.sentry gets no events"));
}

#[test]
fn directives_of_the_error_file_keep_its_level() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("error.log");
    let file = format!(
        "[sink.main]\nkind = 'none'\n[sink.error_file]\npath = {path:?}\nlevel = 'shop=warn'\n"
    );
    let sinks = |target, level| {
        let text = explained(&file, &[], target, level);
        text.split_once("), ").unwrap().1.to_owned()
    };
    assert_eq!(sinks("shop", Level::WARN), "sinks main, error_file");
    assert_eq!(
        sinks("hyper", Level::INFO),
        "sinks main, not error_file (error)"
    );
    assert_eq!(sinks("hyper", Level::ERROR), "sinks main, error_file");
}

#[test]
fn verbosity_of_code_shifts_the_levels_of_routes() {
    let file =
        "[sink.main]\nkind = 'none'\n[root]\nlevel = 'info'\n[route.hyper]\nlevel = 'warn'\n";
    let builder = from_file_text_and_vars(file, &[("LOG_PRESET", "prod")]).unwrap();
    let (_, telemetry) = without_installing(builder.verbosity(1)).unwrap();
    let levels = telemetry.handle().levels();
    assert_eq!(levels.level("shop").to_string(), "debug");
    assert_eq!(levels.level("hyper").to_string(), "info");
    let vars = [("LOG_PRESET", "prod"), ("RUST_LOG", "error,sqlx=trace")];
    let builder = from_file_text_and_vars(file, &vars).unwrap();
    let (_, telemetry) = without_installing(builder.verbosity(1)).unwrap();
    let levels = telemetry.handle().levels();
    assert_eq!(levels.level("shop").to_string(), "debug");
    assert_eq!(levels.level("sqlx").to_string(), "trace");
}
