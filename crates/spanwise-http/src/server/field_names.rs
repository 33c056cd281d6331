//! The names of fields that applications add to access events.
//!
//! `tracing` needs names before an event is logged, so each name is registered on first use.

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
/// for three levels, with and without a span. More names indicate a mistake, such as a name that
/// contains an id.
pub(crate) const MAX_NAMES: usize = 128;

/// The names by their index.
static NAMES: [OnceLock<&'static str>; MAX_NAMES] = [const { OnceLock::new() }; MAX_NAMES];
/// The number of names. Incremented after the name was stored.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Held while a name is added.
static ADDING: Mutex<()> = Mutex::new(());

/// One warning per built-in field.
static BUILT_IN_NAME: [WarnOnce; BUILT_IN_FIELDS.len()] =
    [const { WarnOnce::new() }; BUILT_IN_FIELDS.len()];
/// One warning for empty names.
static NO_NAME: WarnOnce = WarnOnce::new();
static NAMES_EXHAUSTED: WarnOnce = WarnOnce::new();

/// Returns the permanent index of `name`. If `name` cannot be a field, warns once and returns
/// `None`.
pub(crate) fn index(name: &'static str) -> Option<u8> {
    find(name).or_else(|| add(name, || name))
}

/// Returns the index of the field of a timing.
pub(crate) fn index_of_timing(timing: &'static str) -> Option<u8> {
    // Compares without an allocation, because most timings are known.
    let is_known = |name: &str| {
        let name = name.strip_prefix("timing.");
        name.and_then(|name| name.strip_suffix("_ms")) == Some(timing)
    };
    let index = all().position(is_known).map(|index| index as u8);
    index.or_else(|| {
        if timing.is_empty() {
            refuse(&NO_NAME, timing, &"it is empty");
            return None;
        }
        let name = format!("timing.{timing}_ms");
        find(&name).or_else(|| add(&name, || name.clone().leak()))
    })
}

/// Returns the index of the field of a request header.
pub(crate) fn index_of_header(header: &http::HeaderName) -> Option<u8> {
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

fn find(name: &str) -> Option<u8> {
    let mut known = NAMES[..count()].iter().enumerate();
    let found = known.find(|(_, known)| known.get().is_some_and(|known| *known == name));
    found.map(|(index, _)| index as u8) // MAX_NAMES is less than 256
}

#[cold]
fn add(name: &str, leaked: impl FnOnce() -> &'static str) -> Option<u8> {
    if name.is_empty() {
        refuse(&NO_NAME, name, &"it is empty");
        return None;
    }
    if let Some(index) = BUILT_IN_FIELDS.iter().position(|field| *field == name) {
        let warning = &BUILT_IN_NAME[index];
        refuse(warning, name, &"it is the name of a built-in field");
        return None;
    }
    let index = if count() < MAX_NAMES {
        add_new(name, leaked)
    } else {
        find(name) // another thread may have added the name meanwhile
    };
    if index.is_none() {
        // Warns only for the first name, because names that contain an id never end.
        let why = format_args!("there are {MAX_NAMES} others");
        refuse(&NAMES_EXHAUSTED, name, &why);
    }
    index
}

fn add_new(name: &str, leaked: impl FnOnce() -> &'static str) -> Option<u8> {
    let _adding = ADDING.lock();
    let count = count();
    // Another thread may have added the name meanwhile.
    let known_index = find(name);
    if known_index.is_some() || count == MAX_NAMES {
        return known_index;
    }
    let _ = NAMES[count].set(leaked());
    COUNT.store(count + 1, Ordering::Release);
    Some(count as u8)
}

fn refuse(warning: &WarnOnce, name: &str, why: &dyn Display) {
    // No double quotes, because they would be escaped.
    warning.warn(|| format!("`{name}` is not added to access events: {why}"));
}
