//! A cheap first pass over values, which decides whether the originals may be forwarded.

use std::{error::Error, fmt, ptr};

use tracing_core::{Field, field::Visit};

use super::{
    plan::{FieldPlan, Handling},
    values::{RedactedValue, record_plain_values},
};
use crate::Redact;

/// Returns whether the policy changes, or may change, one of the values. Costs less than a copy of
/// the values.
pub(super) fn needs_redaction(
    plan: &FieldPlan,
    policy: &dyn Redact,
    record: &dyn Fn(&mut dyn Visit),
) -> bool {
    let mut precheck = Precheck {
        plan,
        policy,
        may_differ: false,
    };
    record(&mut precheck);
    precheck.may_differ
}

struct Precheck<'a> {
    plan: &'a FieldPlan,
    policy: &'a dyn Redact,
    /// Whether the policy changes, or may change, a value that was visited.
    may_differ: bool,
}

impl Precheck<'_> {
    /// Visits a value that has a text. `is_unchanged` returns whether the policy leaves the text
    /// unchanged.
    #[inline]
    fn visit_text(&mut self, field: &Field, is_unchanged: impl FnOnce(&dyn Redact, &str) -> bool) {
        self.visit_with(self.plan.text_handling(field), field, is_unchanged);
    }

    /// Visits a number or a boolean. Only the key can hide it, so the value itself is not read.
    #[inline]
    fn visit_plain(&mut self, handling: Option<Handling>, field: &Field, _: RedactedValue) {
        self.visit_with(handling, field, |_, _| true);
    }

    #[inline]
    fn visit_with(
        &mut self,
        handling: Option<Handling>,
        field: &Field,
        is_unchanged: impl FnOnce(&dyn Redact, &str) -> bool,
    ) {
        self.may_differ = self.may_differ
            || match handling {
                Some(Handling::Show) => false,
                Some(Handling::Scan) => !is_unchanged(self.policy, field.name()),
                Some(Handling::Redact | Handling::Remove | Handling::Replace) | None => true,
            };
    }
}

impl Visit for Precheck<'_> {
    record_plain_values!();

    fn record_str(&mut self, field: &Field, value: &str) {
        self.visit_text(field, |policy, key| is_unchanged(policy, key, value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.visit_text(field, |policy, key| {
            is_unchanged(policy, key, &String::from_utf8_lossy(value))
        });
    }

    fn record_error(&mut self, field: &Field, _: &(dyn Error + 'static)) {
        self.visit_text(field, |_, _| false);
    }

    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        self.visit_text(field, |_, _| false);
    }
}

fn is_unchanged(policy: &dyn Redact, key: &str, text: &str) -> bool {
    // Compares addresses, because even a borrowed result may be another text.
    ptr::eq(&*policy.redact_value(key, text), text)
}
