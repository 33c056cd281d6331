//! Formats that a configuration file defines, as sinks and variables name them.

use super::{problems, run};
use serde_json::Value;
use spanwise::__private::from_file_text_and_vars;
use tracing::info;

const LEAN: &str = r#"
    [format.lean]
    base = "json"
    fields = "-target"
    max_field = "256B"
    [sink.app]
    kind = "file"
    path = "DIR/app.log"
"#;

/// Returns whether a line has the fields of [`LEAN`], and whether its values have the maximum
/// length of `LEAN`.
fn is_lean(file: &str, vars: &[(&str, &str)]) -> (bool, bool) {
    let long = "x".repeat(1000);
    let logged = run(file, vars, || info!(long, "paid"));
    let line: Value = serde_json::from_str(&logged.0["app"]).unwrap();
    let is_short = line["long"].as_str().unwrap().len() < 300;
    (line["target"].is_null(), is_short)
}

#[test]
fn variable_names_a_format_of_the_file() {
    let main = format!("{LEAN}[sink.main]\nkind = 'none'\nformat = 'json'\n");
    for file in [LEAN, &main] {
        assert_eq!(is_lean(file, &[]), (false, false));
        assert_eq!(is_lean(file, &[("LOG_FORMAT", "lean")]), (true, true));
    }
}

#[test]
fn variable_overrides_a_format_of_the_file() {
    let file = format!("{LEAN}[sink.main]\nkind = 'none'\nformat = 'lean'\n");
    assert_eq!(is_lean(&file, &[]), (true, true));
    assert_eq!(is_lean(&file, &[("LOG_FORMAT", "json")]), (false, false));
    let vars = [("LOG_FIELDS", "+location"), ("LOG_FORMAT", "lean")];
    assert_eq!(is_lean(&file, &vars), (false, true));
}

#[test]
fn case_of_a_format_name_does_not_matter() {
    let file = format!("{LEAN}format = 'Lean'\n");
    assert_eq!(is_lean(&file, &[]), (true, true));
}

#[test]
fn empty_fields_count_as_unset() {
    let file = format!("{LEAN}format = 'lean'\nfields = '${{SHOP_FIELDS:-}}'\n");
    assert_eq!(is_lean(&file, &[]), (true, true));
}

#[test]
fn empty_fields_of_a_sink_inherit_the_variable() {
    let file = format!("{LEAN}fields = '${{SHOP_FIELDS:-}}'\n");
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_FORMAT", "json"),
        ("LOG_FIELDS", "-target"),
    ];
    assert_eq!(is_lean(&file, &vars), (true, false));
    let text = from_file_text_and_vars(&file, &vars).unwrap();
    let text = text.explain().to_string();
    assert!(!text.contains("has no effect"), "{text}");
}

#[test]
fn format_has_one_definition() {
    let register = |builder: spanwise::Builder| {
        let format = "logfmt".parse().unwrap();
        builder.register_format("Lean", format)
    };
    let builder = from_file_text_and_vars("[format.lean]\nbase = 'json'\n", &[]).unwrap();
    let text = register(builder).explain().to_string();
    let problem = "config:1:9: format.lean is a format already: choose another name";
    assert!(text.contains(problem), "{text}");
}

#[test]
fn names_of_formats_differ_in_more_than_case() {
    let found = problems("[format.lean]\nbase = 'json'\n[format.Lean]\nbase = 'json'\n");
    let problem = ": format.Lean has the name of the format lean: rename one";
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with(problem), "{found:?}");
}
