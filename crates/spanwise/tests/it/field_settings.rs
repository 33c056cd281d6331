//! `LOG_FIELDS` and registered formats, through the facade.

use serde_json::{Value, json};
use spanwise::{Builder, Format, InitError, OtherFields, Output, Preset};
use tracing::{info, info_span};

use crate::support::Lines;

fn only_line(builder: Builder, log: impl FnOnce()) -> Value {
    serde_json::from_str(&text(builder, log)).unwrap()
}

fn text(builder: Builder, log: impl FnOnce()) -> String {
    let lines = Lines::default();
    let telemetry = builder.with_writer(lines.clone()).init().unwrap();
    log();
    drop(telemetry);
    lines.text()
}

fn from_vars(vars: &[(&str, &str)]) -> Builder {
    let preset = [("LOG_PRESET", "prod"), ("SERVICE_NAME", "shop")];
    Builder::from_vars(preset.iter().chain(vars).copied()).unwrap()
}

fn problems(builder: Builder) -> Vec<String> {
    match builder.output(Output::None).init() {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

fn acme() -> Format {
    let names = OtherFields::Prefix("x_".to_owned());
    let builder = Format::custom("acme").message("text").other_fields(names);
    builder.build().unwrap()
}

#[test]
fn list_from_the_environment_changes_lines() {
    alone!();
    let words = "+location,-target,level>severity,timestamp>ts,order_id>order,region=eu,@millis";
    let line = only_line(from_vars(&[("LOG_FIELDS", words)]), || {
        info!(target: "shop", order_id = 42, "created");
    });
    assert_eq!(line["severity"], "INFO");
    assert_eq!(
        line["ts"].as_str().unwrap().len(),
        "2026-11-20T08:46:12.123Z".len()
    );
    assert_eq!(line["order"], 42);
    assert_eq!(line["region"], "eu");
    assert_eq!(line["service"], json!({ "name": "shop" }));
    assert!(line["line"].is_u64());
    assert_eq!(line.get("target"), None);
}

#[test]
fn long_lines_are_cut_at_their_maximum_length() {
    alone!();
    let long = "x".repeat(300);
    let line = text(from_vars(&[("LOG_MAX_LINE", "512B")]), || {
        info!(first = long, second = long, "created");
    });
    assert!(line.trim_end().len() <= 512, "{line}");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["first"], long);
    assert_eq!(line.get("second"), None);
}

#[test]
fn lines_name_the_node_of_the_service() {
    alone!();
    let line = only_line(from_vars(&[("SERVICE_NODE", "shop-7")]), || {
        info!("created")
    });
    assert_eq!(line["service"], json!({ "name": "shop", "node": "shop-7" }));
}

#[test]
fn list_in_code_replaces_that_of_the_environment() {
    alone!();
    let builder = from_vars(&[("LOG_FIELDS", "+pid")]).fields("-service,a>b");
    assert!(
        builder
            .explain()
            .to_string()
            .contains("LOG_FIELDS = -service,a>b (code)")
    );
    let line = only_line(builder, || info!(a = 1, "m"));
    assert_eq!(line["b"], 1);
    assert_eq!((line.get("pid"), line.get("service")), (None, None));
}

#[test]
fn added_texts_are_redacted() {
    alone!();
    let builder = from_vars(&[("LOG_FIELDS", "password=mossy7,region=eu")]);
    let explained = builder.explain().to_string();
    assert!(
        explained.contains("LOG_FIELDS = password=[REDACTED],region=eu"),
        "{explained}"
    );
    let line = only_line(builder, || info!("m"));
    assert_eq!(line["password"], "[REDACTED]");
}

#[test]
fn all_mistakes_are_reported_together() {
    let vars = [
        ("LOG_FIELDS", "+locaton,pass word=mossy7"),
        ("RUST_LOG", "inof"),
        ("LOG_COLOR", "purple"),
    ];
    let found = match Builder::from_vars(vars) {
        Err(InitError::Settings(problems)) => problems.join("\n"),
        other => panic!("{other:?}"),
    };
    for part in [
        "LOG_FIELDS: `+locaton` is not a part",
        "RUST_LOG=",
        "LOG_COLOR=",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
    assert!(!found.contains("mossy7"), "{found}");
    let vars = [
        (
            "LOG_FIELDS",
            "level>target,-message,request_id=x,region=us,a>zone",
        ),
        ("LOG_STATIC_FIELDS", "region=eu,zone=b"),
        ("LOG_FORMAT", "ecs"),
    ];
    let found = problems(from_vars(&vars)).join("\n");
    for part in [
        "LOG_FIELDS: `level>target`: `ecs` requires `level`",
        "LOG_FIELDS: `-message`: `ecs` requires `message`",
        "LOG_FIELDS: `request_id` is a key of the context",
        "LOG_FIELDS: `region` is a static field already",
        "LOG_FIELDS: `a>zone`: `zone` is a static field",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
    let found = problems(Builder::new(Preset::Prod).fields("+x"));
    assert!(
        found[0].starts_with("Builder::fields: `+x` is not a part"),
        "{found:?}"
    );
}

#[test]
fn text_with_a_key_of_the_line_is_one_mistake() {
    let found = problems(from_vars(&[("LOG_FIELDS", "level=x")]));
    let expected = "LOG_FIELDS: `level` is a key of the line itself: choose another name, or write \
                    `level>name` to rename it";
    assert_eq!(found, [expected]);
    let vars = [("LOG_FIELDS", "hostname=x"), ("LOG_FORMAT", "datadog")];
    let found = problems(from_vars(&vars));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("reads `hostname` itself"), "{found:?}");
}

#[test]
fn lines_for_people_have_parts_on_request() {
    alone!();
    let log = || {
        let span = info_span!("job", trace_id = "4bf92f35", unit = 1, step = 2);
        span.in_scope(|| {
            info!(target: "shop", a = 1, b = 2, "first");
            info!(target: "shop", "second");
        });
    };
    let words = "+location,+trace_id,+spans,+thread,-b,-step,-timestamp,-target";
    let builder = Builder::new(Preset::Test)
        .format(Format::Compact)
        .fields(words);
    let shown = text(builder, log);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with(" INFO first a=1 location="), "{shown}");
    for part in [
        "field_settings.rs:",
        " spans=job",
        " thread=",
        "trace_id=4bf92f35",
        "unit=1",
    ] {
        assert!(lines[0].contains(part), "{part} in {shown}");
    }
    for part in [" b=2", "step=2", "shop"] {
        assert!(!shown.contains(part), "{part} in {shown}");
    }
    // Once per span, like its fields.
    assert!(!lines[1].contains("trace_id"), "{shown}");
}

#[test]
fn lines_for_people_hide_trace_ids_by_default() {
    alone!();
    let builder = Builder::new(Preset::Test).format(Format::Compact);
    let shown = text(builder, || {
        info_span!("job", trace_id = "4bf92f35", step = 2).in_scope(|| info!("m"));
    });
    assert!(
        shown.contains("step=2") && !shown.contains("4bf92f35"),
        "{shown}"
    );
}

#[test]
fn list_for_programs_is_refused_for_people() {
    let found = problems(Builder::new(Preset::Dev).fields("a>b,+pid"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("Builder::fields: `a>b`: `pretty` is for people"),
        "{found:?}"
    );
}

#[test]
fn registered_format_is_chosen_by_its_name() {
    alone!();
    let builder = from_vars(&[
        ("LOG_FORMAT", "Acme"),
        ("LOG_FIELDS", "level>sev,region=eu"),
    ]);
    let builder = builder.register_format("acme", acme());
    assert!(
        builder
            .explain()
            .to_string()
            .contains("LOG_FORMAT = Acme (LOG_FORMAT)")
    );
    let line = only_line(builder, || info!(order_id = 42, "created"));
    assert_eq!(line["text"], "created");
    assert_eq!(line["x_order_id"], 42);
    assert_eq!(line["sev"], "INFO");
    assert_eq!(line["x_region"], "eu");
}

#[test]
fn unknown_format_lists_the_registered_ones() {
    let builder = from_vars(&[("LOG_FORMAT", "acmee")]).register_format("acme", acme());
    let explained = builder.explain().to_string();
    let expected = "LOG_FORMAT=\"acmee\" is unknown: did you mean acme? accepts json, json-nested";
    assert!(
        explained.contains(&format!("wrong: {expected}")),
        "{explained}"
    );
    let found = problems(builder);
    assert!(
        found[0].starts_with(expected) && found[0].contains(" short, acme, or a template such as"),
        "{found:?}"
    );
    let found = problems(Builder::new(Preset::Prod).format("acmee"));
    assert!(
        found[0].starts_with("Builder::format(\"acmee\") is unknown: accepts json"),
        "{found:?}"
    );
}

#[test]
fn unknown_format_is_no_error_of_the_environment() {
    let vars = [
        ("LOG_FORMAT", "acme"),
        ("LOG_COLOR", "purple"),
        // This is not checked beside the format of the preset.
        ("LOG_PRESET", "dev"),
        ("LOG_FIELDS", "level>severity"),
    ];
    let found = match Builder::from_vars(vars) {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    };
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("LOG_COLOR="), "{found:?}");
    // `init` reports it beside the mistakes in code.
    let builder = Builder::from_vars([vars[0]]).unwrap();
    let found = problems(builder.fields("+x"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].starts_with("LOG_FORMAT=\"acme\""), "{found:?}");
}

#[test]
fn names_of_registered_formats_are_checked() {
    let builder = Builder::new(Preset::Prod)
        .register_format("json", acme())
        .register_format("a b", acme())
        .register_format("acme", acme())
        .register_format("ACME", acme());
    let found = problems(builder);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("is a format already"), "{found:?}");
    assert!(
        found[1].contains("is not a valid name of a format"),
        "{found:?}"
    );
    assert!(found[2].contains("is registered twice"), "{found:?}");
}

#[test]
fn template_from_the_environment_writes_text() {
    alone!();
    let template = "text:{level} [{target}] {message} {fields}";
    let builder = from_vars(&[("LOG_FORMAT", template), ("LOG_FIELDS", "-b,a>c")]);
    let explained = builder.explain().to_string();
    assert!(
        explained.contains(&format!("LOG_FORMAT = {template} (LOG_FORMAT)")),
        "{explained}"
    );
    let shown = text(builder, || {
        info!(target: "shop", a = 1, b = 2, password = "x", "created\nforged");
        log::warn!(target: "other", "from the log crate");
    });
    let expected = "INFO [shop] created\\nforged c=1 password=[REDACTED] redacted=password\n\
                    WARN [other] from the log crate\n";
    assert_eq!(shown, expected);
}

#[test]
fn template_without_its_prefix_gets_a_hint() {
    let found = problems(from_vars(&[("LOG_FORMAT", "{level} {message}")]));
    let expected = "LOG_FORMAT=\"{level} {message}\" is unknown: a template begins with `text:`";
    assert_eq!(found, [expected]);
}

#[test]
fn text_as_format_offers_a_template() {
    let found = problems(from_vars(&[("LOG_FORMAT", "text")]));
    let expected =
        "LOG_FORMAT=\"text\" is unknown: did you mean compact, or a template? accepts json,";
    assert!(found[0].starts_with(expected), "{found:?}");
    let template = ", short, or a template such as `text:{level} {message} {fields}`";
    assert!(found[0].ends_with(template), "{found:?}");
}

#[test]
fn mistake_in_a_template_is_reported() {
    let vars = [("LOG_FORMAT", "text:{levle} {message}")];
    let found = match Builder::from_vars(vars) {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    };
    assert!(
        found[0].contains("`{levle}` is not a placeholder: did you mean `{level}`?"),
        "{found:?}"
    );
}
