//! Every name that a message recommends exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use spanwise::SETTINGS;

/// The source of all crates.
fn sources() -> Vec<(PathBuf, String)> {
    fn collect(directory: &Path, sources: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push((path, text));
            }
        }
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Vec::new();
    for member in fs::read_dir(crates).unwrap() {
        collect(&member.unwrap().path().join("src"), &mut sources);
    }
    assert!(sources.len() > 100);
    sources
}

/// The code of messages, without comments and tests.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let lines = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Whole words of `text`. A path is one word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

#[test]
fn variables_that_are_advised_are_settings() {
    let known: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    let sources = sources();
    // Constants with the form of a variable's name are not variables.
    let constants: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(_, source)| source.split("const ").skip(1))
        .filter_map(|after| after.split_once(": ").map(|(name, _)| name))
        .collect();
    // Prefixes of names, a variable of std, a status of HTTP, and the variables of later sinks.
    let others = [
        "LOG_SYSLOG",
        "LOG_LOKI_URL",
        "LOG_LOKI_LABELS",
        "LOG_MAIL_SMTP",
        "LOG_MAIL_TO",
        "LOG_AUDIT_FILE",
        "LOG_",
        "SENTRY_",
        "SERVICE_",
        "RUST_BACKTRACE",
        "SERVICE_UNAVAILABLE",
    ];
    let mut checked = 0;
    for (path, source) in &sources {
        let code = code(source);
        for word in words(&code) {
            let is_name = ["LOG_", "SENTRY_", "SERVICE_", "RUST_"]
                .iter()
                .any(|begin| word.starts_with(begin))
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            if is_name && !others.contains(&word) && !constants.contains(word) {
                checked += 1;
                assert!(known.contains(word), "{word} in {}", path.display());
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn functions_that_are_advised_exist() {
    let sources = sources();
    let defined: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(_, source)| source.split("fn ").skip(1))
        .filter_map(|after| words(after).next())
        .collect();
    let mut checked = BTreeSet::new();
    for (path, source) in &sources {
        // A message has functions in backticks: `Builder::file_per_process()`.
        let code = code(source);
        for quoted in code.split('`').skip(1).step_by(2) {
            let is_call = quoted.len() < 80 && !quoted.contains('\n') && quoted.contains('(');
            for call in quoted.split('(').filter(|_| is_call) {
                let name = call.rsplit([':', '.']).next().unwrap_or_default();
                let is_name = !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                // These are functions of tracing and tracing-subscriber.
                let of_others = ["in_current_span", "with_filter", "map_fmt_fields"];
                let is_name = is_name && !of_others.contains(&name);
                if is_name && quoted.contains(&format!("{name}(")) {
                    assert!(defined.contains(name), "`{quoted}` in {}", path.display());
                    checked.insert(name.to_owned());
                }
            }
        }
    }
    for name in ["per_process", "file_per_process", "max_unit_bytes"] {
        assert!(checked.contains(name), "{name} in {checked:?}");
    }
}
