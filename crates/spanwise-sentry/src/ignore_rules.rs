//! Rules that drop error events.

use spanwise_core::TargetPattern;

use crate::fields::Fields;

/// Drops error events by their target, a part of their texts, or the type of one of their errors.
#[derive(Debug, Clone, Default)]
pub(crate) struct IgnoreRules {
    pub(crate) targets: Vec<TargetPattern>,
    pub(crate) message_parts: Vec<String>,
    pub(crate) error_types: Vec<String>,
}

impl IgnoreRules {
    /// Returns whether a rule names the target or a parent module of it.
    pub(crate) fn ignores_target(&self, target: &str) -> bool {
        self.targets.iter().any(|ignored| ignored.matches(target))
    }

    /// Returns whether the message or the text of an error contains an ignored text, or an error
    /// has an ignored type.
    pub(crate) fn ignores_fields(&self, fields: &Fields) -> bool {
        let causes = || fields.errors.iter().flatten();
        // Without a message, the text of an error becomes the message of the event.
        let texts = || {
            fields
                .message
                .as_deref()
                .into_iter()
                .chain(fields.error_texts())
        };
        let contains = |part: &String| {
            texts().any(|text| text.contains(&**part))
                || causes().any(|cause| cause.text.contains(&**part))
        };
        self.message_parts.iter().any(contains)
            || causes().any(|cause| {
                let name = cause.ty.rsplit("::").next().unwrap_or(&cause.ty);
                self.error_types
                    .iter()
                    .any(|ty| ty == name || *ty == cause.ty)
            })
    }
}
