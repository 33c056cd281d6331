//! Setters accept the texts of the variables. A valid text has the same meaning, and the start
//! reports all invalid texts at once.

use spanwise::{
    Builder, Color, Format, InitError, Output, Preset, SETTINGS, TimeZone,
    file::{Compression, Retention, Rotation},
    layer::{Levels, TargetLevels},
    record::Recorder,
    sample::Sampler,
};
use tracing::{Level, level_filters::LevelFilter};

/// A setter with its variable, a valid text, an invalid text, and a part of the error for the
/// invalid text.
struct Setter {
    name: &'static str,
    variable: &'static str,
    right: &'static str,
    wrong: (&'static str, &'static str),
    set: fn(Builder, &str) -> Builder,
}

macro_rules! setters {
    ($($(#[$attribute:meta])* $name:ident: $variable:literal, $right:literal, $wrong:literal => $error:literal;)*) => {
        &[$(
            $(#[$attribute])*
            Setter {
                name: stringify!($name),
                variable: $variable,
                right: $right,
                wrong: ($wrong, $error),
                set: |builder, text| builder.$name(text),
            },
        )*]
    };
}

const SETTERS: &[Setter] = setters! {
    preset: "LOG_PRESET", "Production", "prdo" => " is unknown: did you mean prod? accepts dev, prod,";
    levels: "RUST_LOG", "warn,shop=debug", "shop=debgu" => ": `shop=debgu`";
    span_levels: "LOG_SPANS", "info,hyper=off", "close" => ": `close` is not a level";
    format: "LOG_FORMAT", "Json-Nested", "jsn" => " is unknown: did you mean json? accepts json, json-nested, ecs";
    fields: "LOG_FIELDS", "+location,level>severity", "+locaton" => ": `+locaton` is not a part of a line: did you mean `+location`?";
    max_line: "LOG_MAX_LINE", "64KiB", "64" => " has no unit: write a size from 256B to 1GiB";
    time: "LOG_TIME", "LOCAL", "CET" => " is unknown: accepts local, utc";
    output: "LOG_OUTPUT", "stderr", "stdot" => " is unknown: did you mean stdout? accepts stdout, stderr, none";
    output_level: "LOG_OUTPUT_LEVEL", "WARNING", "off" => " is unknown: accepts error, warn, info, debug, trace";
    panic_backtrace: "LOG_PANIC_BACKTRACE", "full", "long" => " is unknown: accepts short, full, off";
    color: "LOG_COLOR", "always", "yes" => " is unknown: accepts auto, always, never";
    file_level: "LOG_FILE_LEVEL", "critical", "verbose" => " is unknown: did you mean debug? accepts error, warn,";
    file_rotation: "LOG_FILE_ROTATE", "hourly, 1MiB", "huorly" => " is not a rotation: did you mean `hourly`?";
    file_retention: "LOG_FILE_KEEP", "30d,10GiB", "0" => " keeps no file";
    file_compression: "LOG_FILE_COMPRESS", "none", "bzip2" => " is not a compression: did you mean `gzip`?";
    sampler: "LOG_SAMPLE", "info=0.1,sqlx=5/s", "info=1.5" => ": `info=1.5`";
    recorder: "LOG_RECORDER", "debug,slow=1s", "on" => " is not a level: did you mean debug?";
    #[cfg(feature = "http")]
    http_trust: "LOG_HTTP_TRUST", "10.0.0.0/8,127.0.0.1", "10.0.0.0/64" => ": `10.0.0.0/64`";
    #[cfg(feature = "http")]
    http_client_address: "LOG_HTTP_CLIENT_ADDRESS", "none", "all" => " is unknown: accepts full, network, none";
    #[cfg(feature = "sentry")]
    sentry_dsn: "SENTRY_DSN", "https://key@sentry.example.com/42", "sentry.example.com" => ": (hidden, 18 bytes)";
};

/// The name of a setting, and a call of its setter.
type ValueSetter = (&'static str, fn(Builder) -> Builder);

/// Settings whose setters do not accept the text of a variable.
const VALUE_SETTERS: &[ValueSetter] = &[
    ("LOG_OWN", |builder| builder.own_targets(["shop"])),
    ("LOG_FILE", |builder| {
        builder.file("/tmp/spanwise-never-opened/a.log")
    }),
    ("LOG_ERROR_FILE", |builder| {
        builder.error_file("/tmp/spanwise-never-opened/e.log")
    }),
    ("LOG_FILE_PER_PROCESS", |builder| {
        builder
            .file("/tmp/spanwise-never-opened/a.log")
            .file_per_process()
    }),
    ("LOG_REDACT", Builder::without_redaction),
    ("LOG_CONTEXT", |builder| builder.context_key("order_id")),
    ("LOG_PARENT", Builder::parent_from_env),
    ("LOG_STATIC_FIELDS", |builder| builder.field("region", "eu")),
    #[cfg(feature = "otel")]
    ("OTEL_EXPORTER_OTLP_ENDPOINT", |builder| {
        builder.otlp_endpoint("http://collector:4318")
    }),
    ("SERVICE_NAME", |builder| builder.service("shop", "1.4.0")),
    ("SERVICE_VERSION", |builder| {
        builder.service("shop", "1.4.0")
    }),
    ("SERVICE_NODE", |builder| builder.service_node("shop-7")),
];

/// The settings without a setter, with the reason.
const WITHOUT_SETTER: &[(&str, &str)] = &[
    ("LOG_LEVEL", "another name of RUST_LOG"),
    ("OTEL_SERVICE_NAME", "another name of SERVICE_NAME"),
    (
        "APP_ENV",
        "`preset` and `SentryBuilder::environment` set what it chooses",
    ),
    ("RUST_ENV", "another name of APP_ENV"),
    ("ENVIRONMENT", "another name of APP_ENV"),
    (
        "GOOGLE_CLOUD_PROJECT",
        "Google Cloud sets it; `JsonLayer::google_cloud_project` in a stack of your own",
    ),
    (
        "NO_COLOR",
        "many programs share it; `color` decides in code",
    ),
    (
        "FORCE_COLOR",
        "many programs share it; `color` decides in code",
    ),
    (
        "CLICOLOR_FORCE",
        "many programs share it; `color` decides in code",
    ),
    ("TRACEPARENT", "the process that starts this one sets it"),
    ("TRACESTATE", "the same as TRACEPARENT"),
    ("BAGGAGE", "the same as TRACEPARENT"),
    ("TERM", "many programs share it; `color` decides in code"),
    ("LOG_CONFIG", "`Builder::from_file` reads a file"),
    (
        "LOG_REDACT_KEY_FILE",
        "`redact_with` sets the key as a value",
    ),
    (
        "LOG_STRICT",
        "`strict` has no argument: see the tests of it",
    ),
    (
        "SENTRY_ENVIRONMENT",
        "`sentry` with `SentryBuilder::environment`",
    ),
    ("SENTRY_RELEASE", "`sentry` with `SentryBuilder::release`"),
    (
        "SENTRY_EVENT_LEVEL",
        "`sentry` with `SentryBuilder::event_levels`",
    ),
    (
        "SENTRY_BREADCRUMB_LEVEL",
        "`sentry` with `SentryBuilder::breadcrumb_levels`",
    ),
    (
        "SENTRY_SAMPLE_RATE",
        "`sentry` with `SentryBuilder::sample_rate`",
    ),
    (
        "SENTRY_TRACES_SAMPLE_RATE",
        "`sentry` with `SentryBuilder::traces_sample_rate`",
    ),
    (
        "SENTRY_GROUPING",
        "`sentry` with `SentryBuilder::without_grouping`",
    ),
    ("SENTRY_ENABLE_LOGS", "`sentry` with `SentryBuilder::logs`"),
];

/// Each setting needs a setter, or a reason for having no setter.
#[test]
fn every_setting_has_a_setter_or_a_reason() {
    for setting in SETTINGS {
        let name = setting.name;
        let by_text = SETTERS.iter().any(|setter| setter.variable == name);
        let by_value = VALUE_SETTERS.iter().find(|(setting, _)| *setting == name);
        let is_excused = WITHOUT_SETTER.iter().any(|(setting, _)| *setting == name);
        let parts = [
            ("LOG_HTTP_TRUST", cfg!(feature = "http")),
            ("LOG_HTTP_CLIENT_ADDRESS", cfg!(feature = "http")),
            ("SENTRY_DSN", cfg!(feature = "sentry")),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", cfg!(feature = "otel")),
        ];
        let is_built = !parts.contains(&(name, false));
        let ways = [by_text, by_value.is_some(), is_excused];
        let ways = ways.into_iter().filter(|way| *way).count();
        assert_eq!(ways, usize::from(is_built), "{name}");
        if let Some((_, set)) = by_value {
            let text = set(Builder::new(Preset::Prod)).explain().to_string();
            let begin = format!("{name} = ");
            let line = text.lines().find(|line| line.starts_with(&begin));
            assert!(line.is_some_and(|line| line.ends_with(" (code)")), "{text}");
        }
    }
    let listed = VALUE_SETTERS.iter().map(|(name, _)| name);
    for name in listed.chain(WITHOUT_SETTER.iter().map(|(name, _)| name)) {
        let is_setting = SETTINGS.iter().any(|setting| setting.name == *name);
        assert!(is_setting, "{name} is no setting any more");
    }
}

/// Returns the other settings that the setting needs.
fn base(setter: &Setter) -> Vec<(&'static str, &'static str)> {
    let mut vars = Vec::new();
    if setter.name != "preset" {
        vars.push(("LOG_PRESET", "prod"));
    }
    if setter.name.starts_with("file_") {
        vars.push(("LOG_FILE", "/tmp/spanwise-never-opened/a.log"));
    }
    vars
}

#[test]
fn text_means_what_it_means_in_the_variable() {
    for setter in SETTERS {
        let Setter {
            variable, right, ..
        } = *setter;
        let by_variable = base(setter).into_iter().chain([(variable, right)]);
        let by_variable = Builder::from_vars(by_variable)
            .unwrap()
            .explain()
            .to_string();
        for text in [right.to_owned(), format!(" {right}\n")] {
            let code = Builder::from_vars(base(setter)).unwrap();
            let code = (setter.set)(code, &text).explain().to_string();
            let line = |text: &str, origin: &str| {
                let name = format!("{variable} = ");
                let line = text.lines().find_map(|line| line.strip_prefix(&name));
                let line = line.unwrap_or_else(|| panic!("{variable} in\n{text}"));
                line.replace(&format!("({origin})"), "")
            };
            assert_eq!(
                line(&code, "code"),
                line(&by_variable, variable),
                "{text:?}"
            );
            assert!(
                code.contains(&format!("{variable} = ")) && code.contains("(code)"),
                "{code}"
            );
        }
        // A blank text changes nothing in the explanation.
        let code = Builder::from_vars(base(setter)).unwrap();
        let unchanged = code.explain().to_string();
        assert_eq!((setter.set)(code, " \n").explain().to_string(), unchanged);
    }
}

/// Setters of features, and whether the feature is on.
const OPTIONAL_SETTERS: [(&str, bool); 3] = [
    ("http_trust", cfg!(feature = "http")),
    ("http_client_address", cfg!(feature = "http")),
    ("sentry_dsn", cfg!(feature = "sentry")),
];

/// Every setter that accepts a text is in the table.
#[test]
fn every_setter_of_a_text_is_tried() {
    let files = ["builder.rs", "sinks/sentry.rs", "sinks/otel.rs"];
    let read = |file| {
        let path = format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let source: String = files.map(read).concat();
    let calls = source.split(".set(").skip(1);
    let named = calls.filter_map(|call| call.trim_start().strip_prefix('"'));
    let setters: Vec<&str> = named.filter_map(|call| call.split('"').next()).collect();
    assert!(setters.len() >= 18, "{setters:?}");
    for setter in setters {
        let mut optional = OPTIONAL_SETTERS.iter();
        let is_built = optional.all(|(name, is_built)| *name != setter || *is_built);
        let is_tried = SETTERS.iter().any(|tried| tried.name == setter);
        assert!(is_tried || !is_built, "{setter} is not tried");
    }
}

#[test]
fn wrong_texts_are_reported_at_once_and_start_nothing() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs/shop.log");
    let mut builder = Builder::new(Preset::Prod)
        .file(&path)
        .context_key("order id")
        .field("level", 1);
    for setter in SETTERS {
        builder = (setter.set)(builder, setter.wrong.0);
    }
    let problems = match builder.init() {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    };
    for Setter {
        name,
        wrong: (text, error),
        ..
    } in SETTERS
    {
        let begin = match *name {
            name @ ("sentry_dsn" | "fields") => format!("Builder::{name}"),
            name => format!("Builder::{name}({text:?})"),
        };
        let expected = format!("{begin}{error}");
        assert!(
            problems
                .iter()
                .any(|problem| problem.starts_with(&expected)),
            "{expected:?} in {problems:#?}"
        );
    }
    for expected in [
        "Builder::context_key(\"order id\") is not a field name",
        "Builder::field(\"level\", …): `level` is a key of the line itself",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{problems:#?}"
        );
    }
    assert_eq!(problems.len(), SETTERS.len() + 2, "{problems:#?}");
    assert!(!path.parent().unwrap().exists());
    // A failed start does not prevent another start.
    drop(
        Builder::new(Preset::Prod)
            .output(Output::None)
            .init()
            .unwrap(),
    );
}

#[test]
fn wrong_text_that_may_be_a_secret_is_not_shown() {
    alone!();
    for setter in SETTERS {
        for secret in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "postgres://shop:9f86d081884c7d65@db/shop",
        ] {
            let Err(error) = (setter.set)(Builder::new(Preset::Prod).output("none"), secret).init()
            else {
                // The text is a valid target, so this start succeeded. Later starts fail because of
                // it.
                continue;
            };
            let text = format!("{error}\n{error:?}");
            assert!(
                !["9f86d08", "a2feaa0", "ghp_abcd", "xyz01234"]
                    .iter()
                    .any(|part| text.contains(part)),
                "{}: {text}",
                setter.name
            );
        }
    }
}

/// The start changes the builder of Sentry, and reports its mistakes with all others.
#[cfg(feature = "sentry")]
#[test]
fn wrong_sentry_levels_are_reported_with_the_rest() {
    alone!();
    let builder = Builder::new(Preset::Prod)
        .output("stdot")
        .sentry_dsn("http://key@localhost:9/42")
        .sentry(|sentry| {
            sentry
                .event_levels("warn,shop=debgu")
                .breadcrumb_levels("9f86d081884c7d659a2feaa0c55ad015=debgu")
                .logs(" ")
        });
    let problems = match builder.init() {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    };
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(
        problems[0].starts_with("Builder::output(\"stdot\")"),
        "{problems:#?}"
    );
    assert!(
        problems[1]
            .starts_with("sentry::SentryBuilder::event_levels(\"warn,shop=debgu\"): `shop=debgu`"),
        "{problems:#?}"
    );
    assert!(problems[2].starts_with("sentry::SentryBuilder::breadcrumb_levels((hidden, "));
    assert!(!problems[2].contains("9f86d08"), "{problems:#?}");
}

/// Setters also accept values and levels.
#[test]
fn setters_take_values_as_well() {
    let builder = Builder::new(Preset::Prod)
        .preset(Preset::Dev)
        .default_preset("prod")
        .levels(LevelFilter::WARN)
        .levels(Levels::default())
        .levels("warn".to_owned())
        .span_levels(TargetLevels::from(LevelFilter::INFO))
        .span_levels(LevelFilter::DEBUG)
        .format(Format::Compact)
        .time(TimeZone::Utc)
        .output(Output::Stdout)
        .output_level(Level::INFO)
        .color(Color::Never)
        .file("/tmp/spanwise-never-opened/a.log")
        .file_level(LevelFilter::ERROR)
        .file_rotation(Rotation::default())
        .file_retention(Retention::default())
        .file_compression(Compression::None)
        .sampler("info=0.1".parse::<Sampler>().unwrap())
        .recorder(Recorder::default());
    let text = builder.explain().to_string();
    for line in [
        "LOG_PRESET = dev (code)",
        "RUST_LOG = warn (code)",
        "LOG_SPANS = debug (code)",
        "LOG_FORMAT = compact (code)",
        "LOG_TIME = utc (code)",
        "LOG_OUTPUT_LEVEL = info (code)",
        "LOG_COLOR = never (code)",
        "LOG_SAMPLE = info=0.1 (code)",
        "LOG_RECORDER = debug (code)",
    ] {
        assert!(
            text.lines().any(|other| other == line),
            "{line:?} in\n{text}"
        );
    }
}

/// The lines of an explanation that begin with `wrong: `, without that word.
fn wrong_lines(builder: &Builder) -> Vec<String> {
    let text = builder.explain().to_string();
    let lines = text.lines().filter_map(|line| line.strip_prefix("wrong: "));
    lines.map(str::to_owned).collect()
}

#[test]
fn explanation_lists_what_init_reports() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.log");
    let build = |is_wrong: bool| {
        let builder = Builder::new(Preset::Prod).file(&path).strict();
        let builder = builder.context_key(if is_wrong { "order id" } else { "order_id" });
        SETTERS.iter().fold(builder, |builder, setter| {
            let (wrong, _) = setter.wrong;
            (setter.set)(builder, if is_wrong { wrong } else { setter.right })
        })
    };
    assert_eq!(wrong_lines(&build(false)), [""; 0]);
    let wrong = build(true);
    let explained = wrong_lines(&wrong);
    assert_eq!(wrong.init().err(), Some(InitError::Settings(explained)));
}

/// A strict start fails where others warn, so the explanation has the text once, as wrong.
#[test]
fn strict_explanation_lists_warnings_as_wrong() {
    let vars = [("LOG_PRESET", "prod"), ("LOG_DRIVER", "x")];
    let builder = Builder::from_vars(vars).unwrap();
    assert!(
        builder
            .explain()
            .to_string()
            .contains("warning: LOG_DRIVER")
    );
    let builder = builder.strict();
    let text = builder.explain().to_string();
    assert!(
        wrong_lines(&builder)[0].starts_with("LOG_DRIVER "),
        "{text}"
    );
    assert!(!text.contains("warning: "), "{text}");
}

#[test]
fn empty_service_in_code_changes_nothing() {
    let vars = [
        ("SERVICE_NAME", "shop"),
        ("SERVICE_VERSION", "1.4.0"),
        ("SERVICE_NODE", "shop-0"),
    ];
    let builder = Builder::from_vars(vars).unwrap().service("", " \n");
    let text = builder.service_node("").explain().to_string();
    for line in [
        "SERVICE_NAME = shop (SERVICE_NAME)",
        "SERVICE_VERSION = 1.4.0 (SERVICE_VERSION)",
        "SERVICE_NODE = shop-0 (SERVICE_NODE)",
    ] {
        assert!(text.lines().any(|other| other == line), "{text}");
    }
}

/// The explanation lists `off` in code, which beats the variable.
#[test]
fn off_in_code_beats_the_variable() {
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_SAMPLE", "info=0.1"),
        ("LOG_RECORDER", "debug"),
    ];
    let text = Builder::from_vars(vars)
        .unwrap()
        .sampler("off")
        .recorder("off")
        .explain();
    let text = text.to_string();
    assert!(text.contains("LOG_SAMPLE = none (code)"), "{text}");
    assert!(text.contains("LOG_RECORDER = off (code)"), "{text}");
}
