//! The ids and the kind of the next span, announced by the code that opens the span.
//!
//! For example, the HTTP server knows the span id and the parent in another process before it opens
//! the span. It [announces](announce) them. The layer that gives spans their trace and span ids
//! [takes](take_announced) the announcement in `on_new_span`. Without that layer, nothing is
//! announced.

use std::{
    mem::ManuallyDrop,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing_core::span::Id;

use crate::internal::thread_state;

/// Facts about the next span to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The id of the span.
    pub span_id: [u8; 8],
    /// The kind of the span.
    pub kind: SpanKind,
    /// The trace, if the span is the first of this process in the trace. If the span has a parent
    /// in this process, this value is ignored. `None` means that the span belongs to the trace of
    /// the enclosing span.
    pub trace: Option<AnnouncedTrace>,
}

/// An announcement that no layer has taken yet.
pub(crate) struct PendingAnnouncement {
    announced: Announced,
    /// The only span that may take the announcement, if it was [reserved](reserve_announced).
    reserved_for: Option<Id>,
}

/// The trace of a span whose parent is not an open span of this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnouncedTrace {
    /// The id of the trace.
    pub trace_id: [u8; 16],
    /// The id of the parent: a span of another process, or the disabled span of a request in this
    /// process. `None` if the trace begins here.
    pub parent: Option<[u8; 8]>,
    /// The flags of `traceparent`, from the parent or for the new trace. Without a parent,
    /// [`SAMPLED`](crate::internal::span_identity::SAMPLED) is ignored, because the sampler
    /// decides.
    pub flags: u8,
    /// The `tracestate` of the parent.
    pub state: Option<Arc<str>>,
    /// The trace and the span of an untrusted caller. They are a link, not a parent.
    pub link: Option<([u8; 16], [u8; 8])>,
}

/// The role of a span in a call, as OpenTelemetry defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names are those of OpenTelemetry")]
pub enum SpanKind {
    #[default]
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// Whether a layer takes announcements.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Enables [`announce`]. Called by the layer that gives spans their trace and span ids.
pub fn want_identities() {
    WANTED.store(true, Ordering::Relaxed);
}

/// Returns whether a layer gives spans their trace and span ids.
#[inline]
#[must_use]
pub fn identities_are_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// Announces the result of `make`, and calls `open`, which opens the span. If no layer takes
/// announcements, `make` is not called.
///
/// Evaluate the fields of the span before the call, because a span that a field opens would take
/// the announcement.
#[inline]
pub fn announce<R>(make: impl FnOnce() -> Announced, open: impl FnOnce() -> R) -> R {
    if !identities_are_wanted() {
        return open();
    }
    let announcement = PendingAnnouncement {
        announced: make(),
        reserved_for: None,
    };
    let _restore_outer = RestoreAnnouncement(replace_announcement(Some(Box::new(announcement))));
    open()
}

/// Takes the announcement of the span that is being opened, unless it is
/// [reserved](reserve_announced) for another span.
#[inline]
#[must_use]
pub fn take_announced(id: &Id) -> Option<Announced> {
    let announcement = replace_announcement(None)?;
    match &announcement.reserved_for {
        Some(reserved_for) if reserved_for != id => {
            replace_announcement(Some(announcement));
            None
        }
        Some(_) | None => Some(announcement.announced),
    }
}

/// Reserves the announcement for the span `id`, which is being opened. A span that opens while the
/// fields of `id` are formatted can then not take the announcement.
#[inline]
pub fn reserve_announced(id: &Id) {
    if let Some(mut announcement) = replace_announcement(None) {
        announcement.reserved_for.get_or_insert_with(|| id.clone());
        replace_announcement(Some(announcement));
    }
}

/// Replaces the announcement of this thread. Returns the previous one.
#[inline]
fn replace_announcement(
    announcement: Option<Box<PendingAnnouncement>>,
) -> Option<Box<PendingAnnouncement>> {
    let announcement = announcement.map(ManuallyDrop::new);
    thread_state::with(|state| state.announced.replace(announcement)).map(ManuallyDrop::into_inner)
}

/// A guard that restores the announcement from before a call of [`announce`]. There seldom is one.
struct RestoreAnnouncement(Option<Box<PendingAnnouncement>>);

impl Drop for RestoreAnnouncement {
    fn drop(&mut self) {
        drop(replace_announcement(self.0.take()));
    }
}
