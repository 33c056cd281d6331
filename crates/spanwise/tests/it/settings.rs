//! The settings of the environment, and their precedence.

mod mistakes;
mod names;
mod values;

use spanwise::{Builder, Format, InitError, Preset, SETTINGS};

fn explain<const N: usize>(vars: [(&str, &str); N]) -> String {
    Builder::from_vars(vars).unwrap().explain().to_string()
}

fn problems<const N: usize>(vars: [(&str, &str); N]) -> Vec<String> {
    match Builder::from_vars(vars) {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(
        text.lines().any(|other| other == line),
        "{line:?} in:\n{text}"
    );
}

#[test]
fn preset_is_named_or_from_the_deployment() {
    assert_line(
        &explain([("LOG_PRESET", "test"), ("APP_ENV", "production")]),
        "LOG_PRESET = test (LOG_PRESET)",
    );
    for variable in ["APP_ENV", "RUST_ENV", "ENVIRONMENT"] {
        for (value, preset) in [
            ("production", "prod"),
            ("staging", "prod"),
            ("Prod", "prod"),
            // The name of an environment. Only code and LOG_PRESET can choose the preset test.
            ("test", "prod"),
            ("TEST\n", "prod"),
            ("local", "dev"),
        ] {
            let text = explain([(variable, value)]);
            assert_line(&text, &format!("LOG_PRESET = {preset} ({variable})"));
            let text = explain([(variable, value), ("LOG_PRESET", "test")]);
            assert_line(&text, "LOG_PRESET = test (LOG_PRESET)");
        }
    }
    assert_line(
        &explain([("APP_ENV", "prod"), ("ENVIRONMENT", "test")]),
        "LOG_PRESET = prod (APP_ENV)",
    );
    let other = explain([("APP_ENV", "blue")]);
    assert!(
        other.contains("(by whether stderr is a terminal)"),
        "{other}"
    );
    assert_line(&other, "APP_ENV = blue (APP_ENV)");
}

#[test]
fn code_beats_environment_beats_preset() {
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_FORMAT", "compact"),
        ("RUST_LOG", "sqlx=warn"),
    ];
    let from_env = explain(vars);
    assert_line(&from_env, "LOG_FORMAT = compact (LOG_FORMAT)");
    assert_line(&from_env, "RUST_LOG = info,sqlx=warn (RUST_LOG)");
    assert_line(&from_env, "LOG_OUTPUT = stdout (preset prod)");
    let code = Builder::from_vars(vars)
        .unwrap()
        .format(Format::JsonNested)
        .preset(Preset::Dev)
        .explain()
        .to_string();
    assert_line(&code, "LOG_FORMAT = json-nested (code)");
    assert_line(&code, "LOG_PRESET = dev (code)");
    assert_line(&code, "LOG_OUTPUT = stderr (preset dev)");
}

#[test]
fn values_are_trimmed_and_empty_is_unset() {
    let text = explain([
        ("LOG_PRESET", " prod\n"),
        ("LOG_FORMAT", ""),
        ("RUST_LOG", " \n"),
    ]);
    assert_line(&text, "LOG_PRESET = prod (LOG_PRESET)");
    assert_line(&text, "LOG_FORMAT = json (preset prod)");
    assert_line(&text, "RUST_LOG = info (preset prod)");
}

#[test]
fn service_variables_beat_opentelemetry_s() {
    let text = explain([
        ("OTEL_SERVICE_NAME", "otel"),
        ("SERVICE_NAME", "shop"),
        ("SERVICE_VERSION", "1.4.0"),
    ]);
    assert_line(&text, "SERVICE_NAME = shop (SERVICE_NAME)");
    assert_line(&text, "SERVICE_VERSION = 1.4.0 (SERVICE_VERSION)");
    assert_line(
        &explain([("OTEL_SERVICE_NAME", "otel")]),
        "SERVICE_NAME = otel (OTEL_SERVICE_NAME)",
    );
    assert_line(&explain([]), "SERVICE_NAME = it (program name)");
}

#[test]
fn unset_environment_is_omitted() {
    assert_line(
        &explain([("LOG_PRESET", "prod")]),
        "APP_ENV = none (not set)",
    );
    for name in ["APP_ENV", "RUST_ENV", "ENVIRONMENT"] {
        let text = explain([(name, "test")]);
        assert_line(&text, &format!("APP_ENV = test ({name})"));
    }
}

#[test]
fn own_targets_have_debug_under_dev() {
    let dev = ("LOG_PRESET", "dev");
    let text = explain([dev, ("LOG_OWN", "shop, shop-db,warehouse::stock")]);
    assert_line(&text, "LOG_OWN = shop, shop-db, warehouse::stock (LOG_OWN)");
    assert_line(
        &text,
        "RUST_LOG = info,shop=debug,shop-db=debug,warehouse::stock=debug (preset dev)",
    );
    // Code takes precedence over the environment, and RUST_LOG adds to both.
    let vars = [dev, ("LOG_OWN", "shop"), ("RUST_LOG", "sqlx=warn")];
    let code = Builder::from_vars(vars).unwrap().own_targets(["warehouse"]);
    let text = code.explain().to_string();
    assert_line(&text, "LOG_OWN = warehouse (code)");
    assert_line(
        &text,
        "RUST_LOG = info,warehouse=debug,sqlx=warn (RUST_LOG)",
    );
    assert_line(&explain([dev]), "LOG_OWN = it (program name)");
    let prod = explain([("LOG_PRESET", "prod"), ("LOG_OWN", "shop")]);
    assert_line(&prod, "RUST_LOG = info (preset prod)");
}

#[test]
fn own_target_without_match_is_refused() {
    alone!();
    let wrong = [
        ("shop=debug", "`shop=debug` is not a target"),
        ("my shop", "`my shop` is not a target"),
        ("debug", "`debug` is a level, not a target"),
        ("::shop", "`::shop=debug`"),
    ];
    for (target, error) in wrong {
        let by_variable = problems([("LOG_OWN", target), ("LOG_COLOR", "purple")]);
        assert_eq!(by_variable.len(), 2, "{by_variable:?}");
        assert!(
            by_variable.iter().any(
                |problem| problem.starts_with(&format!("LOG_OWN={target:?}: "))
                    && problem.contains(error)
            ),
            "{by_variable:?}"
        );
    }
    let all = wrong.map(|(target, _)| target);
    match Builder::new(Preset::Dev).own_targets(all).init() {
        Err(InitError::Settings(problems)) => {
            assert_eq!(problems.len(), wrong.len(), "{problems:?}");
            assert!(
                problems[0]
                    .starts_with("Builder::own_targets(\"shop=debug\"): `shop=debug` is not")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rust_log_beats_log_level() {
    assert_line(
        &explain([("LOG_LEVEL", "warn")]),
        "LOG_LEVEL = warn (LOG_LEVEL)",
    );
    assert_line(
        &explain([("LOG_LEVEL", "warn"), ("RUST_LOG", "WARN")]),
        "RUST_LOG = warn (RUST_LOG)",
    );
    let both = [("LOG_LEVEL", "warn"), ("RUST_LOG", "error")];
    let text = explain(both);
    assert_line(&text, "RUST_LOG = error (RUST_LOG)");
    let warning = "LOG_LEVEL=warn has no effect: RUST_LOG=error is set too; remove one of them";
    assert_line(&text, &format!("warning: {warning}"));
    let [one, other] = both;
    assert_eq!(problems([one, other, ("LOG_STRICT", "1")]), [warning]);
}

#[test]
fn context_keys_are_added_to_the_five() {
    let text = explain([("LOG_CONTEXT", "order_id, job_id,request_id")]);
    assert_line(
        &text,
        "LOG_CONTEXT = request_id, tenant_id, user_id, trace_id, span_id, order_id, job_id (LOG_CONTEXT)",
    );
    // A key that several sources name is listed once.
    let builder = Builder::from_vars([("LOG_CONTEXT", "order_id")]).unwrap();
    let builder = builder.context_key("tenant_id").context_key("order_id");
    assert_line(
        &builder.explain().to_string(),
        "LOG_CONTEXT = request_id, tenant_id, user_id, trace_id, span_id, order_id (code)",
    );
    assert!(problems([("LOG_CONTEXT", "order id")])[0].contains("`order id` is not a field name"));
}

#[test]
fn every_setting_is_defined_once_and_documented() {
    for (index, setting) in SETTINGS.iter().enumerate() {
        assert!(
            SETTINGS[..index]
                .iter()
                .all(|other| other.name != setting.name),
            "{} twice",
            setting.name
        );
        assert!(
            setting.help.ends_with('.') && !setting.accepts.is_empty(),
            "{}",
            setting.name
        );
    }
    let mut table = String::from("| variable | accepts | default | |\n| --- | --- | --- | --- |\n");
    for setting in SETTINGS {
        table.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            setting.name, setting.accepts, setting.default, setting.help
        ));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
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
        "docs/configuration.md is out of date: UPDATE_DOCS=1 cargo test -p spanwise --test it settings"
    );
}

#[test]
fn file_settings_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs/shop.log");
    let path = path.to_str().unwrap();
    let text = explain([
        ("LOG_PRESET", "prod"),
        ("LOG_FILE", path),
        ("LOG_FILE_ROTATE", "hourly,1MiB,local"),
        ("LOG_FILE_LEVEL", "warn"),
    ]);
    assert_line(&text, &format!("LOG_FILE = {path} (LOG_FILE)"));
    assert_line(
        &text,
        "LOG_FILE_ROTATE = hourly,1MiB,local (LOG_FILE_ROTATE)",
    );
    assert_line(&text, "LOG_FILE_LEVEL = warn (LOG_FILE_LEVEL)");
    assert_line(&text, "LOG_FILE_KEEP = 14 files (default)");
    assert_line(&text, "LOG_ERROR_FILE = none (not set)");
    assert!(
        !directory.path().join("logs").exists(),
        "explaining opens nothing"
    );

    let code = Builder::new(Preset::Prod)
        .error_file(path)
        .explain()
        .to_string();
    assert_line(&code, &format!("LOG_ERROR_FILE = {path} (code)"));
    assert_line(&code, "LOG_FILE_ROTATE = daily,100MiB (default)");

    let test = explain([("LOG_PRESET", "test"), ("LOG_FILE", path)]);
    assert_line(&test, "LOG_FILE = none (preset test)");
}

#[test]
fn preset_test_starts_beside_files_of_a_service() {
    alone!();
    let vars = |file| {
        [
            ("LOG_PRESET", "test"),
            ("LOG_FILE", file),
            ("LOG_ERROR_FILE", "/no/such/tree/error.log"),
            ("LOG_FILE_KEEP", "3"),
        ]
    };
    for file in [
        "/no/such/tree/a.log",
        "/",
        "~/a.log",
        "$HOME/a.log",
        "/dev/null/a.log",
    ] {
        assert_line(&explain(vars(file)), "LOG_FILE = none (preset test)");
        if file.contains(['~', '$']) {
            continue;
        }
        // If code chooses another preset, the files are opened, and their mistakes are reported.
        let builder = Builder::from_vars(vars(file)).unwrap().preset(Preset::Prod);
        match builder.output(spanwise::Output::None).init() {
            Err(InitError::Settings(problems)) => {
                assert_eq!(problems.len(), 2, "{problems:?}");
                assert!(problems[0].starts_with("LOG_FILE"), "{problems:?}");
            }
            other => panic!("{file}: {other:?}"),
        }
    }
    drop(
        Builder::from_vars(vars("/no/such/tree/a.log"))
            .unwrap()
            .init()
            .unwrap(),
    );
}

#[test]
fn wrong_file_settings_are_reported_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let all = problems([
        ("LOG_FILE", "/"),
        ("LOG_ERROR_FILE", "~/error.log"),
        ("LOG_FILE_ROTATE", "10"),
        ("LOG_FILE_KEEP", "0"),
        ("LOG_FILE_COMPRESS", "bzip2"),
        ("LOG_FILE_LEVEL", "verbose"),
    ])
    .join("\n");
    for part in [
        "LOG_FILE: cannot log to \"/\": it names a directory",
        "LOG_ERROR_FILE=\"~/error.log\" contains `~` or `$`, which is not expanded",
        "LOG_FILE_ROTATE=\"10\" has no unit",
        "LOG_FILE_KEEP=\"0\" keeps no file",
        "LOG_FILE_COMPRESS=\"bzip2\" is not a compression",
        "LOG_FILE_LEVEL=\"verbose\" is unknown: did you mean debug? accepts error, warn,",
    ] {
        assert!(all.contains(part), "{part:?} in:\n{all}");
    }
    let link = directory.path().join("link.log");
    std::os::unix::fs::symlink("elsewhere", &link).unwrap();
    let link = problems([("LOG_FILE", link.to_str().unwrap())]).join("\n");
    assert!(link.contains("symbolic link"), "{link}");
}

#[test]
fn redaction_is_on_in_every_preset() {
    alone!();
    let line = |vars: &[(&str, &str)], expected: &str| {
        let text = Builder::from_vars(vars.iter().copied()).unwrap().explain();
        assert_line(&text.to_string(), expected);
    };
    let dev = ("LOG_PRESET", "dev");
    line(&[dev], "LOG_REDACT = secrets (preset dev)");
    for (preset, value) in [("prod", "secrets and pii"), ("test", "secrets and pii")] {
        let expected = format!("LOG_REDACT = {value} (preset {preset})");
        line(&[("LOG_PRESET", preset)], &expected);
    }
    line(
        &[dev, ("LOG_REDACT", "+employee_no,-session,+items[*].card")],
        "LOG_REDACT = secrets,+employeeno,+items.*.card,-session (LOG_REDACT)",
    );
    line(
        &[dev, ("LOG_REDACT", "off")],
        "LOG_REDACT = off (LOG_REDACT)",
    );
    let vars = [("LOG_REDACT", "off")];
    let code = Builder::from_vars(vars).unwrap();
    let code = code.redact(spanwise::redact::Policy::secrets()).explain();
    assert_line(&code.to_string(), "LOG_REDACT = a custom policy (code)");
    let more = Builder::from_vars([("LOG_REDACT", "-session"), ("LOG_PRESET", "prod")])
        .unwrap()
        .redact_with(|policy| policy.hide("employee_no"));
    assert_line(
        &more.explain().to_string(),
        "LOG_REDACT = secrets and pii,-session, with changes in code (code)",
    );
    let wrong = Builder::new(Preset::Prod).redact_with(|policy| policy.hide("a b*c"));
    match wrong.init() {
        Err(InitError::Settings(problems)) => {
            assert!(problems[0].contains("`a b*c` is not a valid key"))
        }
        other => panic!("{other:?}"),
    }
    let off = Builder::new(Preset::Prod)
        .without_redaction()
        .explain()
        .to_string();
    assert_line(&off, "LOG_REDACT = off (code)");
    assert!(problems([("LOG_REDACT", "password")])[0].starts_with(
        "LOG_REDACT=\"password\": `password` is neither `on` nor `off`: write `+password`"
    ));
}

#[cfg(feature = "pseudonyms")]
#[test]
fn pseudonym_key_is_read_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let key = "0123456789abcdef0123456789abcdef";
    std::fs::write(&path, key).unwrap();
    let path = path.to_str().unwrap();
    let text = explain([("LOG_PRESET", "dev"), ("LOG_REDACT_KEY_FILE", path)]);
    assert_line(
        &text,
        "LOG_REDACT = secrets, pseudonyms for pii (preset dev)",
    );
    assert_line(
        &text,
        &format!("LOG_REDACT_KEY_FILE = {path} (LOG_REDACT_KEY_FILE)"),
    );
    let builder = Builder::from_vars([("LOG_REDACT_KEY_FILE", path)]).unwrap();
    assert!(!format!("{builder:?}{text}").contains("0123456789abcdef"));

    let off = problems([("LOG_REDACT", "off"), ("LOG_REDACT_KEY_FILE", path)]);
    assert_eq!(
        off,
        ["LOG_REDACT=off and LOG_REDACT_KEY_FILE contradict each other: remove one of them"]
    );
    std::fs::write(path, "hunter2").unwrap();
    let short = problems([("LOG_REDACT_KEY_FILE", path)]).join("\n");
    assert!(short.contains("it needs at least 16") && !short.contains("hunter2"));
    for key in [
        key,
        &format!("/{key}"),
        &format!("./{key}"),
        &format!("keys/{key}"),
        "mossy7-road",
    ] {
        let itself = problems([("LOG_REDACT_KEY_FILE", key)]).join("\n");
        let expected = format!(
            "LOG_REDACT_KEY_FILE=(hidden, {} bytes) is not the path of a file that can be read; if it is the key itself, write it \
             to a file, and set the path of that file here",
            key.len()
        );
        assert_eq!(itself, expected);
    }
    let missing = directory.path().join("missing");
    let missing = problems([("LOG_REDACT_KEY_FILE", missing.to_str().unwrap())]).join("\n");
    assert!(missing.contains("/missing"), "{missing}");
}

#[test]
fn file_setting_without_a_file_is_refused() {
    alone!();
    let start = |builder: Builder| match builder.init() {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    };
    let vars = [("LOG_PRESET", "prod"), ("LOG_FILE_KEEP", "3")];
    assert_eq!(
        start(Builder::from_vars(vars).unwrap()),
        [
            "LOG_FILE_KEEP is set, and there is no file for it: set LOG_FILE too, or remove LOG_FILE_KEEP"
        ]
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let twice = Builder::new(Preset::Prod).file(&path).error_file(&path);
    assert_eq!(
        start(twice),
        ["LOG_FILE and LOG_ERROR_FILE are the same file: give each its own"]
    );
    assert!(!path.exists());
    let two = Builder::new(Preset::Prod)
        .file(directory.path())
        .error_file("/dev/null");
    let all = start(two).join("\n");
    assert!(
        all.contains("LOG_FILE: ") && all.contains("LOG_ERROR_FILE: "),
        "{all}"
    );
}

#[test]
fn wrong_sampling_and_recorder_stop_the_start() {
    let all = problems([
        ("LOG_SAMPLE", "info=1.5,shop=5/x,=0.1"),
        ("LOG_RECORDER", "debgu"),
    ])
    .join("\n");
    for part in [
        "`info=1.5`",
        "`shop=5/x`",
        "`=0.1`",
        "LOG_RECORDER=\"debgu\": ",
    ] {
        assert!(all.contains(part), "{part} in:\n{all}");
    }
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_SAMPLE", "info=0.1,sqlx=5/s"),
        ("LOG_RECORDER", "debug,hyper=info"),
    ];
    let text = explain(vars);
    assert_line(&text, "LOG_SAMPLE = sqlx=5/s,info=0.1 (LOG_SAMPLE)");
    assert_line(&text, "LOG_RECORDER = debug,hyper=info (LOG_RECORDER)");
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_RECORDER", " slow = 1500ms, debug,tail=0.01"),
    ];
    assert_line(
        &explain(vars),
        "LOG_RECORDER = debug,slow=1500ms,tail=0.01 (LOG_RECORDER)",
    );
    let all = problems([("LOG_RECORDER", "debug,slow=1,tail=1%,tail=0.1,shop=inof")]).join("\n");
    for part in [
        "`slow=1`: `1` has no unit: write `1s` for seconds",
        "`tail=1%`: `1%` is a percentage: write 0.01",
        "`tail=0.1`: `tail` occurs twice",
        "`shop=inof`",
        "; accepts off, or a level",
    ] {
        assert!(all.contains(part), "{part} in:\n{all}");
    }
    for (name, value) in [
        ("LOG_RECORDER", "on"),
        ("LOG_RECORDER", "1"),
        ("LOG_RECORDER", "64MiB"),
    ] {
        let wrong = problems([(name, value)]);
        assert!(
            wrong[0].starts_with(&format!("{name}={value:?} is ")),
            "{wrong:?}"
        );
    }
    assert!(
        explain([("LOG_SAMPLE", "off"), ("LOG_RECORDER", "none")]).contains("LOG_SAMPLE = none")
    );
    let off = explain([("LOG_PRESET", "prod"), ("LOG_RECORDER", "off")]);
    assert_line(&off, "LOG_RECORDER = off (LOG_RECORDER)");
    let vars = [("LOG_PRESET", "test"), ("LOG_SAMPLE", "info=0.1")];
    assert_line(&explain(vars), "LOG_SAMPLE = none (preset test)");
}

#[test]
#[cfg(feature = "http")]
fn http_settings_are_explained() {
    let unset = explain([("LOG_PRESET", "prod")]);
    assert_line(&unset, "LOG_HTTP_TRUST = never (default)");
    assert_line(&unset, "LOG_HTTP_CLIENT_ADDRESS = network (preset prod)");
    assert_line(
        &explain([("LOG_PRESET", "dev")]),
        "LOG_HTTP_CLIENT_ADDRESS = full (preset dev)",
    );
    let set = explain([
        ("LOG_HTTP_TRUST", "10.0.0.0/8,127.0.0.1"),
        ("LOG_HTTP_CLIENT_ADDRESS", "none"),
    ]);
    assert_line(
        &set,
        "LOG_HTTP_TRUST = 10.0.0.0/8,127.0.0.1/32 (LOG_HTTP_TRUST)",
    );
    assert_line(
        &set,
        "LOG_HTTP_CLIENT_ADDRESS = none (LOG_HTTP_CLIENT_ADDRESS)",
    );
    assert_eq!(
        problems([
            ("LOG_HTTP_TRUST", "10.0.0.0/33"),
            ("LOG_HTTP_CLIENT_ADDRESS", "half"),
        ]),
        [
            "LOG_HTTP_TRUST=\"10.0.0.0/33\": `10.0.0.0/33` is not a network: its prefix is not a number from 0 to 32; write one such as `10.0.0.0/8`",
            "LOG_HTTP_CLIENT_ADDRESS=\"half\" is unknown: accepts full, network, none",
        ]
    );
}

#[cfg(feature = "sentry")]
#[test]
fn sentry_settings_are_explained_without_the_dsn() {
    const DSN: (&str, &str) = ("SENTRY_DSN", "https://0123456789@sentry.example.com/42\n");
    let text = explain([
        DSN,
        ("LOG_PRESET", "prod"),
        ("APP_ENV", "production"),
        ("SERVICE_NAME", "shop"),
        ("SERVICE_VERSION", "1.4.0"),
        ("SENTRY_TRACES_SAMPLE_RATE", "0.25"),
        ("SENTRY_BREADCRUMB_LEVEL", "info,sqlx=off"),
        ("SENTRY_ENABLE_LOGS", "true"),
    ]);
    assert!(!text.contains("0123456789"), "{text}");
    for line in [
        "SENTRY_DSN = (hidden, 40 bytes), Dsn(sentry.example.com, project 42) (SENTRY_DSN)",
        "SENTRY_ENVIRONMENT = production (default)",
        "SENTRY_RELEASE = shop@1.4.0 (default)",
        "SENTRY_EVENT_LEVEL = error (default)",
        "SENTRY_BREADCRUMB_LEVEL = info,sqlx=off (SENTRY_BREADCRUMB_LEVEL)",
        "SENTRY_SAMPLE_RATE = 1 (default)",
        "SENTRY_TRACES_SAMPLE_RATE = 0.25 (SENTRY_TRACES_SAMPLE_RATE)",
        "SENTRY_ENABLE_LOGS = true (SENTRY_ENABLE_LOGS)",
    ] {
        assert_line(&text, line);
    }
    assert_line(
        &explain([("LOG_PRESET", "prod")]),
        "SENTRY_DSN = none (not set)",
    );
    assert_line(
        &explain([DSN, ("LOG_PRESET", "test")]),
        "SENTRY_DSN = none (preset test)",
    );
    let code = Builder::new(Preset::Test).sentry_dsn("http://key@localhost:9000/1");
    let code = code.sentry(|sentry| sentry.ignore_target("shop::probe"));
    assert_line(
        &code.explain().to_string(),
        "SENTRY_DSN = (hidden, 27 bytes), Dsn(localhost, project 1), with changes in code (code)",
    );
}

#[cfg(feature = "sentry")]
#[test]
fn wrong_sentry_settings_are_reported_at_once() {
    alone!();
    let all = problems([
        ("SENTRY_DSN", "https://sentry.example.com/hunter2"),
        ("SENTRY_SAMPLE_RATE", "1.5"),
        ("SENTRY_TRACES_SAMPLE_RATE", "ten"),
        ("SENTRY_ENABLE_LOGS", "maybe"),
        ("SENTRY_EVENT_LEVEL", "eror"),
        ("LOG_COLOR", "purple"),
    ]);
    let text = all.join("\n");
    assert_eq!(all.len(), 6, "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    for part in [
        "SENTRY_DSN=(hidden, 34 bytes) ",
        "a DSN looks like `https://<key>@<host>/<number>`",
        "SENTRY_SAMPLE_RATE=\"1.5\" is out of range: accepts a number from 0 to 1",
        "SENTRY_TRACES_SAMPLE_RATE=\"ten\" is out of range",
        "SENTRY_ENABLE_LOGS=\"maybe\" is unknown: accepts 1, true",
        "SENTRY_EVENT_LEVEL=\"eror\": ",
    ] {
        assert!(text.contains(part), "{part:?} in:\n{text}");
    }
    let wrong = Builder::new(Preset::Prod)
        .sentry_dsn("http://key@localhost:9000/1")
        .sentry(|sentry| sentry.sample_rate(7.0).root_certificates("no certificate"))
        .file("/dev/null/shop.log");
    match wrong.init() {
        Err(InitError::Settings(problems)) => {
            assert_eq!(problems.len(), 2, "{problems:?}");
            assert!(problems[1].starts_with("SENTRY_DSN: "), "{problems:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn default_levels_replace_the_preset_s() {
    for (rust_log, line) in [
        (None, "RUST_LOG = info,sqlx=warn (code)"),
        (
            Some("shop=debug"),
            "RUST_LOG = info,sqlx=warn,shop=debug (RUST_LOG)",
        ),
        (Some("debug"), "RUST_LOG = debug (RUST_LOG)"),
    ] {
        let vars = rust_log.map(|levels| ("RUST_LOG", levels));
        let builder = Builder::from_vars(vars).unwrap().preset(Preset::Prod);
        let builder = builder.default_levels("sqlx=warn");
        assert_line(&builder.explain().to_string(), line);
    }
    let levels = Builder::new(Preset::Prod)
        .default_levels("warn")
        .levels("error");
    assert_line(&levels.explain().to_string(), "RUST_LOG = error (code)");
}
