//! Random fields, spans and values of every type.

use std::fmt;

use proptest::prelude::*;
use serde_json::{Value, json};
use tracing::{Dispatch, Event, Level, Metadata, callsite::Callsite, field::FieldSet, span};
use tracing_core::{Interest, Kind, field, identify_callsite};

/// A value of each type that a field can have.
#[derive(Debug, Clone)]
pub enum Any {
    U64(u64),
    I64(i64),
    U128(u128),
    I128(i128),
    F64(f64),
    Bool(bool),
    Str(String),
    Display(String),
    Debug(String),
    Bytes(Vec<u8>),
    Json(Value),
    Error(Vec<String>),
    Missing,
}

impl Any {
    /// Returns what a flat line shows; `None` if the field has no value.
    pub fn shown(&self) -> Option<Value> {
        Some(match self {
            Self::U64(value) => json!(value),
            Self::I64(value) => json!(value),
            Self::U128(value) => {
                u64::try_from(*value).map_or(json!(value.to_string()), |value| json!(value))
            }
            Self::I128(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => json!(value),
                (_, Ok(value)) => json!(value),
                _ => json!(value.to_string()),
            },
            Self::F64(value) if value.is_nan() => json!("NaN"),
            Self::F64(value) if value.is_infinite() => json!(if *value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }),
            Self::F64(value) => json!(value),
            Self::Bool(value) => json!(value),
            Self::Str(value) | Self::Display(value) => json!(value),
            Self::Debug(value) => json!(format!("{value:?}")),
            Self::Bytes(value) => json!(
                value
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            ),
            Self::Json(value) => value.clone(),
            Self::Error(chain) => json!({ "message": chain[0], "chain": chain[1..] }),
            Self::Missing => return None,
        })
    }

    /// Calls `f` with the value as `tracing` takes it.
    fn lend<R>(&self, f: impl FnOnce(&dyn field::Value) -> R) -> R {
        match self {
            Self::U64(value) => f(value),
            Self::I64(value) => f(value),
            Self::U128(value) => f(value),
            Self::I128(value) => f(value),
            Self::F64(value) => f(value),
            Self::Bool(value) => f(value),
            Self::Str(value) => f(&value.as_str()),
            Self::Display(value) => f(&field::display(value)),
            Self::Debug(value) => f(&field::debug(value)),
            Self::Bytes(value) => f(&value.as_slice()),
            Self::Json(value) => f(&field::display(spanwise_json::as_json(value))),
            Self::Error(chain) => {
                let error = Chain::new(chain);
                f(&(&error as &(dyn std::error::Error + 'static)))
            }
            Self::Missing => f(&field::Empty),
        }
    }
}

#[derive(Debug)]
struct Chain(String, Option<Box<Self>>);

impl Chain {
    fn new(chain: &[String]) -> Self {
        Self(
            chain[0].clone(),
            (chain.len() > 1).then(|| Box::new(Self::new(&chain[1..]))),
        )
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Chain {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

pub type Fields = Vec<(String, Any)>;

#[derive(Debug, Clone)]
pub struct Case {
    pub spans: Vec<Fields>,
    /// The index of a span, and new values for some of its fields by index.
    pub records: Vec<(prop::sample::Index, prop::sample::Index, Any)>,
    pub event: Fields,
}

fn short_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{0,24}",
        "\\PC{0,40}",
        "[\\x00-\\xff\u{2000}-\u{2070}\"\\\\{}:,]{0,40}"
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => short_text(),
        // Long enough to be shared between spans, one alone or several together.
        1 => (100_usize..900).prop_map(|len| "long,\"".repeat(len / 6)),
    ]
}

fn nested() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        text().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

pub fn any_value() -> impl Strategy<Value = Any> {
    prop_oneof![
        any::<u64>().prop_map(Any::U64),
        any::<i64>().prop_map(Any::I64),
        any::<u128>().prop_map(Any::U128),
        any::<i128>().prop_map(Any::I128),
        any::<i64>().prop_map(|value| Any::I128(value.into())),
        any::<f64>().prop_map(Any::F64),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)]
            .prop_map(Any::F64),
        any::<bool>().prop_map(Any::Bool),
        text().prop_map(Any::Str),
        text().prop_map(Any::Display),
        text().prop_map(Any::Debug),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Any::Bytes),
        nested().prop_map(Any::Json),
        prop::collection::vec(text(), 1..4).prop_map(Any::Error),
        Just(Any::Missing),
    ]
}

/// A few names, so that they collide; the keys of the line itself; and any text.
pub fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-d]",
        2 => prop::sample::select(vec![
            "level", "timestamp", "target", "message", "span", "spans", "service", "truncated", "fields.level",
            "fields.", "r#type", "type", "name", "spans_omitted", "thread_name", "file",
        ]).prop_map(str::to_owned),
        1 => short_text(),
    ]
}

pub fn fields() -> impl Strategy<Value = Fields> {
    fields_named(name().boxed())
}

fn fields_named(name: BoxedStrategy<String>) -> impl Strategy<Value = Fields> {
    prop::collection::vec((name, any_value()), 0..6)
}

pub fn case() -> impl Strategy<Value = Case> {
    case_named(name().boxed())
}

pub fn case_named(name: BoxedStrategy<String>) -> impl Strategy<Value = Case> {
    let record = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any_value(),
    );
    (
        prop::collection::vec(fields_named(name.clone()), 0..6),
        prop::collection::vec(record, 0..4),
        fields_named(name),
    )
        .prop_map(|(spans, records, event)| Case {
            spans,
            records,
            event,
        })
}

/// Creates a callsite that is never freed, like one of a macro.
fn callsite(kind: Kind, name: &'static str, fields: &Fields) -> &'static Metadata<'static> {
    struct Site;
    impl Callsite for Site {
        fn set_interest(&self, _: Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("never registered")
        }
    }
    let site: &'static Site = Box::leak(Box::new(Site));
    let names: Vec<&'static str> = fields
        .iter()
        .map(|(name, _)| &*name.clone().leak())
        .collect();
    let names: &'static [&'static str] = names.leak();
    let fields = FieldSet::new(names, identify_callsite!(site));
    Box::leak(Box::new(Metadata::new(
        name,
        "prop",
        Level::INFO,
        None,
        None,
        None,
        fields,
        kind,
    )))
}

/// Calls `f` with the values of all fields. It recurses per value, since some are on the stack.
fn with_values<R>(
    rest: &[&Any],
    lent: &[Option<&dyn field::Value>],
    f: &mut impl FnMut(&[Option<&dyn field::Value>]) -> R,
) -> R {
    match rest {
        [] => f(lent),
        [first, rest @ ..] => first.lend(|value| {
            let mut lent = lent.to_vec();
            lent.push((!matches!(first, Any::Missing)).then_some(value));
            with_values(rest, &lent, f)
        }),
    }
}

/// Logs the case to `dispatch`.
pub fn log(case: &Case, dispatch: &Dispatch) {
    let names: [&'static str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];
    tracing::dispatcher::with_default(dispatch, || {
        let mut ids: Vec<(span::Id, &'static Metadata<'static>)> = Vec::new();
        for (fields, name) in case.spans.iter().zip(names) {
            let site = callsite(Kind::SPAN, name, fields);
            let values: Vec<&Any> = fields.iter().map(|(_, value)| value).collect();
            let id = with_values(&values, &[], &mut |values| {
                dispatch.new_span(&span::Attributes::new(
                    site,
                    &site.fields().value_set_all(values),
                ))
            });
            dispatch.enter(&id);
            ids.push((id, site));
        }
        for (span, field, value) in &case.records {
            let Some((id, site)) = (!ids.is_empty()).then(|| &ids[span.index(ids.len())]) else {
                continue;
            };
            let count = site.fields().len();
            if count == 0 {
                continue;
            }
            let at = field.index(count);
            let missing = Any::Missing;
            let values: Vec<&Any> = (0..count)
                .map(|index| if index == at { value } else { &missing })
                .collect();
            with_values(&values, &[], &mut |values| {
                dispatch.record(id, &span::Record::new(&site.fields().value_set_all(values)));
            });
        }
        let site = callsite(Kind::EVENT, "event", &case.event);
        let values: Vec<&Any> = case.event.iter().map(|(_, value)| value).collect();
        with_values(&values, &[], &mut |values| {
            dispatch.event(&Event::new(site, &site.fields().value_set_all(values)));
        });
        for (id, _) in ids.into_iter().rev() {
            dispatch.exit(&id);
            dispatch.try_close(id);
        }
    });
}
