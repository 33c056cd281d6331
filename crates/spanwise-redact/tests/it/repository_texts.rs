//! A corpus of harmless texts: the documents and sources of this repository, and the output of its
//! tests and examples.

use std::{
    fs,
    path::{Path, PathBuf},
};

use spanwise_core::Redact;
use spanwise_redact::Policy;

/// Lines that contain a secret on purpose, or look like a line with a secret. Each entry has the
/// end of a file's path, and a part of the line.
///
/// Each entry must still exist and still be hidden.
const ALLOWED: &[(&str, &str)] = &[
    // Examples of secrets.
    ("README.md", "hunter2"),
    ("docs/redaction.md", "hunter2"),
    ("docs/redaction.md", "user:password@"),
    ("docs/redaction.md", "block of YAML"),
    ("docs/redaction.md", "member of a connection string"),
    ("docs/redaction.md", "member of a form"),
    ("docs/redaction.md", "Mo0nRi55"),
    ("docs/redaction.md", "password: tulip"),
    ("docs/redaction.md", "password: root"),
    ("docs/redaction.md", "a pair after an empty value"),
    ("docs/redaction.md", "correct horse lamp"),
    ("docs/redaction.md", "password=ab"),
    ("CHANGELOG.md", "Mo0n#Ri55"),
    ("CHANGELOG.md", "it''s"),
    ("CHANGELOG.md", "LOG_FILE_ROTATE=4111"),
    ("spanwise-otel/src/endpoint.rs", "http://user:secret@"),
    ("spanwise-otel/src/endpoint.rs", "http://user:sec/secret"),
    ("spanwise-otel/src/endpoint.rs", "http://user:sec?secret"),
    ("spanwise-otel/src/endpoint.rs", "http://user:sec#secret"),
    ("spanwise-otel/src/endpoint.rs", "key=secret@c"),
    ("spanwise-otel/src/endpoint.rs", "ftp://user:secret"),
    ("spanwise-otel/src/setting_texts.rs", "Authorization: Basic"),
    ("spanwise/src/conceal.rs", "http://user:"),
    ("spanwise/tests/it/otel_settings.rs", "mossy7"),
    ("docs/opentelemetry.md", "api-key=1234"),
    // The name of a field.
    ("two_services/same_ids.rs", "address: address.clone()"),
    ("spanwise-otel/src/tls.rs", "BEGIN PRIVATE KEY"),
    ("spanwise-otel/tests/it/globals.rs", "set-cookie: y"),
    ("otel_settings/exporter_settings.rs", "api-key=1234"),
    ("otel_settings/exporter_settings.rs", "\"client_key\" {"),
    ("spanwise-otel/src/otel_settings.rs", "\"client_key\" =>"),
    ("docs/redaction.md", "4111 1111"),
    ("spanwise/src/lib.rs", "Classified::new"),
    ("spanwise/src/lib.rs", "DE02120300000000202051"),
    ("spanwise/src/lib.rs", "***2051"),
    ("spanwise-core/src/layer_ext.rs", "password = 1234"),
    ("spanwise/tests/it/console_spans.rs", "secret = 1"),
    ("examples/console/scene.rs", "203.0.113.7"),
    ("docs/formats.md", "remoteIp"),
    // The address of a message in memory.
    ("internal/logged_panic.rs", "address"),
    ("spanwise-testing/src/lib.rs", "token = \"tok_4242424242\""),
    ("spanwise-testing/src/lib.rs", "token=\"[tok_…]\""),
    ("spanwise-testing/src/lib.rs", "4111111111111111"),
    ("spanwise-testing/src/assert.rs", "4111111111111111"),
    // A variable with that name, and a sentence.
    ("shop/main.rs", "let token = request"),
    ("shop/customers.rs", "token == TOKEN"),
    ("shop/customers.rs", "let authorization = match"),
    ("shop/customers.rs", "authorization: {token}"),
    // The name of a logger of Django.
    ("docs/from-django.md", "django.security.csrf\": {"),
    ("spanwise-sentry/src/lib.rs", "let dsn"),
    ("examples/otel.rs", "4111 1111"),
    ("examples/sentry.rs", "4111 1111"),
    ("spanwise-otel/src/export_options.rs", "client_key = Some"),
    // The name of a setting, and of a parameter.
    ("docs/sentry.md", "SENTRY_DSN="),
    ("docs/redaction.md", "after an empty value"),
    ("examples/sentry.rs", "SENTRY_DSN"),
    ("spanwise/src/sinks/sentry.rs", "SENTRY_DSN = (hidden"),
    ("spanwise-sentry/tests/support/receiver.rs", "sentry_key="),
    ("spanwise-json/src/visit.rs", "pass: Pass"),
    ("spanwise-json/src/visit/rewritten_values.rs", "pass: Pass"),
    ("spanwise-json/src/assemble.rs", "pass: Pass"),
    ("spanwise-sentry/tests/it/failing_server.rs", "let dsn"),
    ("spanwise/src/conceal.rs", "secret: &[char]"),
    ("spanwise/src/conceal.rs", "4111111111111111"),
    ("spanwise-json/src/visit.rs", "self.pass == Pass::Message"),
    ("examples/src/sentry_server.rs", "let dsn"),
    ("spanwise/src/sinks/sentry.rs", "dsn"),
    ("spanwise-sentry/src/builder.rs", "dsn"),
    ("spanwise-sentry/src/dsn.rs", "dsn"),
    ("spanwise-sentry/tests/support/receiver.rs", "address: "),
    ("docs/migrate.md", "address = %listener"),
    ("docs/recipes.md", "address = %listener"),
    ("docs/recipes.md", "let dsn"),
    ("docs/programs.md", "address = %listener"),
    ("docs/testing.md", "4111111111111111"),
    ("docs/testing.md", "canary-1"),
    ("spanwise/tests/it/failed_requests.rs", "mossy-lake-7"),
    ("spanwise/src/builder.rs", "address"),
    ("spanwise-sentry/tests/it/grouping.rs", "2001:db8::1"),
    ("spanwise-sentry/src/grouping.rs", "let address"),
    ("spanwise-json/src/format.rs", "$first_name:literal"),
    ("spanwise/src/stack.rs", "hunter2"),
    ("spanwise/src/settings.rs", "SENTRY_DSN: Dsn"),
    ("spanwise-sentry/src/connection.rs", "|address: IpAddr|"),
    ("spanwise-sentry/src/http_transport.rs", "auth: "),
    ("spanwise-core/src/error_view.rs", "last.address"),
];

#[test]
fn documents_pass_unchanged() {
    let mut pages = files("docs", "md");
    for page in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.toml",
        "Cargo.lock",
        "deny.toml",
        "clippy.toml",
        "scripts/check",
    ] {
        pages.push(root().join(page));
    }
    check(&pages, |path| path.ends_with(".md"));
}

#[test]
fn sources_pass_unchanged() {
    let mut sources = files("crates", "rs");
    sources.extend(files("examples", "rs"));
    // This crate and the tests of redaction contain examples of secrets.
    sources.retain(|path| {
        let name = path.to_string_lossy();
        let is_test = name.contains("/tests/") || name.ends_with("tests.rs");
        let of_redaction = ["/spanwise-redact/", "/planting/", "examples/redaction.rs"];
        let of_redaction = of_redaction.iter().any(|part| name.contains(part));
        !(of_redaction || is_test && plants_secrets(path))
    });
    assert!(sources.len() > 100, "{}", sources.len());
    check(&sources, |path| path.ends_with(".rs"));
}

#[test]
fn printed_output_passes_unchanged() {
    let printed = root().join("crates/spanwise-redact/tests/data/printed.txt");
    assert!(fs::read_to_string(&printed).unwrap().lines().count() >= 200);
    check(&[printed], |path| path.ends_with("printed.txt"));
}

/// Checks that all lines pass unchanged, except the allowed ones. `is_checked` selects the files of
/// this test.
#[track_caller]
fn check(files: &[PathBuf], is_checked: impl Fn(&str) -> bool) {
    let mut changes = Vec::new();
    for file in files {
        changes.extend(changed(file, &fs::read_to_string(file).unwrap()));
    }
    let is_it = |(path, line): &(PathBuf, String), allowed: &(&str, &str)| {
        path.ends_with(allowed.0) && line.contains(allowed.1)
    };
    let wrong: Vec<&str> = changes
        .iter()
        .filter(|change| !ALLOWED.iter().any(|allowed| is_it(change, allowed)))
        .map(|(_, line)| &**line)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for allowed in ALLOWED.iter().filter(|(path, _)| is_checked(path)) {
        let is_needed = changes.iter().any(|change| is_it(change, allowed));
        assert!(is_needed, "{allowed:?} need not be allowed");
    }
}

/// Returns the lines that change, each with its replacement.
fn changed(path: &Path, text: &str) -> Vec<(PathBuf, String)> {
    let policy = Policy::secrets_and_pii();
    let mut changed = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let shown = policy.text(line);
        if shown != line {
            let report = format!("{}:{}: {line}\n  became {shown}", path.display(), index + 1);
            changed.push((path.to_owned(), report));
        }
    }
    changed
}

/// Words that only tests of redaction contain.
fn plants_secrets(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap().to_lowercase();
    ["redact", "hunter2", "4111", "never_logged", "planting"]
        .iter()
        .any(|word| text.contains(word))
}

fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

fn root() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).unwrap()
}
