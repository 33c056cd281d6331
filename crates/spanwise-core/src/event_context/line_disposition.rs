//! The disposition of the next line that a sink writes: whether a recorder buffers the line.
//!
//! The thread-local state of the event context stores the disposition in one of two forms: as an
//! [`EnteredLine`] or as an owned [`LineDisposition`]. The flags of that state show the form.

use std::{any::Any, fmt, mem::ManuallyDrop, sync::Arc};

use super::{
    BUFFERED, ClearAll, DISPOSITION, ENTERED_DISPOSITION, EXEMPT_FROM_SAMPLING, EventContext,
    EventState, OWNED_DISPOSITION, RestoreState, SAMPLED_OUT, SavedState,
    unencoded_event::{BufferingUnit, DumpedRecords, EnteredUnits, NoUnits, UnencodedEvent},
    with_state,
};
use crate::internal::LayerId;

/// The treatment of the next line that a sink writes on this thread. If no disposition is set, the
/// line is written.
///
/// The recorder sets the disposition, and the recorder's writer takes it. If the sink's layer
/// buffers the event as an [`UnencodedEvent`], the layer takes it. This crate does not look into
/// the contents of the variants.
pub enum LineDisposition {
    /// The line is added to the recorder's buffer of a unit of work: a root span and its
    /// descendants.
    Buffer {
        /// The unit.
        unit: Arc<dyn BufferingUnit>,
        /// The recorder's number for the record.
        tag: u32,
    },
    /// The line is the header of a dump, and buffered lines follow it.
    Header(Box<dyn Any>),
    /// The header was written. The layer writes the records that follow it: see
    /// [`take_dump`](Self::take_dump).
    Dump(Box<dyn DumpedRecords>),
}

/// A disposition for a line that is buffered in the unit of an entered span. The position of the
/// span identifies the unit, because a clone of the unit's `Arc` would double the cost of a
/// buffered line.
#[derive(Clone, Copy)]
pub struct EnteredLine {
    /// The recorder's sink.
    pub sink: LayerId,
    /// The index of the span in the recorder's `EnteredSpans`.
    pub index: u32,
    /// The recorder's number for the record.
    pub tag: u32,
    /// Finds the unit by the sink and the index.
    pub units: &'static dyn EnteredUnits,
}

/// The disposition of the next line of one sink.
pub(super) struct SinkDisposition {
    sink: LayerId,
    disposition: LineDisposition,
    /// Whether a sampler dropped the event of the line.
    is_sampled_out: bool,
}

impl LineDisposition {
    /// The target of the headers of dumps.
    pub const HEADER_TARGET: &str = "spanwise::recorder";

    /// Forwards an event with a changed context and this disposition of the next line of `sink`. If
    /// `sink` writes no line during the call, the disposition is dropped.
    #[inline(never)]
    pub fn scope<R>(
        self,
        sink: LayerId,
        change: impl FnOnce(&mut EventContext),
        forward: impl FnOnce() -> R,
    ) -> R {
        let outer = SavedState::take();
        let mut context = outer.context;
        let _restored = RestoreState(outer);
        change(&mut context);
        with_state(|state| {
            state.set_context(context);
            state.put_disposition(SinkDisposition::new(sink, self));
        });
        forward()
    }

    /// Calls `forward`, which forwards an event or another call of a layer. During the call, hides
    /// the disposition for the line of an outer event, so that the inner lines are written. Keeps
    /// the context.
    #[inline]
    pub fn without<R>(forward: impl FnOnce() -> R) -> R {
        if with_state(|state| state.flags.get()) & DISPOSITION == 0 {
            // Nothing must be restored, because each inner scope removes the disposition that it
            // sets.
            return forward();
        }
        Self::without_outer(forward)
    }

    #[cold]
    fn without_outer<R>(forward: impl FnOnce() -> R) -> R {
        let _restored = RestoreDisposition(with_state(EventState::take_disposition));
        forward()
    }

    /// Takes the disposition of the line that `sink` writes. Also returns whether a sampler dropped
    /// the event of the line. Returns `None` if the line must be written.
    #[inline]
    #[must_use]
    pub fn take(sink: LayerId) -> Option<(Self, bool)> {
        if with_state(|state| state.flags.get()) & DISPOSITION == 0 {
            return None;
        }
        Self::take_for_sink(sink)
    }

    /// Returns the sink whose next line has a disposition, or `None` if none is set.
    #[must_use]
    pub fn sink() -> Option<LayerId> {
        with_state(|state| {
            let flags = state.flags.get();
            if flags & ENTERED_DISPOSITION != 0 {
                return Some(state.entered_disposition.get().sink);
            }
            if flags & OWNED_DISPOSITION == 0 {
                return None;
            }
            let owned = state.owned_disposition.take();
            let sink = owned.as_ref().map(|owned| owned.sink);
            state.owned_disposition.set(owned);
            sink
        })
    }

    /// Passes the records of a dump from the writer, which wrote the header, to the layer. Call it
    /// only for a sink whose layer has buffered an [`UnencodedEvent`].
    pub fn pass_dump(sink: LayerId, records: Box<dyn DumpedRecords>) {
        with_state(|state| state.put_disposition(SinkDisposition::new(sink, Self::Dump(records))));
    }

    /// Takes the records that the layer of `sink` writes after the header of a dump.
    #[must_use]
    pub fn take_dump(sink: LayerId) -> Option<Box<dyn DumpedRecords>> {
        match Self::take(sink)? {
            (Self::Dump(records), _) => Some(records),
            (Self::Buffer { .. } | Self::Header(_), _) => None,
        }
    }

    #[inline(never)] // Few lines still have a disposition when this is called.
    fn take_for_sink(sink: LayerId) -> Option<(Self, bool)> {
        with_state(|state| {
            let taken = state.take_disposition()?;
            if taken.sink == sink {
                return Some((taken.disposition, taken.is_sampled_out));
            }
            state.put_disposition(taken);
            None
        })
    }
}

impl EnteredLine {
    pub(super) const NONE: Self = Self {
        sink: LayerId::NONE,
        index: 0,
        tag: 0,
        units: &NoUnits,
    };

    /// Forwards an event that is enabled only for the recorder. The next line of the sink is
    /// buffered in the unit of the entered span. The event is exempt from sampling.
    #[inline(always)] // The path of nearly all buffered lines.
    pub fn scope<R>(self, forward: impl FnOnce() -> R) -> R {
        if with_state(|state| state.flags.get()) != 0 {
            return self.scope_inside(forward);
        }
        with_state(|state| {
            state.entered_disposition.set(self);
            state
                .flags
                .set(BUFFERED | EXEMPT_FROM_SAMPLING | ENTERED_DISPOSITION);
        });
        let _cleared = ClearAll;
        forward()
    }

    #[cold]
    fn scope_inside<R>(self, forward: impl FnOnce() -> R) -> R {
        let outer = SavedState::take();
        let mut context = outer.context;
        let _restored = RestoreState(outer);
        context.buffered = true;
        context.exempt_from_sampling = true;
        with_state(|state| {
            state.set_context(context);
            state.entered_disposition.set(self);
            state.flags.set(state.flags.get() | ENTERED_DISPOSITION);
        });
        forward()
    }

    /// Returns the entered line of the current event, if it is for `sink` and not buffered yet.
    #[inline(always)] // Called twice for each buffered line.
    #[must_use]
    pub fn current(sink: LayerId) -> Option<Self> {
        with_state(|state| {
            if state.flags.get() & ENTERED_DISPOSITION == 0 {
                return None;
            }
            let line = state.entered_disposition.get();
            (line.sink == sink).then_some(line)
        })
    }

    /// Removes the disposition, after the line that [`current`](Self::current) returned was
    /// buffered.
    #[inline]
    pub fn line_buffered() {
        with_state(|state| state.flags.set(state.flags.get() & !DISPOSITION));
    }

    /// Updates the current line of `sink` after the thread has exited the entered span at `index`.
    /// A value can exit a span while the line is formatted. If the line belongs to the exited span,
    /// the disposition then owns the unit that `unit` returns. If the exited span was entered
    /// before the span of the line, decrements the index of the line.
    #[inline]
    pub fn span_exited(
        sink: LayerId,
        index: u32,
        unit: impl FnOnce() -> Option<Arc<dyn BufferingUnit>>,
    ) {
        let Some(line) = Self::current(sink) else {
            return;
        };
        with_state(|state| match line.index.checked_sub(index) {
            Some(0) => {
                if let Some(unit) = unit() {
                    let tag = line.tag;
                    let disposition = LineDisposition::Buffer { unit, tag };
                    state.put_disposition(SinkDisposition::new(sink, disposition));
                }
            }
            // The spans that were entered after the exited span move down by one.
            Some(_) => state.entered_disposition.set(Self {
                index: line.index - 1,
                ..line
            }),
            None => {}
        });
    }
}

impl UnencodedEvent<'_> {
    /// Fast path of [`buffer`](Self::buffer): buffers the event if its unit is that of an entered
    /// span and has room. Reports nothing and runs no code of callers, so a caller may hold a
    /// borrow of its own thread-local state.
    #[inline]
    #[must_use]
    pub fn try_buffer(&self, sink: LayerId) -> bool {
        let Some(line) = EnteredLine::current(sink) else {
            return false;
        };
        let is_buffered = line.units.try_buffer(&line, self);
        if is_buffered {
            EnteredLine::line_buffered();
        }
        is_buffered
    }

    /// Buffers the event in place of the next line of `sink`. Returns false if the caller must
    /// encode the line and pass it to its writer.
    #[must_use]
    pub fn buffer(&self, sink: LayerId) -> bool {
        let Some(taken) = with_state(EventState::take_disposition) else {
            return false;
        };
        if taken.sink == sink
            && let LineDisposition::Buffer { unit, tag } = &taken.disposition
            && Arc::clone(unit).buffer(*tag, taken.is_sampled_out, self)
        {
            return true;
        }
        with_state(|state| state.put_disposition(taken));
        false
    }
}

impl EventState {
    pub(super) fn put_disposition(&self, owned: SinkDisposition) {
        let sampled_out = u16::from(owned.is_sampled_out) * SAMPLED_OUT;
        self.owned_disposition.set(Some(ManuallyDrop::new(owned)));
        let flags = self.flags.get() & !DISPOSITION;
        self.flags.set(flags | OWNED_DISPOSITION | sampled_out);
    }

    /// Takes the disposition, regardless of its sink. Converts an [`EnteredLine`] to an owned
    /// disposition with its unit.
    pub(super) fn take_disposition(&self) -> Option<SinkDisposition> {
        let flags = self.flags.get();
        self.flags.set(flags & !DISPOSITION);
        if flags & OWNED_DISPOSITION != 0 {
            let owned = ManuallyDrop::into_inner(self.owned_disposition.take()?);
            let is_sampled_out = flags & SAMPLED_OUT != 0;
            return Some(SinkDisposition {
                is_sampled_out,
                ..owned
            });
        }
        if flags & ENTERED_DISPOSITION == 0 {
            return None;
        }
        let EnteredLine {
            sink,
            index,
            tag,
            units,
        } = self.entered_disposition.get();
        // `None` on an ending thread, which has no entered spans. The line is then written.
        let unit = units.unit_at(sink, index)?;
        Some(SinkDisposition::new(
            sink,
            LineDisposition::Buffer { unit, tag },
        ))
    }
}

impl SinkDisposition {
    fn new(sink: LayerId, disposition: LineDisposition) -> Self {
        Self {
            sink,
            disposition,
            is_sampled_out: false,
        }
    }
}

struct RestoreDisposition(Option<SinkDisposition>);

impl Drop for RestoreDisposition {
    fn drop(&mut self) {
        // Drops a disposition that was set and not taken.
        drop(with_state(EventState::take_disposition));
        if let Some(outer) = self.0.take() {
            with_state(|state| state.put_disposition(outer));
        }
    }
}

#[cold]
pub(super) fn drop_disposition() {
    // Dropped outside the call of `with_state`, because the destructor may access the same state.
    let owned = with_state(|state| state.owned_disposition.take());
    drop(owned.map(ManuallyDrop::into_inner));
}

impl fmt::Debug for EnteredLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnteredLine")
            .field("sink", &self.sink)
            .field("index", &self.index)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LineDisposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buffer { .. } => "Buffer",
            Self::Header(_) => "Header",
            Self::Dump(_) => "Dump",
        })
    }
}
