//! The files of pseudonym keys.

use std::fs;

use super::{Files, assert_line};
use spanwise::{Builder, InitError, Preset, config_file::check};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Returns the files of a configuration whose profile `dev` has another key file.
fn files_with(key_of_dev: &str) -> Files {
    let files = Files::new(&[("key", KEY), ("dev.key", key_of_dev)]);
    let path = |name: &str| files.path(name).display().to_string();
    let text = format!(
        "[redact]\nkey_file = '{}'\n[profile.dev.redact]\nkey_file = '{}'\n",
        path("key"),
        path("dev.key")
    );
    fs::write(files.path("log.toml"), text).unwrap();
    files
}

#[test]
fn preset_of_code_has_the_key_of_its_profile() {
    let files = files_with(&KEY.repeat(2));
    let builder = files
        .builder("log.toml", &[("LOG_PRESET", "prod")])
        .unwrap();
    let shown = |builder: &Builder| files.without_directory(&builder.explain().to_string());
    assert_line(&shown(&builder), "LOG_REDACT_KEY_FILE = key (log.toml:2)");
    let builder = builder.preset(Preset::Dev);
    assert_line(
        &shown(&builder),
        "LOG_REDACT_KEY_FILE = dev.key (log.toml:4, profile dev)",
    );
    // Each file is read once.
    fs::remove_file(files.path("dev.key")).unwrap();
    assert_line(
        &shown(&builder),
        "LOG_REDACT_KEY_FILE = dev.key (log.toml:4, profile dev)",
    );
}

#[test]
fn key_file_of_each_profile_is_checked() {
    let files = files_with("short");
    match check([files.path("log.toml")], |builder| builder) {
        Err(InitError::Settings(problems)) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            let problem = files.without_directory(&problems[0]);
            assert!(
                problem.starts_with("log.toml:4:12: redact.key_file="),
                "{problem}"
            );
        }
        other => panic!("{other:?}"),
    }
    let files = files_with(KEY);
    assert!(check([files.path("log.toml")], |builder| builder).is_ok());
}
