//! The files in `docs` are up to date, and start.

use std::{fs, path::Path};

use super::explain;
use spanwise::__private::from_file_text_and_vars;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

#[test]
fn schema_is_up_to_date() {
    let path = Path::new(DOCS).join("log.schema.json");
    // Without a feature, its keys are missing.
    if !cfg!(feature = "otel") {
        return;
    }
    let schema = spanwise::config_file::json_schema();
    serde_json::from_str::<serde_json::Value>(&schema).unwrap();
    if std::env::vars().any(|(name, _)| name == "UPDATE_DOCS") {
        fs::write(path, schema).unwrap();
        return;
    }
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        schema,
        "docs/log.schema.json is out of date: UPDATE_DOCS=1 cargo test -p spanwise --test it --all-features schema"
    );
}

#[test]
fn example_starts() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(Path::new(DOCS).join("log.example.toml")).unwrap();
    let vars = [
        ("LOG_DIR", directory.path().to_str().unwrap()),
        ("LOG_PRESET", "prod"),
    ];
    let builder = from_file_text_and_vars(&text, &vars).unwrap();
    let telemetry = builder.init().unwrap();
    tracing::info!(target: "shop::orders", order_id = 7, "order created");
    telemetry.shutdown(std::time::Duration::from_secs(5));
}

/// The lines of the page that `explain()` prints for the file of the page.
#[test]
fn page_shows_real_output() {
    let page = fs::read_to_string(Path::new(DOCS).join("config-file.md")).unwrap();
    let block = |kind: &str, index: usize| {
        let begin = format!("```{kind}\n");
        let after = page.split(&begin).nth(index + 1).unwrap();
        after.split("```").next().unwrap().to_owned()
    };
    let file = block("toml", 0);
    let text = explain(&file, &[("LOG_PRESET", "dev"), ("LOG_FORMAT", "compact")]);
    let text = text.replace("config:", "log.toml:");
    for line in block("text", 0).lines() {
        assert!(
            text.lines().any(|other| other == line),
            "{line:?} in:\n{text}"
        );
    }
    let filters = block("toml", 1);
    let none: [String; 0] = [];
    assert_eq!(super::problems(&filters, &[("LOG_PRESET", "prod")]), none);
    let wrong = block("toml", 2);
    let found = super::problems(&wrong, &[("LOG_PRESET", "prod")]).join("\n");
    let found = found.replace("config:", "log.toml:");
    assert_eq!(block("text", 1).trim_end(), found);
}
