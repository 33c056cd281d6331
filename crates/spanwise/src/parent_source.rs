//! The context that the parent process passes in the environment: the span that is the parent of
//! the root spans of this process, and the state and the baggage of its trace.

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

/// Where the parent of the units of work comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParentSource {
    None,
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
    // Another program wrote the texts, so an invalid one is a warning.
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
    // The users of the baggage parse its members, and drop malformed ones.
    let baggage = choices.unchecked_text(&BAGGAGE.def);
    Some(InheritedContext {
        parent,
        state: state.map(Into::into),
        baggage: baggage.map(Into::into),
    })
}

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
