//! The names of fields that applications add to access events.
//!
//! The field names of a callsite are fixed, so each name is registered on first use. Access events
//! then use a callsite that includes the name.

use std::{
    fmt::Display,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use spanwise_core::internal::sync::Mutex;

use super::access_event::BUILT_IN_FIELDS;
use crate::warn_once::WarnOnce;

/// The maximum number of names. Each new name creates up to six callsites, which are never freed:
/// one for each of three levels, with and without a span. More names than this indicate a mistake,
/// such as a name that contains an id.
pub(crate) const MAX_NAMES: usize = 128;

/// The registered names. The position of a name is its permanent index.
static NAMES: [OnceLock<&'static str>; MAX_NAMES] = [const { OnceLock::new() }; MAX_NAMES];
/// The number of names. Incremented after a name was stored, so that readers need no lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Held while a name is stored.
static STORE_LOCK: Mutex<()> = Mutex::new(());

/// One warning for each built-in field.
static BUILT_IN_NAME_WARNINGS: [WarnOnce; BUILT_IN_FIELDS.len()] =
    [const { WarnOnce::new() }; BUILT_IN_FIELDS.len()];
/// The warning about an empty name.
static EMPTY_NAME_WARNING: WarnOnce = WarnOnce::new();
/// The warning about a name beyond [`MAX_NAMES`].
static NAMES_EXHAUSTED_WARNING: WarnOnce = WarnOnce::new();

/// Registers `name` if it is new, and returns its permanent index. If `name` cannot be a field,
/// warns once and returns `None`.
pub(crate) fn register(name: &'static str) -> Option<u8> {
    find(name).or_else(|| add(name, || name))
}

/// Registers the field name of a timing, like [`register`].
pub(crate) fn register_timing(timing: &'static str) -> Option<u8> {
    // Most timings are registered already. Comparing their parts avoids an allocation.
    let is_field_of_timing = |name: &str| {
        let name = name.strip_prefix("timing.");
        name.and_then(|name| name.strip_suffix("_ms")) == Some(timing)
    };
    let index = all().position(is_field_of_timing).map(|index| index as u8);
    index.or_else(|| {
        if timing.is_empty() {
            warn_refused(&EMPTY_NAME_WARNING, timing, &"it is empty");
            return None;
        }
        let name = format!("timing.{timing}_ms");
        find(&name).or_else(|| add(&name, || name.clone().leak()))
    })
}

/// Registers the field name of a request header, like [`register`].
pub(crate) fn register_header(header: &http::HeaderName) -> Option<u8> {
    let name = format!("http.request.header.{header}");
    find(&name).or_else(|| add(&name, || name.clone().leak()))
}

pub(crate) fn count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// Returns all names, in the order of their indexes.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map_while(OnceLock::get).copied()
}

/// Returns the index of `name`, if it is registered.
fn find(name: &str) -> Option<u8> {
    let mut slots = NAMES[..count()].iter().enumerate();
    let found = slots.find(|(_, slot)| slot.get().is_some_and(|known| *known == name));
    found.map(|(index, _)| index as u8) // MAX_NAMES is less than 256
}

/// Registers a name that [`find`] did not find. `to_static` returns the same name.
#[cold]
fn add(name: &str, to_static: impl FnOnce() -> &'static str) -> Option<u8> {
    if name.is_empty() {
        warn_refused(&EMPTY_NAME_WARNING, name, &"it is empty");
        return None;
    }
    if let Some(index) = BUILT_IN_FIELDS.iter().position(|field| *field == name) {
        let warning = &BUILT_IN_NAME_WARNINGS[index];
        warn_refused(warning, name, &"it is the name of a built-in field");
        return None;
    }
    let index = if count() < MAX_NAMES {
        store(name, to_static)
    } else {
        find(name) // another thread may have added the name meanwhile
    };
    if index.is_none() {
        // Warns only about the first of these names, because names with an id would never end.
        let why = format_args!("there are {MAX_NAMES} others");
        warn_refused(&NAMES_EXHAUSTED_WARNING, name, &why);
    }
    index
}

/// Stores a name, unless another thread has stored it meanwhile. Returns its index, or `None` if
/// there already are [`MAX_NAMES`] names.
fn store(name: &str, to_static: impl FnOnce() -> &'static str) -> Option<u8> {
    let _locked = STORE_LOCK.lock();
    let count = count();
    let known_index = find(name);
    if known_index.is_some() || count == MAX_NAMES {
        return known_index;
    }
    let _ = NAMES[count].set(to_static());
    COUNT.store(count + 1, Ordering::Release);
    Some(count as u8)
}

/// Reports that `name` cannot be a field, unless `warning` has been reported before.
fn warn_refused(warning: &WarnOnce, name: &str, why: &dyn Display) {
    // No double quotes, because they would be escaped.
    warning.warn(|| format!("`{name}` is not added to access events: {why}"));
}
