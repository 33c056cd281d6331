//! What a policy says about the fields of a callsite.

use tracing_core::{Field, Metadata, callsite::Identifier};

use crate::{KeyVerdict, Redact, log_record};

/// What is done with each field of a callsite, by its index.
#[derive(Debug)]
pub(super) struct Plan {
    callsite: Identifier,
    fields: Box<[OfType]>,
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
    /// Replaced, without a look at them.
    Hide,
    /// Left out, without a look at them.
    Remove,
    /// Shown as the policy's stand-in for them.
    Replace,
}

/// What is done with the values of a field, by their type.
#[derive(Debug, Clone, Copy)]
struct OfType {
    text: Handling,
    number: Handling,
    boolean: Handling,
}

impl OfType {
    fn all(handling: Handling) -> Self {
        Self {
            text: handling,
            number: handling,
            boolean: handling,
        }
    }
}

impl Plan {
    pub(super) fn of(callsite: &Metadata<'static>, policy: &dyn Redact) -> Self {
        let read = if policy.reads_text() {
            Handling::Read
        } else {
            Handling::Show
        };
        let handling = |verdict: KeyVerdict| match verdict {
            KeyVerdict::Pass | KeyVerdict::Text => read,
            KeyVerdict::Remove => Handling::Remove,
            KeyVerdict::Redact => Handling::Hide,
            KeyVerdict::Trust => Handling::Show,
            KeyVerdict::Replace => Handling::Replace,
        };
        let of_field = |field: Field| {
            let name = field.name();
            if callsite.is_event() && name == "message" {
                return OfType {
                    text: read,
                    ..OfType::all(Handling::Show)
                };
            }
            if log_record::is_origin_field(callsite, name) {
                return OfType::all(Handling::Show);
            }
            let verdicts = policy.verdicts(name);
            OfType {
                text: handling(verdicts.text),
                number: handling(verdicts.number),
                boolean: handling(verdicts.boolean),
            }
        };
        let fields: Box<[OfType]> = callsite.fields().iter().map(of_field).collect();
        let shows_all = fields.iter().all(|field| {
            [field.text, field.number, field.boolean]
                .iter()
                .all(|handling| *handling == Handling::Show)
        });
        let may_show = |field: &OfType| matches!(field.text, Handling::Show | Handling::Read);
        // A message is hardly ever a string: what it writes has to be read.
        let reads_message = callsite.is_event()
            && read == Handling::Read
            && callsite.fields().field("message").is_some();
        Self {
            callsite: callsite.callsite(),
            shows_all,
            always_differs: reads_message || !fields.iter().all(may_show),
            fields,
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

    /// What is done with a text in `field`; nothing is known of a field of another callsite.
    #[inline]
    pub(super) fn handling(&self, field: &Field) -> Option<Handling> {
        self.of_type(field).map(|field| field.text)
    }

    /// [`handling`](Self::handling) of a number.
    #[inline]
    pub(super) fn handling_of_number(&self, field: &Field) -> Option<Handling> {
        self.of_type(field).map(|field| field.number)
    }

    /// [`handling`](Self::handling) of a boolean.
    #[inline]
    pub(super) fn handling_of_bool(&self, field: &Field) -> Option<Handling> {
        self.of_type(field).map(|field| field.boolean)
    }

    #[inline]
    fn of_type(&self, field: &Field) -> Option<&OfType> {
        let of_type = self.fields.get(field.index());
        of_type.filter(|_| field.callsite() == self.callsite)
    }
}
