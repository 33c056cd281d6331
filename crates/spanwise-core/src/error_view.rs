//! `err`: errors of any type as a field.
//!
//! `tracing` records `&dyn Error` as an error and everything else as text. `anyhow::Error`,
//! `eyre::Report` and `Box<dyn Error>` do not implement `Error`, so [`err`] views each of them as
//! one. The view keeps what `&dyn Error` loses: the name of the type, and the backtrace that only
//! the `Debug` of an `anyhow::Error` shows. `internal::errors` reads both.

use std::{cell::Cell, error::Error, fmt, io, marker::PhantomData, ops::DerefMut, ptr};

use crate::internal::{
    errors::{ErrorCopy, forget_backtrace},
    panic_safe,
};

/// Views `error` as a field that every sink shows with its message, its causes and its type.
///
/// It takes a reference to an error, a `dyn Error`, a `Box<dyn Error + Send + Sync>`, an
/// `anyhow::Error` or an `eyre::Report`. Pass a reference as it is: `err(e)` for `e: &dyn Error`.
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
/// An `anyhow::Error` has a backtrace if `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` is set. Sinks
/// show it for at most ten errors per second, because formatting one takes milliseconds.
pub fn err<E, Kind>(error: &E) -> &(dyn Error + 'static)
where
    E: AsError<Kind> + ?Sized,
{
    error.as_error()
}

/// A type that [`err`] takes. `Kind` is inferred; it keeps the implementations apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that `err` takes",
    note = "`err` takes a reference to an error, a `dyn Error`, a `Box<dyn Error + Send + Sync>`, \
            an `anyhow::Error` or an `eyre::Report`"
)]
pub trait AsError<Kind> {
    /// Returns the error.
    fn as_error(&self) -> &(dyn Error + 'static);
}

/// The `Kind` of a type that implements [`Error`].
#[derive(Debug)]
pub enum Concrete {}

/// The `Kind` of a pointer to a `dyn Error`.
#[derive(Debug)]
pub enum Pointer {}

/// The `Kind` of a `dyn Error`.
#[derive(Debug)]
pub enum Dynamic {}

impl<T: Error + 'static> AsError<Concrete> for T {
    fn as_error(&self) -> &(dyn Error + 'static) {
        // A copy knows the type and the backtrace of its original.
        let error: &(dyn Error + 'static) = self;
        if error.is::<ErrorCopy>() {
            return error;
        }
        View::<T, Concrete>::new(self)
    }
}

impl<T> AsError<Pointer> for T
where
    T: DerefMut<Target: AsError<Dynamic>> + fmt::Debug + 'static,
{
    fn as_error(&self) -> &(dyn Error + 'static) {
        // A `Box<dyn Error>` is two words: an address and a vtable. The errors of anyhow and eyre
        // are one word, the address of an error that may come with a backtrace.
        if size_of::<Self>() > size_of::<usize>() {
            return (**self).as_error();
        }
        // The remembered backtrace may be of another error at this address.
        forget_backtrace();
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

/// The longest `Debug` of an error, in bytes, in which a backtrace is looked for.
const MAX_DEBUG_LEN: usize = 1024 * 1024;

/// An error that answers [`query_view`].
#[repr(transparent)]
struct View<T, Kind> {
    error: T,
    kind: PhantomData<Kind>,
}

/// The error in a [`View`].
trait Viewed<Kind>: fmt::Debug {
    fn inner(&self) -> &(dyn Error + 'static);
    fn reply(&self) -> ViewReply;
}

/// What to ask a [`View`] for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ViewQuery {
    Type,
    /// The type, and the `Debug` of the viewed value.
    Debug,
}

/// The reply of a [`View`].
#[derive(Debug)]
pub(crate) struct ViewReply {
    pub(crate) type_name: Option<&'static str>,
    pub(crate) is_io: bool,
    pub(crate) may_have_backtrace: bool,
    pub(crate) debug: Option<String>,
}

thread_local! {
    static QUERY: Cell<ViewQuery> = const { Cell::new(ViewQuery::Type) };
    static REPLY: Cell<Option<ViewReply>> = const { Cell::new(None) };
}

/// Queries `error`. Returns `None` if it is not a [`View`].
///
/// The type behind a `dyn Error` cannot be recovered, so the query goes through `description`, a
/// method of `Error` that is deprecated and that no other code calls.
pub(crate) fn query_view(error: &(dyn Error + 'static), query: ViewQuery) -> Option<ViewReply> {
    QUERY.set(query);
    // On an ending thread there is no place for a reply.
    REPLY.try_with(Cell::take).ok()?;
    #[expect(deprecated, reason = "so no other code calls it")]
    panic_safe::catch_panic(|| {
        error.description();
    });
    REPLY.try_with(Cell::take).ok()?
}

impl<T, Kind> View<T, Kind> {
    fn new(error: &T) -> &Self {
        #[expect(
            unsafe_code,
            reason = "std has no safe way to view a reference as a wrapper"
        )]
        // SAFETY: `View` is `repr(transparent)`, and its only field with a size is a `T`. So both
        // have one layout, and each `T` is a valid `View`. The lifetime is that of the argument.
        unsafe {
            &*ptr::from_ref(error).cast::<Self>()
        }
    }
}

impl<T: Error + 'static> Viewed<Concrete> for T {
    fn inner(&self) -> &(dyn Error + 'static) {
        self
    }

    fn reply(&self) -> ViewReply {
        let name = std::any::type_name::<T>();
        // A `Box` or an `Arc` is named after the error inside.
        let pointer = name.strip_prefix("alloc::boxed::Box<");
        let pointer = pointer.or_else(|| name.strip_prefix("alloc::sync::Arc<"));
        let name = pointer
            .and_then(|name| name.strip_suffix('>'))
            .unwrap_or(name);
        ViewReply {
            type_name: (!name.starts_with("dyn ")).then_some(name),
            is_io: name == std::any::type_name::<io::Error>(),
            may_have_backtrace: false,
            debug: None,
        }
    }
}

impl<T> Viewed<Pointer> for T
where
    T: DerefMut<Target: AsError<Dynamic>> + fmt::Debug,
{
    fn inner(&self) -> &(dyn Error + 'static) {
        (**self).as_error()
    }

    fn reply(&self) -> ViewReply {
        ViewReply {
            type_name: None,
            is_io: self.inner().is::<io::Error>(),
            may_have_backtrace: true,
            debug: None,
        }
    }
}

impl<T: Viewed<Kind>, Kind> Error for View<T, Kind> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.inner().source()
    }

    fn description(&self) -> &str {
        let mut reply = self.error.reply();
        if let ViewQuery::Debug = QUERY.get() {
            let mut text = String::new();
            panic_safe::format_into(&mut text, format_args!("{:?}", self.error), MAX_DEBUG_LEN);
            reply.debug = Some(text);
        }
        let _ = REPLY.try_with(|slot| slot.set(Some(reply)));
        "an error"
    }
}

impl<T: Viewed<Kind>, Kind> fmt::Display for View<T, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.error.inner(), f)
    }
}

impl<T: Viewed<Kind>, Kind> fmt::Debug for View<T, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The `Debug` of an `anyhow::Error` begins with its message and formats a backtrace.
        fmt::Debug::fmt(self.error.inner(), f)
    }
}
