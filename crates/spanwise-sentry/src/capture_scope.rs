//! Thread-local state while Sentry's client runs. With it, the layer ignores events that hooks of
//! the client log, and the transport does not redact data twice.

use std::{
    cell::{Cell, RefCell},
    mem,
};

use sentry_core::{
    Hub,
    protocol::{Event, SpanId},
};
use spanwise_core::internal::panic_safe;

thread_local! {
    /// Whether the client runs on this thread, and with it the hooks of the application. Events
    /// that hooks log are not sent, because sending such an event calls the hooks again.
    static IS_CAPTURING: Cell<bool> = const { Cell::new(false) };
    /// The redacted part of the envelope that the client passes to the transport next.
    static ALREADY_REDACTED: RefCell<AlreadyRedacted> = const {
        RefCell::new(AlreadyRedacted::Nothing)
    };
}

/// The part of an envelope that was redacted before the client received it.
#[derive(Default)]
pub(crate) enum AlreadyRedacted {
    #[default]
    Nothing,
    Everything,
    /// The event. The copy was made before hooks and integrations could change the event.
    Event(Box<Event<'static>>),
}

/// Sets the state of this thread while the client runs, and restores it when dropped. A hook may
/// start another capture, so scopes nest.
pub(crate) struct CaptureScope {
    was_capturing: bool,
    /// The value of `ALREADY_REDACTED` in the outer scope.
    outer: AlreadyRedacted,
}

impl CaptureScope {
    pub(crate) fn enter(redacted: AlreadyRedacted) -> Self {
        Self {
            was_capturing: IS_CAPTURING
                .try_with(|capturing| capturing.replace(true))
                .unwrap_or(true),
            // An exiting thread cannot store the value. In that case everything is redacted again.
            outer: ALREADY_REDACTED
                .try_with(|current| current.replace(redacted))
                .unwrap_or_default(),
        }
    }
}

impl Drop for CaptureScope {
    fn drop(&mut self) {
        let _ = IS_CAPTURING.try_with(|capturing| capturing.set(self.was_capturing));
        let _ = ALREADY_REDACTED.try_with(|current| current.replace(mem::take(&mut self.outer)));
    }
}

/// Takes the redacted part of the envelope that the client currently passes to the transport.
pub(crate) fn take_already_redacted() -> AlreadyRedacted {
    let taken = ALREADY_REDACTED.try_with(RefCell::take);
    taken.unwrap_or_default()
}

/// Returns whether the client may run on this thread. If the thread-local was destroyed, returns
/// `true`, because the events that a hook logs cannot be distinguished from others.
pub(crate) fn may_be_capturing() -> bool {
    IS_CAPTURING.try_with(Cell::get).unwrap_or(true)
}

/// Returns whether the client runs on this thread. If the thread-local was destroyed, returns
/// `false`.
pub(crate) fn is_capturing() -> bool {
    IS_CAPTURING.try_with(Cell::get).unwrap_or(false)
}

/// Returns whether this thread is exiting. If so, the thread-locals of the client may be destroyed.
pub(crate) fn is_thread_exiting() -> bool {
    /// Created after the thread-locals of the client, and therefore destroyed before them. While
    /// the canary exists, the thread-locals of the client exist, too.
    struct Canary;
    impl Drop for Canary {
        fn drop(&mut self) {}
    }
    thread_local! {
        static CANARY: Canary = {
            let _ = (Hub::current(), SpanId::default());
            Canary
        };
    }
    // Creating the canary accesses the thread-locals of the client. The access panics if they were
    // destroyed, so a panic also means that the thread is exiting.
    panic_safe::catch_panic(|| CANARY.try_with(|_| ())).is_none_or(|canary| canary.is_err())
}
