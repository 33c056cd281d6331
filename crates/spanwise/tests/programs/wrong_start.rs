//! Law 9: the start reports all invalid settings at once, each with its value, the accepted values
//! and a suggestion. The exit code is not 0, and stdout is empty.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, process::Output};

use spanwise::{Format, InitError};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "wrong_start",
    run: || {
        wrong_settings_are_listed_at_once();
        valid_start_writes_json_to_stdout();
    },
    victims: &[("service", serve)],
};

fn serve() -> Result<(), InitError> {
    let _telemetry = spanwise::init_from_env()?;
    tracing::info!("started");
    Ok(())
}

fn run(vars: &[(&str, &OsStr)]) -> Output {
    let mut service = victim("service");
    service.env_clear().envs(vars.iter().copied());
    service.output().unwrap()
}

fn wrong_settings_are_listed_at_once() {
    let wrong: [(&str, &OsStr); 6] = [
        ("RUST_LOG", "shop=debgu".as_ref()),
        ("LOG_FORMAT", "jsn".as_ref()),
        ("LOG_PRESET", "live".as_ref()),
        ("LOG_OUTPUT", OsStr::from_bytes(b"std\xFFout")),
        ("SERVICE_NAME", "\"shop\"".as_ref()),
        ("LOG_FROMAT", "json".as_ref()),
    ];
    let output = run(&wrong);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!((output.status.code(), &*stdout), (Some(1), ""));
    let format = format!(
        "  LOG_FORMAT=\"jsn\" is unknown: did you mean json? accepts {}",
        Format::ACCEPTS
    );
    let expected: [&str; 6] = [
        "Error: logging did not start because of invalid settings:",
        "  LOG_PRESET=\"live\" is unknown: accepts dev, prod, test, cli; development and production",
        "  RUST_LOG=\"shop=debgu\": `shop=debgu`: `debgu` is not a level: did you mean `debug`?; accepts ",
        "  LOG_OUTPUT=(hidden, 7 bytes) is not UTF-8: accepts stdout, stderr, none",
        "  SERVICE_NAME: the quotes are part of the value",
        &format,
    ];
    // An unknown name stops the start only with `strict`.
    assert_eq!(stderr.lines().count(), expected.len(), "{stderr}");
    for (line, expected) in stderr.lines().zip(expected) {
        assert!(line.starts_with(expected), "{stderr}");
    }
    let strict = [wrong[5], ("LOG_STRICT", "1".as_ref())];
    let stderr = String::from_utf8(run(&strict).stderr).unwrap();
    assert_eq!(
        stderr,
        "Error: logging did not start because of an invalid setting:\n  LOG_FROMAT is not a setting: did you mean LOG_FORMAT?\n"
    );
}

fn valid_start_writes_json_to_stdout() {
    let output = run(&[
        ("LOG_PRESET", " prod\n".as_ref()),
        ("LOG_DRIVER", "somebody else's".as_ref()),
    ]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), stdout.lines().count()),
        (Some(0), 2),
        "{stdout}"
    );
    let line = stdout.lines().last().unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["message"], &line["level"]),
        (&"started".into(), &"INFO".into())
    );
    // The environment is not set, and a preset does not set it.
    assert_eq!(line["service"], serde_json::json!({ "name": "programs" }));
    // There is one warning, without the value.
    let stderr = String::from_utf8(output.stderr).unwrap();
    let warning = "LOG_DRIVER is not a setting here, and is ignored";
    assert_eq!(stderr, format!("spanwise: setup: {warning}\n"));
}
