//! What is kept on each thread.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use spanwise_core::{LayerId, Node};
use tracing::Subscriber;
use tracing_core::span::Id;
use tracing_subscriber::{layer::Context, registry::LookupSpan};

use crate::{fragment::Fragment, line::Line, timestamp::LastSecond};

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    static LOCALS: RefCell<Vec<Local>> = const { RefCell::new(Vec::new()) };
}

/// What a thread uses again for each line, whichever layer writes it.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) line: Line,
    /// Of each layer, or of every other one: a stack seldom has more than two.
    pub(crate) seconds: [LastSecond; 2],
    /// The thread's name and id, as JSON strings.
    pub(crate) thread: Option<(Option<Vec<u8>>, Vec<u8>)>,
}

impl Scratch {
    /// The thread's, with an empty line. An event inside the values of another finds it taken, and has one of its own.
    #[inline]
    pub(crate) fn take() -> Box<Self> {
        SCRATCH
            .try_with(Cell::take)
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Keeps it for the thread's next line.
    #[inline]
    pub(crate) fn put_back(mut self: Box<Self>) {
        self.line.clear();
        // A thread that is ending keeps nothing.
        let _ = SCRATCH.try_with(|scratch| scratch.set(Some(self)));
    }
}

/// What a layer keeps on a thread: the spans that the thread is in.
#[derive(Debug)]
pub(crate) struct Local {
    layer: LayerId,
    entered: Vec<Entered>,
    /// The span opened last, which is mostly the one entered next.
    created: Option<(Id, Arc<Node<Fragment>>)>,
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
            entered: Vec::new(),
            created: None,
        }
    }

    pub(crate) fn created(&mut self, id: &Id, node: &Arc<Node<Fragment>>) {
        self.created = Some((id.clone(), Arc::clone(node)));
    }

    pub(crate) fn enter(&mut self, id: &Id) {
        let again = self.entered.iter().any(|entered| entered.id == *id);
        // An id is used again for another span once its own is closed; then the node is not attached any more.
        let created = self
            .created
            .take_if(|(created, node)| created == id && node.is_attached());
        let node = created.map(|(_, node)| Some(node));
        self.entered.push(Entered {
            id: id.clone(),
            again,
            node,
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
    let mut f = Some(f);
    let done = LOCALS.try_with(|locals| {
        // Nothing that `f` calls comes here again, so this is never borrowed already.
        let mut locals = locals.borrow_mut();
        let index = match locals.iter().position(|local| local.layer == layer) {
            Some(index) => index,
            None => add(&mut locals, layer),
        };
        f.take().map(|f| f(&mut locals[index]))
    });
    match (done, f) {
        (Ok(Some(result)), _) => result,
        (_, Some(f)) => without_thread(layer, f),
        (_, None) => unreachable!("`f` is taken only where its result is kept"),
    }
}

/// The thread is ending and its locals are gone: it knows of no span any more.
#[cold]
#[inline(never)]
fn without_thread<R>(layer: LayerId, f: impl FnOnce(&mut Local) -> R) -> R {
    f(&mut Local::new(layer))
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
