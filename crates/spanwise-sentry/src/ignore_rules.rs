//! What is not sent.

use spanwise_core::TargetPattern;

use crate::fields::Cause;

/// Errors that are nobody's business: by where they come from, what they say, or what they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct IgnoreRules {
    targets: Vec<TargetPattern>,
    messages: Vec<String>,
    errors: Vec<String>,
}

impl IgnoreRules {
    pub(crate) fn target(&mut self, target: String) {
        self.targets.push(TargetPattern::module(target));
    }

    pub(crate) fn message(&mut self, part: String) {
        self.messages.push(part);
    }

    pub(crate) fn error(&mut self, ty: String) {
        self.errors.push(ty);
    }

    /// A target and all below it.
    pub(crate) fn ignores_target(&self, target: &str) -> bool {
        self.targets.iter().any(|ignored| ignored.matches(target))
    }

    pub(crate) fn has(&self, message: Option<&str>, errors: &[Vec<Cause>]) -> bool {
        let causes = || errors.iter().flatten();
        let says = |part: &String| {
            message.is_some_and(|message| message.contains(&**part))
                || causes().any(|cause| cause.text.contains(&**part))
        };
        self.messages.iter().any(says)
            || causes().any(|cause| {
                let name = cause.ty.rsplit("::").next().unwrap_or(&cause.ty);
                self.errors.iter().any(|ty| ty == name || *ty == cause.ty)
            })
    }
}
