//! What a policy says about the fields of a callsite.

use tracing_core::{Field, Metadata, callsite::Identifier};

use crate::{KeyVerdict, Redact, log_record};

/// What is done with each field of a callsite, by its index.
#[derive(Debug)]
pub(super) struct Plan {
    callsite: Identifier,
    fields: Box<[Handling]>,
    /// What is done with a boolean instead, of a field whose other values are hidden.
    bools: Box<[Handling]>,
    shows_all: bool,
    always_differs: bool,
}

/// What is done with the values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// Shown as they are.
    Show,
    /// Shown as far as the policy lets their text pass.
    Read,
    /// Texts are shown as far as the policy lets them pass, numbers are replaced.
    ReadText,
    /// Replaced, without a look at them.
    Hide,
    /// Left out, without a look at them.
    Remove,
    /// Shown as the policy's stand-in for them.
    Replace,
}

impl Plan {
    pub(super) fn of(callsite: &Metadata<'static>, policy: &dyn Redact) -> Self {
        let read = if policy.reads_text() {
            Handling::Read
        } else {
            Handling::Show
        };
        let handling = |field: Field, verdict: &dyn Fn(&str) -> KeyVerdict| {
            let name = field.name();
            if callsite.is_event() && name == "message" {
                return read;
            }
            if log_record::is_origin_field(callsite, name) {
                return Handling::Show;
            }
            match verdict(name) {
                KeyVerdict::Pass => read,
                KeyVerdict::Text => Handling::ReadText,
                KeyVerdict::Remove => Handling::Remove,
                KeyVerdict::Redact => Handling::Hide,
                KeyVerdict::Trust => Handling::Show,
                KeyVerdict::Replace => Handling::Replace,
            }
        };
        let fields: Box<[Handling]> = callsite
            .fields()
            .iter()
            .map(|field| handling(field, &|name| policy.verdict(name)))
            .collect();
        let bools = callsite.fields().iter().zip(&fields).map(|(field, other)| {
            if matches!(other, Handling::Show | Handling::Read) {
                return *other;
            }
            handling(field, &|name| policy.verdict_of_bool(name))
        });
        let bools = bools.collect();
        let shows = |handling: &Handling| *handling == Handling::Show;
        let may_show = |handling: &Handling| {
            matches!(
                handling,
                Handling::Show | Handling::Read | Handling::ReadText
            )
        };
        // A message is hardly ever a string: what it writes has to be read.
        let reads_message = callsite.is_event()
            && read == Handling::Read
            && callsite.fields().field("message").is_some();
        Self {
            callsite: callsite.callsite(),
            shows_all: fields.iter().all(shows),
            always_differs: reads_message || !fields.iter().all(may_show),
            fields,
            bools,
        }
    }

    /// Whether no value of the callsite needs a look.
    #[inline]
    pub(super) fn shows_all(&self) -> bool {
        self.shows_all
    }

    /// Whether it is known without a look that some value will be shown differently.
    #[inline]
    pub(super) fn always_differs(&self) -> bool {
        self.always_differs
    }

    /// How many fields the callsite has.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// What is done with `field`; nothing is known of a field of another callsite.
    #[inline]
    pub(super) fn handling(&self, field: &Field) -> Option<Handling> {
        let handling = self.fields.get(field.index()).copied();
        handling.filter(|_| field.callsite() == self.callsite)
    }

    /// [`handling`](Self::handling) of a value that is a boolean.
    #[inline]
    pub(super) fn handling_of_bool(&self, field: &Field) -> Option<Handling> {
        let handling = self.bools.get(field.index()).copied();
        handling.filter(|_| field.callsite() == self.callsite)
    }
}
