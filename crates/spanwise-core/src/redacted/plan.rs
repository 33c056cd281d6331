//! What a policy says about the fields of a callsite.

use tracing_core::{Field, Metadata, callsite::Identifier};

use crate::{KeyVerdict, Redact, internal::log_record};

/// What is done with each field of a callsite, by its index.
#[derive(Debug)]
pub(super) struct FieldPlan {
    callsite: Identifier,
    fields: Box<[HandlingByType]>,
    shows_all: bool,
    always_redacts: bool,
}

/// What is done with the values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// AsValue as they are.
    Show,
    /// AsValue as far as the policy lets their text pass.
    Scan,
    /// Replaced, without a look at them.
    Redact,
    /// Left out, without a look at them.
    Remove,
    /// AsValue as the policy's stand-in for them.
    Replace,
}

/// What is done with the values of a field, by their type.
#[derive(Debug, Clone, Copy)]
struct HandlingByType {
    text: Handling,
    number: Handling,
    boolean: Handling,
}

impl HandlingByType {
    fn all(handling: Handling) -> Self {
        Self {
            text: handling,
            number: handling,
            boolean: handling,
        }
    }
}

impl FieldPlan {
    pub(super) fn new(callsite: &Metadata<'static>, policy: &dyn Redact) -> Self {
        let read = if policy.reads_text() {
            Handling::Scan
        } else {
            Handling::Show
        };
        let handling = |verdict: KeyVerdict| match verdict {
            KeyVerdict::Pass | KeyVerdict::Text => read,
            KeyVerdict::Remove => Handling::Remove,
            KeyVerdict::Redact => Handling::Redact,
            KeyVerdict::Trust => Handling::Show,
            KeyVerdict::Replace => Handling::Replace,
        };
        let handle_field = |field: Field| {
            let name = field.name();
            if callsite.is_event() && name == "message" {
                return HandlingByType {
                    text: read,
                    ..HandlingByType::all(Handling::Show)
                };
            }
            if log_record::is_origin_field(callsite, name) {
                return HandlingByType::all(Handling::Show);
            }
            let verdicts = policy.verdicts(name);
            HandlingByType {
                text: handling(verdicts.text),
                number: handling(verdicts.number),
                boolean: handling(verdicts.boolean),
            }
        };
        let fields: Box<[HandlingByType]> = callsite.fields().iter().map(handle_field).collect();
        let shows_all = fields.iter().all(|field| {
            [field.text, field.number, field.boolean]
                .iter()
                .all(|handling| *handling == Handling::Show)
        });
        let may_show =
            |field: &HandlingByType| matches!(field.text, Handling::Show | Handling::Scan);
        // A message is hardly ever a string: what it writes has to be read.
        let reads_message = callsite.is_event()
            && read == Handling::Scan
            && callsite.fields().field("message").is_some();
        Self {
            callsite: callsite.callsite(),
            shows_all,
            always_redacts: reads_message || !fields.iter().all(may_show),
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
    pub(super) fn always_redacts(&self) -> bool {
        self.always_redacts
    }

    /// How many fields the callsite has.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// What is done with a text in `field`; nothing is known of a field of another callsite.
    #[inline]
    pub(super) fn text_handling(&self, field: &Field) -> Option<Handling> {
        self.by_type(field).map(|field| field.text)
    }

    /// [`text_handling`](Self::text_handling) of a number.
    #[inline]
    pub(super) fn number_handling(&self, field: &Field) -> Option<Handling> {
        self.by_type(field).map(|field| field.number)
    }

    /// [`text_handling`](Self::text_handling) of a boolean.
    #[inline]
    pub(super) fn bool_handling(&self, field: &Field) -> Option<Handling> {
        self.by_type(field).map(|field| field.boolean)
    }

    #[inline]
    fn by_type(&self, field: &Field) -> Option<&HandlingByType> {
        let by_type = self.fields.get(field.index());
        by_type.filter(|_| field.callsite() == self.callsite)
    }
}
