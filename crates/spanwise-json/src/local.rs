//! What is kept on each thread.

use std::cell::{Cell, RefCell};

use spanwise_core::LayerId;
use tracing_core::span::Id;

use crate::{format::SAMPLE_RATE, fragment::SpanNode, line::Line, timestamp::LastSecond};

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
    pub(crate) rate: LastRate,
}

/// The last sample rate that was written, as a member: a rule has the same one always.
#[derive(Debug, Default)]
pub(crate) struct LastRate {
    rate: f64,
    member: Vec<u8>,
}

impl LastRate {
    /// Appends a finite rate.
    pub(crate) fn push(&mut self, line: &mut Line, rate: f64) {
        if self.rate.to_bits() != rate.to_bits() || self.member.is_empty() {
            self.rate = rate;
            self.member.clear();
            // A name of ours: there is nothing in it to escape.
            for part in [",\"", SAMPLE_RATE, "\":"] {
                self.member.extend(part.as_bytes());
            }
            let mut digits = zmij::Buffer::new();
            self.member.extend(digits.format_finite(rate).as_bytes());
        }
        line.push(&self.member);
    }
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
}

/// A span this thread is in.
#[derive(Debug)]
struct Entered {
    id: Id,
    /// It was entered before, and not left since.
    again: bool,
    /// Looked up when the first event needs it: entering a span costs next to nothing.
    node: Option<Option<SpanNode>>,
}

impl Local {
    fn new(layer: LayerId) -> Self {
        Self {
            layer,
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
    /// `look_up` finds it the first time it is asked for.
    pub(crate) fn current(
        &mut self,
        look_up: impl FnOnce(&Id) -> Option<SpanNode>,
    ) -> Option<&SpanNode> {
        let entered = self
            .entered
            .iter_mut()
            .rev()
            .find(|entered| !entered.again)?;
        entered
            .node
            .get_or_insert_with(|| look_up(&entered.id))
            .as_ref()
    }
}

/// Calls `f` with what `layer` keeps on this thread. `f` must not call code that may log.
#[inline]
pub(crate) fn with<R>(layer: LayerId, f: impl FnOnce(&mut Local) -> R) -> R {
    let mut f = Some(f);
    let done = LOCALS.try_with(|locals| {
        // Nothing that `f` calls comes here again, so this is never borrowed already.
        let mut locals = locals.borrow_mut();
        let local = match locals.first_mut() {
            Some(first) if first.layer == layer => first,
            _ => find(&mut locals, layer),
        };
        f.take().map(|f| f(local))
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

/// A stack of more than one layer has more than one of them.
#[inline(never)]
fn find(locals: &mut Vec<Local>, layer: LayerId) -> &mut Local {
    let index = locals
        .iter()
        .position(|local| local.layer == layer)
        .unwrap_or_else(|| {
            // Layers come and go in tests; what they left behind on this thread is dropped when it becomes much.
            if locals.len() >= 32 {
                locals.retain(|local| !local.entered.is_empty());
            }
            locals.push(Local::new(layer));
            locals.len() - 1
        });
    &mut locals[index]
}
