//! An unknown name does not stop the start. It causes a warning on stderr, as an event and in
//! `explain()`. With `strict`, it is an error.

use serde_json::Value;
use spanwise::{Builder, InitError};

use crate::support::Lines;

fn explained(vars: &[(&str, &str)]) -> Vec<String> {
    let text = Builder::from_vars(vars.iter().copied()).unwrap().explain();
    let text = text.to_string();
    let warnings = text
        .lines()
        .filter_map(|line| line.strip_prefix("warning: "));
    warnings.map(str::to_owned).collect()
}

#[test]
fn near_miss_is_a_warning_that_names_what_was_meant() {
    for (name, meant) in [
        ("LOG_FROMAT", "LOG_FORMAT"),
        ("LOG_FORMATT", "LOG_FORMAT"),
        ("LOG_FORMATS", "LOG_FORMAT"),
        ("LOG_LEVLE", "LOG_LEVEL"),
        ("LOG_LEVELS", "LOG_LEVEL"),
        ("LOG_RESET", "LOG_PRESET"),
        ("LOG_COLOUR", "LOG_COLOR"),
        ("LOG_FLIE", "LOG_FILE"),
        ("LOG_SAMPLER", "LOG_SAMPLE"),
        ("LOG_RECORD", "LOG_RECORDER"),
        ("LOG_ERRORFILE", "LOG_ERROR_FILE"),
        ("LOG_REDACT_KEYFILE", "LOG_REDACT_KEY_FILE"),
        ("RUST_LOGS", "RUST_LOG"),
        ("SERVICE_NAMES", "SERVICE_NAME"),
        ("SENTRY_DNS", "SENTRY_DSN"),
        ("SENTRY_TRACE_SAMPLE_RATE", "SENTRY_TRACES_SAMPLE_RATE"),
    ] {
        let warning = format!("{name} is not a setting: did you mean {meant}?");
        assert_eq!(explained(&[(name, "mossy7")]), [warning], "{name}");
    }
    for (name, there) in [
        ("LOG_FILE_PATH", "there are LOG_FILE, LOG_FILE_LEVEL,"),
        ("LOG_FILE_ROTATION", "there are LOG_FILE, LOG_FILE_LEVEL,"),
        ("LOG_REDACTION", "there are LOG_REDACT, LOG_REDACT_KEY_FILE"),
        (
            "LOG_REDACT_KEY",
            "there are LOG_REDACT, LOG_REDACT_KEY_FILE",
        ),
        ("LOG_SAMPLING", "there is LOG_SAMPLE"),
        ("LOG_SAMPLE_RATE", "there is LOG_SAMPLE"),
        ("LOG_RECORDER_SLOW", "there is LOG_RECORDER"),
        ("LOG_FLIGHT_RECORDER", "there is LOG_RECORDER"),
        (
            "LOG_HTTP_BODY",
            "there are LOG_HTTP_TRUST, LOG_HTTP_CLIENT_ADDRESS",
        ),
        ("LOG_TIMEZONE", "there is LOG_TIME"),
        ("LOG_TZ", "there is LOG_TIME"),
        ("LOG_LABELS", "there is LOG_STATIC_FIELDS"),
    ] {
        let warnings = explained(&[(name, "mossy7")]);
        let warning = format!("{name} is not a setting: {there}");
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(&warning),
            "{warnings:?}"
        );
    }
    for (name, value) in [
        ("LOGNAME", "root"),
        ("LOG", "x"),
        ("LOG_DRIVER", ""),
        ("TEAM", "payments"),
        ("RUST_BACKTRACE", "1"),
        ("RUST_LOG_STYLE", "always"),
        ("APP_NAME", "shop"),
        ("SENTRY_ORG", "shop"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://otel:4318/v1/traces",
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ] {
        assert_eq!(explained(&[(name, value)]), Vec::<String>::new(), "{name}");
    }
    assert_eq!(
        explained(&[("LOG_DRIVER", "x"), ("LOG_GROUP_NAME", "y")]),
        ["LOG_DRIVER, LOG_GROUP_NAME are not settings here, and are ignored"]
    );
}

#[test]
fn color_of_another_program_does_not_count() {
    for value in ["true", "1", "off", "No"] {
        let warnings = explained(&[("LOG_COLOR", value)]);
        let expected =
            format!("LOG_COLOR=\"{value}\" has no effect: write one of auto, always, never");
        assert_eq!(warnings, [expected]);
    }
    assert_eq!(explained(&[("LOG_TIME", "true")]).len(), 1);
}

#[test]
fn setting_of_a_missing_part_is_a_warning() {
    for (name, value, feature, is_there) in [
        (
            "SENTRY_DSN",
            "https://mossy7@sentry.example.com/42",
            "sentry",
            cfg!(feature = "sentry"),
        ),
        ("LOG_HTTP_TRUST", "always", "http", cfg!(feature = "http")),
        (
            "LOG_HTTP_CLIENT_ADDRESS",
            "none",
            "http",
            cfg!(feature = "http"),
        ),
        (
            "LOG_REDACT_KEY_FILE",
            "/run/mossy7",
            "pseudonyms",
            cfg!(feature = "pseudonyms"),
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://mossy7:4318",
            "otel",
            cfg!(feature = "otel"),
        ),
    ] {
        if is_there {
            continue;
        }
        let warnings = explained(&[(name, value)]);
        let [warning] = &warnings[..] else {
            panic!("{warnings:?}")
        };
        assert!(
            warning.starts_with(&format!(
                "{name} has no effect: this program is built without "
            )) && warning.contains(&format!("add the feature `{feature}` of `spanwise`")),
            "{warning}"
        );
        assert!(!warning.contains("mossy7"), "{warning}");
    }
}

#[test]
fn strict_turns_warnings_into_errors() {
    alone!();
    let vars = [("LOG_FROMAT", "json"), ("LOG_DRIVER", "x")];
    let warnings = explained(&vars);
    assert_eq!(warnings.len(), 2);

    let by_variable = vars
        .iter()
        .copied()
        .chain([("LOG_STRICT", "1"), ("LOG_COLOR", "purple")]);
    match Builder::from_vars(by_variable) {
        Err(InitError::Settings(problems)) => {
            assert_eq!(problems[1], warnings[0]);
            assert!(problems[2].starts_with("LOG_DRIVER is not a setting here: "));
            assert!(problems[0].starts_with("LOG_COLOR=\"purple\""));
        }
        other => panic!("{other:?}"),
    }
    match Builder::from_vars(vars).unwrap().strict().init() {
        Err(InitError::Settings(problems)) => {
            assert_eq!(problems[0], warnings[0]);
            assert!(problems[1].starts_with("LOG_DRIVER is not a setting here: "));
        }
        other => panic!("{other:?}"),
    }
    let quiet = [
        ("LOG_STRICT", "1"),
        ("LOG_PRESET", "prod"),
        ("PATH", "/bin"),
    ];
    assert!(Builder::from_vars(quiet).is_ok());
}

/// Variables that charts of databases, brokers, meshes, collectors, CI and clouds set, and those
/// that Kubernetes sets for their services.
const POD: [(&str, &str); 84] = [
    ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
    ("KUBERNETES_SERVICE_PORT", "443"),
    ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
    ("KUBERNETES_PORT", "tcp://10.0.0.1:443"),
    ("KUBERNETES_PORT_443_TCP", "tcp://10.0.0.1:443"),
    ("KUBERNETES_PORT_443_TCP_ADDR", "10.0.0.1"),
    ("LOG_FILE_SERVICE_HOST", "10.0.7.1"),
    ("LOG_FILE_SERVICE_PORT", "5044"),
    ("LOG_FILE_SERVICE_PORT_BEATS", "5044"),
    ("LOG_FILE_PORT", "tcp://10.0.7.1:5044"),
    ("LOG_FILE_PORT_5044_TCP", "tcp://10.0.7.1:5044"),
    ("LOG_FILE_PORT_5044_TCP_PROTO", "tcp"),
    ("LOG_FILE_PORT_5044_TCP_PORT", "5044"),
    ("LOG_FILE_PORT_5044_TCP_ADDR", "10.0.7.1"),
    ("LOG_LEVEL_SERVICE_HOST", "10.0.8.1"),
    ("LOG_LEVEL_PORT", "tcp://10.0.8.1:80"),
    ("SENTRY_SERVICE_HOST", "10.0.9.1"),
    ("SENTRY_PORT", "tcp://10.0.9.1:9000"),
    ("SERVICE_PORT", "8080"),
    ("HOSTNAME", "shop-6c9fd9f5d4-x2x7q"),
    ("POD_NAME", "shop-6c9fd9f5d4-x2x7q"),
    ("POD_NAMESPACE", "shop"),
    ("POD_IP", "10.1.2.3"),
    ("NODE_NAME", "node-7"),
    ("PATH", "/usr/local/bin:/usr/bin"),
    ("HOME", "/root"),
    ("TERM", "xterm"),
    ("LOGNAME", "root"),
    ("LANG", "C.UTF-8"),
    ("TZ", "UTC"),
    ("LOG_COLOR", "true"),
    ("LOG_TIME", "true"),
    ("LOG_DRIVER", "json-file"),
    ("LOG_GROUP_NAME", "/aws/eks/shop"),
    ("LOG_STREAM_PREFIX", "shop"),
    ("LOG_RETENTION_DAYS", "30"),
    ("LOG_JSON", "1"),
    ("LOG_SQL", "false"),
    ("LOG_DIR", "/var/log"),
    ("LOG_PATH", "/var/log/shop"),
    ("LOG_BUCKET", "shop-logs"),
    ("LOG_TO_STDERR", "true"),
    ("LOG_BACKTRACE_AT", ""),
    ("LOG_HTTP_BODY", "true"),
    ("LOG_FILE_PATH", "/var/log/shop/app.log"),
    ("LOG_FILE_MAX_SIZE", "10M"),
    ("LOG_RESET", "1"),
    ("LOG_REDACT_KEY", "9f86d081884c7d659a2feaa0c55ad015"),
    ("RUST_BACKTRACE", "full"),
    ("RUST_LOG_STYLE", "never"),
    ("RUST_MIN_STACK", "8388608"),
    ("TOKIO_WORKER_THREADS", "4"),
    ("MALLOC_ARENA_MAX", "2"),
    ("DATABASE_URL", "postgres://shop:mossy7@db/shop"),
    ("PGPASSWORD", "mossy7"),
    ("REDIS_URL", "redis://cache:6379"),
    ("REDIS_LOG_LEVEL", "notice"),
    ("KAFKA_BROKERS", "kafka-0:9092,kafka-1:9092"),
    ("KAFKA_LOG_DIRS", "/data"),
    ("RABBITMQ_LOGS", "-"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel-collector:4317"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop"),
    ("OTEL_LOG_LEVEL", "info"),
    ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
    ("SENTRY_ORG", "shop"),
    ("SENTRY_PROJECT", "shop"),
    ("SENTRY_AUTH_TOKEN", "sntrys_mossy7"),
    ("SENTRY_TAGS", "a:b"),
    ("DD_AGENT_HOST", "10.1.0.7"),
    ("DD_LOGS_INJECTION", "true"),
    ("DD_TRACE_LOG_LEVEL", "error"),
    ("NEW_RELIC_LOG", "stdout"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/shop"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token"),
    (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "/var/run/secrets/gcp.json",
    ),
    ("ISTIO_META_WORKLOAD_NAME", "shop"),
    ("ENVOY_LOG_LEVEL", "warning"),
    ("VAULT_LOG_FORMAT", "json"),
    ("FLUENT_LOG_LEVEL", "trace"),
    ("GRAFANA_LOG_MODE", "console"),
    ("NODE_ENV", "production"),
    ("CI", "true"),
];

#[test]
fn pod_full_of_foreign_variables_starts() {
    alone!();
    let ours = [("LOG_PRESET", "prod"), ("APP_ENV", "production")];
    // With the feature, the variables of OpenTelemetry are settings.
    let is_foreign =
        |(name, _): &(&str, &str)| !(cfg!(feature = "otel") && name.starts_with("OTEL_"));
    let vars = || POD.into_iter().filter(is_foreign).chain(ours);
    let lines = Lines::default();
    let builder = Builder::from_vars(vars())
        .unwrap()
        .with_writer(lines.clone());
    let warnings = explained(&vars().collect::<Vec<_>>());
    let explained = builder.explain().to_string();
    let telemetry = builder.init().unwrap();
    tracing::info!("started");

    let told: Vec<Value> = lines.objects();
    let (started, told) = told.split_last().unwrap();
    assert_eq!(started["message"], "started");
    for (line, warning) in told.iter().zip(&warnings) {
        assert_eq!(
            (&line["level"], &line["target"]),
            (&"WARN".into(), &"spanwise".into())
        );
        // The policy must not redact a name in the warning.
        assert_eq!(line["message"], **warning);
    }
    assert_eq!(told.len(), warnings.len());
    let named = |name: &str| {
        warnings
            .iter()
            .filter(|warning| warning.contains(name))
            .count()
    };
    for name in [
        "LOG_COLOR",
        "LOG_HTTP_BODY",
        "LOG_FILE_PATH",
        "LOG_RESET",
        "LOG_REDACT_KEY ",
        "LOG_FILE_SERVICE_HOST",
        "LOG_DRIVER",
    ] {
        assert_eq!(named(name), 1, "{name} in {warnings:#?}");
    }
    // Without the feature, the endpoint causes a separate warning.
    let endpoint = usize::from(cfg!(not(feature = "otel")));
    assert_eq!(named("OTEL_EXPORTER_OTLP_ENDPOINT"), endpoint);
    assert!(warnings.len() <= 8 + endpoint, "{warnings:#?}");
    // The warnings contain names, but no values.
    for (name, value) in POD {
        let is_word = value.len() < 6
            || ["always", "stdout", "notice", "warning", "production"].contains(&value);
        assert!(is_word || !explained.contains(value), "{name}: {explained}");
    }
    assert_eq!(telemetry.handle().stats().faults.len(), 1);
}
