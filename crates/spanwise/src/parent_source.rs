//! The parent of this process, which the process that started it passes in the environment.

use spanwise_core::{TraceParent, internal::inherited_context::InheritedContext};

use crate::{
    choices::Choices,
    named::named,
    settings::{BAGGAGE, LOG_PARENT, SettingRow, TRACEPARENT, TRACESTATE},
};

/// Where the parent of the units of work comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParentSource {
    None,
    Env,
}

named!(ParentSource: None = "none", Env = "env");

/// Returns the context that this process inherits. An invalid parent is ignored with a warning,
/// because another program wrote it.
pub(crate) fn choose(choices: &mut Choices<'_>) -> Option<InheritedContext> {
    let source = choices.choose(&LOG_PARENT)?;
    if source.value == ParentSource::None {
        return None;
    }
    let text = choices.choose(&TRACEPARENT)?;
    let parent = match text.value.parse::<TraceParent>() {
        Ok(parent) => parent,
        Err(error) => {
            choices.warn(format!("TRACEPARENT is ignored: it is {error}"));
            return None;
        }
    };
    let mut more = |setting: &SettingRow<String>| {
        let text = choices.sourced(setting)?;
        Some(text.value.into())
    };
    Some(InheritedContext {
        parent,
        state: more(&TRACESTATE),
        baggage: more(&BAGGAGE),
    })
}
