//! Keys and values of a context. Values are redacted only when they are read for the first time.
//!
//! A span stores the text of a value as it was recorded, because the context of most spans is never
//! read. Readers receive only redacted values.

use std::sync::{Arc, OnceLock};

use super::MAX_CONTEXT_VALUE_LEN;
use crate::{
    REDACTED, Redact,
    internal::{panic_safe, thread_state},
};

/// Keys and values, with all values in one string.
#[derive(Default)]
pub(crate) struct Entries {
    keys: Vec<Key>,
    text: String,
    /// The policy of the values that are not redacted yet, if there are any.
    policy: Option<Arc<dyn Redact>>,
}

/// The values that a span recorded, for readers. They never change: a later record into the span
/// creates a new list.
pub(crate) struct OwnEntries {
    recorded: Entries,
    /// The entries after the policy has been applied, in the same order.
    redacted: OnceLock<Box<Entries>>,
}

/// The values of a span and of its ancestors, for readers.
///
/// Each value stays in the entries of the span that recorded it, so all spans share its redacted
/// text.
pub(crate) struct ReadableEntries {
    values: Vec<ValueRef>,
}

/// A reference to a value in the entries of a span.
#[derive(Clone)]
struct ValueRef {
    owner: Arc<OwnEntries>,
    index: usize,
}

#[derive(Clone, Copy)]
struct Key {
    name: &'static str,
    /// The end of the value in the text, in bytes. The value begins at the end of the previous one.
    end: u32,
    is_pinned: bool,
    policy_step: PolicyStep,
}

/// The step that the policy must still take before a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyStep {
    /// None: the value may be shown.
    Done,
    /// The policy must scan the text and redact what it finds.
    MustScan,
    /// The policy must replace the text.
    MustReplace,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'static str,
    pub(crate) value: &'a str,
    /// Whether only a pinned value replaces this one.
    pub(crate) is_pinned: bool,
    pub(crate) policy_step: PolicyStep,
}

impl Entries {
    /// Creates an empty list with room for `keys` entries and `text_len` bytes of values. Reserves
    /// no more, because the list exists as long as its span is open.
    pub(crate) fn with_capacity(keys: usize, text_len: usize) -> Self {
        Self {
            keys: Vec::with_capacity(keys),
            text: String::with_capacity(text_len),
            policy: None,
        }
    }

    /// Adds an entry whose key is new. Stores `policy` if the policy must still redact the entry.
    pub(crate) fn push(&mut self, entry: Entry<'_>, policy: Option<&Arc<dyn Redact>>) {
        self.text.push_str(entry.value);
        if entry.policy_step != PolicyStep::Done && self.policy.is_none() {
            self.policy = policy.cloned();
        }
        self.keys.push(Key {
            name: entry.key,
            end: self.text.len() as u32,
            is_pinned: entry.is_pinned,
            policy_step: entry.policy_step,
        });
    }

    /// Adds entries if all of their keys are new. Returns whether they are.
    pub(crate) fn add_new<'a>(
        &mut self,
        added: impl Iterator<Item = Entry<'a>> + Clone,
        policy: &Arc<dyn Redact>,
    ) -> bool {
        let has_key = |key: &str| self.keys.iter().any(|known| known.name == key);
        if added.clone().any(|added| has_key(added.key)) {
            return false;
        }
        added.for_each(|added| self.push(added, Some(policy)));
        true
    }

    /// Returns these entries with those of `added`. An added entry replaces an earlier entry of its
    /// key, unless the earlier entry is pinned and the added one is not.
    pub(crate) fn with_added<'a>(
        &self,
        added: impl Iterator<Item = Entry<'a>> + Clone,
        policy: &Arc<dyn Redact>,
    ) -> Self {
        let mut all = Self::with_capacity(self.keys.len(), self.text.len());
        let is_pinned = |name: &str| {
            self.keys
                .iter()
                .any(|own| own.is_pinned && own.name == name)
        };
        let added = added.filter(|added| added.is_pinned || !is_pinned(added.key));
        let is_replaced = |key: &str| added.clone().any(|added| added.key == key);
        for entry in self.stored().filter(|entry| !is_replaced(entry.key)) {
            all.push(entry, Some(policy));
        }
        added
            .clone()
            .for_each(|added| all.push(added, Some(policy)));
        all
    }

    /// Returns the entries as they are stored.
    fn stored(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        let mut start = 0;
        self.keys.iter().map(move |key| {
            let value = &self.text[start..key.end as usize];
            start = key.end as usize;
            Entry {
                key: key.name,
                value,
                is_pinned: key.is_pinned,
                policy_step: key.policy_step,
            }
        })
    }

    /// Returns the entry at `index` as it is stored.
    fn entry(&self, index: usize) -> Entry<'_> {
        let key = &self.keys[index];
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.keys[before].end);
        Entry {
            key: key.name,
            value: &self.text[start as usize..key.end as usize],
            is_pinned: key.is_pinned,
            policy_step: key.policy_step,
        }
    }

    /// Returns the entries after `policy` has been applied to all values.
    fn redact(&self, policy: &Arc<dyn Redact>) -> Self {
        let shown_value = |entry: Entry<'_>| match entry.policy_step {
            PolicyStep::Done => entry.value.to_owned(),
            PolicyStep::MustScan => cut(&policy.redact_value(entry.key, entry.value)),
            PolicyStep::MustReplace => cut(&policy.replace_text(entry.key, entry.value)),
        };
        let mut shown = Self::with_capacity(self.keys.len(), self.text.len());
        for entry in self.stored() {
            let redacted = Entry {
                value: &shown_value(entry),
                policy_step: PolicyStep::Done,
                ..entry
            };
            shown.push(redacted, None);
        }
        shown
    }
}

impl OwnEntries {
    pub(crate) fn new(recorded: Entries) -> Arc<Self> {
        Arc::new(Self {
            recorded,
            redacted: OnceLock::new(),
        })
    }

    /// Returns the redacted entries, or the recorded entries if no reader has redacted them yet.
    pub(crate) fn latest(&self) -> &Entries {
        self.redacted
            .get()
            .map_or(&self.recorded, |redacted| redacted)
    }

    /// Returns the redacted entries. In two cases, returns the recorded entries: if no policy needs
    /// to redact them, and if they are not redacted yet while this thread is already applying a
    /// policy to a context.
    fn redacted(&self) -> &Entries {
        let recorded = &self.recorded;
        let Some(policy) = &recorded.policy else {
            return recorded;
        };
        if let Some(redacted) = self.redacted.get() {
            return redacted;
        }
        let Some(redacted) = while_redacting(|| recorded.redact(policy)) else {
            return recorded;
        };
        // Does not redact inside `get_or_init`, because the policy may read this context.
        self.redacted.get_or_init(|| Box::new(redacted))
    }
}

impl ReadableEntries {
    /// Joins the entries of the ancestors, if there are any, with the span's own entries. An own
    /// entry replaces an inherited entry of its key, unless the inherited entry is pinned and the
    /// own one is not.
    pub(crate) fn join(outer: Option<&Arc<Self>>, own: &Arc<OwnEntries>) -> Arc<Self> {
        let inherited = outer.map_or(&[][..], |outer| &outer.values);
        let own_keys = &own.recorded.keys;
        let is_hidden = |own_key: &Key| {
            let hides = |outer_key: &Key| outer_key.name == own_key.name && outer_key.is_pinned;
            !own_key.is_pinned && inherited.iter().any(|value| hides(value.key()))
        };
        if let Some(outer) = outer
            && own_keys.iter().all(is_hidden)
        {
            return Arc::clone(outer);
        }
        let is_replaced = |outer_key: &Key| {
            let replaces = |own_key: &Key| own_key.name == outer_key.name && !is_hidden(own_key);
            own_keys.iter().any(replaces)
        };
        let mut values = Vec::with_capacity(inherited.len() + own_keys.len());
        values.extend(
            inherited
                .iter()
                .filter(|value| !is_replaced(value.key()))
                .cloned(),
        );
        let shown = own_keys
            .iter()
            .enumerate()
            .filter(|(_, own_key)| !is_hidden(own_key));
        values.extend(shown.map(|(index, _)| ValueRef {
            owner: Arc::clone(own),
            index,
        }));
        Arc::new(Self { values })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the entry of `key`, for a reader. Redacts only the values of the span that recorded
    /// the entry.
    pub(crate) fn find(&self, key: &str) -> Option<Entry<'_>> {
        let mut values = self.values.iter();
        values
            .find(|value| value.key().name == key)
            .map(ValueRef::shown)
    }

    /// Returns the entries with redacted values, for a reader. The policy runs in this call, and
    /// not while the caller uses the iterator.
    pub(crate) fn shown(&self) -> impl Iterator<Item = Entry<'_>> {
        for value in &self.values {
            value.owner.redacted();
        }
        self.values.iter().map(ValueRef::shown)
    }
}

impl ValueRef {
    fn key(&self) -> &Key {
        &self.owner.recorded.keys[self.index]
    }

    fn shown(&self) -> Entry<'_> {
        let entry = self.owner.redacted().entry(self.index);
        Entry {
            // The values are still unredacted if the policy itself reads the context.
            value: match entry.policy_step {
                PolicyStep::Done => entry.value,
                PolicyStep::MustScan | PolicyStep::MustReplace => REDACTED,
            },
            ..entry
        }
    }
}

fn cut(value: &str) -> String {
    panic_safe::truncate_at(value, MAX_CONTEXT_VALUE_LEN).to_owned()
}

/// Calls `redact`. Returns `None` without a call if this thread is already redacting a context,
/// because a policy may read the context.
fn while_redacting<R>(redact: impl FnOnce() -> R) -> Option<R> {
    if thread_state::with(|state| state.is_redacting_context.replace(true)) {
        return None;
    }
    // The policy does not panic: the methods of `dyn Redact` catch that.
    let redacted = redact();
    thread_state::with(|state| state.is_redacting_context.set(false));
    Some(redacted)
}
