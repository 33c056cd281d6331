//! Errors as fields, of whatever type a service has them.
//!
//! tracing records `&dyn Error` as an error and everything else as text. `anyhow::Error`,
//! `eyre::Report` and `Box<dyn Error>` are no errors themselves, so [`err`] views each of them as
//! one. The view keeps what `&dyn Error` loses: the [name of the type](type_name), and the
//! [backtrace] that only the `Debug` of an `anyhow::Error` shows.
//!
//! To format a backtrace costs milliseconds, and the first one more than 100. So no function here
//! formats the `Debug` of an error further than it needs.

mod error_copy;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    cell::{Cell, RefCell},
    error::Error,
    fmt::{self, Write as _},
    io,
    marker::PhantomData,
    ops::DerefMut,
    ptr,
    sync::{Arc, OnceLock},
};

use crate::{PerSecond, backtrace as frames, error_chain, panic_safe, redacted::RedactedError};

pub use error_copy::ErrorCopy;

/// Views `error` as a field that every sink shows with its message, its causes and its type.
///
/// It takes a reference to an error, a `dyn Error`, a `Box<dyn Error + Send + Sync>`, an
/// `anyhow::Error` or an `eyre::Report`. Give a reference as it is: `err(e)` for `e: &dyn Error`.
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
/// show it for at most ten errors a second: to format one takes milliseconds.
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
        // It knows its original.
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
        // A `Box<dyn Error>` is two words: an address and a table of functions. The errors of
        // anyhow and eyre are one word, the address of something that may have a backtrace besides.
        if size_of::<Self>() > size_of::<usize>() {
            return (**self).as_error();
        }
        // Another error may have been at this address.
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

/// The longest `Debug` of an error in which a backtrace is looked for.
const MAX_DEBUG_LEN: usize = 1024 * 1024;

/// The longest backtrace.
const MAX_BACKTRACE_LEN: usize = 64 * 1024;

/// Backtraces of errors that are formatted in a second.
const MAX_BACKTRACES_PER_SECOND: u32 = 10;

/// The longest name that is read from a `Debug`.
const MAX_NAME_LEN: usize = 64;

/// At most this many causes of an error are shown by sinks of lines.
pub const MAX_SHOWN_CAUSES: usize = 16;

/// Shows an error with its causes as one text, outermost first:
/// `charge failed: no connection: connection refused`.
pub struct WithCauses<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        error_chain(self.0, MAX_SHOWN_CAUSES).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl fmt::Debug for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the full name of the type of `error`, if [`err`] was given that type:
/// `shop::pay::Declined`.
#[must_use]
pub fn type_name(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(shown) = error.downcast_ref::<RedactedError>() {
        return shown.type_name();
    }
    if let Some(copy) = error.downcast_ref::<ErrorCopy>() {
        return copy.type_name;
    }
    query_view(error, ViewQuery::Type)?.type_name
}

/// Returns a short name of the type of `error`: `Declined`, `io::Error`.
///
/// Where [`type_name`] does not know it, this is the name with which its `Debug` begins. No more of
/// it is formatted.
#[must_use]
pub fn short_name(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(shown) = error.downcast_ref::<RedactedError>() {
        return shown.original_text(short_name);
    }
    if let Some(copy) = error.downcast_ref::<ErrorCopy>() {
        return copy.short_name.clone();
    }
    let reply = query_view(error, ViewQuery::Type);
    if reply
        .as_ref()
        .map_or(error.is::<io::Error>(), |reply| reply.is_io)
    {
        // Its `Debug` begins with a name of its inside.
        return Some("io::Error".to_owned());
    }
    match reply.and_then(|reply| reply.type_name) {
        Some(name) => Some(shorten(name)),
        None => name_in_debug(error),
    }
}

/// Returns the backtrace of `error`, as std writes it, if [`err`] was given an error that has one.
///
/// Of an eleventh error in a second it is a remark instead. The text is cut at 64 KiB.
#[must_use]
pub fn backtrace(error: &(dyn Error + 'static)) -> Option<Arc<str>> {
    if let Some(shown) = error.downcast_ref::<RedactedError>() {
        let text = shown.original_text(|error| Some(backtrace(error)?.to_string()));
        return text.map(Arc::from);
    }
    if let Some(copy) = error.downcast_ref::<ErrorCopy>() {
        return copy.backtrace.clone();
    }
    if !query_view(error, ViewQuery::Type)?.may_have_backtrace || !are_backtraces_captured() {
        return None;
    }
    let address = ptr::from_ref(error).cast::<()>();
    let last = LAST_BACKTRACE
        .try_with(|last| last.borrow().clone())
        .ok()
        .flatten();
    if let Some(last) = last.filter(|last| last.address == address) {
        return last.backtrace;
    }
    let backtrace = format_backtrace(error);
    let formatted = CachedBacktrace {
        address,
        backtrace: backtrace.clone(),
    };
    let _ = LAST_BACKTRACE.try_with(|last| last.replace(Some(formatted)));
    backtrace
}

/// A backtrace for which several sinks query_view, one after the other.
#[derive(Clone)]
struct CachedBacktrace {
    /// Of the error. [`err`] clears it when it gets another error at the same address.
    address: *const (),
    backtrace: Option<Arc<str>>,
}

/// Returns the [backtrace] of `error`, [shortened](frames::shorten), as sinks of lines show it.
#[must_use]
pub fn short_backtrace(error: &(dyn Error + 'static)) -> Option<String> {
    let text = backtrace(error)?;
    let short = frames::shorten(&text, None);
    // A remark has no frames.
    Some(if short.is_empty() {
        text.to_string()
    } else {
        short
    })
}

thread_local! {
    static LAST_BACKTRACE: RefCell<Option<CachedBacktrace>> = const { RefCell::new(None) };
}

#[cold]
fn format_backtrace(error: &(dyn Error + 'static)) -> Option<Arc<str>> {
    static LIMIT: PerSecond = PerSecond::new(MAX_BACKTRACES_PER_SECOND);
    if !LIMIT.allows() {
        return Some(frames::limit_notice(MAX_BACKTRACES_PER_SECOND).into());
    }
    let text = query_view(error, ViewQuery::Debug)?.debug?;
    // As anyhow and eyre write it, at the end.
    let (_, backtrace) = text.rsplit_once("\nStack backtrace:\n")?;
    Some(panic_safe::truncate_at(backtrace, MAX_BACKTRACE_LEN).into())
}

/// Whether `Backtrace::capture` captures anything, which `RUST_BACKTRACE` says once and for all.
fn are_backtraces_captured() -> bool {
    static CAPTURED: OnceLock<bool> = OnceLock::new();
    *CAPTURED.get_or_init(|| Backtrace::capture().status() == BacktraceStatus::Captured)
}

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

/// What a [`View`] is asked for.
#[derive(Debug, Clone, Copy)]
enum ViewQuery {
    Type,
    /// Also for the `Debug` of what is viewed.
    Debug,
}

/// What a [`View`] knows.
#[derive(Debug)]
struct ViewReply {
    type_name: Option<&'static str>,
    is_io: bool,
    may_have_backtrace: bool,
    debug: Option<String>,
}

thread_local! {
    static QUERY: Cell<ViewQuery> = const { Cell::new(ViewQuery::Type) };
    static REPLY: Cell<Option<ViewReply>> = const { Cell::new(None) };
}

/// Asks an error by the one method that nobody else calls. One that is no [`View`] does not reply.
fn query_view(error: &(dyn Error + 'static), query: ViewQuery) -> Option<ViewReply> {
    QUERY.set(query);
    // Of a thread that ends, answers are gone.
    REPLY.try_with(Cell::take).ok()?;
    #[expect(deprecated, reason = "so nobody else calls it")]
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
        // Of a `Box` or an `Arc`, that of the error in it.
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
        let _ = REPLY.try_with(|place| place.set(Some(reply)));
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
        // That of anyhow's own type begins with its text, and formats a backtrace.
        fmt::Debug::fmt(self.error.inner(), f)
    }
}

/// `Declined` of `shop::pay::Declined<shop::Card>`, `reqwest::Error` of `reqwest::error::Error`.
fn shorten(name: &str) -> String {
    let path = name.split('<').next().unwrap_or(name);
    let (krate, _) = path.split_once("::").unwrap_or((path, ""));
    match path.rsplit("::").next() {
        Some("Error") if krate != "Error" => format!("{krate}::Error"),
        last => last.unwrap_or(path).to_owned(),
    }
}

/// The name with which the `Debug` of an error begins, unless that is its text.
fn name_in_debug(error: &(dyn Error + 'static)) -> Option<String> {
    let mut begin = DebugPrefix(String::new());
    let is_whole = panic_safe::catch_panic(|| write!(begin, "{error:?}"))?.is_ok();
    let DebugPrefix(debug) = begin;
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let (name, rest) = debug.split_at(debug.find(|c| !is_of_name(c)).unwrap_or(debug.len()));
    // `Declined`, `Declined(` or `Declined { `.
    let is_name = name.starts_with(char::is_alphabetic)
        && match rest {
            "" => is_whole,
            rest => rest.starts_with('(') || rest.starts_with(" {"),
        };
    if !is_name {
        return None;
    }
    // The errors of `anyhow::msg` and the like write their text as `Debug`.
    let mut text = String::new();
    panic_safe::format_into(&mut text, format_args!("{error}"), debug.len() + 1);
    let is_text = if is_whole {
        text == debug
    } else {
        text.starts_with(&debug)
    };
    (!is_text).then(|| name.to_owned())
}

/// The pieces of a `Debug` up to the one with which its fields begin.
struct DebugPrefix(String);

impl fmt::Write for DebugPrefix {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.0
            .push_str(panic_safe::truncate_at(piece, MAX_NAME_LEN));
        if self.0.contains(['(', '{', ' ', '"', '\n']) || self.0.len() > MAX_NAME_LEN {
            return Err(fmt::Error);
        }
        Ok(())
    }
}
