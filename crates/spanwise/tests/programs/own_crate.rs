//! The macros set the name of the service and the own targets to the name of the crate. For these
//! targets, the preset dev shows DEBUG.

use serde_json::{Value, json};
use spanwise::InitError;

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "own_crate",
    run,
    victims: &[
        ("by-macro", service::by_macro),
        ("by-function", by_function),
        ("by-prefix", by_prefix),
        ("explain-by-macro", explain_by_macro),
    ],
};

/// A module, because a target is a path, not only a crate.
mod service {
    use super::InitError;

    pub(super) fn by_macro() -> Result<(), InitError> {
        let _telemetry = spanwise::init_from_env!()?;
        super::log();
        Ok(())
    }
}

fn by_prefix() -> Result<(), InitError> {
    let _telemetry = spanwise::init_from_env!("SHOPCTL_LOG")?;
    let builder = spanwise::builder!("SHOPCTL_LOG")?;
    println!("{}", builder.explain());
    log();
    Ok(())
}

fn by_function() -> Result<(), InitError> {
    let _telemetry = spanwise::init_from_env()?;
    log();
    Ok(())
}

fn explain_by_macro() -> Result<(), InitError> {
    let builder = spanwise::builder!()?.service("from code", "7");
    println!("{}{}", spanwise::builder!()?.explain(), builder.explain());
    Ok(())
}

fn log() {
    tracing::info!("started");
    tracing::debug!("detail of the program");
    tracing::debug!(target: "spanwise::orders", "detail of the library of the package");
    tracing::debug!(target: "warehouse", "detail of the workspace");
}

fn output(name: &str, vars: &[(&str, &str)]) -> (String, String) {
    let mut program = victim(name);
    let output = program.env_clear().envs(vars.iter().copied()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn run() {
    line_has_name_and_version_of_the_package();
    dev_shows_debug_of_the_crate_and_its_package();
    variables_and_code_beat_the_macro();
    macros_take_a_prefix();
}

fn macros_take_a_prefix() {
    let vars = [("SHOPCTL_LOG_PRESET", "dev"), ("LOG_FORMAT", "xml")];
    let (explained, lines) = output("by-prefix", &vars);
    for line in [
        "SHOPCTL_LOG_PRESET = dev (SHOPCTL_LOG_PRESET)",
        "SHOPCTL_LOG_OWN = programs, spanwise (crate name)",
        "SERVICE_NAME = spanwise (crate name)",
        concat!(
            "SERVICE_VERSION = ",
            env!("CARGO_PKG_VERSION"),
            " (crate name)"
        ),
    ] {
        let is_there = explained.lines().any(|other| other == line);
        assert!(is_there, "{line} in {explained}");
    }
    assert!(lines.contains("detail of the program"), "{lines}");
}

fn line_has_name_and_version_of_the_package() {
    let version = env!("CARGO_PKG_VERSION");
    let program = std::env::current_exe().unwrap();
    let file = program.file_stem().unwrap().to_str().unwrap();
    let (file, _) = file.rsplit_once('-').unwrap();
    for (name, vars, service) in [
        (
            "by-macro",
            &[][..],
            json!({ "name": "spanwise", "version": version }),
        ),
        (
            "by-macro",
            &[("SERVICE_NAME", "shop"), ("APP_ENV", "test")],
            json!({ "name": "shop", "version": version, "environment": "test" }),
        ),
        (
            "by-macro",
            &[("OTEL_SERVICE_NAME", "shop"), ("SERVICE_VERSION", "2")],
            json!({ "name": "shop", "version": "2" }),
        ),
        ("by-function", &[], json!({ "name": file })),
    ] {
        let vars: Vec<_> = vars
            .iter()
            .copied()
            .chain([("LOG_PRESET", "prod")])
            .collect();
        let (stdout, stderr) = output(name, &vars);
        assert_eq!(stderr, "");
        let lines: Vec<Value> = stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 1, "{stdout}");
        assert_eq!(lines[0]["service"], service, "{name}");
    }
}

fn dev_shows_debug_of_the_crate_and_its_package() {
    let (program, library, workspace) = (
        "detail of the program",
        "detail of the library",
        "detail of the workspace",
    );
    for (name, own, shown) in [
        ("by-macro", None, [true, true, false]),
        // The name of the file is the name of the crate, not of the package.
        ("by-function", None, [true, false, false]),
        ("by-macro", Some("warehouse"), [false, false, true]),
        (
            "by-function",
            Some("spanwise, warehouse"),
            [false, true, true],
        ),
    ] {
        let own = own.map(|own| ("LOG_OWN", own));
        let vars: Vec<_> = own.into_iter().chain([("LOG_PRESET", "dev")]).collect();
        let (stdout, stderr) = output(name, &vars);
        assert_eq!(stdout, "");
        let found = [program, library, workspace].map(|text| stderr.contains(text));
        assert_eq!(found, shown, "{name} {own:?}: {stderr}");
    }
}

fn variables_and_code_beat_the_macro() {
    let (text, _) = output("explain-by-macro", &[("LOG_PRESET", "dev")]);
    for line in [
        "LOG_OWN = programs, spanwise (crate name)",
        "RUST_LOG = info,programs=debug,spanwise=debug (preset dev)",
        "SERVICE_NAME = spanwise (crate name)",
        "SERVICE_NAME = from code (code)",
        "SERVICE_VERSION = 7 (code)",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    let vars = [("LOG_PRESET", "dev"), ("SERVICE_NAME", "shop")];
    let (text, _) = output("explain-by-macro", &vars);
    // Code takes precedence, as for every setting.
    for line in [
        "SERVICE_NAME = shop (SERVICE_NAME)",
        "SERVICE_NAME = from code (code)",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
}
