//! Errors, as far as they may be shown.

use std::{
    cell::{Cell, OnceCell},
    error::Error,
    fmt, iter, ptr,
};

use tracing_core::{Field, field::Visit};

use super::values::Source;
use crate::{
    NoRedaction, Redact,
    internal::{
        error_chain::{MAX_CAUSES, error_chain},
        errors,
    },
    redact::redacted_display,
};

/// What may be shown of an error and of what caused it: all of it text, none of it the error
/// itself.
///
/// Its `Debug` begins with the name of the error's type, which is where Sentry finds it. Few layers
/// look at it, and that of an error with a backtrace costs milliseconds: it is formatted when it is
/// asked for. An error has to be `'static`, so this one cannot hold the original; it asks for it
/// again, in [`with_originals`].
pub(crate) struct RedactedError {
    display: String,
    type_name: Option<&'static str>,
    debug: OnceCell<String>,
    original: Original,
    source: Option<Box<Self>>,
}

/// Where the error was that is shown.
#[derive(Clone, Copy)]
pub(super) struct Original {
    /// The values, as numbered by [`next_number`].
    pub(super) values: u64,
    /// The number of the field.
    pub(super) field: usize,
    /// Whether the policy reads it.
    pub(super) reads: bool,
    /// How many causes deep in the field's value.
    depth: usize,
}

impl RedactedError {
    pub(super) fn new(
        error: &(dyn Error + 'static),
        key: &str,
        policy: &dyn Redact,
        original: Original,
    ) -> Box<Self> {
        let shown: Vec<_> = iter::once(error)
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
                original: Original { depth, ..original },
                source,
            }))
        };
        let outermost = shown.into_iter().enumerate().rev().fold(None, link);
        outermost.unwrap_or_else(|| unreachable!("there is the error itself"))
    }

    pub(crate) fn type_name(&self) -> Option<&'static str> {
        self.type_name
    }

    /// What `read` reads of the original, as far as it may be shown.
    pub(crate) fn original_text(
        &self,
        read: impl Fn(&(dyn Error + 'static)) -> Option<String>,
    ) -> Option<String> {
        self.original.text(|policy, key, error| {
            Some(redacted_display(
                policy,
                key,
                format_args!("{}", read(error)?),
            ))
        })
    }
}

impl Original {
    pub(super) fn new(values: u64, field: &Field, reads: bool) -> Self {
        Self {
            values,
            field: field.index(),
            reads,
            depth: 0,
        }
    }

    /// What `read` makes of the original. It is value_given the policy that reads it, and its key.
    fn text(
        self,
        read: impl Fn(&dyn Redact, &str, &(dyn Error + 'static)) -> Option<String>,
    ) -> Option<String> {
        struct Find<'a, F> {
            original: Original,
            policy: &'a dyn Redact,
            read: F,
            found: Option<String>,
        }
        impl<F> Visit for Find<'_, F>
        where
            F: Fn(&dyn Redact, &str, &(dyn Error + 'static)) -> Option<String>,
        {
            fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

            fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
                let Original { depth, .. } = self.original;
                if field.index() == self.original.field {
                    let mut chain = iter::once(value).chain(error_chain(value, MAX_CAUSES));
                    self.found = chain
                        .nth(depth)
                        .and_then(|error| (self.read)(self.policy, field.name(), error));
                }
            }
        }
        with_source(self.values, |source| {
            let mut find = Find {
                original: self,
                policy: if self.reads {
                    source.policy
                } else {
                    &NoRedaction
                },
                read,
                found: None,
            };
            (source.record)(&mut find);
            find.found
        })
        .flatten()
    }
}

thread_local! {
    /// The values that a layer is shown right now, and their number.
    static SHOWN_VALUES: Cell<(*const (), u64)> = const { Cell::new((ptr::null(), 0)) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// A number for values that have errors, unlike that of any others of this thread.
pub(super) fn next_number() -> u64 {
    let number = NUMBER.get().wrapping_add(1).max(1);
    NUMBER.set(number);
    number
}

/// Calls `forward`; errors that are shown meanwhile find what they were made of in `source`.
pub(super) fn with_originals<R>(
    number: u64,
    source: &Source<'_>,
    forward: impl FnOnce() -> R,
) -> R {
    struct Restore((*const (), u64));
    impl Drop for Restore {
        fn drop(&mut self) {
            SHOWN_VALUES.set(self.0);
        }
    }
    let before = SHOWN_VALUES.replace((ptr::from_ref(source).cast(), number));
    let _restore = Restore(before);
    forward()
}

fn with_source<R>(number: u64, read: impl FnOnce(&Source<'_>) -> R) -> Option<R> {
    let (source, shown) = SHOWN_VALUES.get();
    if source.is_null() || shown != number {
        return None;
    }
    #[expect(unsafe_code, reason = "a thread-local cannot hold a borrowed value")]
    // SAFETY: only `with_originals` sets the pointer, from a reference to a `Source` that it
    // borrows until it has set it back, also when it unwinds. So the `Source` lives, on this
    // thread, and nobody has it mutably: it is only ever shared.
    let source = unsafe { &*source.cast::<Source<'_>>() };
    Some(read(source))
}

impl fmt::Display for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.display)
    }
}

impl fmt::Debug for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.debug.get().is_none() {
            // Layers get the error by reference, and cannot have it any longer than its original.
            let text = self.original.text(|policy, key, error| {
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
}
