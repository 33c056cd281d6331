//! A variable and its key in a file have the same effect.

use super::{assert_line, explain};
use spanwise::SETTINGS;

/// A variable with a value, and the same in a file.
const PAIRS: &[(&str, &str, &str)] = &[
    ("RUST_LOG", "warn,shop=debug", "levels = 'warn,shop=debug'"),
    ("LOG_SPANS", "info,hyper=off", "spans = 'info,hyper=off'"),
    ("LOG_OWN", "shop,shop_db", "own = ['shop', 'shop_db']"),
    ("LOG_PRESET", "cli", "preset = 'cli'"),
    ("LOG_FORMAT", "ecs", "[sink.main]\nformat = 'ecs'"),
    (
        "LOG_FIELDS",
        "+location",
        "[sink.main]\nfields = '+location'",
    ),
    ("LOG_MAX_LINE", "64KiB", "[sink.main]\nmax_line = '64KiB'"),
    ("LOG_OUTPUT", "stderr", "[sink.main]\nkind = 'stderr'"),
    ("LOG_COLOR", "never", "[sink.main]\ncolor = 'never'"),
    ("LOG_TIME", "local", "time = 'local'"),
    ("LOG_PANIC_BACKTRACE", "off", "[panic]\nbacktrace = 'off'"),
    (
        "LOG_FILE",
        "a.log",
        "[sink.main]\n[sink.file]\npath = 'a.log'",
    ),
    (
        "LOG_ERROR_FILE",
        "e.log",
        "[sink.main]\n[sink.error_file]\npath = 'e.log'",
    ),
    (
        "LOG_REDACT",
        "+employee_no",
        "[redact]\nchange = '+employee_no'",
    ),
    ("LOG_SAMPLE", "info=0.1", "[sample]\nrules = 'info=0.1'"),
    (
        "LOG_RECORDER",
        "debug,slow=1s,tail=0.5,lines=100/s",
        "[recorder]\ncapture = 'debug'\nslow = '1s'\ntail = 0.5\nlines = '100/s'",
    ),
    (
        "LOG_HTTP_TRUST",
        "10.0.0.0/8,127.0.0.1",
        "[http]\ntrust = ['10.0.0.0/8', '127.0.0.1']",
    ),
    (
        "LOG_HTTP_CLIENT_ADDRESS",
        "none",
        "[http]\nclient_address = 'none'",
    ),
    (
        "LOG_CONTEXT",
        "order_id,job_id",
        "context = ['order_id', 'job_id']",
    ),
    ("LOG_PARENT", "none", "parent = 'none'"),
    (
        "LOG_STATIC_FIELDS",
        "region=eu",
        "static_fields = 'region=eu'",
    ),
    ("LOG_STRICT", "1", "strict = true"),
    ("SERVICE_NAME", "shop", "[service]\nname = 'shop'"),
    ("SERVICE_VERSION", "1.4", "[service]\nversion = '1.4'"),
    ("SERVICE_NODE", "shop-7", "[service]\nnode = 'shop-7'"),
    ("APP_ENV", "staging", "[service]\nenvironment = 'staging'"),
    (
        "SENTRY_DSN",
        DSN,
        "[sink.sentry]\ndsn = 'https://key@sentry.example.com/42'",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://collector:4318",
        "[sink.otlp]\nendpoint = 'http://collector:4318'",
    ),
];

/// Those that need another one: the sink.
const IN_SINKS: &[(&[(&str, &str)], &str)] = &[
    (
        &[
            ("LOG_FILE", "a.log"),
            ("LOG_FILE_ROTATE", "hourly"),
            ("LOG_FILE_KEEP", "3 files"),
            ("LOG_FILE_COMPRESS", "none"),
            ("LOG_FILE_PER_PROCESS", "1"),
        ],
        "[sink.main]\n[sink.file]\npath = 'a.log'\nrotate = 'hourly'\nkeep = '3 files'\ncompress = 'none'\nper_process = true",
    ),
    (
        &[
            ("SENTRY_DSN", DSN),
            ("SENTRY_ENVIRONMENT", "eu"),
            ("SENTRY_RELEASE", "shop@1"),
            ("SENTRY_EVENT_LEVEL", "warn"),
            ("SENTRY_BREADCRUMB_LEVEL", "debug"),
            ("SENTRY_SAMPLE_RATE", "0.5"),
            ("SENTRY_TRACES_SAMPLE_RATE", "1"),
            ("SENTRY_GROUPING", "off"),
            ("SENTRY_ENABLE_LOGS", "true"),
        ],
        "[sink.errors]\nkind = 'sentry'\ndsn = 'https://key@sentry.example.com/42'\nenvironment = 'eu'\nrelease = 'shop@1'\n\
         event_level = 'warn'\nbreadcrumb_level = 'debug'\nsample_rate = 0.5\ntraces_sample_rate = 1\ngrouping = false\nenable_logs = true",
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "5000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("OTEL_TRACES_SAMPLER", "always_on"),
        ],
        "[sink.otlp]\nendpoint = 'http://collector:4318'\ntraces_timeout = 5000\nbsp_schedule_delay = 100\ntraces_sampler = 'always_on'",
    ),
];

const DSN: &str = "https://key@sentry.example.com/42";

/// Returns the lines of `explain()` for settings, without their origins, and without the preset
/// that makes both sides the same.
fn values(explanation: &str) -> Vec<String> {
    let lines = explanation
        .lines()
        .filter(|line| !line.starts_with("sink."));
    let values = lines.filter_map(|line| Some(line.rsplit_once(" (")?.0.to_owned()));
    values.collect()
}

fn is_built(name: &str) -> bool {
    match name {
        _ if name.starts_with("SENTRY") => cfg!(feature = "sentry"),
        _ if name.starts_with("OTEL") => cfg!(feature = "otel"),
        _ if name.starts_with("LOG_HTTP") => cfg!(feature = "http"),
        _ => true,
    }
}

#[track_caller]
fn check(vars: &[(&str, &str)], file: &str) {
    if !vars.iter().all(|(name, _)| is_built(name)) {
        return;
    }
    let preset = ("LOG_PRESET", "prod");
    let has_preset = vars
        .iter()
        .any(|(name, _)| ["LOG_PRESET", "APP_ENV"].contains(name));
    let base: &[(&str, &str)] = if has_preset { &[] } else { &[preset] };
    let of_vars = explain("", &[base, vars].concat());
    let of_file = explain(file, base);
    assert_eq!(values(&of_vars), values(&of_file), "{vars:?}\n{file}");
    // A variable is laid over the file, with the same value.
    let of_both = explain(file, &[base, vars].concat());
    assert_eq!(values(&of_vars), values(&of_both), "{vars:?}\n{file}");
}

#[test]
fn each_variable_and_its_key_are_the_same() {
    for (name, value, file) in PAIRS {
        check(&[(name, value)], file);
    }
    for (vars, file) in IN_SINKS {
        check(vars, file);
    }
}

#[test]
fn each_key_of_a_setting_is_compared() {
    let in_sinks = IN_SINKS
        .iter()
        .flat_map(|(vars, _)| vars.iter().map(|(name, _)| *name));
    let compared: Vec<&str> = PAIRS
        .iter()
        .map(|(name, ..)| *name)
        .chain(in_sinks)
        .collect();
    for setting in SETTINGS.iter().filter(|setting| setting.key.is_some()) {
        // It reads a file when it is parsed.
        if setting.name != "LOG_REDACT_KEY_FILE" {
            assert!(compared.contains(&setting.name), "{}", setting.name);
        }
    }
}

#[test]
fn variable_makes_a_sink_that_the_file_has_not() {
    let file = "[sink.console]\nkind = 'stdout'\n[root]\nsinks = ['console']\n";
    let text = explain(file, &[("LOG_PRESET", "prod"), ("LOG_FILE", "a.log")]);
    assert_line(&text, "LOG_FILE = a.log (LOG_FILE)");
    assert!(!text.contains("wrong"), "{text}");
}

#[test]
fn variables_of_texts_are_known() {
    let file = "[sink.main]\nlevel = '${LOG_MAIN_LEVEL:-info}'\n[profile.dev]\n\
                context = ['${LOG_KEY:-id}']\n";
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_MAIN_LEVEL", "warn"),
        ("LOG_KEY", "order_id"),
        ("LOG_OTHER", "x"),
    ];
    let text = explain(file, &vars);
    let warnings = text.lines().filter(|line| line.starts_with("warning: "));
    let warnings: Vec<_> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{text}");
    assert!(
        warnings[0].starts_with("warning: LOG_OTHER is not a setting here"),
        "{text}"
    );
}

#[test]
fn empty_variables_do_not_hide_the_file() {
    let file = "[sink.main]\n[sink.file]\npath = 'a.log'\n[sink.otlp]\n\
                endpoint = 'http://collector:4318'\ntraces_timeout = 5000\n";
    let file = match cfg!(feature = "otel") {
        true => file,
        false => file.split("[sink.otlp]").next().unwrap(),
    };
    let set = [("LOG_PRESET", "prod"), ("LOG_FILE_ROTATE", "never")];
    let empty = [
        ("LOG_FILE", ""),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", " "),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", ""),
    ];
    let text = explain(file, &[&set[..], &empty].concat());
    assert!(!text.contains("wrong"), "{text}");
    assert_eq!(text, explain(file, &set));
}

#[test]
fn recorder_that_is_off_has_no_limits() {
    let recorder = |text: &str| {
        let mut lines = text.lines().map(str::to_owned);
        lines.find(|line| line.starts_with("LOG_RECORDER")).unwrap()
    };
    let prod = ("LOG_PRESET", "prod");
    let file = "[recorder]\ncapture = '${SHOP_CAPTURE:-off}'\nslow = '1s'\nlines = '10/s'\n";
    assert_eq!(
        recorder(&explain(file, &[prod])),
        "LOG_RECORDER = off (config:2)"
    );
    let empty = file.replace(":-off", ":-");
    assert_eq!(
        recorder(&explain(&empty, &[prod])),
        "LOG_RECORDER = off (not set)"
    );
    for (value, shown) in [
        ("off,slow=1s,lines=10/s", "off"),
        ("off,tail=0.5", "off,tail=0.5"),
        ("off,slow=debug", "off,slow=debug"),
    ] {
        let text = explain("", &[prod, ("LOG_RECORDER", value)]);
        assert_eq!(
            recorder(&text),
            format!("LOG_RECORDER = {shown} (LOG_RECORDER)")
        );
    }
}

#[test]
fn preset_test_shows_the_path_of_a_file_in_code() {
    let file = "[sink.main]\n[sink.file]\npath = 'a.log'\n";
    let vars = [("LOG_PRESET", "test"), ("LOG_FILE", "b.log")];
    assert_line(&explain(file, &vars), "LOG_FILE = a.log (config:3)");
}
