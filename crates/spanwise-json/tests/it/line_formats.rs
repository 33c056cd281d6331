//! Formats that code writes, and templates of text.

use std::{fmt, time::SystemTime};

use proptest::{prelude::*, test_runner::TestRunner};
use spanwise_json::{
    EventView, FieldList, Format, JsonLayer, LineBuf, LineFormat, LineValue, as_json,
};
use tracing::{error, info, info_span, warn};

use crate::{
    any_formats::{self, HOSTILE, layer, run},
    support::{
        Failed,
        any::{Case, case_named},
        lines,
    },
};

/// Writes all that a view has, one word for each part.
struct Everything;

impl LineFormat for Everything {
    fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result {
        use fmt::Write as _;
        let seconds = event
            .time()
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        write!(line, "time={} ", seconds.unwrap_or_default().as_nanos())?;
        write!(line, "level={}/{} ", event.level(), event.is_critical())?;
        write!(line, "target={} ", event.target())?;
        write!(line, "message={:?} ", event.message())?;
        write!(line, "span={:?}/{:?} ", event.span(), event.spans())?;
        let has_location = event.file().is_some() && event.line().is_some();
        write!(line, "location={has_location} ")?;
        let service = (event.service_name(), event.service_version());
        write!(
            line,
            "service={service:?}/{:?}/{:?}",
            event.service_environment(),
            event.service_node()
        )?;
        write!(line, " rate={:?}", event.sample_rate())?;
        for (name, value) in event.fields() {
            write!(line, " {name}={value:?}")?;
        }
        Ok(())
    }
}

fn everything() -> Format {
    Format::from_code("everything", Everything).unwrap()
}

fn written(format: &Format, log: impl FnOnce()) -> String {
    lines(
        |layer| layer.format(format.clone()).service_name("shop"),
        log,
    )
    .text()
}

fn template(text: &str) -> Format {
    text.parse().unwrap()
}

#[test]
fn view_has_all_of_an_event() {
    let shown = written(&everything(), || {
        info_span!("request", request_id = "r-1", a = "outer").in_scope(|| {
            info_span!("inner", n = -1, ratio = 0.5, ok = true).in_scope(|| {
                warn!(target: "shop", a = "i\"n", big = u128::MAX, list = %as_json(&[1]), "two\nlines");
            });
        });
    });
    assert_eq!(
        shown,
        concat!(
            "time=1795165687123456000 level=WARN/false target=shop ",
            r#"message=Some("two\nlines") span=Some("inner")/["request", "inner"] location=true "#,
            r#"service=(Some("shop"), None)/None/None rate=None "#,
            r#"a=Text("i\"n") big=Text("340282366920938463463374607431768211455") "#,
            r#"list=Json("[1]") n=Signed(-1) ratio=Float(0.5) ok=Bool(true) "#,
            r#"request_id=Text("r-1")"#,
            "\n"
        )
    );
}

#[test]
fn fields_cannot_take_the_place_of_parts() {
    let shown = written(&everything(), || {
        info!("#B" = 5, "#D" = "forged", level = "x", "real")
    });
    assert!(
        shown.contains("level=INFO/false") && shown.contains("message=Some(\"real\")"),
        "{shown}"
    );
    for field in [
        "fields.#B=Unsigned(5)",
        "fields.#D=Text(\"forged\")",
        "level=Text(\"x\")",
    ] {
        assert!(shown.contains(field), "{field} in {shown}");
    }
}

/// Writes the message in each way.
struct Hostile;

impl LineFormat for Hostile {
    fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result {
        let message = event.message().unwrap_or_default();
        line.raw(&message);
        line.raw("|");
        line.text(&message);
        line.raw("|");
        line.json_str(&message);
        line.raw("|");
        line.value(&LineValue::Json(&message));
        Ok(())
    }
}

#[test]
fn written_text_stays_on_its_line() {
    let format = Format::from_code("hostile", Hostile).unwrap();
    let message = "a\n\"\\\u{2028}\u{1b}\u{9b}é";
    let shown = written(&format, || info!("{message}"));
    let raw = r#"a\n"\\u2028\u001b\u009bé"#;
    let text = r#"a\n\"\\\u2028\u001b\u009bé"#;
    assert_eq!(shown, format!("{raw}|{text}|\"{text}\"|{raw}\n"));
}

struct Broken;

impl LineFormat for Broken {
    fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result {
        line.raw("begin ");
        match event.message().as_deref() {
            Some("panic") => panic!("no more"),
            Some("fail") => Err(fmt::Error),
            _ => Ok(()),
        }
    }
}

#[test]
fn failing_format_costs_only_the_body() {
    let format = Format::from_code("broken", Broken).unwrap();
    let shown = written(&format, || {
        info!("panic");
        info!("fail");
        info!("fine");
    });
    assert_eq!(
        shown,
        "<panicked while formatting>\n<format error>\nbegin \n"
    );
}

/// Logs while it formats.
struct Logging;

impl LineFormat for Logging {
    fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result {
        if event.target() != "inner" {
            info!(target: "inner", "from the format");
        }
        line.text(&event.message().unwrap_or_default());
        Ok(())
    }
}

#[test]
fn format_that_logs_does_not_harm_its_line() {
    let format = Format::from_code("logging", Logging).unwrap();
    let shown = written(&format, || {
        info_span!("s").in_scope(|| info!(target: "outer", "outer"));
    });
    assert!(shown.ends_with("outer\n"), "{shown}");
}

#[test]
fn format_of_code_decides_about_its_parts() {
    let list: FieldList = "-level,target>t,-timestamp".parse().unwrap();
    let error = list.check(&everything()).unwrap_err();
    assert_eq!(error.problems().len(), 3, "{error}");
    let list: FieldList = "-a,b>c,+thread,region=eu".parse().unwrap();
    list.check(&everything()).unwrap();
    let set = |layer: JsonLayer| layer.format(everything()).fields(&list);
    let shown = lines(set, || info!(a = 1, b = 2, "m")).text();
    assert!(
        shown.contains(" c=Unsigned(2) region=Text(\"eu\")") && !shown.contains(" a="),
        "{shown}"
    );
    assert!(Format::from_code("json", Everything).is_err());
}

#[test]
fn template_writes_its_placeholders() {
    let format = template(
        "TEXT:{level} {target} [{span}|{spans}] {service} {message} rid={request_id}: {fields} {{x}}",
    );
    let cause = Failed("reset", None);
    let failed = Failed("refused", Some(Box::new(cause)));
    let shown = written(&format, || {
        info_span!("request", request_id = "r-1").in_scope(|| {
            let error: &(dyn std::error::Error + 'static) = &failed;
            info_span!("inner")
                .in_scope(|| error!(target: "shop", error, n = 1, t = "a b", "say \"hi\""));
        });
    });
    assert_eq!(
        shown,
        concat!(
            r#"ERROR shop [inner|request,inner] shop say "hi" rid=r-1: error=refused "#,
            r#"error.chain=reset n=1 t="a b" {x}"#,
            "\n"
        )
    );
    let shown = written(&template("text:{message} {fields}"), || info!("m"));
    assert_eq!(shown, "m\n");
}

#[test]
fn template_has_the_place_and_the_thread() {
    let format = template("text:{time} {file}:{line} {thread} {thread_id} {pid} {host} {version}");
    let shown = written(&format, || info!("m"));
    let words: Vec<&str> = shown.trim_end().split(' ').collect();
    assert_eq!(words[0], "2026-11-20T09:08:07.123456Z");
    assert!(words[1].contains("line_formats.rs:"), "{shown}");
    assert!(words[3].starts_with("ThreadId("), "{shown}");
    assert_eq!(words[4], std::process::id().to_string());
}

#[test]
fn mistakes_of_a_template_are_reported() {
    for (text, expected) in [
        (
            "text:{levle}",
            "did you mean `{level}`? write `{fields.levle}`",
        ),
        ("text:{lines} {a b}", "did you mean `{line}`?"),
        ("text:{lines} {a b}", "`{a b}` is not a placeholder"),
        ("text:{}", "`{}` is not a placeholder"),
        ("text:{level", "has an unmatched brace"),
        ("text:level}", "has an unmatched brace"),
        ("text:message", "a template needs a placeholder"),
        ("text:", "a template needs a placeholder"),
    ] {
        let error = text.parse::<Format>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let format = template("text:{order_id} {fields.lines}");
    assert_eq!(written(&format, || info!(order_id = 1, lines = 2)), "1 2\n");
    assert_eq!(format.name(), "text:{order_id} {fields.lines}");
    assert_eq!(template("text:{order_id} {fields.lines}"), format);
}

#[test]
fn any_event_is_one_line() {
    let all = "text:{time} {level} {target} {message} {span} {spans} {a} {fields.level} {fields}";
    for format in [everything(), template(all)] {
        let mut config = ProptestConfig::with_cases(128);
        config.failure_persistence = None;
        TestRunner::new(config)
            .run(&case_named(any_formats::name()), |case| {
                let text = run(&case, layer(&format));
                assert_eq!(text.matches('\n').count(), 1, "{text}");
                assert!(
                    text.ends_with('\n') && !text.contains(breaks_line),
                    "{text:?}"
                );
                Ok(())
            })
            .unwrap();
    }
}

fn breaks_line(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}' | '\u{2066}')
}

#[test]
fn no_field_is_lost_whatever_its_name() {
    for format in [everything(), template("text:{level} {message} {fields}")] {
        for &name in HOSTILE {
            let field = vec![(
                name.to_owned(),
                crate::support::any::Any::Str("needle".to_owned()),
            )];
            for (spans, event) in [(vec![Vec::new()], field.clone()), (vec![field], Vec::new())] {
                let records = Vec::new();
                let text = run(
                    &Case {
                        spans,
                        records,
                        event,
                    },
                    layer(&format),
                );
                assert!(text.contains("needle"), "{name}: {text}");
            }
        }
    }
}
