//! The parent of this process, which the process that started it passes in the environment.

use spanwise_core::{TraceParent, internal::inherited_context::InheritedContext};

use crate::{
    choices::Choices,
    explain::Origin,
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
    // Another program wrote the texts, so none of them stops the start.
    let Some(text) = choices.foreign_text(&TRACEPARENT.def) else {
        choices.choose(&TRACEPARENT); // the line of its default
        return None;
    };
    let parent = match text.parse::<TraceParent>() {
        Ok(parent) => parent,
        Err(error) => {
            choices.warn(format!("TRACEPARENT is ignored: it is {error}"));
            return None;
        }
    };
    let name = choices.name_of(&TRACEPARENT.def);
    choices.explain(&TRACEPARENT.def, parent, &Origin::Variable(name));
    let more = |setting: &SettingRow<String>| choices.foreign_text(&setting.def).map(Into::into);
    Some(InheritedContext {
        parent,
        state: more(&TRACESTATE),
        baggage: more(&BAGGAGE),
    })
}
