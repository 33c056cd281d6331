//! The handling of the values of a callsite, which follows from the policy's verdicts on the keys.

use tracing_core::{Field, Metadata, callsite::Identifier};

use crate::{KeyVerdict, Redact, internal::log_record};

/// The handling of each field of a callsite, by the index of the field.
#[derive(Debug)]
pub(super) struct FieldPlan {
    callsite: Identifier,
    fields: Box<[HandlingByType]>,
    /// Whether all values are shown unchanged.
    shows_all: bool,
    /// Whether nearly every event needs copies of its values, so that the precheck would be wasted
    /// work.
    skips_precheck: bool,
}

/// The handling of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// Show it unchanged.
    Show,
    /// Show its text after the policy has scanned the text.
    Scan,
    /// Hide it without reading it.
    Redact,
    /// Omit it without reading it.
    Remove,
    /// Show the policy's replacement.
    Replace,
}

/// The handling of the values of a field, by their type.
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
        let scan = if policy.reads_text() {
            Handling::Scan
        } else {
            Handling::Show
        };
        let handling = |verdict: KeyVerdict| match verdict {
            KeyVerdict::Pass | KeyVerdict::Text => scan,
            KeyVerdict::Remove => Handling::Remove,
            KeyVerdict::Redact => Handling::Redact,
            KeyVerdict::Trust => Handling::Show,
            KeyVerdict::Replace => Handling::Replace,
        };
        let handle_field = |field: Field| {
            let name = field.name();
            if callsite.is_event() && name == "message" {
                return HandlingByType {
                    text: scan,
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
        // A message is nearly always formatted, not a `&str`. The precheck does not format values,
        // so it could not decide about the message.
        let scans_message = callsite.is_event()
            && scan == Handling::Scan
            && callsite.fields().field("message").is_some();
        Self {
            callsite: callsite.callsite(),
            shows_all,
            skips_precheck: scans_message || !fields.iter().all(may_show),
            fields,
        }
    }

    /// Returns whether all values of the callsite are shown unchanged.
    #[inline]
    pub(super) fn shows_all(&self) -> bool {
        self.shows_all
    }

    /// Returns whether the [precheck](super::precheck) is skipped: because the callsite has a field
    /// whose texts are hidden, or a message that is formatted and scanned.
    #[inline]
    pub(super) fn skips_precheck(&self) -> bool {
        self.skips_precheck
    }

    /// Returns the number of fields.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Returns the handling of a text in `field`, or `None` for a field of another callsite.
    #[inline]
    pub(super) fn text_handling(&self, field: &Field) -> Option<Handling> {
        self.by_type(field).map(|field| field.text)
    }

    /// Like [`text_handling`](Self::text_handling), for a number.
    #[inline]
    pub(super) fn number_handling(&self, field: &Field) -> Option<Handling> {
        self.by_type(field).map(|field| field.number)
    }

    /// Like [`text_handling`](Self::text_handling), for a boolean.
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
