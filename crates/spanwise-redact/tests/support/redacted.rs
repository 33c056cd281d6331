//! `Redacted`: the inner layer receives the values of an unredacted layer, changed as a simple
//! implementation of the rules predicts.

use std::{
    cell::RefCell,
    collections::HashMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex, OnceLock},
};

use spanwise_core::{
    KeyVerdict, LayerExt, REDACTED, Redact,
    internal::{
        nested_json::{self, MarkTracker},
        panic_safe,
    },
};
use spanwise_redact::{Action, Policy};
use tracing::{Dispatch, Event, Subscriber, callsite::Callsite};
use tracing_core::{
    Field, Interest, Kind, Level, Metadata,
    field::{Empty, FieldSet, Value, Visit, debug, display},
    identify_callsite,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*, registry::LookupSpan};

use super::input::Input;

/// Interprets the bytes as a program of spans, events and records.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let which = usize::from(input.byte());
    STACKS.with_borrow(|stacks| {
        let stack = &stacks[which % stacks.len()];
        stack.run(&mut input);
        let (seen, shown) = (stack.seen.take(), stack.shown.take());
        assert_eq!(seen.len(), shown.len());
        for (seen, shown) in seen.iter().zip(&shown) {
            let expected = seen.redacted(&*stack.policy, shown);
            assert_eq!(*shown, expected, "of {seen:?}");
        }
    });
}

thread_local! {
    // One stack receives everything, as in a service, so that its state is kept between events.
    static STACKS: RefCell<[Stack; 4]> = RefCell::new([
        Stack::new(Arc::new(policy())),
        Stack::new(Arc::new(NamesOnly(policy()))),
        Stack::new(Arc::new(policy().action(Action::KeepLast(3)))),
        Stack::new(Arc::new(Policy::allow_only(["text", "n", "request_id"]).expect("names"))),
    ]);
}

fn policy() -> Policy {
    let policy = Policy::secrets_and_pii().hide_with("card_no", Action::KeepLast(2));
    let policy = policy.and_then(|policy| policy.hide_with("gone", Action::Remove));
    let policy = policy.and_then(|policy| policy.hide("user.*.badge"));
    policy.expect("names")
}

/// A policy that does not scan texts.
#[derive(Debug)]
struct NamesOnly(Policy);

impl Redact for NamesOnly {
    fn key(&self, key: &str) -> KeyVerdict {
        self.0.key(key)
    }
    fn replace(&self, key: &str, value: &str) -> String {
        self.0.replace(key, value)
    }
    fn text<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        text.into()
    }
    fn reads_text(&self) -> bool {
        false
    }
}

struct Stack {
    dispatch: Dispatch,
    policy: Arc<dyn Redact>,
    seen: Recorder,
    shown: Recorder,
}

impl Stack {
    fn new(policy: Arc<dyn Redact>) -> Self {
        let (seen, shown) = (Recorder::default(), Recorder::default());
        let layer = shown.clone().redacted(Arc::clone(&policy));
        Self {
            dispatch: Registry::default().with(seen.clone()).with(layer).into(),
            policy,
            seen,
            shown,
        }
    }

    fn run(&self, input: &mut Input<'_>) {
        let dispatch = &self.dispatch;
        let mut spans: Vec<(Id, &'static Metadata<'static>)> = Vec::new();
        let mut entered: Vec<Id> = Vec::new();
        for _ in 0..16 {
            if input.is_empty() {
                break;
            }
            let what = input.byte();
            let span = spans
                .get(usize::from(what >> 4) % spans.len().max(1))
                .cloned();
            match (what % 8, span) {
                (0..=2, span) => {
                    let callsite = callsite(input, &Kind::EVENT);
                    with_values(input, callsite, |values| {
                        let values = callsite.fields().value_set_all(values);
                        let event = match what % 8 {
                            0 => Event::new(callsite, &values),
                            1 => Event::new_child_of(None, callsite, &values),
                            _ => Event::new_child_of(span.map(|(id, _)| id), callsite, &values),
                        };
                        if dispatch.enabled(callsite) {
                            dispatch.event(&event);
                        }
                    });
                }
                (3 | 4, span) => {
                    let callsite = callsite(input, &Kind::SPAN);
                    with_values(input, callsite, |values| {
                        let values = callsite.fields().value_set_all(values);
                        let attributes = match (what % 16, span) {
                            (3, _) | (_, None) => Attributes::new(callsite, &values),
                            (4, _) => Attributes::new_root(callsite, &values),
                            (_, Some((id, _))) => Attributes::child_of(id, callsite, &values),
                        };
                        spans.push((dispatch.new_span(&attributes), callsite));
                    });
                }
                (5, Some((id, callsite))) => with_values(input, callsite, |values| {
                    let last = values
                        .iter()
                        .enumerate()
                        .rev()
                        .find(|(_, value)| value.is_some());
                    // Most are recorded one by one.
                    if let Some((index, value)) = last
                        && let Some(field) = callsite.fields().iter().nth(index)
                        && what & 8 == 0
                    {
                        let one = [(&field, *value)];
                        dispatch.record(&id, &Record::new(&callsite.fields().value_set(&one)));
                    } else {
                        let all = callsite.fields().value_set_all(values);
                        dispatch.record(&id, &Record::new(&all));
                    }
                }),
                (6, Some((id, _))) => {
                    dispatch.enter(&id);
                    entered.push(id);
                }
                (7, Some((id, _))) => match (what & 8, entered.pop()) {
                    (0, Some(last)) => dispatch.exit(&last),
                    (_, last) => {
                        entered.extend(last);
                        dispatch.record_follows_from(&id, &spans[0].0);
                    }
                },
                _ => {}
            }
        }
        for id in entered.iter().rev() {
            dispatch.exit(id);
        }
        for (id, _) in spans.into_iter().rev() {
            dispatch.try_close(id);
        }
    }
}

/// Returns a callsite with some of these names. There is one callsite for each choice, because
/// layers never free their data about callsites.
fn callsite(input: &mut Input<'_>, kind: &Kind) -> &'static Metadata<'static> {
    const NAMES: [&str; 13] = [
        "message",
        "text",
        "password",
        "card_no",
        "gone",
        "request_id",
        "user.email",
        "n",
        "error",
        "user.7.badge",
        "log.file",
        "body",
        "user",
    ];
    struct Site(OnceLock<Metadata<'static>>);
    impl Callsite for Site {
        fn set_interest(&self, _: Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            self.0.get().expect("made together")
        }
    }
    thread_local! {
        static SITES: RefCell<HashMap<(bool, u16), &'static Metadata<'static>>> = RefCell::default();
    }
    let chosen = (u16::from(input.byte()) << 8 | u16::from(input.byte())) & 0xBFFF;
    let is_event = *kind == Kind::EVENT;
    let make = || {
        let names = NAMES
            .iter()
            .enumerate()
            .filter(|(index, _)| chosen >> index & 1 == 1);
        let mut names: Vec<&'static str> = names.map(|(_, name)| *name).collect();
        // More fields than fit without an allocation.
        if chosen & 0x8000 != 0 {
            names.extend((0..30).map(|index| &*Box::leak(format!("n{index}").into_boxed_str())));
        }
        let site: &'static Site = Box::leak(Box::new(Site(OnceLock::new())));
        let fields = FieldSet::new(
            Box::leak(names.into_boxed_slice()),
            identify_callsite!(site),
        );
        let kind = if is_event { Kind::EVENT } else { Kind::SPAN };
        site.0.get_or_init(|| {
            Metadata::new("made", "fuzz", Level::INFO, None, None, None, fields, kind)
        })
    };
    SITES.with_borrow_mut(|sites| *sites.entry((is_event, chosen)).or_insert_with(make))
}

#[derive(Debug)]
struct Failed(String, Option<Box<Self>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

/// Its `Debug` writes this text, or fails.
struct Written(String, bool);

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)?;
        if self.1 { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Formats itself like a value of `spanwise_json::as_json`.
struct Nested(String);

impl fmt::Debug for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(nested_json::begin())?;
        f.write_str(&self.0)?;
        f.write_str(nested_json::end())
    }
}

fn with_values(
    input: &mut Input<'_>,
    callsite: &'static Metadata<'static>,
    then: impl FnOnce(&[Option<&dyn Value>]),
) {
    let made: Vec<Option<Box<dyn Value>>> =
        callsite.fields().iter().map(|_| value(input)).collect();
    let values: Vec<Option<&dyn Value>> = made
        .iter()
        .map(|value| value.as_ref().map(|value| value as &dyn Value))
        .collect();
    then(&values);
}

fn value(input: &mut Input<'_>) -> Option<Box<dyn Value>> {
    Some(match input.byte() % 19 {
        0 => return None,
        1 => Box::new(Empty),
        2 => Box::new(input.number() as i64),
        3 => Box::new(input.number()),
        4 => Box::new(i128::from(input.number() as i64) << 40),
        5 => Box::new(u128::from(input.number()) << 64),
        6 => Box::new(f64::from_bits(input.number())),
        7 => Box::new(input.byte() & 1 == 1),
        8 | 9 => Box::new(input.text().into_owned()),
        10 => {
            let length = input.byte();
            Box::new(Box::<[u8]>::from(input.bytes(length.into())))
        }
        11 => Box::new(debug(input.text().into_owned())),
        12 => Box::new(display(input.text().into_owned())),
        13 => Box::new(debug(Written(input.text().into_owned(), false))),
        14 => Box::new(debug(Written(input.text().into_owned(), true))),
        15 => Box::new(Some(input.text().into_owned())),
        16 => {
            let depth = input.byte();
            let text = input.text();
            // Some chains are longer than what is shown: the `Debug` of each link includes the
            // links below.
            let depth = if depth > 250 { 33 } else { depth % 3 };
            let text: String = text
                .chars()
                .take(if depth == 33 { 4 } else { 255 })
                .collect();
            let chain = (0..=depth).fold(None, |source, link| {
                Some(Box::new(Failed(format!("{link}: {text}"), source)))
            });
            Box::new(chain? as Box<dyn Error>)
        }
        17 => Box::new(debug(Nested(input.text().into_owned()))),
        _ => Box::new(debug(vec![Some(input.text().into_owned()), None])),
    })
}

/// Everything that a layer receives.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Call>>>);

#[derive(Debug, Clone, PartialEq)]
struct Call {
    what: String,
    is_event: bool,
    /// A call of `event_enabled`.
    is_asked: bool,
    values: Vec<(&'static str, Seen)>,
}

/// A value by its type; floats by their bits.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    F64(u64),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    Bool(bool),
    Str(String),
    Bytes(Vec<u8>),
    Debug(String),
    /// Nested JSON.
    Json(String),
    /// `Display` and `Debug` of an error and of its sources.
    Error(Vec<(String, String)>),
}

impl Recorder {
    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn keep(&self, what: String, callsite: Option<&Metadata<'_>>, record: &dyn Fn(&mut dyn Visit)) {
        let mut call = Call {
            is_asked: what.starts_with("asked"),
            is_event: callsite.is_some_and(Metadata::is_event),
            what,
            values: Vec::new(),
        };
        record(&mut call);
        self.0.lock().unwrap().push(call);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        self.keep(
            parent_of("asked", event, &ctx),
            Some(event.metadata()),
            &|visitor| event.record(visitor),
        );
        true
    }
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        self.keep(
            parent_of("event", event, &ctx),
            Some(event.metadata()),
            &|visitor| event.record(visitor),
        );
    }
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let parent = ctx
            .span(id)
            .and_then(|span| span.parent().map(|parent| parent.id()));
        let (root, contextual) = (attrs.is_root(), attrs.is_contextual());
        let what = format!(
            "new {id:?} in {parent:?} {root} {contextual} {:?}",
            attrs.parent()
        );
        self.keep(what, Some(attrs.metadata()), &|visitor| {
            attrs.record(visitor)
        });
    }
    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.keep(format!("record {id:?}"), ctx.metadata(id), &|visitor| {
            values.record(visitor)
        });
    }
    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        self.keep(format!("{id:?} follows {follows:?}"), None, &|_| {});
    }
    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.keep(format!("enter {id:?}"), None, &|_| {});
    }
    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        self.keep(format!("exit {id:?}"), None, &|_| {});
    }
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.keep(format!("close {id:?}"), None, &|_| {});
    }
}

fn parent_of<S: Subscriber + for<'a> LookupSpan<'a>>(
    what: &str,
    event: &Event<'_>,
    ctx: &Context<'_, S>,
) -> String {
    let span = ctx.event_span(event).map(|span| span.id());
    let (root, contextual) = (event.is_root(), event.is_contextual());
    format!(
        "{what} in {span:?} {root} {contextual} {:?}",
        event.parent()
    )
}

/// Returns the text that a value writes, or that it failed.
fn written(value: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    panic_safe::format_into(&mut text, value, usize::MAX);
    text
}

/// A text, and whether it is nested JSON.
#[derive(Default)]
struct Watched {
    text: String,
    tracker: MarkTracker,
}

impl fmt::Write for Watched {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.tracker.observe(text);
        self.text.push_str(text);
        Ok(())
    }
}

impl Visit for Call {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.values.push((field.name(), Seen::F64(value.to_bits())));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.values.push((field.name(), Seen::I64(value)));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.values.push((field.name(), Seen::U64(value)));
    }
    fn record_i128(&mut self, field: &Field, value: i128) {
        self.values.push((field.name(), Seen::I128(value)));
    }
    fn record_u128(&mut self, field: &Field, value: u128) {
        self.values.push((field.name(), Seen::U128(value)));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.values.push((field.name(), Seen::Bool(value)));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.values
            .push((field.name(), Seen::Str(value.to_owned())));
    }
    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.values
            .push((field.name(), Seen::Bytes(value.to_vec())));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let chain = std::iter::successors(Some(value), |error| (*error).source());
        // The rest of a longer chain may be dropped.
        let chain = chain.take(32);
        let chain = chain.map(|error| {
            (
                written(format_args!("{error}")),
                written(format_args!("{error:?}")),
            )
        });
        self.values
            .push((field.name(), Seen::Error(chain.collect())));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut watched = Watched::default();
        let seen = match fmt::write(&mut watched, format_args!("{value:?}")) {
            Ok(()) if watched.tracker.is_json() => Seen::Json(watched.text),
            _ => Seen::Debug(written(format_args!("{value:?}"))),
        };
        self.values.push((field.name(), seen));
    }
}

impl Call {
    /// Returns the expected value; `shown` is the actual one.
    fn redacted(&self, policy: &dyn Redact, shown: &Self) -> Self {
        let mut expected = self.clone();
        expected.values.clear();
        for (name, seen) in &self.values {
            let verdict = match policy.key(name) {
                _ if self.is_event && *name == "message" => KeyVerdict::Pass,
                _ if matches!(seen, Seen::Bool(_)) => policy.key_of_bool(name),
                verdict => verdict,
            };
            let as_shown = shown.values.iter().find(|(shown, _)| shown == name);
            let as_text = self.is_asked && matches!(as_shown, Some((_, Seen::Debug(_))));
            let seen = match verdict {
                KeyVerdict::Remove => continue,
                KeyVerdict::Text if seen.is_number() => Seen::Str(REDACTED.to_owned()),
                KeyVerdict::Redact => Seen::Str(REDACTED.to_owned()),
                KeyVerdict::Replace => seen.stand_in(name, policy, self.is_asked),
                KeyVerdict::Trust => seen.read(|text| text.to_owned(), as_text),
                _ => seen.read(|text| policy.value(name, text).into_owned(), as_text),
            };
            expected.values.push((name, seen));
        }
        expected
    }
}

impl Seen {
    fn is_number(&self) -> bool {
        matches!(
            self,
            Self::F64(_) | Self::I64(_) | Self::U64(_) | Self::I128(_) | Self::U128(_)
        )
    }

    /// Returns the part that may be shown. In `event_enabled` an error may be a text.
    fn read(&self, policy: impl Fn(&str) -> String, as_text: bool) -> Self {
        match self {
            Self::Str(text) => Self::Str(policy(text)),
            Self::Debug(text) => Self::Debug(policy(text)),
            Self::Bytes(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                let shown = policy(&text);
                if shown == text {
                    self.clone()
                } else {
                    Self::Str(shown)
                }
            }
            Self::Json(text) if as_text => Self::Debug(policy(text)),
            Self::Json(text) => Self::Json(policy(text)),
            Self::Error(chain) if as_text => Self::Debug(policy(&chain[0].0)),
            Self::Error(chain) => {
                let links = chain
                    .iter()
                    .map(|(display, debug)| (policy(display), policy(debug)));
                Self::Error(links.collect())
            }
            _ => self.clone(),
        }
    }

    fn stand_in(&self, key: &str, policy: &dyn Redact, is_asked: bool) -> Self {
        let text = match self {
            Self::F64(bits) => f64::from_bits(*bits).to_string(),
            Self::I64(value) => value.to_string(),
            Self::U64(value) => value.to_string(),
            Self::I128(value) => value.to_string(),
            Self::U128(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Str(text) => text.clone(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Debug(_) | Self::Json(_) | Self::Error(_) if is_asked => {
                return Self::Str(REDACTED.to_owned());
            }
            Self::Debug(text) | Self::Json(text) => text.clone(),
            Self::Error(chain) => chain[0].0.clone(),
        };
        Self::Str(policy.replace(key, &text))
    }
}
