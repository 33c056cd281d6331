//! The order of code, variables, files and presets, and the origins in `explain()`.

use super::{Files, assert_line, explain};
use spanwise::{__private::from_file_text_and_vars, Builder, Format, InitError};

#[test]
fn each_of_the_six_origins_is_explained() {
    let files = Files::new(&[
        (
            "log.toml",
            "preset = 'prod'\nlevels = 'info,hyper=warn'\n[service]\nname = 'shop'\n\
             [sink.main]\nformat = 'json'\n[profile.prod.service]\nversion = '2'\n",
        ),
        ("later.toml", "[service]\nname = 'later'\n"),
    ]);
    let vars = [("LOG_FORMAT", "compact"), ("RUST_LOG", "sqlx=debug")];
    let builder = files
        .builder("log.toml,later.toml", &vars)
        .unwrap()
        .time("local");
    let text = files.without_directory(&builder.explain().to_string());
    assert_line(&text, "LOG_CONFIG = log.toml,later.toml (LOG_CONFIG)");
    assert_line(&text, "LOG_TIME = local (code)");
    assert_line(&text, "LOG_FORMAT = compact (LOG_FORMAT, over log.toml:6)");
    assert_line(
        &text,
        "RUST_LOG = info,hyper=warn,sqlx=debug (RUST_LOG, over log.toml:2)",
    );
    assert_line(&text, "SERVICE_NAME = later (later.toml:2)");
    assert_line(&text, "SERVICE_VERSION = 2 (log.toml:8, profile prod)");
    assert_line(&text, "LOG_PRESET = prod (log.toml:1)");
    assert_line(&text, "LOG_OUTPUT = stdout (preset prod)");
}

#[test]
fn keys_of_sinks_are_explained() {
    let text = explain(
        "[sink.errors]\nkind = 'file'\npath = 'error.log'\nkeep = '3 files'\n\
         [sink.off]\nenabled = false\nkind = 'stdout'\n\
         [filter]\nprobes = { drop = { field = 'url.path', is = ['/a', '/b'] } }\n",
        &[("LOG_PRESET", "prod")],
    );
    assert_line(&text, "sink.errors.path = error.log (config:3)");
    assert_line(&text, "sink.errors.keep = 3 files (config:4)");
    assert_line(&text, "LOG_OUTPUT = the sinks of the file");
    assert_line(&text, "sink.off.enabled = false (config:6)");
    assert_line(&text, "filter.probes.drop.is = /a, /b (config:9)");
}

#[test]
fn bare_level_of_a_variable_replaces_those_of_a_file() {
    let file = "levels = 'info,hyper=warn'";
    let text = explain(file, &[("RUST_LOG", "debug")]);
    assert_line(&text, "RUST_LOG = debug (RUST_LOG, over config:1)");
    let text = explain(file, &[("LOG_LEVEL", "debug")]);
    assert_line(&text, "LOG_LEVEL = debug (LOG_LEVEL, over config:1)");
    assert_line(&explain(file, &[]), "RUST_LOG = info,hyper=warn (config:1)");
}

#[test]
fn levels_of_routes_show_what_overrides_them() {
    let file =
        "[root]\nlevel = 'info'\n[route.shop]\nlevel = 'debug'\n[route.hyper]\nlevel = 'warn'\n";
    let text = explain(file, &[("LOG_PRESET", "prod"), ("RUST_LOG", "shop=error")]);
    assert_line(&text, "root.level = info (config:2)");
    assert_line(&text, "route.shop.level = error (RUST_LOG, over config:4)");
    assert_line(&text, "route.hyper.level = warn (config:6)");
    let text = explain(file, &[("LOG_PRESET", "prod"), ("LOG_LEVEL", "trace")]);
    assert_line(&text, "root.level = trace (LOG_LEVEL, over config:2)");
    assert_line(
        &text,
        "route.hyper.level = trace (LOG_LEVEL, over config:6)",
    );
    let builder = from_file_text_and_vars(file, &[("LOG_PRESET", "prod")]).unwrap();
    let text = builder.levels("error").explain().to_string();
    assert_line(&text, "root.level = error (code, over config:2)");
    let builder = from_file_text_and_vars(file, &[("LOG_PRESET", "prod")]).unwrap();
    let text = builder.verbosity(1).explain().to_string();
    assert_line(&text, "root.level = debug (verbosity)");
    assert_line(&text, "route.hyper.level = info (verbosity)");
}

#[test]
fn preset_is_from_the_file_before_the_deployment() {
    let vars = [("APP_ENV", "production")];
    assert_line(
        &explain("preset = 'dev'", &vars),
        "LOG_PRESET = dev (config:1)",
    );
    let both = [("APP_ENV", "production"), ("LOG_PRESET", "cli")];
    let text = explain("preset = 'dev'", &both);
    assert_line(&text, "LOG_PRESET = cli (LOG_PRESET, over config:1)");
    let text = explain("[service]\nenvironment = 'staging'", &[]);
    assert_line(&text, "LOG_PRESET = prod (config:2)");
}

#[test]
fn file_of_code_is_under_that_of_the_variable() {
    let files = Files::new(&[("log.toml", "[service]\nname = 'shop'\nversion = '1'\n")]);
    let builder = Builder::from_file(files.path("log.toml")).unwrap();
    let text = files.without_directory(&builder.explain().to_string());
    assert_line(&text, "SERVICE_NAME = shop (log.toml:2)");
    let builder = Builder::from_file_text("[sink.main]\nformat = 'ecs'").unwrap();
    let text = builder.format(Format::Gcp).explain().to_string();
    assert_line(&text, "LOG_FORMAT = gcp (code)");
    let text = from_file_text_and_vars(
        "[service]\nname = 'code'\nversion = '0'\n",
        &[("LOG_CONFIG", &files.path("log.toml").display().to_string())],
    );
    let text = files.without_directory(&text.unwrap().explain().to_string());
    assert_line(&text, "SERVICE_NAME = shop (log.toml:2)");
    let Err(InitError::Settings(problems)) = Builder::from_file("/no/such.toml") else {
        panic!("it started");
    };
    let problem = "the configuration file: \"/no/such.toml\" cannot be read: No such file or directory (os error 2)";
    assert_eq!(problems, [problem]);
}

#[test]
fn reload_is_explained() {
    let text = Builder::from_file_text("preset = 'prod'\nreload = '5s'\n").unwrap();
    assert_line(&text.explain().to_string(), "reload = 5s (config:2)");
}

#[test]
fn secret_of_a_file_is_shown_nowhere() {
    let secret = "s3cr3t-canary-0123456789";
    let files = Files::new(&[
        ("secret", &format!("{secret}\n")),
        (
            "right.toml",
            "[service]\nname = '${file:secret}'\n[sink.a]\nkind = 'file'\npath = '/tmp/${file:secret}.log'\n",
        ),
        (
            "log.toml",
            "preset = 'prod'\nstatic_fields = 'token=${file:secret}'\n[service]\nname = '${file:secret}'\n\
             [sink.a]\nkind = 'file'\npath = 'a-${file:secret}.log'\n[sink.b]\nkind = 'file'\npath = 'a-${file:secret}.log'\n\
             [route.shop]\nsinks = ['${file:secret}']\n",
        ),
        (
            "wrong.toml",
            "preset = '${file:secret}'\n[sink.main]\nlevel = '${file:secret}'\nformat = '${file:secret}'\nfields = '${file:secret}'\n[recorder]\ncapture = '${file:secret}'\n[redact]\nchange = '${file:secret}'\n[http]\ntrust = ['${file:secret}']",
        ),
    ]);
    for name in ["log.toml", "wrong.toml"] {
        let shown = match files.builder(name, &[]) {
            Ok(builder) => format!("{builder:?} {}", builder.explain()),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains(secret), "{shown}");
        assert!(shown.contains("(hidden"), "{shown}");
        assert!(!shown.to_lowercase().contains("canary"), "{shown}");
    }
    let text = files.explain("right.toml", &[]);
    assert_line(&text, "SERVICE_NAME = (hidden) (right.toml:2)");
    assert!(!text.contains(secret), "{text}");
}
