//! Redacted errors: copies of an error and its causes that contain only redacted texts.

use std::{cell::OnceCell, error::Error, fmt, iter, ptr, sync::Arc};

use tracing_core::{Field, field::Visit};

use crate::{
    Redact,
    internal::{
        error_chain::{MAX_CAUSES, error_chain},
        error_query::{ErrorQuery, ErrorReply, answer},
        errors,
    },
    redact::redacted_display,
};

use super::{values::TextHandling, with_state};

/// The redacted texts of an error. `source` has those of its causes.
///
/// Its `Debug` is the redacted `Debug` of the original, because Sentry reads the name of the type
/// from the beginning of that text. The text is formatted only on demand, because few layers use
/// it, and for an error with a backtrace it takes milliseconds. A `RedactedError` must be
/// `'static`, so it cannot borrow the original. During [`with_originals`], it finds the original by
/// its location.
pub(super) struct RedactedError {
    display: String,
    type_name: Option<&'static str>,
    /// The redacted `Debug`, once it was formatted.
    debug: OnceCell<String>,
    location: ErrorLocation,
    source: Option<Box<Self>>,
}

/// The location of an original error in its [`Originals`].
#[derive(Clone, Copy)]
pub(super) struct ErrorLocation {
    /// The id of the `Originals`, from [`next_originals_id`].
    originals_id: u64,
    /// The index of the field that has the error.
    field_index: usize,
    /// Whether the policy scans the texts of the error.
    handling: TextHandling,
    /// The position in the chain of causes; 0 is the field's value.
    depth: usize,
}

/// The original values of an event, a span or a record, and the policy that redacts them.
pub(super) struct Originals<'a> {
    pub(super) policy: &'a dyn Redact,
    /// Passes each original value to a visitor.
    pub(super) record: &'a dyn Fn(&mut dyn Visit),
}

impl RedactedError {
    pub(super) fn new(
        error: &(dyn Error + 'static),
        key: &str,
        policy: &dyn Redact,
        location: ErrorLocation,
    ) -> Box<Self> {
        let texts: Vec<_> = iter::once(error)
            .chain(error_chain(error, MAX_CAUSES))
            .map(|error| {
                let display = redacted_display(policy, key, format_args!("{error}"));
                (display, errors::type_name(error))
            })
            .collect();
        let link = |source, (depth, (display, type_name))| {
            Some(Box::new(Self {
                display,
                type_name,
                debug: OnceCell::new(),
                location: ErrorLocation { depth, ..location },
                source,
            }))
        };
        let outermost = texts.into_iter().enumerate().rev().fold(None, link);
        outermost.unwrap_or_else(|| unreachable!("the chain contains the error itself"))
    }

    /// Calls `read` with the original error, and returns the redacted form of the text that it
    /// returns. Returns `None` if the original is not [available](with_originals), or if `read`
    /// returns `None`.
    fn redacted_text(
        &self,
        read: impl Fn(&(dyn Error + 'static)) -> Option<String>,
    ) -> Option<String> {
        self.location.read(|policy, key, error| {
            Some(redacted_display(
                policy,
                key,
                format_args!("{}", read(error)?),
            ))
        })
    }
}

impl ErrorLocation {
    pub(super) fn new(originals_id: u64, field: &Field, handling: TextHandling) -> Self {
        Self {
            originals_id,
            field_index: field.index(),
            handling,
            depth: 0,
        }
    }

    /// Calls `read` with the policy, the key and the original error. Returns `None` if the original
    /// is not [available](with_originals), or if `read` returns `None`.
    fn read(
        self,
        read: impl Fn(&dyn Redact, &str, &(dyn Error + 'static)) -> Option<String>,
    ) -> Option<String> {
        struct FindError<'a, F> {
            location: ErrorLocation,
            policy: &'a dyn Redact,
            read: F,
            result: Option<String>,
        }
        impl<F> Visit for FindError<'_, F>
        where
            F: Fn(&dyn Redact, &str, &(dyn Error + 'static)) -> Option<String>,
        {
            fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

            fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
                let ErrorLocation {
                    field_index, depth, ..
                } = self.location;
                if field.index() == field_index {
                    let mut chain = iter::once(value).chain(error_chain(value, MAX_CAUSES));
                    self.result = chain
                        .nth(depth)
                        .and_then(|error| (self.read)(self.policy, field.name(), error));
                }
            }
        }
        read_originals(self.originals_id, |originals| {
            let mut find = FindError {
                location: self,
                policy: self.handling.policy(originals.policy),
                read,
                result: None,
            };
            (originals.record)(&mut find);
            find.result
        })
        .flatten()
    }
}

/// Creates an id that no other originals of this thread have.
pub(super) fn next_originals_id() -> u64 {
    with_state(|state| {
        let id = state.last_originals_id.get().wrapping_add(1).max(1);
        state.last_originals_id.set(id);
        id
    })
}

/// Calls `forward`. During the call, redacted errors with this id find their originals, which are
/// then *available*. A nested call hides the originals of the outer call.
pub(super) fn with_originals<R>(
    id: u64,
    originals: &Originals<'_>,
    forward: impl FnOnce() -> R,
) -> R {
    struct Restore((*const (), u64));
    impl Drop for Restore {
        fn drop(&mut self) {
            with_state(|state| state.originals.set(self.0));
        }
    }
    let originals = (ptr::from_ref(originals).cast(), id);
    let _restore = Restore(with_state(|state| state.originals.replace(originals)));
    forward()
}

/// Calls `read` with the originals that have this id. Returns `None` if they are not available: see
/// [`with_originals`].
fn read_originals<R>(id: u64, read: impl FnOnce(&Originals<'_>) -> R) -> Option<R> {
    let (originals, current_id) = with_state(|state| state.originals.get());
    if originals.is_null() || current_id != id {
        return None;
    }
    #[expect(unsafe_code, reason = "a thread-local cannot hold a borrowed value")]
    // SAFETY: only `with_originals` sets the pointer, from a reference. Before that function
    // returns or unwinds, it restores the outer pointer. So the `Originals` are alive, on this
    // thread, and only shared references to them exist.
    let originals = unsafe { &*originals.cast::<Originals<'_>>() };
    Some(read(originals))
}

impl fmt::Display for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.display)
    }
}

impl fmt::Debug for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Does not use `get_or_init`, which panics if it is re-entered. The original's `Debug` and
        // the policy are foreign code, which may format this error again.
        if self.debug.get().is_none() {
            // The original is not available if the error outlives its event, or if a second
            // redacted layer inside this one forwards the error. The text is then that of
            // `Display`.
            let text = self.location.read(|policy, key, error| {
                Some(redacted_display(policy, key, format_args!("{error:?}")))
            });
            let _ = self.debug.set(text.unwrap_or_else(|| self.display.clone()));
        }
        f.write_str(self.debug.get().unwrap_or(&self.display))
    }
}

impl Error for RedactedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }

    fn description(&self) -> &str {
        answer(|query| match query {
            ErrorQuery::TypeName => ErrorReply::TypeName(self.type_name),
            ErrorQuery::ShortName => ErrorReply::ShortName(self.redacted_text(errors::short_name)),
            ErrorQuery::Backtrace => {
                let text = self.redacted_text(|error| Some(errors::backtrace(error)?.to_string()));
                ErrorReply::Backtrace(text.map(Arc::from))
            }
        })
    }
}
