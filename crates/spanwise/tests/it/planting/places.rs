//! The places where a text can be logged.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    fmt,
};

use serde_json::json as value;
use spanwise::as_json;
use spanwise_core::internal::log_bridge;
use tracing::{
    debug, error,
    field::{Empty, debug, display},
    info, info_span, warn,
};

/// A place, and how the text is logged there by the event of that number.
pub type Place = (&'static str, fn(u64, &str));

pub const PLACES: &[Place] = &[
    ("a field, as str", |planting, text| info!(planting, text)),
    ("a field, as String", |planting, text| {
        info!(planting, text = text.to_owned());
    }),
    ("a field, as Option", |planting, text| {
        info!(planting, text = Some(text));
    }),
    ("a field, by Display", |planting, text| {
        debug!(planting, %text);
    }),
    ("a field, by Debug", |planting, text| warn!(planting, ?text)),
    ("the middle of the message", |planting, text| {
        info!(planting, "got {text} from ann");
    }),
    ("the message", |planting, text| info!(planting, "{text}")),
    ("the message, by Debug", |planting, text| {
        info!(planting, "got {text:?} from ann");
    }),
    ("the field of a struct, by Debug", |planting, text| {
        info!(planting, visit = ?Visit::new(text));
    }),
    (
        "the field of a struct, in the message, on several lines",
        |planting, text| info!(planting, "{:#?}", Visit::new(text)),
    ),
    ("a struct without names, by Debug", |planting, text| {
        info!(planting, seen = ?Seen(7, text));
    }),
    ("a type's Display", |planting, text| {
        info!(planting, told = %Told(text));
    }),
    ("an error", |planting, text| {
        error!(
            planting,
            error = &Failed::deep(text, 0) as &dyn Error,
            "failed"
        );
    }),
    ("the cause of an error", |planting, text| {
        error!(
            planting,
            error = &Failed::deep(text, 1) as &dyn Error,
            "failed"
        );
    }),
    ("the cause of the cause of an error", |planting, text| {
        error!(
            planting,
            error = &Failed::deep(text, 2) as &dyn Error,
            "failed"
        );
    }),
    ("an error in a box", |planting, text| {
        let error: Box<dyn Error> = text.into();
        error!(planting, error = &*error, "failed");
    }),
    ("an error, by Display", |planting, text| {
        error!(planting, error = %Failed::deep(text, 0), "failed");
    }),
    ("the cause of an error, by Debug", |planting, text| {
        error!(planting, error = ?Failed::deep(text, 2), "failed");
    }),
    ("nested JSON", |planting, text| {
        info!(planting, body = %as_json(&value!({"a": [{"b": {"note": text}}, 2]})));
    }),
    ("nested JSON, by Debug", |planting, text| {
        info!(planting, body = ?as_json(&value!([[[text]]])));
    }),
    ("a list of JSON, by its own Debug", |planting, text| {
        info!(planting, body = ?value!({"n": 1, "notes": [text, [text]]}));
    }),
    ("JSON in a field", |planting, text| {
        info!(planting, body = value!({"n": 1, "note": text}).to_string());
    }),
    ("JSON in JSON in a field", |planting, text| {
        let inner = value!({"note": text, "n": 1}).to_string();
        info!(planting, body = value!({"inner": inner}).to_string());
    }),
    ("JSON in JSON, by Debug", |planting, text| {
        let inner = value!({"note": text, "n": 1}).to_string();
        info!(planting, body = ?value!({"inner": inner}).to_string());
    }),
    ("key=value in the message", |planting, text| {
        info!(planting, "login user=ann note={text} n=1");
    }),
    ("key: value in a field", |planting, text| {
        info!(planting, line = format!("user: ann, note: {text}"));
    }),
    ("a parameter of a URL", |planting, text| {
        info!(planting, from = %format_args!("https://shop.example.org/a?note={text}&n=1"));
    }),
    ("the path of a URL", |planting, text| {
        info!(
            planting,
            from = format!("https://shop.example.org/a/{text}/b")
        );
    }),
    ("a map of headers, by Debug", |planting, text| {
        let headers = BTreeMap::from([("host", "shop"), ("x-note", text)]);
        info!(planting, ?headers);
    }),
    ("a map of lists, by Debug", |planting, text| {
        let headers = HashMap::from([("x-note".to_owned(), vec![text.to_owned()])]);
        info!(planting, ?headers);
    }),
    ("a list of pairs, by Debug", |planting, text| {
        info!(planting, headers = ?[("host", "shop"), ("x-note", text)]);
    }),
    ("lines of headers", |planting, text| {
        info!(
            planting,
            headers = format!("host: shop\r\nx-note: {text}\r\naccept: */*\r\n")
        );
    }),
    ("bytes", |planting, text| {
        info!(planting, bytes = text.as_bytes());
    }),
    ("a record of the log crate", |planting, text| {
        let mut record = log::Record::builder();
        record.target("shop").module_path(Some("shop::pay"));
        let said = format!("event {planting} got {text} from ann");
        tracing_log::format_trace(&record.args(format_args!("{said}")).build())
            .expect("it is logged");
    }),
    ("a key-value of a record", |planting, text| {
        log_bridge::install().expect("there is no other");
        log::info!(target: "shop", planting, text; "got it");
    }),
    ("a key-value of a record, by Display", |planting, text| {
        log_bridge::install().expect("there is no other");
        log::info!(target: "shop", planting, text:% = Told(text); "got it");
    }),
    ("a field of a span, as str", |planting, text| {
        info_span!("request", text).in_scope(|| info!(planting));
    }),
    ("a field of a span, by Display", |planting, text| {
        info_span!("request", %text).in_scope(|| info!(planting));
    }),
    ("a field of a span, by Debug", |planting, text| {
        info_span!("request", visit = ?Visit::new(text)).in_scope(|| info!(planting));
    }),
    ("an error of a span", |planting, text| {
        let error = Failed::deep(text, 0);
        info_span!("request", error = &error as &dyn Error).in_scope(|| info!(planting));
    }),
    ("bytes of a span", |planting, text| {
        info_span!("request", bytes = text.as_bytes()).in_scope(|| info!(planting));
    }),
    ("nested JSON of a span", |planting, text| {
        info_span!("request", body = %as_json(&value!({"a": [text]}))).in_scope(|| info!(planting));
    }),
    ("a span around the span", |planting, text| {
        let _outer = info_span!("outer", text, n = 1).entered();
        info_span!("inner", n = 2).in_scope(|| info!(planting));
    }),
    ("a span that is a parent", |planting, text| {
        let outer = info_span!(parent: None, "outer", text);
        let inner = info_span!(parent: &outer, "inner", n = 2);
        // At ERROR, because the event is a separate unit, and a recorder shows only failed units.
        error!(parent: &inner, planting = planting);
    }),
    ("a field recorded late, as str", |planting, text| {
        let span = info_span!("request", n = 1, late = Empty).entered();
        span.record("late", text);
        info!(planting);
    }),
    ("a field recorded late, by Display", |planting, text| {
        let span = info_span!("request", n = 1, late = Empty).entered();
        span.record("late", display(text));
        info!(planting);
    }),
    ("a field recorded late, by Debug", |planting, text| {
        let span = info_span!("request", n = 1, late = Empty).entered();
        span.record("late", debug(Visit::new(text)));
        info!(planting);
    }),
    ("a field recorded twice", |planting, text| {
        let span = info_span!("request", late = "early").entered();
        span.record("late", text);
        span.record("late", format!("again {text}"));
        info!(planting);
    }),
];

/// Places for programs whose panics are logged. The message has the number of the event.
pub const PANICS: &[Place] = &[
    ("the message of a panic", |planting, text| {
        let panics = std::thread::spawn({
            let text = text.to_owned();
            move || panic!("event {planting} got {text} from ann")
        });
        assert!(panics.join().is_err());
    }),
    ("the message of a panic, in a span", |planting, text| {
        let panics = std::thread::spawn({
            let text = text.to_owned();
            move || {
                let _request = info_span!("request", n = 1).entered();
                std::panic::panic_any(format!("event {planting} got {text} from ann"))
            }
        });
        assert!(panics.join().is_err());
    }),
];

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "printed by `Debug`")]
struct Visit<'t> {
    user: &'static str,
    note: &'t str,
    tried: Vec<Option<Seen<'t>>>,
    count: u32,
}

impl<'t> Visit<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            user: "ann",
            note: text,
            tried: vec![Some(Seen(1, text)), None],
            count: 2,
        }
    }
}

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "printed by `Debug`")]
struct Seen<'t>(u32, &'t str);

struct Told<'t>(&'t str);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Writes in pieces, like most types.
        f.write_str("told ")?;
        for character in self.0.chars() {
            fmt::Write::write_char(f, character)?;
        }
        f.write_str(" to ann")
    }
}

/// An error with its cause.
#[derive(Debug)]
struct Failed {
    text: String,
    source: Option<Box<Self>>,
}

impl Failed {
    /// Creates an error whose innermost cause, at this depth, has the text.
    pub fn deep(text: &str, depth: u32) -> Self {
        if depth == 0 {
            return Self {
                text: format!("no answer to {text} in time"),
                source: None,
            };
        }
        Self {
            text: format!("{depth} calls failed"),
            source: Some(Box::new(Self::deep(text, depth - 1))),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
