//! A cheap first pass: decides whether the original values may be forwarded.

use std::{error::Error, fmt, ptr};

use tracing_core::{Field, field::Visit};

use super::{
    plan::{FieldPlan, Handling},
    values::{RedactedValue, record_plain_values},
};
use crate::Redact;

/// Returns whether some value is, or may be, changed by the policy. Costs less than rebuilding the
/// values.
pub(super) fn needs_redaction(
    plan: &FieldPlan,
    policy: &dyn Redact,
    record: &dyn Fn(&mut dyn Visit),
) -> bool {
    let mut precheck = Precheck {
        plan,
        policy,
        differs: false,
    };
    record(&mut precheck);
    precheck.differs
}

struct Precheck<'a> {
    plan: &'a FieldPlan,
    policy: &'a dyn Redact,
    /// Whether a value is, or may be, changed.
    differs: bool,
}

impl Precheck<'_> {
    /// Visits a value. `is_unchanged` returns whether the policy leaves its text unchanged.
    #[inline]
    fn visit(&mut self, field: &Field, is_unchanged: impl FnOnce(&dyn Redact, &str) -> bool) {
        self.visit_as(self.plan.text_handling(field), field, is_unchanged);
    }

    /// Visits a number or a boolean. Only the key can hide it, so the value is not used.
    #[inline]
    fn plain(&mut self, handling: Option<Handling>, field: &Field, _: RedactedValue) {
        self.visit_as(handling, field, |_, _| true);
    }

    #[inline]
    fn visit_as(
        &mut self,
        handling: Option<Handling>,
        field: &Field,
        is_unchanged: impl FnOnce(&dyn Redact, &str) -> bool,
    ) {
        self.differs = self.differs
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
        self.visit(field, |policy, key| is_unchanged(policy, key, value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.visit(field, |policy, key| {
            is_unchanged(policy, key, &String::from_utf8_lossy(value))
        });
    }

    fn record_error(&mut self, field: &Field, _: &(dyn Error + 'static)) {
        self.visit(field, |_, _| false);
    }

    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        self.visit(field, |_, _| false);
    }
}

fn is_unchanged(policy: &dyn Redact, key: &str, text: &str) -> bool {
    // Compares addresses, because a policy may return another text as a borrowed one.
    ptr::eq(&*policy.redact_value(key, text), text)
}
