//! Each variable of OpenTelemetry is read, checked and explained, but only if data is exported.

use std::collections::{BTreeMap, BTreeSet};

use spanwise::{Builder, InitError, Setting, otel::OtelSetting};
use tempfile::TempDir;

use crate::support::Lines;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
const PROD: (&str, &str) = ("LOG_PRESET", "prod");

/// Values of a variable. In a variable of a signal, `*` replaces the name of the signal.
struct Row {
    name: &'static str,
    valid: &'static [&'static str],
    /// Invalid values, each with a part of the error.
    invalid: &'static [(&'static str, &'static str)],
    /// Variables that a valid value also needs.
    beside: &'static [(&'static str, &'static str)],
}

const fn row(
    name: &'static str,
    valid: &'static [&'static str],
    invalid: &'static [(&'static str, &'static str)],
) -> Row {
    Row {
        name,
        valid,
        invalid,
        beside: &[],
    }
}

const MILLIS: &[(&str, &str)] = &[
    ("soon", "write milliseconds from 0 to 600000"),
    ("1.5", "write milliseconds"),
    ("-1", "write milliseconds"),
    ("600001", "write milliseconds from 0 to 600000"),
    ("10s", "write milliseconds"),
];
const DELAYS: &[(&str, &str)] = &[
    ("soon", "write milliseconds from 0 to 3600000"),
    ("3600001", "write milliseconds from 0 to 3600000"),
];
const LENS: &[(&str, &str)] = &[
    ("0", "write a number from 1 to 1000000"),
    ("1000001", "write a number from 1 to 1000000"),
    ("many", "write a number from 1 to 1000000"),
];
const LIMITS: &[(&str, &str)] = &[("-1", "write a number"), ("all", "write a number")];
const SWITCHES: &[(&str, &str)] = &[
    ("yes", "is neither true nor false: write one of them"),
    ("1", "is neither true nor false: write one of them"),
];
const FILES: &[(&str, &str)] = &[
    ("/no/such/file.pem", "write the path of a file in PEM"),
    ("/", "write the path of a file in PEM"),
];
const URLS: &[(&str, &str)] = &[
    ("ftp://collector:4318", "write the address of a collector"),
    ("http://", "write the address of a collector"),
    ("http://collector:port", "write the address of a collector"),
    ("http://collector:4318?key=mossy7", "send a key in a header"),
    ("http://ann:mossy7@collector", "send them in a header"),
];
const FILE_OF_CONFIG: &[(&str, &str)] = &[("/etc/otel.yaml", "unset it, and set the other")];

const ROWS: &[Row] = &[
    row("OTEL_EXPORTER_OTLP_ENDPOINT", &["http://127.0.0.1:9"], URLS),
    row(
        "OTEL_EXPORTER_OTLP_*_ENDPOINT",
        &["http://127.0.0.1:9/v1/any"],
        URLS,
    ),
    row(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        &["http/protobuf"],
        &[("http/json", "http/protobuf"), ("udp", "http/protobuf")],
    ),
    row(
        "OTEL_EXPORTER_OTLP_*_PROTOCOL",
        &["http/protobuf"],
        &[("http/json", "http/protobuf"), ("udp", "http/protobuf")],
    ),
    row("OTEL_EXPORTER_OTLP_HEADERS", HEADERS, BAD_HEADERS),
    row("OTEL_EXPORTER_OTLP_*_HEADERS", HEADERS, BAD_HEADERS),
    row("OTEL_EXPORTER_OTLP_TIMEOUT", &["0", "600000"], MILLIS),
    row("OTEL_EXPORTER_OTLP_*_TIMEOUT", &["0", "600000"], MILLIS),
    row(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        &["none", "gzip"],
        &[("zstd", "gzip")],
    ),
    row(
        "OTEL_EXPORTER_OTLP_*_COMPRESSION",
        &["none", "gzip"],
        &[("zstd", "gzip")],
    ),
    row("OTEL_EXPORTER_OTLP_INSECURE", &["true", "False"], SWITCHES),
    row(
        "OTEL_EXPORTER_OTLP_*_INSECURE",
        &["true", "False"],
        SWITCHES,
    ),
    // Valid files need a collector with TLS, as in the tests of the crate.
    row("OTEL_EXPORTER_OTLP_CERTIFICATE", &[], FILES),
    row("OTEL_EXPORTER_OTLP_*_CERTIFICATE", &[], FILES),
    row("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &[], FILES),
    row("OTEL_EXPORTER_OTLP_*_CLIENT_CERTIFICATE", &[], FILES),
    row("OTEL_EXPORTER_OTLP_CLIENT_KEY", &[], FILES),
    row("OTEL_EXPORTER_OTLP_*_CLIENT_KEY", &[], FILES),
    row("OTEL_SDK_DISABLED", &["true", "FALSE"], SWITCHES),
    row("OTEL_CONFIG_FILE", &[], FILE_OF_CONFIG),
    row("OTEL_EXPERIMENTAL_CONFIG_FILE", &[], FILE_OF_CONFIG),
    row(
        "OTEL_TRACES_EXPORTER",
        &["otlp", "none"],
        &[
            ("zipkin", "write otlp or none"),
            ("console", "write otlp or none"),
        ],
    ),
    row(
        "OTEL_LOGS_EXPORTER",
        &["otlp", "none"],
        &[("otlp/stdout", "write otlp or none")],
    ),
    Row {
        beside: &[("OTEL_EXPORTER_PROMETHEUS_PORT", "0")],
        ..row(
            "OTEL_METRICS_EXPORTER",
            &["otlp,prometheus", "prometheus"],
            &[("console", "or none alone"), ("otlp,none", "or none alone")],
        )
    },
    row(
        "OTEL_RESOURCE_ATTRIBUTES",
        &["cloud.region=eu,team=shop%20one"],
        &[
            ("cloud.region", "key=value"),
            ("=eu", "key=value"),
            ("a=%zz", "%25"),
        ],
    ),
    row(
        "OTEL_TRACES_SAMPLER",
        &["always_on", "always_off", "parentbased_traceidratio"],
        &[("jaeger_remote", "always_on"), ("sometimes", "always_on")],
    ),
    Row {
        beside: &[("OTEL_TRACES_SAMPLER", "traceidratio")],
        ..row(
            "OTEL_TRACES_SAMPLER_ARG",
            &["0", "0.25", "1"],
            &[("2", "1"), ("-0.1", "1"), ("half", "1")],
        )
    },
    row(
        "OTEL_PROPAGATORS",
        &["tracecontext", "baggage,tracecontext", "none"],
        &[("b3", "or none alone"), ("none,baggage", "or none alone")],
    ),
    row("OTEL_LOG_LEVEL", &["debug"], &[("loud", "is not a level")]),
    row(
        "OTEL_RUST_TRACES_LEVEL",
        &["debug,sqlx=off"],
        &[("shop=debgu", "`shop=debgu`")],
    ),
    row(
        "OTEL_RUST_LOGS_LEVEL",
        &["warn,shop=info"],
        &[("shop=debgu", "`shop=debgu`")],
    ),
    row("OTEL_ATTRIBUTE_COUNT_LIMIT", &["0", "128"], LIMITS),
    row("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", &["0", "128"], LIMITS),
    row("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &["0", "128"], LIMITS),
    row(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        &["0", "128"],
        LIMITS,
    ),
    row("OTEL_SPAN_EVENT_COUNT_LIMIT", &["0", "128"], LIMITS),
    row("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &["0", "128"], LIMITS),
    row("OTEL_SPAN_LINK_COUNT_LIMIT", &["0", "128"], LIMITS),
    row("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &["0", "128"], LIMITS),
    row(
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
        &["0", "128"],
        LIMITS,
    ),
    row(
        "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        &["0", "128"],
        LIMITS,
    ),
    row("OTEL_BSP_SCHEDULE_DELAY", &["0", "3600000"], DELAYS),
    row("OTEL_BLRP_SCHEDULE_DELAY", &["0", "3600000"], DELAYS),
    row("OTEL_BSP_EXPORT_TIMEOUT", &["0", "600000"], MILLIS),
    row("OTEL_BLRP_EXPORT_TIMEOUT", &["0", "600000"], MILLIS),
    row("OTEL_BSP_MAX_QUEUE_SIZE", &["1", "1000000"], LENS),
    row("OTEL_BLRP_MAX_QUEUE_SIZE", &["1", "1000000"], LENS),
    row("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &["1", "2048"], LENS),
    row("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", &["1", "2048"], LENS),
    row(
        "OTEL_METRIC_EXPORT_INTERVAL",
        &["1000", "60000"],
        &[
            ("999", "write milliseconds from 1000"),
            ("often", "write milliseconds"),
        ],
    ),
    row("OTEL_METRIC_EXPORT_TIMEOUT", &["0", "600000"], MILLIS),
    row(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        &["cumulative", "Delta", "LOWMEMORY"],
        &[("always", "write cumulative, delta or lowmemory")],
    ),
    row(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        &[
            "explicit_bucket_histogram",
            "base2_exponential_bucket_histogram",
        ],
        &[("summary", "write explicit_bucket_histogram or")],
    ),
    Row {
        beside: &[
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
        ],
        ..row("OTEL_EXPORTER_PROMETHEUS_HOST", &["127.0.0.1"], &[])
    },
    Row {
        beside: &[("OTEL_METRICS_EXPORTER", "prometheus")],
        ..row(
            "OTEL_EXPORTER_PROMETHEUS_PORT",
            &["0"],
            &[
                ("65536", "write a port from 0 to 65535"),
                ("http", "write a port"),
            ],
        )
    },
    row(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        &["always_on", "always_off", "trace_based"],
        &[("always", "write always_on, always_off or trace_based")],
    ),
];

const HEADERS: &[&str] = &["api-key=mossy7,x-team=shop%20one"];
const BAD_HEADERS: &[(&str, &str)] = &[
    ("mossy7", "write `key=value`"),
    ("=mossy7", "write `key=value`"),
    ("api-key=mossy7%zz", "write `%25` for a percent sign"),
];

impl Row {
    /// Returns the variables with this name, one for each signal if the name has a `*`.
    fn names(&self) -> Vec<String> {
        if self.name.contains('*') {
            ["TRACES", "LOGS", "METRICS"]
                .map(|signal| self.name.replace('*', signal))
                .into()
        } else {
            vec![self.name.to_owned()]
        }
    }
}

/// The variables of a program that exports, and more. The last value of a name counts.
fn vars<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let all = [&[PROD, ENDPOINT][..], more].concat();
    let last: BTreeMap<_, _> = all.into_iter().collect();
    last.into_iter().collect()
}

#[track_caller]
fn problems(vars: &[(&str, &str)]) -> Vec<String> {
    let started = Builder::from_vars(vars.iter().copied())
        .and_then(|builder| builder.with_writer(Lines::default()).init());
    match started {
        Err(InitError::Settings(problems)) => problems,
        Err(other) => panic!("{vars:?}: {other}"),
        Ok(_) => panic!("{vars:?}: it started"),
    }
}

fn explain(vars: &[(&str, &str)]) -> String {
    let builder = Builder::from_vars(vars.iter().copied()).unwrap();
    builder.explain().to_string()
}

/// The table has exactly the variables of OpenTelemetry.
#[test]
fn every_variable_has_values_here() {
    let known: BTreeSet<_> = OtelSetting::all()
        .map(|setting| setting.def.name.to_owned())
        .collect();
    let tried: BTreeSet<_> = ROWS.iter().flat_map(Row::names).collect();
    assert_eq!(known, tried);
}

/// Variables that differ only in the name of the signal are in one row.
#[test]
fn every_variable_is_documented() {
    let mut table = String::from("| variable | accepts | default | |\n| --- | --- | --- | --- |\n");
    let settings: Vec<_> = OtelSetting::all().map(|setting| setting.def).collect();
    let same = |one: &Setting, other: &Setting| {
        (one.default, one.accepts, one.help) == (other.default, other.accepts, other.help)
    };
    for alike in settings.chunk_by(same) {
        let names: Vec<_> = alike
            .iter()
            .map(|setting| format!("`{}`", setting.name))
            .collect();
        let setting = alike[0];
        table.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            names.join(", "),
            setting.accepts,
            setting.default,
            setting.help
        ));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/opentelemetry.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (start, end) = ("<!-- settings -->\n", "<!-- end of settings -->\n");
    let before = page.split_once(start).unwrap().0;
    let after = page.split_once(end).unwrap().1;
    let rendered = format!("{before}{start}{table}{end}{after}");
    if std::env::vars().any(|(name, _)| name == "UPDATE_DOCS") {
        std::fs::write(path, &rendered).unwrap();
        return;
    }
    assert_eq!(
        page, rendered,
        "docs/opentelemetry.md is out of date: \
         UPDATE_DOCS=1 cargo test -p spanwise --features otel --test it otel_settings"
    );
}

#[test]
fn invalid_values_stop_the_start() {
    for row in ROWS {
        for name in row.names() {
            for (value, part) in row.invalid {
                let problems = problems(&vars(&[(&name, value)]));
                let [problem] = &problems[..] else {
                    panic!("{name}={value}: {problems:?}")
                };
                let begins = [format!("{name}="), format!("{name}: ")]
                    .iter()
                    .any(|begin| problem.starts_with(begin));
                assert!(
                    begins && problem.contains(part),
                    "{name}={value}: {problem}"
                );
                assert!(!problem.contains("mossy7"), "{problem}");
            }
        }
    }
}

#[test]
fn valid_values_are_explained() {
    for row in ROWS {
        for name in row.names() {
            for value in row.valid {
                let text = explain(&vars(&[row.beside, &[(&name, value)]].concat()));
                let lines: Vec<_> = text
                    .lines()
                    .filter(|line| line.starts_with(&format!("{name} = ")))
                    .collect();
                let [line] = lines[..] else {
                    panic!("{name}={value}: {text}")
                };
                assert!(line.ends_with(&format!("({name})")), "{line}");
                assert!(!text.contains("mossy7"), "{text}");
            }
        }
    }
}

/// Starts once with valid values of all compatible variables.
#[test]
fn valid_values_start() {
    alone!();
    let mut valid = Vec::new();
    for row in ROWS {
        let Some(value) = row
            .valid
            .first()
            .filter(|_| row.name != "OTEL_SDK_DISABLED")
        else {
            continue;
        };
        valid.extend(row.beside);
        let names = row.names().into_iter();
        valid.extend(names.map(|name| (&*name.leak(), *value)));
    }
    valid.push(("OTEL_METRICS_EXPORTER", "otlp,prometheus"));
    valid.push(("OTEL_EXPORTER_PROMETHEUS_PORT", "0"));
    valid.push(("OTEL_TRACES_SAMPLER", "traceidratio"));
    let vars = vars(&valid);
    assert!(vars.len() > 50, "{vars:?}");
    let builder = Builder::from_vars(vars).unwrap();
    let debug = format!("{builder:?}");
    let telemetry = builder.with_writer(Lines::default()).init().unwrap();
    let debug = format!("{debug}{telemetry:?}");
    assert!(!debug.contains("mossy7"), "{debug}");
}

#[test]
fn five_invalid_values_are_five_problems() {
    let five = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_CONFIG_FILE", "/etc/otel.yaml"),
    ];
    let problems = problems(&vars(&five));
    assert_eq!(problems.len(), 5, "{problems:#?}");
    for (name, _) in five {
        let named = |problem: &&String| problem.starts_with(name);
        assert_eq!(problems.iter().filter(named).count(), 1, "{problems:#?}");
    }
}

/// The start of the exporter finds mistakes that depend on several variables.
/// A wrong value of one signal hides no contradiction of another signal.
#[test]
fn wrong_value_of_traces_hides_no_problem_of_logs() {
    let problems = problems(&vars(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "10"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "20"),
    ]));
    let names = |name: &str| problems.iter().any(|problem| problem.contains(name));
    assert!(names("OTEL_BSP_MAX_QUEUE_SIZE"), "{problems:?}");
    assert!(names("OTEL_BLRP_MAX_"), "{problems:?}");
}

#[test]
fn contradictions_name_the_variable_that_is_set() {
    alone!();
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("key.pem");
    std::fs::write(&key, "mossy7").unwrap();
    let key = key.to_str().unwrap();
    let https = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:9");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[
                ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
                ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
            ],
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: a batch of 200 records does not fit into the queue of \
             100: set a smaller batch or a larger queue",
        ),
        (
            &[("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "4096")],
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: a batch of 4096 records does not fit",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")],
            "OTEL_EXPORTER_OTLP_ENDPOINT: `collector:4318` has no scheme",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "collector:4318")],
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `collector:4318` has no scheme",
        ),
        (
            &[("OTEL_TRACES_SAMPLER_ARG", "0.5")],
            "OTEL_TRACES_SAMPLER_ARG: `0.5` has no meaning for `parentbased_always_on`",
        ),
        (
            &[(
                "OTEL_EXPORTER_OTLP_HEADERS",
                "OTEL_EXPORTER_OTLP_HEADERS=api=mossy7",
            )],
            "OTEL_EXPORTER_OTLP_HEADERS: the value begins with the name of a variable",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_HEADERS", "host=mossy7")],
            "OTEL_EXPORTER_OTLP_HEADERS: `host` is a header that the exporter sets: remove it",
        ),
        // Only one signal is exported, but the error still names the general variable.
        (
            &[
                ("OTEL_EXPORTER_OTLP_HEADERS", "a b=mossy7"),
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_METRICS_EXPORTER", "none"),
            ],
            "OTEL_EXPORTER_OTLP_HEADERS: a key of 3 bytes is not the name of a header",
        ),
        (
            &[https, ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", key)],
            "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE: the client key has no certificate: set",
        ),
        (
            &[https, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key)],
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: the client key has no certificate: set",
        ),
        (
            &[https, ("OTEL_EXPORTER_OTLP_CERTIFICATE", key)],
            "OTEL_EXPORTER_OTLP_CERTIFICATE: ",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_CERTIFICATE", key)],
            "OTEL_EXPORTER_OTLP_CERTIFICATE: ",
        ),
        (
            &[("OTEL_EXPORTER_PROMETHEUS_PORT", "9464")],
            "OTEL_EXPORTER_PROMETHEUS_PORT: has no effect without a listener",
        ),
        (
            &[
                ("OTEL_TRACES_SAMPLER", "always_on"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ],
            "OTEL_TRACES_SAMPLER: ",
        ),
    ];
    for (more, begin) in cases {
        let problems = problems(&vars(more));
        let [problem] = &problems[..] else {
            panic!("{more:?}: {problems:#?}")
        };
        assert!(problem.starts_with(begin), "{more:?}: {problem}");
        assert!(!problem.contains("mossy7"), "{problem}");
    }
    // Variables of single signals with the same mistake are all named.
    let all = problems(&vars(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", "host=mossy7"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "host=mossy7"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "host=mossy7"),
    ]));
    let mistake = "`host` is a header that the exporter sets: remove it";
    let names = ["_TRACES", "_LOGS", ""];
    let expected = names.map(|name| format!("OTEL_EXPORTER_OTLP{name}_HEADERS: {mistake}"));
    assert_eq!(all, expected);
    // Without an endpoint, the signal cannot be exported.
    let traces = (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "http://127.0.0.1:9/v1/traces",
    );
    let cases = [
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
    ];
    for (name, value) in cases {
        let expected = format!(
            "{name}: otlp has no endpoint: set OTEL_EXPORTER_OTLP_ENDPOINT, or remove otlp"
        );
        assert_eq!(problems(&[PROD, traces, (name, value)]), [expected]);
    }
    if !cfg!(feature = "otel-grpc") {
        let problems = problems(&vars(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("OTEL_EXPORTER_OTLP_PROTOCOL: `grpc` needs the feature"));
    }
}

#[test]
fn wrong_endpoint_in_code_names_the_setter() {
    alone!();
    let builder = Builder::new(spanwise::Preset::Prod).otlp_endpoint("collector:4318");
    match builder.with_writer(Lines::default()).init() {
        Err(InitError::Settings(problems)) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(
                problems[0].starts_with("Builder::otlp_endpoint: `collector:4318` has no scheme"),
                "{problems:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn user_in_the_endpoint_is_never_shown() {
    let url = "http://ann:mossy7@collector:4318";
    let in_code = Builder::new(spanwise::Preset::Prod).otlp_endpoint(url);
    let text = format!("{}{in_code:?}", in_code.explain());
    assert!(
        text.contains("OTEL_EXPORTER_OTLP_ENDPOINT = (hidden, 32 bytes) (code)"),
        "{text}"
    );
    assert!(!text.contains("mossy7"), "{text}");
}

#[test]
fn variables_count_only_with_an_endpoint() {
    for vars in [
        &[PROD, ("OTEL_TRACES_SAMPLER", "sometimes")][..],
        &[PROD, ("OTEL_CONFIG_FILE", "/etc/otel.yaml")],
        &[PROD, ("OTEL_METRICS_EXPORTER", "otlp")],
        &[
            PROD,
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_METRICS_EXPORTER", "console"),
        ],
        &[PROD, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
        // If the operator disables the SDK, no other variable is read.
        &[
            PROD,
            ENDPOINT,
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
        ],
        // Tests export nothing, even if the environment configures a service.
        &[
            ("LOG_PRESET", "test"),
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "sometimes"),
        ],
    ] {
        let text = explain(vars);
        assert!(!text.contains("OTEL_TRACES_SAMPLER"), "{text}");
    }
    let test = explain(&[("LOG_PRESET", "test"), ENDPOINT]);
    let line = "OTEL_EXPORTER_OTLP_ENDPOINT = none (preset test)";
    assert!(test.lines().any(|other| other == line), "{test}");
    let disabled = explain(&vars(&[("OTEL_SDK_DISABLED", "TRUE")]));
    let line = "OTEL_SDK_DISABLED = TRUE (OTEL_SDK_DISABLED)";
    assert!(disabled.lines().any(|other| other == line), "{disabled}");
    // The endpoint of one signal turns that signal on.
    let own = (
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        "http://127.0.0.1:9/v1/logs",
    );
    let sampler = ("OTEL_TRACES_SAMPLER", "sometimes");
    assert_eq!(problems(&[PROD, own, sampler]).len(), 1);
}

/// The value could have turned metrics on.
#[test]
fn exporter_of_metrics_is_checked_without_an_endpoint() {
    let expected = "OTEL_METRICS_EXPORTER=\"promtheus\": `promtheus` is not an exporter that \
                    spanwise has: write otlp, prometheus, both, or none alone";
    assert_eq!(
        problems(&[PROD, ("OTEL_METRICS_EXPORTER", "promtheus")]),
        [expected]
    );
}

/// One list has the mistakes of all settings, including mistakes that depend on several settings
/// and mistakes of other parts.
#[test]
fn all_mistakes_are_in_one_list() {
    let vars = vars(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("LOG_COLOR", "purple"),
    ]);
    let wrong = [
        "LOG_COLOR=",
        "OTEL_EXPORTER_OTLP_TIMEOUT=",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: ",
        "OTEL_TRACES_SAMPLER_ARG: ",
    ];
    let problems = problems(&vars);
    assert_eq!(problems.len(), wrong.len(), "{problems:#?}");
    for begin in wrong {
        let is_listed = problems.iter().any(|problem| problem.starts_with(begin));
        assert!(is_listed, "{begin}: {problems:#?}");
    }
    // `explain` shows a contradiction before anything starts.
    let text = explain(&self::vars(&[("OTEL_TRACES_SAMPLER_ARG", "0.5")]));
    assert!(text.contains("wrong: OTEL_TRACES_SAMPLER_ARG: "), "{text}");
    // Code may resolve it.
    let builder = Builder::from_vars(self::vars(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096")]));
    let builder = builder.unwrap();
    let builder = builder.otel(|otel| otel.traces(|traces| traces.max_queue_len(8192)));
    let text = builder.explain().to_string();
    assert!(!text.contains("wrong: "), "{text}");
}

#[test]
fn code_beats_the_endpoint_of_the_environment() {
    let vars = vars(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "500")]);
    let builder = Builder::from_vars(vars).unwrap();
    let text = builder.otlp_endpoint("http://elsewhere:4318").explain();
    let text = text.to_string();
    for line in [
        "OTEL_EXPORTER_OTLP_ENDPOINT = http://elsewhere:4318 (code)",
        "OTEL_EXPORTER_OTLP_TIMEOUT = 500 (OTEL_EXPORTER_OTLP_TIMEOUT)",
    ] {
        assert!(text.lines().any(|other| other == line), "{text}");
    }
}

#[test]
fn near_miss_is_a_warning() {
    for (name, meant) in [
        ("OTEL_EXPORTER_OTLP_ENDPOIN", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("OTEL_EXPORTER_OTLP_HEADER", "OTEL_EXPORTER_OTLP_HEADERS"),
        (
            "OTEL_EXPORTER_OTLP_TRACE_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        ("OTEL_TRACE_SAMPLER", "OTEL_TRACES_SAMPLER"),
        ("OTEL_TRACES_SAMPLER_ARGS", "OTEL_TRACES_SAMPLER_ARG"),
        (
            "OTEL_METRICS_EXPORT_INTERVAL",
            "OTEL_METRIC_EXPORT_INTERVAL",
        ),
        ("OTEL_RESOURCE_ATTRIBUTE", "OTEL_RESOURCE_ATTRIBUTES"),
        ("OTEL_SERVICENAME", "OTEL_SERVICE_NAME"),
        ("OTEL_SDK_DISABLE", "OTEL_SDK_DISABLED"),
    ] {
        let text = explain(&[PROD, (name, "mossy7")]);
        let warning = format!("warning: {name} is not a setting: did you mean {meant}?");
        assert!(text.lines().any(|line| line == warning), "{name}: {text}");
    }
    for name in [
        "OTEL_JAVAAGENT_ENABLED",
        "OTEL_JAVA_GLOBAL_AUTOCONFIGURE_ENABLED",
        "OTEL_PYTHON_LOG_LEVEL",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "OTEL_NODE_RESOURCE_DETECTORS",
        "OTEL_DOTNET_AUTO_HOME",
        "OTEL_GO_X_EXEMPLAR",
        "OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED",
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
        "OTEL_EXPORTER_JAEGER_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT",
        "OTEL_COLLECTOR_SERVICE_HOST",
    ] {
        let text = explain(&[PROD, (name, "x")]);
        assert!(!text.contains("warning"), "{name}: {text}");
    }
}
