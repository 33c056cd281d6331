//! How each setting treats values that people write, valid and invalid ones.

use spanwise::{Builder, InitError, SETTINGS};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// `explain()` shows the value in this form.
    Is(&'static str),
    /// The start fails with an error that contains this text.
    Wrong(&'static str),
}

use Verdict::{Is, Wrong};

const QUOTES: Verdict = Wrong("the quotes are part of the value");
const REPEATED: Verdict = Wrong("begins with the name of a variable");
const CONTROL: Verdict = Wrong("a line break or another control character");

/// A variable, a realistic value, and its result.
const VALUES: &[(&str, &str, Verdict)] = &[
    ("RUST_LOG", "info", Is("info")),
    ("RUST_LOG", "INFO\n", Is("info")),
    ("RUST_LOG", "Warning", Is("warn")),
    ("RUST_LOG", "fatal", Is("error")),
    ("RUST_LOG", "CRITICAL,shop=DEBUG", Is("error,shop=debug")),
    ("RUST_LOG", "3", Is("info")),
    ("RUST_LOG", "sqlx=warn", Is("info,sqlx=warn")),
    ("RUST_LOG", "inof", Wrong("did you mean `info`?")),
    ("RUST_LOG", "Information", Wrong("did you mean `info`?")),
    ("RUST_LOG", "info;debug", Wrong("is not a directive")),
    ("RUST_LOG", "info,h2:warn", Wrong("write `h2=warn`")),
    ("RUST_LOG", "info/foo", Wrong("text after `/`")),
    ("RUST_LOG", "\"info\"", QUOTES),
    ("RUST_LOG", "'info,sqlx=warn'", QUOTES),
    ("RUST_LOG", "RUST_LOG=debug", REPEATED),
    ("RUST_LOG", "export RUST_LOG=debug", REPEATED),
    ("RUST_LOG", "info\nsqlx=warn", CONTROL),
    ("LOG_LEVEL", "LOG_LEVEL=debug", REPEATED),
    ("LOG_SPANS", "Debug", Is("debug")),
    ("LOG_SPANS", "off", Is("off")),
    ("LOG_SPANS", "info,hyper=OFF", Is("info,hyper=off")),
    ("LOG_SPANS", "inof", Wrong("did you mean `info`?")),
    ("LOG_SPANS", "true", Wrong("`true` is not a level")),
    (
        "LOG_SPANS",
        "new,close",
        Wrong("write `new=trace`; accepts"),
    ),
    ("LOG_SPANS", "[request]=debug", Wrong("put it in RUST_LOG")),
    ("LOG_SPANS", "LOG_SPANS=debug", REPEATED),
    (
        "LOG_OWN",
        "shop, shop-db,h2::client",
        Is("shop, shop-db, h2::client"),
    ),
    ("LOG_OWN", "shop=debug", Wrong("is not a target")),
    ("LOG_OWN", "\"shop\"", QUOTES),
    ("LOG_PRESET", "production", Is("prod")),
    ("LOG_PRESET", "Development", Is("dev")),
    ("LOG_PRESET", "staging", Wrong("did you mean prod?")),
    (
        "LOG_PRESET",
        "live",
        Wrong("\"live\" is unknown: accepts dev, prod, test"),
    ),
    ("LOG_FORMAT", "JSON", Is("json")),
    ("LOG_FORMAT", "jsn", Wrong("did you mean json?")),
    (
        "LOG_FIELDS",
        "+location, level>severity ,-target",
        Is("+location,level>severity,-target"),
    ),
    ("LOG_FIELDS", "target", Wrong("write `-target` to omit it")),
    ("LOG_FIELDS", "a>b,c>b", Wrong("`a>b` has the same key")),
    ("LOG_MAX_LINE", "64kib", Is("64KiB")),
    ("LOG_MAX_LINE", "1024B", Is("1KiB")),
    (
        "LOG_MAX_LINE",
        "100B",
        Wrong("is out of range: write a size from 256B to 1GiB"),
    ),
    ("LOG_MAX_LINE", "2GiB", Wrong("is out of range")),
    ("LOG_MAX_LINE", "65536", Wrong("has no unit")),
    (
        "LOG_MAX_LINE",
        "256",
        Wrong("has no unit: write `256B` for bytes, or a size from 256B to 1GiB"),
    ),
    ("LOG_FORMAT", "\"json\"", QUOTES),
    ("LOG_FORMAT", "json\"", QUOTES),
    ("LOG_OUTPUT", "STDERR", Is("stderr")),
    ("LOG_OUTPUT", "/dev/stdout", Wrong("is unknown")),
    ("LOG_OUTPUT_LEVEL", "WARNING", Is("warn")),
    (
        "LOG_OUTPUT_LEVEL",
        "off",
        Wrong("is unknown: accepts error, warn"),
    ),
    ("LOG_OUTPUT_LEVEL", "info,sqlx=warn", Wrong("is unknown")),
    ("LOG_COLOR", "Always", Is("always")),
    ("LOG_COLOR", "alway", Wrong("did you mean always?")),
    ("LOG_COLOR", "purple", Wrong("is unknown")),
    ("LOG_FILE", "\"/tmp/shop/a.log\"", QUOTES),
    ("LOG_FILE", "/tmp/shop/a.log\"", QUOTES),
    ("LOG_FILE", "~/a.log", Wrong("which is not expanded")),
    ("LOG_FILE", "${HOME}/a.log", Wrong("which is not expanded")),
    ("LOG_FILE", "LOG_FILE=/tmp/a.log", REPEATED),
    ("LOG_FILE", "/tmp/", Wrong("names a directory")),
    ("LOG_FILE_LEVEL", "critical", Is("error")),
    ("LOG_FILE_LEVEL", "verbose", Wrong("did you mean debug?")),
    ("LOG_ERROR_FILE", "“/tmp/a.log”", QUOTES),
    ("LOG_FILE_ROTATE", "daily,100MiB", Is("daily,100MiB")),
    ("LOG_FILE_ROTATE", "100", Wrong("has no unit")),
    ("LOG_FILE_KEEP", "14 files", Is("14 files")),
    ("LOG_FILE_KEEP", "'30d'", QUOTES),
    ("LOG_FILE_COMPRESS", "bzip2", Wrong("is not a compression")),
    ("LOG_FILE_PER_PROCESS", "Yes", Is("1")),
    (
        "LOG_FILE_PER_PROCESS",
        "maybe",
        Wrong("is unknown: accepts 1, true"),
    ),
    ("LOG_REDACT", "\"off\"", QUOTES),
    ("LOG_REDACT", "password", Wrong("write `+password`")),
    ("LOG_SAMPLE", "info=0.1", Is("info=0.1")),
    ("LOG_SAMPLE", "'info=0.1'", QUOTES),
    ("LOG_SAMPLE", "info=1.5", Wrong("`info=1.5`")),
    ("LOG_RECORDER", "Debug", Is("debug")),
    ("LOG_RECORDER", "on", Wrong("did you mean debug?")),
    (
        "LOG_CONTEXT",
        "order_id, job_id",
        Is("request_id, tenant_id, user_id, trace_id, span_id, order_id, job_id"),
    ),
    ("LOG_CONTEXT", "\"order_id\"", QUOTES),
    ("LOG_CONTEXT", "order id", Wrong("is not a field name")),
    ("LOG_TIME", "Local", Is("local")),
    (
        "LOG_TIME",
        "utv",
        Wrong("did you mean utc? accepts local, utc"),
    ),
    (
        "LOG_TIME",
        "Europe/Berlin",
        Wrong("is unknown: accepts local, utc; for another zone, write local and set TZ"),
    ),
    (
        "LOG_STATIC_FIELDS",
        "region=eu, zone = b=1 ,",
        Is("region=eu,zone=b=1"),
    ),
    ("LOG_STATIC_FIELDS", "region=\"eu\"", QUOTES),
    ("LOG_STATIC_FIELDS", "region", Wrong(": part 1 has no `=`")),
    (
        "LOG_STATIC_FIELDS",
        "region=",
        Wrong("\"region\" has no value"),
    ),
    (
        "LOG_STATIC_FIELDS",
        "my region=eu",
        Wrong("\"my region\" is not a field name"),
    ),
    (
        "LOG_STATIC_FIELDS",
        "=eu",
        Wrong("\"\" is not a field name"),
    ),
    ("LOG_STATIC_FIELDS", "a=1,a=2", Wrong("`a` is set twice")),
    (
        "LOG_STATIC_FIELDS",
        "password=mossy7",
        Is("password=[REDACTED]"),
    ),
    ("LOG_STRICT", "on", Is("1")),
    (
        "LOG_STRICT",
        "sometimes",
        Wrong("is unknown: accepts 1, true"),
    ),
    ("SERVICE_NAME", "shop-api", Is("shop-api")),
    ("SERVICE_NAME", "\"shop\"", QUOTES),
    ("SERVICE_NAME", "SERVICE_NAME=shop", REPEATED),
    ("SERVICE_VERSION", "'1.4.0'", QUOTES),
    ("SERVICE_VERSION", "1.4.0\u{1b}[31m", CONTROL),
    ("OTEL_SERVICE_NAME", "`shop`", QUOTES),
    ("APP_ENV", "\"production\"", QUOTES),
    ("APP_ENV", "blue", Is("blue")),
    ("RUST_ENV", "'dev'", QUOTES),
    ("ENVIRONMENT", "ENVIRONMENT=prod", REPEATED),
    #[cfg(feature = "http")]
    ("LOG_HTTP_TRUST", "NEVER", Is("never")),
    #[cfg(feature = "http")]
    (
        "LOG_HTTP_TRUST",
        "10.0.0.0/8, ::ffff:10.1.2.3",
        Is("10.0.0.0/8,10.1.2.3/32"),
    ),
    #[cfg(feature = "http")]
    ("LOG_HTTP_TRUST", "::ffff:10.0.0.0/104", Is("10.0.0.0/8")),
    #[cfg(feature = "http")]
    (
        "LOG_HTTP_TRUST",
        "::ffff:10.1.2.3/104",
        Wrong("bits beyond the prefix; write `10.0.0.0/8`"),
    ),
    #[cfg(feature = "http")]
    (
        "LOG_HTTP_TRUST",
        "10.1.2.3/8",
        Wrong("bits beyond the prefix; write `10.0.0.0/8`"),
    ),
    #[cfg(feature = "http")]
    (
        "LOG_HTTP_TRUST",
        "fd00::1/8",
        Wrong("bits beyond the prefix; write `fd00::/8`"),
    ),
    #[cfg(feature = "http")]
    ("LOG_HTTP_CLIENT_ADDRESS", "\"none\"", QUOTES),
    #[cfg(feature = "sentry")]
    (
        "SENTRY_DSN",
        "\"https://key@sentry.example.com/42\"",
        QUOTES,
    ),
    #[cfg(feature = "sentry")]
    (
        "SENTRY_DSN",
        "SENTRY_DSN=https://key@sentry.example.com/42",
        REPEATED,
    ),
    #[cfg(feature = "sentry")]
    ("SENTRY_RELEASE", "..", Wrong("Sentry discards a release")),
    #[cfg(feature = "sentry")]
    ("SENTRY_RELEASE", ".", Wrong("Sentry discards a release")),
    #[cfg(feature = "sentry")]
    (
        "SENTRY_RELEASE",
        "team/shop@1.0",
        Wrong("Sentry discards a release"),
    ),
    #[cfg(feature = "sentry")]
    (
        "SENTRY_RELEASE",
        "team\\shop@1.0",
        Wrong("Sentry discards a release"),
    ),
    #[cfg(feature = "sentry")]
    (
        "SENTRY_ENVIRONMENT",
        "None",
        Wrong("Sentry discards an environment"),
    ),
    #[cfg(feature = "sentry")]
    (
        "SENTRY_ENVIRONMENT",
        "eu west",
        Wrong("Sentry discards an environment"),
    ),
    #[cfg(feature = "sentry")]
    (
        "SENTRY_ENVIRONMENT",
        "eu/west",
        Wrong("Sentry discards an environment"),
    ),
    #[cfg(feature = "sentry")]
    ("SENTRY_SAMPLE_RATE", "1.5", Wrong("is out of range")),
    #[cfg(feature = "sentry")]
    ("SENTRY_TRACES_SAMPLE_RATE", "NaN", Wrong("is out of range")),
    #[cfg(feature = "sentry")]
    ("SENTRY_EVENT_LEVEL", "fatal", Is("error")),
    #[cfg(feature = "sentry")]
    ("SENTRY_EVENT_LEVEL", "fatl", Wrong("did you mean `error`?")),
    #[cfg(feature = "sentry")]
    ("SENTRY_BREADCRUMB_LEVEL", "'info'", QUOTES),
    #[cfg(feature = "sentry")]
    ("SENTRY_ENABLE_LOGS", "maybe", Wrong("is unknown")),
];

/// Returns the result of a value, together with the other settings that the setting needs.
fn outcome(name: &str, value: &str) -> Result<String, Vec<String>> {
    let mut vars = vec![("LOG_PRESET", "prod"), (name, value)];
    if name == "LOG_PRESET" {
        vars.remove(0);
    }
    if name.starts_with("LOG_FILE_") {
        vars.push(("LOG_FILE", "/tmp/spanwise-never-opened/a.log"));
    }
    if name.starts_with("SENTRY_") && name != "SENTRY_DSN" {
        vars.push(("SENTRY_DSN", "https://key@sentry.example.com/42"));
    }
    match Builder::from_vars(vars) {
        Ok(builder) => {
            let text = builder.explain().to_string();
            // Code may register a format, so an unknown one is a problem at the start.
            let wrong = text.lines().filter_map(|line| line.strip_prefix("wrong: "));
            match wrong.map(str::to_owned).collect::<Vec<_>>() {
                wrong if wrong.is_empty() => Ok(text),
                wrong => Err(wrong),
            }
        }
        Err(InitError::Settings(problems)) => Err(problems),
        Err(error) => panic!("{error}"),
    }
}

/// Returns the line of one setting, under any of its names.
fn line(text: &str, name: &str) -> String {
    let shown_as = match name {
        "OTEL_SERVICE_NAME" => "SERVICE_NAME",
        "RUST_ENV" | "ENVIRONMENT" => "APP_ENV",
        name => name,
    };
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{shown_as} = ")));
    line.unwrap_or_else(|| panic!("{name} in\n{text}"))
        .to_owned()
}

#[test]
fn value_means_what_its_writer_means_or_is_refused() {
    for (name, value, verdict) in VALUES {
        match (outcome(name, value), verdict) {
            (Ok(text), Is(shown)) => assert_eq!(line(&text, name), format!("{shown} ({name})")),
            (Err(problems), Wrong(part)) => {
                assert_eq!(problems.len(), 1, "{problems:?}");
                assert!(
                    problems[0].starts_with(name) && problems[0].contains(part),
                    "{name}={value:?}: {problems:?}"
                );
            }
            (outcome, _) => panic!("{name}={value:?}: {outcome:?}"),
        }
    }
}

/// Values of each setting that accepts words. Upper and lower case mean the same.
const WORDS: &[(&str, &[&str])] = &[
    ("RUST_LOG", &["info", "off", "warning", "2"]),
    ("LOG_LEVEL", &["trace", "critical"]),
    ("LOG_SPANS", &["info", "off", "warning", "3"]),
    (
        "LOG_PRESET",
        &["dev", "prod", "test", "cli", "production", "development"],
    ),
    (
        "LOG_FORMAT",
        &[
            "json",
            "json-nested",
            "ecs",
            "gcp",
            "datadog",
            "logstash",
            "gelf",
            "bunyan",
            "emf",
            "pretty",
            "compact",
            "short",
        ],
    ),
    ("LOG_OUTPUT", &["stdout", "stderr", "none"]),
    ("LOG_OUTPUT_LEVEL", &["error", "warning", "debug"]),
    ("LOG_COLOR", &["auto", "always", "never"]),
    ("LOG_TIME", &["local", "utc"]),
    ("LOG_PANIC_BACKTRACE", &["short", "full", "off"]),
    ("LOG_FILE_LEVEL", &["warn", "fatal"]),
    (
        "LOG_FILE_ROTATE",
        &["daily,100MiB", "hourly", "never", "weekly,local"],
    ),
    (
        "LOG_FILE_KEEP",
        &["14 files", "30d", "10GiB,free=5GiB", "all"],
    ),
    ("LOG_FILE_COMPRESS", &["none", "gzip"]),
    ("LOG_FILE_PER_PROCESS", &["1", "true", "no", "off"]),
    ("LOG_REDACT", &["on", "off", "+employee_no,-session,-ipv4"]),
    (
        "LOG_SAMPLE",
        &["off", "info=0.1,debug=5/s", "info=first:10/100"],
    ),
    ("LOG_RECORDER", &["off", "debug", "debug,slow=1s,tail=0.01"]),
    ("LOG_STRICT", &["0", "true"]),
    ("APP_ENV", &["production", "staging", "test", "local"]),
    ("RUST_ENV", &["production", "dev"]),
    ("ENVIRONMENT", &["production", "dev"]),
    #[cfg(feature = "http")]
    (
        "LOG_HTTP_TRUST",
        &["never", "always", "10.0.0.0/8,fd00::/8"],
    ),
    #[cfg(feature = "http")]
    ("LOG_HTTP_CLIENT_ADDRESS", &["full", "network", "none"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_EVENT_LEVEL", &["error", "off"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_BREADCRUMB_LEVEL", &["info"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_SAMPLE_RATE", &["1", "0.5", "1e-2"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_TRACES_SAMPLE_RATE", &["0.25"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_GROUPING", &["on", "off"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_ENABLE_LOGS", &["true", "false"]),
];

/// Values of settings that accept any text, with case distinction.
const TEXTS: &[(&str, &[&str])] = &[
    ("LOG_FILE", &["/tmp/spanwise-never-opened/a.log"]),
    ("LOG_ERROR_FILE", &["/tmp/spanwise-never-opened/e.log"]),
    ("LOG_OWN", &["shop,shop_db"]),
    ("LOG_CONTEXT", &["order_id,job_id"]),
    ("LOG_STATIC_FIELDS", &["region=eu,cluster=blue"]),
    ("SERVICE_NAME", &["shop-api", "the shop"]),
    ("SERVICE_VERSION", &["1.4.0"]),
    ("OTEL_SERVICE_NAME", &["shop"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_DSN", &["https://key@sentry.example.com/42"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_ENVIRONMENT", &["eu-west"]),
    #[cfg(feature = "sentry")]
    ("SENTRY_RELEASE", &["shop@1.4.0"]),
];

#[test]
fn quotes_blanks_and_case_are_ignored_or_refused() {
    let plain: [fn(&str) -> String; 10] = [
        |value| format!(" {value}"),
        |value| format!("{value}\n"),
        |value| format!("\t{value} \r\n"),
        |value| format!("\u{a0}{value}\u{2003}"),
        |value| value.replace(',', " , "),
        |value| format!("\"{value}\""),
        |value| format!("'{value}'"),
        |value| format!("\"{value}"),
        |value| format!("{value}'"),
        |value| format!(" \"{value}\" "),
    ];
    let cased: [fn(&str) -> String; 2] = [str::to_uppercase, |value| {
        let mut letters = value.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        first.unwrap_or_default() + letters.as_str()
    }];
    for (settings, is_cased) in [(WORDS, true), (TEXTS, false)] {
        for (name, values) in settings {
            for value in *values {
                let expected = outcome(name, value);
                let expected = expected.unwrap_or_else(|error| panic!("{name}={value}: {error:?}"));
                let changes = plain.iter().chain(cased.iter().filter(|_| is_cased));
                for changed in changes.map(|change| change(value)) {
                    match outcome(name, &changed) {
                        // The environment of the service is shown unchanged.
                        Ok(text) if line(&expected, "APP_ENV").starts_with(value) => assert_eq!(
                            line(&text, "LOG_PRESET"),
                            line(&expected, "LOG_PRESET"),
                            "{name}={changed:?}"
                        ),
                        Ok(text) => assert_eq!(text, expected, "{name}={changed:?}"),
                        Err(problems) => {
                            assert!(
                                problems[0].starts_with(name),
                                "{name}={changed:?}: {problems:?}"
                            );
                        }
                    }
                    // A value with quotes is never accepted.
                    if changed.contains(['"', '\'']) {
                        assert!(outcome(name, &changed).is_err(), "{name}={changed:?}");
                    }
                }
            }
        }
    }
}

/// Settings that are in no table accept the examples of their definitions.
#[test]
fn examples_of_a_setting_are_accepted() {
    let tried = |name: &str| WORDS.iter().chain(TEXTS).any(|(other, _)| *other == name);
    let owned_by_others = [
        "NO_COLOR",
        "FORCE_COLOR",
        "CLICOLOR_FORCE",
        "TERM",
        "GOOGLE_CLOUD_PROJECT",
        "LOG_CONFIG",
        "LOG_REDACT_KEY_FILE",
    ];
    for setting in SETTINGS {
        let is_off = setting.name.contains("SENTRY") && !cfg!(feature = "sentry")
            || setting.name.contains("HTTP") && !cfg!(feature = "http");
        if tried(setting.name) || owned_by_others.contains(&setting.name) || is_off {
            continue;
        }
        // The name of the feature is not an example.
        let accepts = setting.accepts.split("; in programs built").next();
        let quoted = accepts.unwrap_or_default().split('`').skip(1).step_by(2);
        let quoted: Vec<&str> = quoted.collect();
        let first = setting.accepts.split(',').next().unwrap_or_default();
        let examples = if quoted.is_empty() {
            vec![first]
        } else {
            quoted
        };
        for example in examples {
            let outcome = outcome(setting.name, example);
            assert!(outcome.is_ok(), "{}={example}: {outcome:?}", setting.name);
        }
    }
}

/// No message contains a secret key that is set under the wrong name.
#[test]
fn value_that_may_be_a_key_is_not_shown() {
    alone!();
    const KEYS: [&str; 8] = [
        "4111111111111111",
        "9f86d081884c7d659a2feaa0c55ad015",
        "Wq7Ld93xPaTz/b0cKm+f1Q==",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "correcthorsebatterystaplecorrecthorse",
        "/9f86d081884c7d659a2feaa0c55ad015",
        "info,shop=9f86d081884c7d65",
        "postgres://shop:9f86d081884c7d65@db/shop",
    ];
    let others = [
        "LOG_REDACT_KEY",
        "LOG_KEY",
        "LOG_FROMAT",
        "LOG_SECRET",
        "SENTRY_DNS",
    ];
    let names = SETTINGS.iter().map(|setting| setting.name).chain(others);
    let mut refused = 0;
    for name in names {
        for key in KEYS {
            let vars = [("LOG_PRESET", "prod"), ("LOG_STRICT", "1"), (name, key)];
            let vars = || {
                vars.into_iter()
                    .filter(|(other, value)| *other != name || *value == key)
            };
            let Err(error) = Builder::from_vars(vars()) else {
                continue;
            };
            refused += 1;
            let text = format!("{error}\n{error:?}");
            let secret = key
                .rsplit(['=', '/', ':'])
                .find(|part| part.len() > 8)
                .unwrap_or(key);
            let secret = secret.split('@').next().unwrap();
            for start in 0..secret.len() - 7 {
                let piece = &secret[start..start + 8];
                assert!(!text.contains(piece), "{name}={key}: {text}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
    // Errors that occur when files are opened.
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_FILE", "/dev/null/9f86d081884c7d65"),
    ];
    let error = match Builder::from_vars(vars) {
        Ok(builder) => builder.init().unwrap_err(),
        Err(error) => error,
    };
    assert!(!error.to_string().contains("9f86d08"), "{error}");
}

#[cfg(feature = "sentry")]
#[test]
fn names_that_sentry_discards_stop_the_start() {
    alone!();
    let start = |vars: &[(&'static str, &'static str)]| {
        let dsn = ("SENTRY_DSN", "http://key@localhost:9/42");
        let vars = vars.iter().copied().chain([dsn, ("LOG_PRESET", "prod")]);
        match Builder::from_vars(vars)
            .unwrap()
            .output(spanwise::Output::None)
            .init()
        {
            Err(InitError::Settings(problems)) => problems,
            other => panic!("{other:?}"),
        }
    };
    let release = start(&[("SERVICE_NAME", "team/shop"), ("SERVICE_VERSION", "1.0")]);
    assert!(
        release[0].starts_with("SENTRY_RELEASE is made of SERVICE_NAME and SERVICE_VERSION, \"team/shop@1.0\": Sentry discards"),
        "{release:?}"
    );
    let environment = start(&[("APP_ENV", "eu west"), ("LOG_FILE_KEEP", "3")]);
    assert_eq!(environment.len(), 2, "{environment:?}");
    assert!(environment[1].starts_with("SENTRY_ENVIRONMENT is that of the service, \"eu west\""));
}

#[test]
fn template_may_end_in_a_quote() {
    let template = "text:{level} msg=\"{message}\"";
    assert!(outcome("LOG_FORMAT", template).unwrap().contains(template));
}
