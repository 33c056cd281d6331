//! The function `err`, which records errors of any type as a field.
//!
//! `tracing` records only a `&dyn Error` as an error. `anyhow::Error`, `eyre::Report` and
//! `Box<dyn Error>` do not implement `Error`, so [`err`] turns each of them into one.
//!
//! [`err`] wraps the reference in a *view*, which keeps a fact that a plain `&dyn Error` loses. The
//! view of a concrete error keeps the name of its type. The view of an `anyhow::Error` or an
//! `eyre::Report` keeps the backtrace, which only the `Debug` of these types shows. For a
//! `Box<dyn Error>`, [`err`] returns the error inside, without a view. `internal::errors` reads
//! these facts through `error_query`.
//!
//! Formatting a backtrace takes milliseconds, and the first one of a process takes more than 100
//! ms. So this module calls the `Debug` of an `anyhow::Error` or an `eyre::Report` only when a sink
//! reads the backtrace.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    cell::RefCell,
    error::Error,
    fmt, io,
    marker::PhantomData,
    ops::DerefMut,
    ptr,
    sync::{Arc, OnceLock},
};

use crate::internal::{
    PerSecond, backtrace, error_name,
    error_query::{ErrorQuery, ErrorReply, answer},
    errors::ErrorCopy,
    panic_safe,
};

/// Returns `error` as a field value that every sink shows with its message, causes and type.
///
/// `error` is a reference: to a type that implements `Error`, to a `dyn Error`, to a
/// `Box<dyn Error>`, to an `anyhow::Error` or to an `eyre::Report`. If you have a reference, add no
/// `&`: `err(e)` for `e: &dyn Error`.
///
/// ```
/// use std::error::Error;
///
/// use spanwise_core::err;
///
/// let refused = std::io::Error::other("connection refused");
/// tracing::error!(error = err(&refused), "order failed");
///
/// let boxed: Box<dyn Error + Send + Sync> = refused.into();
/// tracing::error!(error = err(&boxed), "order failed");
/// ```
///
/// An `anyhow::Error` or an `eyre::Report` has a backtrace if `RUST_BACKTRACE` or
/// `RUST_LIB_BACKTRACE` is set. Sinks show backtraces of at most ten errors per second, because
/// formatting a backtrace takes milliseconds.
pub fn err<E, Kind>(error: &E) -> &(dyn Error + 'static)
where
    E: AsError<Kind> + ?Sized,
{
    error.as_error()
}

/// A type that [`err`] accepts. `Kind` is inferred, and only distinguishes the implementations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that `err` accepts",
    note = "`err` accepts a reference to an error, a `dyn Error`, a `Box<dyn Error + Send + Sync>`, \
            an `anyhow::Error` or an `eyre::Report`"
)]
pub trait AsError<Kind> {
    /// Returns the error.
    fn as_error(&self) -> &(dyn Error + 'static);
}

/// The `Kind` of a type that implements [`Error`].
#[derive(Debug)]
pub enum Concrete {}

/// The `Kind` of an owning pointer to a `dyn Error`: a `Box`, an `anyhow::Error` or an
/// `eyre::Report`.
#[derive(Debug)]
pub enum Pointer {}

/// The `Kind` of a `dyn Error`.
#[derive(Debug)]
pub enum Dynamic {}

impl<T: Error + 'static> AsError<Concrete> for T {
    fn as_error(&self) -> &(dyn Error + 'static) {
        // An `ErrorCopy` already provides the type name and the backtrace of its original.
        let error: &(dyn Error + 'static) = self;
        if error.is::<ErrorCopy>() {
            return error;
        }
        View::<T, Concrete>::new(self)
    }
}

// Requires `DerefMut`, because with `Deref` an `Arc` of an error would match two implementations:
// the `Arc` is itself an `Error`. `Kind` could then not be inferred.
impl<T> AsError<Pointer> for T
where
    T: DerefMut<Target: AsError<Dynamic>> + fmt::Debug + 'static,
{
    fn as_error(&self) -> &(dyn Error + 'static) {
        // Only the errors of anyhow and eyre may have a backtrace, so only they need a view. This
        // crate does not depend on anyhow and eyre, so it recognizes their types by their size of
        // one word. A `Box<dyn Error>` has two words.
        if size_of::<Self>() > size_of::<usize>() {
            return (**self).as_error();
        }
        // Clears the cached backtrace, which may be that of an earlier error at the same address.
        let _ = LAST_BACKTRACE.try_with(RefCell::take);
        View::<T, Pointer>::new(self)
    }
}

macro_rules! dynamic {
    ($($error:ty),*) => {$(
        impl AsError<Dynamic> for $error {
            fn as_error(&self) -> &(dyn Error + 'static) {
                self
            }
        }
    )*};
}

dynamic!(
    dyn Error,
    dyn Error + Send,
    dyn Error + Sync,
    dyn Error + Send + Sync
);

/// A view of an error. It answers an [`ErrorQuery`] in [`Error::description`], the only method
/// through which a query reaches the view behind a `dyn Error`.
#[repr(transparent)]
struct View<T, Kind> {
    error: T,
    kind: PhantomData<Kind>,
}

/// Access to the error inside a [`View`].
trait Viewed<Kind>: fmt::Debug {
    fn inner(&self) -> &(dyn Error + 'static);

    fn type_name(&self) -> Option<&'static str>;

    /// Returns whether the error is an `io::Error`, perhaps in a `Box` or an `Arc`. The short name
    /// of an `io::Error` is always [`error_name::IO_ERROR`], because its `Debug` shows a private
    /// type.
    fn is_io(&self) -> bool;

    fn backtrace(&self) -> Option<Arc<str>>;
}

impl<T, Kind> View<T, Kind> {
    fn new(error: &T) -> &Self {
        #[expect(
            unsafe_code,
            reason = "std has no safe way to view a reference as a wrapper"
        )]
        // SAFETY: `View` is `repr(transparent)`, and its only field with a size is a `T`. So both
        // have the same layout, and each `T` is a valid `View`. The result has the lifetime of the
        // argument.
        unsafe {
            &*ptr::from_ref(error).cast::<Self>()
        }
    }
}

impl<T: Error + 'static> Viewed<Concrete> for T {
    fn inner(&self) -> &(dyn Error + 'static) {
        self
    }

    fn type_name(&self) -> Option<&'static str> {
        let name = pointee_name::<T>();
        (!name.starts_with("dyn ")).then_some(name)
    }

    fn is_io(&self) -> bool {
        pointee_name::<T>() == std::any::type_name::<io::Error>()
    }

    fn backtrace(&self) -> Option<Arc<str>> {
        None
    }
}

/// Returns the type name of `T`. If `T` is a `Box` or an `Arc`, returns the name of the type
/// inside.
fn pointee_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let inside = name.strip_prefix("alloc::boxed::Box<");
    let inside = inside.or_else(|| name.strip_prefix("alloc::sync::Arc<"));
    inside
        .and_then(|name| name.strip_suffix('>'))
        .unwrap_or(name)
}

impl<T> Viewed<Pointer> for T
where
    T: DerefMut<Target: AsError<Dynamic>> + fmt::Debug,
{
    fn inner(&self) -> &(dyn Error + 'static) {
        (**self).as_error()
    }

    fn type_name(&self) -> Option<&'static str> {
        None
    }

    fn is_io(&self) -> bool {
        self.inner().is::<io::Error>()
    }

    fn backtrace(&self) -> Option<Arc<str>> {
        if !are_backtraces_captured() {
            return None;
        }
        let address = ptr::from_ref(self).cast();
        let last = LAST_BACKTRACE
            .try_with(|last| last.borrow().clone())
            .ok()
            .flatten();
        if let Some(last) = last.filter(|last| last.address == address) {
            return last.backtrace;
        }
        let backtrace = format_backtrace(self);
        let formatted = CachedBacktrace {
            address,
            backtrace: backtrace.clone(),
        };
        let _ = LAST_BACKTRACE.try_with(|last| last.replace(Some(formatted)));
        backtrace
    }
}

impl<T: Viewed<Kind>, Kind> Error for View<T, Kind> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.inner().source()
    }

    /// Returns a fixed text. Writes the reply to the current query to a thread-local.
    fn description(&self) -> &str {
        answer(|query| match query {
            ErrorQuery::TypeName => ErrorReply::TypeName(self.error.type_name()),
            ErrorQuery::ShortName if self.error.is_io() => {
                ErrorReply::ShortName(Some(error_name::IO_ERROR.to_owned()))
            }
            ErrorQuery::ShortName => ErrorReply::ShortName(match self.error.type_name() {
                Some(name) => Some(error_name::shorten(name)),
                None => error_name::from_debug(self.error.inner()),
            }),
            ErrorQuery::Backtrace => ErrorReply::Backtrace(self.error.backtrace()),
        })
    }
}

impl<T: Viewed<Kind>, Kind> fmt::Display for View<T, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.error.inner(), f)
    }
}

impl<T: Viewed<Kind>, Kind> fmt::Debug for View<T, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formats the error inside, because the `Debug` of an `anyhow::Error` would also format a
        // backtrace.
        fmt::Debug::fmt(self.error.inner(), f)
    }
}

/// The `Debug` text in which a backtrace is searched for is cut at this many bytes.
const MAX_DEBUG_LEN: usize = 1024 * 1024;

/// The longest backtrace, in bytes.
const MAX_BACKTRACE_LEN: usize = 64 * 1024;

/// The maximum number of error backtraces that are formatted per second.
const MAX_BACKTRACES_PER_SECOND: u32 = 10;

/// The backtrace of the last error. Cached, because several sinks read it for the same event.
#[derive(Clone)]
struct CachedBacktrace {
    /// The address of the error. [`err`] clears the cache when it views an error that may have a
    /// backtrace, because a later error may have the same address.
    address: *const (),
    backtrace: Option<Arc<str>>,
}

thread_local! {
    static LAST_BACKTRACE: RefCell<Option<CachedBacktrace>> = const { RefCell::new(None) };
}

#[cold]
fn format_backtrace(error: &impl fmt::Debug) -> Option<Arc<str>> {
    static LIMIT: PerSecond = PerSecond::new(MAX_BACKTRACES_PER_SECOND);
    if !LIMIT.allows() {
        return Some(backtrace::limit_notice(MAX_BACKTRACES_PER_SECOND).into());
    }
    let text = panic_safe::format_text(format_args!("{error:?}"), MAX_DEBUG_LEN);
    // anyhow and eyre write the backtrace at the end.
    let (_, backtrace) = text.rsplit_once("\nStack backtrace:\n")?;
    Some(panic_safe::truncate_at(backtrace, MAX_BACKTRACE_LEN).into())
}

/// Returns whether `Backtrace::capture` captures anything. std reads `RUST_BACKTRACE` once.
fn are_backtraces_captured() -> bool {
    static CAPTURED: OnceLock<bool> = OnceLock::new();
    *CAPTURED.get_or_init(|| Backtrace::capture().status() == BacktraceStatus::Captured)
}
