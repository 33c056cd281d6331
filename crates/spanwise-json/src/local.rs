//! What a layer keeps on each thread.

use std::{cell::RefCell, sync::Arc};

use spanwise_core::{LayerId, Node};
use tracing::Subscriber;
use tracing_core::span::Id;
use tracing_subscriber::{layer::Context, registry::LookupSpan};

use crate::{fragment::Fragment, line::Line, timestamp::LastSecond};

#[derive(Debug)]
pub(crate) struct Local {
    layer: LayerId,
    /// Taken while a line is being put together: an event inside an event's values finds none, and makes its own.
    pub(crate) line: Option<Box<Line>>,
    pub(crate) second: LastSecond,
    /// The members that name the thread.
    pub(crate) thread: Vec<u8>,
    entered: Vec<Entered>,
}

/// A span this thread is in.
#[derive(Debug)]
struct Entered {
    id: Id,
    /// It was entered before, and not left since.
    again: bool,
    /// Looked up when the first event needs it: entering a span costs next to nothing.
    node: Option<Option<Arc<Node<Fragment>>>>,
}

impl Local {
    fn new(layer: LayerId) -> Self {
        Self {
            layer,
            line: None,
            second: LastSecond::default(),
            thread: Vec::new(),
            entered: Vec::new(),
        }
    }

    pub(crate) fn enter(&mut self, id: &Id) {
        let again = self.entered.iter().any(|entered| entered.id == *id);
        self.entered.push(Entered {
            id: id.clone(),
            again,
            node: None,
        });
    }

    /// Guards may be dropped in any order.
    pub(crate) fn exit(&mut self, id: &Id) {
        if let Some(index) = self.entered.iter().rposition(|entered| entered.id == *id) {
            self.entered.remove(index);
        }
    }

    /// The node of the current span: that of the last one entered that was not entered already, as `Registry` has it.
    pub(crate) fn current<S>(&mut self, ctx: &Context<'_, S>) -> Option<&Arc<Node<Fragment>>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let layer = self.layer;
        let entered = self
            .entered
            .iter_mut()
            .rev()
            .find(|entered| !entered.again)?;
        entered
            .node
            .get_or_insert_with(|| look_up(layer, &entered.id, ctx))
            .as_ref()
    }
}

/// The node of a span, or of the nearest one above it that has one: a span opened before the layer was there has none.
pub(crate) fn look_up<S>(
    layer: LayerId,
    id: &Id,
    ctx: &Context<'_, S>,
) -> Option<Arc<Node<Fragment>>>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    ctx.span_scope(id)?
        .find_map(|span| Node::of(Some(layer), &span))
}

/// Calls `f` with what `layer` keeps on this thread. `f` must not call code that may log.
#[inline]
pub(crate) fn with<R>(layer: LayerId, f: impl FnOnce(&mut Local) -> R) -> R {
    thread_local! {
        static LOCALS: RefCell<Vec<Local>> = const { RefCell::new(Vec::new()) };
    }
    let mut f = Some(f);
    let mut call = |local: &mut Local| f.take().map(|f| f(local));
    let done = LOCALS.try_with(|locals| {
        let mut locals = locals.try_borrow_mut().ok()?;
        let index = match locals.iter().position(|local| local.layer == layer) {
            Some(index) => index,
            None => add(&mut locals, layer),
        };
        call(&mut locals[index])
    });
    match done {
        Ok(Some(result)) => result,
        // The thread is ending and its locals are gone: it knows of no span any more.
        _ => match call(&mut Local::new(layer)) {
            Some(result) => result,
            None => unreachable!("`f` is called where `done` holds its result, and only there"),
        },
    }
}

#[cold]
fn add(locals: &mut Vec<Local>, layer: LayerId) -> usize {
    // Layers come and go in tests; what they left behind on this thread is dropped when it becomes much.
    if locals.len() >= 32 {
        locals.retain(|local| !local.entered.is_empty());
    }
    locals.push(Local::new(layer));
    locals.len() - 1
}
