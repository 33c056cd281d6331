//! The trace context that the parent process passes in the environment.
//!
//! `TRACEPARENT` names a span of the parent process. This span becomes the parent of the root spans
//! of this process. `TRACESTATE` and `BAGGAGE` belong to the same trace.

use spanwise_core::{
    TraceParent,
    internal::{inherited_context::InheritedContext, parse_tracestate},
};

use crate::{
    choices::Choices,
    explain::Origin,
    named::named,
    settings::{BAGGAGE, LOG_PARENT, TRACEPARENT, TRACESTATE},
};

/// Where the parent of root spans comes from: `LOG_PARENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParentSource {
    /// Root spans have no parent.
    None,
    /// The environment.
    Env,
}

named!(ParentSource: None = "none", Env = "env");

/// Returns the context that this process inherits. An invalid `TRACEPARENT` or `TRACESTATE` is
/// ignored with a warning.
pub(crate) fn choose(choices: &mut Choices<'_>) -> Option<InheritedContext> {
    let source = choices.choose(&LOG_PARENT)?;
    if source.value == ParentSource::None {
        return None;
    }
    // Another program sets these variables, so an invalid text is a warning and not an error.
    let text = choices.unchecked_text(&TRACEPARENT.def)?;
    let parent = match text.parse::<TraceParent>() {
        Ok(parent) => parent,
        Err(error) => {
            choices.warn(format!("TRACEPARENT is ignored: it is {error}"));
            return None;
        }
    };
    let name = choices.name_of(&TRACEPARENT.def);
    choices.add_explanation(&TRACEPARENT.def, parent, &Origin::Variable(name));
    let state = choose_state(choices);
    // The baggage is not checked here. Code that uses it parses its members, and drops malformed
    // members.
    let baggage = choices.unchecked_text(&BAGGAGE.def);
    Some(InheritedContext {
        parent,
        state: state.map(Into::into),
        baggage: baggage.map(Into::into),
    })
}

/// Returns the parsed `TRACESTATE`, if it is valid and has members.
fn choose_state(choices: &mut Choices<'_>) -> Option<String> {
    let text = choices.unchecked_text(&TRACESTATE.def)?;
    let state = parse_tracestate([&*text]);
    if state.is_none() {
        let name = choices.name_of(&TRACESTATE.def);
        choices.warn(format!(
            "{name} is ignored: it is not a valid `tracestate`: write at most 32 members such as \
             `vendor=value`, joined by commas"
        ));
    }
    state.filter(|state| !state.is_empty())
}
