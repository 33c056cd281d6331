//! Every format shows the same data of an event. The test parses the lines for people, and compares
//! them with the JSON lines.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Mutex, OnceLock},
};

use proptest::prelude::*;
use serde_json::Value;
use spanwise::{Builder, Format, Output, Preset, layer::JsonLayer};
use spanwise_core::internal::runtime_callsite::{Origin, RuntimeCallsite, UNNAMED_EVENT};
use tracing::{Level, info_span};
use tracing_core::{
    Callsite, Interest, Kind, Metadata,
    callsite::Identifier,
    field::{FieldSet, Value as FieldValue, debug, display},
};

use crate::support::Lines;

/// Texts for each place where a caller can put a text.
const HOSTILE: [&str; 22] = [
    "plain",
    "",
    " ",
    "two words",
    "a\n12:00:00.000 ERROR forged",
    "a\r\nb",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{9b}31m",
    "\0",
    "\t",
    "\u{85}",
    "\u{2028}\u{2029}",
    "\u{202e}desrever\u{2066}",
    "\u{200e}\u{200f}\u{61c}",
    "\u{200b}\u{feff}\u{e0041}",
    "paid amount=5 | request_id=r-9",
    "\" forged=1 \"",
    "\\\" forged=1",
    "{forged=1}:span",
    "}:span{forged=1",
    "in other{forged=1} request_id=r-9",
    "[REDACTED]",
];

/// An error with a cause, or with itself as its cause.
#[derive(Debug, Clone)]
struct Failed {
    text: String,
    cause: Option<Box<Self>>,
    is_cyclic: bool,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if self.is_cyclic {
            return Some(self);
        }
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[derive(Debug, Clone)]
enum Form {
    Str,
    Display,
    Debug,
    Error,
    CyclicError,
    Number(i64),
    Bool(bool),
}

/// An event with its level, its texts, its fields, and the fields of its span.
#[derive(Debug, Clone)]
struct Case {
    level: Level,
    target: &'static str,
    file: &'static str,
    message: &'static str,
    span: &'static str,
    fields: Vec<(&'static str, Form, &'static str)>,
    span_fields: Vec<(&'static str, Form, &'static str)>,
    is_record: bool,
    request_id: Option<&'static str>,
}

const NAMES: [&str; 10] = [
    "n",
    "order_id",
    "log.offset",
    "log.target",
    "text",
    "http.route",
    "a b",
    "x=1",
    "late\n12:00 ERROR",
    "\u{1b}[31m",
];

fn hostile() -> impl Strategy<Value = &'static str> {
    (0..HOSTILE.len()).prop_map(|index| HOSTILE[index])
}

fn fields() -> impl Strategy<Value = Vec<(&'static str, Form, &'static str)>> {
    let kind = prop_oneof![
        Just(Form::Str),
        Just(Form::Display),
        Just(Form::Debug),
        Just(Form::Error),
        Just(Form::CyclicError),
        any::<i64>().prop_map(Form::Number),
        any::<bool>().prop_map(Form::Bool),
    ];
    let field = ((0..NAMES.len()), kind, hostile())
        .prop_map(|(name, kind, text)| (NAMES[name], kind, text));
    // Keeps each name once.
    prop::collection::vec(field, 0..5).prop_map(|mut fields| {
        fields.sort_by_key(|(name, ..)| *name);
        fields.dedup_by_key(|(name, ..)| *name);
        fields
    })
}

prop_compose! {
    fn case()(
        level in prop_oneof![Just(Level::ERROR), Just(Level::WARN), Just(Level::INFO), Just(Level::DEBUG)],
        (target, file, message, span) in (hostile(), hostile(), hostile(), hostile()),
        fields in fields(),
        span_fields in fields(),
        is_record in any::<bool>(),
        request_id in prop::option::of(hostile()),
    ) -> Case {
        Case { level, target, file, message, span, fields, span_fields, is_record, request_id }
    }
}

fn with_values<R>(
    fields: &[(&'static str, Form, &'static str)],
    first: Option<&dyn FieldValue>,
    use_them: impl FnOnce(&[Option<&dyn FieldValue>]) -> R,
) -> R {
    let errors: Vec<Box<dyn Error>> = fields
        .iter()
        .map(|(_, kind, text)| -> Box<dyn Error> {
            let cause = Failed {
                text: format!("cause {text}"),
                cause: None,
                is_cyclic: false,
            };
            let is_cyclic = matches!(kind, Form::CyclicError);
            Box::new(Failed {
                text: (*text).to_owned(),
                cause: Some(Box::new(cause)),
                is_cyclic,
            })
        })
        .collect();
    let displays: Vec<_> = fields.iter().map(|(_, _, text)| display(text)).collect();
    let debugs: Vec<_> = fields.iter().map(|(_, _, text)| debug(text)).collect();
    let own =
        fields
            .iter()
            .enumerate()
            .map(|(index, (_, kind, text))| -> Option<&dyn FieldValue> {
                Some(match kind {
                    Form::Str => text,
                    Form::Display => &displays[index],
                    Form::Debug => &debugs[index],
                    Form::Error | Form::CyclicError => &errors[index],
                    Form::Number(number) => number,
                    Form::Bool(value) => value,
                })
            });
    let values: Vec<_> = first.map(Some).into_iter().chain(own).collect();
    use_them(&values)
}

/// Creates a span with any name, which no macro can do.
fn span(name: &'static str, fields: &[(&'static str, Form, &'static str)]) -> tracing::Span {
    struct Site(OnceLock<Metadata<'static>>);
    impl Callsite for Site {
        fn set_interest(&self, _: Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            self.0.get().unwrap()
        }
    }
    type Sites = Mutex<BTreeMap<String, &'static Metadata<'static>>>;
    static SITES: OnceLock<Sites> = OnceLock::new();
    let names: Vec<&'static str> = fields.iter().map(|(name, ..)| *name).collect();
    let mut sites = SITES.get_or_init(Mutex::default).lock().unwrap();
    let metadata = *sites.entry(format!("{name}{names:?}")).or_insert_with(|| {
        let site: &'static Site = Box::leak(Box::new(Site(OnceLock::new())));
        site.0.get_or_init(|| {
            let fields = FieldSet::new(names.leak(), Identifier(site));
            Metadata::new(
                name,
                "spans",
                Level::INFO,
                None,
                None,
                None,
                fields,
                Kind::SPAN,
            )
        })
    });
    drop(sites);
    with_values(fields, None, |values| {
        tracing::Span::new(metadata, &metadata.fields().value_set_all(values))
    })
}

fn log(case: &Case) {
    let request = info_span!("request", request_id = case.request_id);
    let _request = case.request_id.is_some().then(|| request.entered());
    let _span = span(case.span, &case.span_fields).entered();
    if case.is_record {
        let pairs: Vec<(&str, log::kv::Value<'_>)> = case
            .fields
            .iter()
            .map(|(name, kind, text)| match kind {
                Form::Number(number) => (*name, log::kv::Value::from(*number)),
                Form::Bool(value) => (*name, log::kv::Value::from(*value)),
                Form::Debug => (*name, log::kv::Value::from_debug(text)),
                _ => (*name, log::kv::Value::from(*text)),
            })
            .collect();
        let level = match case.level {
            Level::ERROR => log::Level::Error,
            Level::WARN => log::Level::Warn,
            Level::INFO => log::Level::Info,
            _ => log::Level::Debug,
        };
        let mut record = log::Record::builder();
        record
            .level(level)
            .target(case.target)
            .file(Some(case.file))
            .line(Some(7));
        record.key_values(&pairs);
        log::logger().log(&record.args(format_args!("{}", case.message)).build());
        return;
    }
    let names: Vec<&str> = std::iter::once("message")
        .chain(case.fields.iter().map(|(name, ..)| *name))
        .collect();
    let origin = Origin {
        name: UNNAMED_EVENT,
        level: case.level,
        target: case.target,
        module_path: None,
        file: Some(case.file),
        line: Some(7),
        fields: &names,
    };
    let callsite = RuntimeCallsite::get(&origin).expect("there are not so many");
    assert!(callsite.is_enabled());
    let message = display(case.message);
    with_values(&case.fields, Some(&message), |values| callsite.emit(values));
}

/// A parsed line for people, with the names and values that it shows.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    message: String,
    fields: BTreeMap<String, String>,
    /// The fields of the innermost span.
    span_fields: BTreeMap<String, String>,
}

/// Splits at blanks outside of quotes.
fn tokens(text: &str) -> Vec<String> {
    let (mut tokens, mut token) = (Vec::new(), String::new());
    let (mut quote, mut escaped) = (None, false);
    for c in text.chars() {
        let begins = token.is_empty() || token.ends_with(['=', ':']);
        match c {
            _ if escaped => escaped = false,
            '\\' if quote.is_some() => escaped = true,
            _ if quote == Some(c) => quote = None,
            '"' if quote.is_none() => quote = Some(c),
            '\'' if quote.is_none() && begins => quote = Some(c),
            ' ' if quote.is_none() => {
                tokens.push(std::mem::take(&mut token));
                continue;
            }
            _ => {}
        }
        token.push(c);
    }
    tokens.push(token);
    tokens.retain(|token| !token.is_empty());
    tokens
}

/// Removes the quotes and escapes that `Debug` or the console wrote.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {}
            '\\' => match chars.next() {
                Some('n') => bare.push('\n'),
                Some('r') => bare.push('\r'),
                Some('t') => bare.push('\t'),
                Some('0') => bare.push('\0'),
                Some('u') => {
                    let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    bare.push(
                        u32::from_str_radix(&code, 16)
                            .ok()
                            .and_then(char::from_u32)
                            .unwrap(),
                    );
                }
                Some('"') => {}
                Some(other) => bare.push(other),
                None => {}
            },
            c => bare.push(c),
        }
    }
    bare
}

/// The name and the value around `=`, each in quotes or without.
fn split_field(token: &str) -> Option<(String, String)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in token.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '=' if !quoted && at > 0 => {
                return Some((bare(&token[..at]), bare(&token[at + 1..])));
            }
            _ => {}
        }
    }
    None
}

/// `12:00:00.000  INFO target message name=value | request r-9 ▸ span name=value`
fn parse_compact(line: &str) -> Parsed {
    let line = line.strip_suffix('\n').unwrap();
    let (_, after_time) = line.split_once(' ').unwrap();
    let (_, after_level) = after_time.trim_start().split_once(' ').unwrap();
    let tokens = tokens(after_level);
    let mut parsed = Parsed::default();
    let mut message = Vec::new();
    let bar = tokens.iter().position(|token| token == "|");
    let (event, spans) = tokens.split_at(bar.unwrap_or(tokens.len()));
    let last = spans.iter().rposition(|token| token == "▸").unwrap_or(0);
    parsed.span_fields = spans[last..]
        .iter()
        .filter_map(|token| split_field(token))
        .collect();
    // The first one is the target.
    for token in &event[1..] {
        match split_field(token) {
            Some((name, value)) => {
                parsed.fields.insert(name, value);
            }
            None => message.push(bare(token)),
        }
    }
    parsed.message = message.join(" ").trim_end().to_owned();
    parsed
}

fn shown(value: &Value) -> String {
    match value {
        // An error with its causes.
        Value::Object(error) => {
            let chain = error["chain"].as_array().into_iter().flatten();
            let all = std::iter::once(&error["message"]).chain(chain);
            let all: Vec<&str> = all.map(|text| text.as_str().unwrap()).collect();
            all.join(": ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

struct Stack {
    console: Lines,
    json: Lines,
    nested: Lines,
}

/// Installs one console as a global stack, so that it receives records of the `log` crate.
fn install(format: Format) -> (Stack, spanwise::Telemetry) {
    let stack = Stack {
        console: Lines::default(),
        json: Lines::default(),
        nested: Lines::default(),
    };
    let telemetry = Builder::new(Preset::Test)
        .without_redaction()
        .output(Output::None)
        .format(format)
        .with_writer(stack.console.clone())
        .layer(
            JsonLayer::new()
                .with_source_location()
                .with_writer(stack.json.clone()),
        )
        .layer(
            JsonLayer::new()
                .format(Format::JsonNested)
                .with_source_location()
                .with_writer(stack.nested.clone()),
        )
        .init()
        .unwrap();
    (stack, telemetry)
}

fn check_safe(text: &str, case: &Case) -> Result<(), TestCaseError> {
    let unsafe_char = |c: char| {
        c.is_control() && c != '\n'
            || matches!(
                c,
                '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            )
            || ('\u{2028}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
            || ('\u{e0000}'..='\u{e007f}').contains(&c)
    };
    prop_assert!(!text.contains(unsafe_char), "{case:?}: {text:?}");
    Ok(())
}

#[test]
fn compact_shows_the_fields_of_json() {
    alone!();
    let (stack, _telemetry) = install(Format::Compact);
    proptest!(ProptestConfig::with_cases(600), |(case in case())| {
        let before = stack.console.text().len();
        let count = stack.json.text().lines().count();
        log(&case);
        let line = stack.console.text()[before..].to_owned();
        prop_assert_eq!(line.lines().count(), 1, "{:?}: {}", case, line);
        check_safe(&line, &case)?;
        let parsed = parse_compact(&line);

        let json = stack.json.text();
        let json: Value = serde_json::from_str(json.lines().nth(count).unwrap()).unwrap();
        let nested = stack.nested.text();
        let nested: Value = serde_json::from_str(nested.lines().nth(count).unwrap()).unwrap();
        // A nested line has the event's fields in a separate object, and errors without causes.
        let own = nested["fields"].as_object().unwrap();
        let names: Vec<&String> = own.keys().filter(|name| *name != "message").collect();
        prop_assert_eq!(&parsed.fields.keys().collect::<Vec<_>>(), &names, "{:?}: {}", case, line);
        for name in names {
            let of_json = json.get(name).unwrap_or_else(|| &json[format!("fields.{name}")]);
            let expected = shown(of_json);
            // A key of a record that has another meaning in an event is renamed.
            let own = name.strip_prefix("kv.").unwrap_or(name);
            let kind = case.fields.iter().find(|(other, ..)| *other == own);
            let is_debug = kind.is_some_and(|(_, kind, _)| matches!(kind, Form::Debug));
            let expected = if is_debug { bare(&expected) } else { expected };
            let normal = |text: &str| text.replace(['"', '\'', '\\'], "");
            prop_assert_eq!(normal(&parsed.fields[name]), normal(&expected), "{} of {:?}: {}", name, case, line);
        }
        let spans = nested["span"].as_object().unwrap();
        let names: Vec<&String> = spans.keys().filter(|name| *name != "name").collect();
        prop_assert_eq!(&parsed.span_fields.keys().collect::<Vec<_>>(), &names, "{:?}: {}", case, line);
        // The comparison ignores the number of spaces between words.
        let normal = |text: &str| {
            let text = text.replace(['"', '\'', '\\'], "");
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        prop_assert_eq!(
            normal(&parsed.message),
            normal(json["message"].as_str().unwrap()),
            "{:?}: {}", case, line
        );
    });
}

#[test]
fn no_line_is_forged_in_pretty() {
    alone!();
    let (stack, _telemetry) = install(Format::Pretty);
    proptest!(ProptestConfig::with_cases(400), |(case in case())| {
        let before = stack.console.text().len();
        log(&case);
        let text = stack.console.text()[before..].to_owned();
        check_safe(&text, &case)?;
        // The event, and in front of it a line of its spans. All others continue it.
        let (begun, others): (Vec<&str>, Vec<&str>) = text
            .lines()
            .partition(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        let is_of_spans = |line: &&str| line[12..].starts_with("       ▸ ");
        let spans = begun.iter().copied().filter(|line| is_of_spans(line)).count();
        prop_assert!(begun.len() == 1 + spans && spans <= 1, "{:?}: {}", case, text);
        prop_assert!(
            others.iter().all(|line| line.starts_with("             | ")),
            "{:?}: {}", case, text
        );
    });
}
