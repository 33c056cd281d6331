//! Callsites that are made at run time, because an axis determines their number and their names.

use std::sync::{
    OnceLock,
    atomic::{AtomicU8, Ordering},
};

use tracing::{Event, Level, Metadata, Span, dispatcher, field::Value};
use tracing_core::{
    Callsite, Kind, callsite, field::FieldSet, identify_callsite, subscriber::Interest,
};

/// A callsite at INFO. It lives as long as the process.
pub(super) struct Site {
    metadata: OnceLock<Metadata<'static>>,
    interest: AtomicU8,
}

const NEVER: u8 = 0;
const SOMETIMES: u8 = 1;
const ALWAYS: u8 = 2;

pub(super) type Values<'v> = [Option<&'v (dyn Value + 'v)>];

impl Site {
    pub(super) fn event(fields: Vec<String>) -> &'static Self {
        Self::register("event", fields, Kind::EVENT)
    }

    pub(super) fn span(fields: Vec<String>) -> &'static Self {
        Self::register("work", fields, Kind::SPAN)
    }

    /// Registers a callsite. Call it after the subscriber is set, so that its interest is requested
    /// only once.
    fn register(name: &'static str, fields: Vec<String>, kind: Kind) -> &'static Self {
        let fields = fields.into_iter().map(|name| &*name.leak());
        let fields: &'static [&'static str] = fields.collect::<Vec<_>>().leak();
        let site: &'static Self = Box::leak(Box::new(Self {
            metadata: OnceLock::new(),
            interest: AtomicU8::new(NEVER),
        }));
        site.metadata.get_or_init(|| {
            let fields = FieldSet::new(fields, identify_callsite!(site));
            let (file, line, module) = (Some(file!()), Some(line!()), Some(module_path!()));
            Metadata::new(
                name,
                module_path!(),
                Level::INFO,
                file,
                line,
                module,
                fields,
                kind,
            )
        });
        callsite::register(site);
        site
    }

    /// Logs an event, like the macro `event!`.
    pub(super) fn log(&'static self, values: &Values<'_>) {
        if self.is_enabled() {
            let metadata = self.metadata();
            Event::dispatch(metadata, &metadata.fields().value_set_all(values));
        }
    }

    /// Opens a span, like the macro `span!`.
    pub(super) fn open(&'static self, values: &Values<'_>) -> Span {
        if !self.is_enabled() {
            return Span::none();
        }
        let metadata = self.metadata();
        Span::new(metadata, &metadata.fields().value_set_all(values))
    }

    fn is_enabled(&'static self) -> bool {
        match self.interest.load(Ordering::Relaxed) {
            NEVER => false,
            ALWAYS => true,
            _ => dispatcher::get_default(|dispatch| dispatch.enabled(self.metadata())),
        }
    }
}

impl Callsite for Site {
    fn set_interest(&self, interest: Interest) {
        let interest = match (interest.is_never(), interest.is_always()) {
            (true, _) => NEVER,
            (_, true) => ALWAYS,
            _ => SOMETIMES,
        };
        self.interest.store(interest, Ordering::Relaxed);
    }

    fn metadata(&self) -> &Metadata<'_> {
        match self.metadata.get() {
            Some(metadata) => metadata,
            None => unreachable!("`register` has set it"),
        }
    }
}
