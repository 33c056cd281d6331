//! The names of fields that programs add to the events of requests: they are told to `tracing` when they are first seen.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use spanwise_core::internal::sync::Mutex;

use super::access_event::OWN_FIELDS;
use crate::warn_once::WarnOnce;

/// Each new name costs a callsite a level, which stays for good: more than these are a mistake, such as a name with an id in it.
pub(crate) const MAX_NAMES: usize = 128;

static NAMES: [OnceLock<&'static str>; MAX_NAMES] = [const { OnceLock::new() }; MAX_NAMES];
/// How many of them there are. Each is set before it is counted.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static ADDING: Mutex<()> = Mutex::new(());

/// To set one of the event's own fields, each of which is one.
static OWN: [WarnOnce; OWN_FIELDS.len()] = [const { WarnOnce::new() }; OWN_FIELDS.len()];
static NO_NAME: WarnOnce = WarnOnce::new();
static TOO_MANY: WarnOnce = WarnOnce::new();

/// The index of `name`, for good. `None`, and told once, where it cannot be a field.
pub(crate) fn index(name: &'static str) -> Option<u8> {
    find(name).or_else(|| add(name, || name))
}

/// That of the field that holds the timing `mark`.
pub(crate) fn timing(mark: &'static str) -> Option<u8> {
    let is_it = |name: &str| {
        let name = name.strip_prefix("timing.");
        name.and_then(|name| name.strip_suffix("_ms")) == Some(mark)
    };
    let index = all().position(is_it).map(|index| index as u8);
    index.or_else(|| {
        let name = format!("timing.{mark}_ms");
        find(&name).or_else(|| add(&name, || name.clone().leak()))
    })
}

/// That of the field that holds a header of the request.
pub(crate) fn header(header: &http::HeaderName) -> Option<u8> {
    let name = format!("http.request.header.{header}");
    find(&name).or_else(|| add(&name, || name.clone().leak()))
}

pub(crate) fn count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// All of them, by their index.
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
        refuse(&NO_NAME, name, "it is empty");
        return None;
    }
    if let Some(own) = OWN_FIELDS.iter().position(|own| *own == name) {
        refuse(&OWN[own], name, "they have a field of that name");
        return None;
    }
    let index = if count() < MAX_NAMES {
        add_to_others(name, leaked)
    } else {
        find(name) // another thread may have added it meanwhile
    };
    if index.is_none() {
        // Of the first alone: where a name has an id in it, there is no end of them.
        refuse(&TOO_MANY, name, "there are 128 others");
    }
    index
}

fn add_to_others(name: &str, leaked: impl FnOnce() -> &'static str) -> Option<u8> {
    let _adding = ADDING.lock();
    let count = count();
    // Another thread may have added it meanwhile.
    let known = find(name);
    if known.is_some() || count == MAX_NAMES {
        return known;
    }
    let _ = NAMES[count].set(leaked());
    COUNT.store(count + 1, Ordering::Release);
    Some(count as u8)
}

fn refuse(warning: &WarnOnce, name: &str, why: &str) {
    // No quotes: they would be told with a backslash before them.
    warning.warn(|| format!("`{name}` is not added to the events of requests: {why}"));
}
