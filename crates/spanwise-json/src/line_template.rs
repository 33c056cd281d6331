//! The parts that all lines of a layer have in common, derived from its options.

use std::collections::HashMap;

use spanwise_core::{
    CONTEXT_KEYS, KeyVerdict, Redact,
    internal::{MAX_CONTEXT_VALUE_LEN, sync::Mutex},
};
use tracing_core::Metadata;

use crate::{
    builder::Options,
    escape,
    format::{ADDED_PREFIX, FIELDS, FIELDS_PREFIX, KeyNames, Layout},
    line_buffer::PaddedBytes,
    name_limits::{limit_name, limit_path},
    plan::{Key, Role},
};

#[derive(Debug)]
pub(crate) struct LineTemplate {
    pub(crate) key_names: &'static KeyNames,
    /// Up to the timestamp; empty if lines have none.
    pub(crate) open: Vec<u8>,
    /// The static fields and the end of the line.
    pub(crate) close: Vec<u8>,
    /// `,"span":` and `,"spans":[`
    pub(crate) span: PaddedBytes<16>,
    pub(crate) spans: PaddedBytes<16>,
    pub(crate) has_threads: bool,
    pub(crate) redacts_text: bool,
    /// The keys of the static fields, as they appear in the line.
    added: Vec<String>,
    /// All keys seen, each with its index in order of appearance.
    keys: Mutex<HashMap<String, usize>>,
}

impl LineTemplate {
    pub(crate) fn new(options: &Options) -> Self {
        let key_names = options.format.key_names();
        let mut open = Vec::new();
        if options.timestamp.is_some() {
            open.push(b'{');
            open.extend(escape::quoted(key_names.timestamp));
            open.extend(b":\"");
        }
        let mut close = Vec::new();
        let mut added = Vec::new();
        for (key, value) in &options.add {
            let renamed_on_conflict = key_names.reserved().contains(&key.as_str())
                || (key_names.layout == Layout::Nested && key == FIELDS)
                || key.starts_with(FIELDS_PREFIX)
                || key.starts_with(ADDED_PREFIX);
            let key = if renamed_on_conflict {
                format!("{ADDED_PREFIX}{key}")
            } else {
                key.clone()
            };
            push_member(&mut close, &key, value);
            added.push(key);
        }
        close.extend(b"}\n");
        let (mut span, mut spans) = (Vec::new(), Vec::new());
        push_member(&mut span, key_names.span, b"");
        push_member(&mut spans, key_names.spans, b"[");
        Self {
            key_names,
            span: PaddedBytes::new(span),
            spans: PaddedBytes::new(spans),
            open,
            close,
            has_threads: options.thread_name || options.thread_id,
            redacts_text: options.redact.reads_text(),
            added,
            keys: Mutex::default(),
        }
    }

    /// Returns the part from the timestamp to the first field. For a `log` record it ends before
    /// the target, which the record has.
    pub(crate) fn head(&self, options: &Options, callsite: &Metadata<'_>, is_log: bool) -> Vec<u8> {
        let mut head = if options.timestamp.is_some() {
            b"\",".to_vec()
        } else {
            b"{".to_vec()
        };
        head.extend(escape::quoted(self.key_names.level));
        head.extend(b":\"");
        head.extend(callsite.level().as_str().as_bytes());
        head.push(b'"');
        match self.key_names.layout {
            Layout::Flat if !is_log => self.push_target(&mut head, options, callsite.target()),
            Layout::Flat => {}
            Layout::Nested => head.extend(b",\"fields\":"),
        }
        head
    }

    pub(crate) fn push_target(&self, to: &mut Vec<u8>, options: &Options, target: &str) {
        if options.target {
            push_member(
                to,
                self.key_names.target,
                &escape::quoted(&limit_name(target)),
            );
        }
    }

    pub(crate) fn push_location(
        &self,
        to: &mut Vec<u8>,
        options: &Options,
        file: Option<&str>,
        line: Option<u64>,
    ) {
        if !options.source_location {
            return;
        }
        if let Some(file) = file {
            push_member(to, self.key_names.file, &escape::quoted(&limit_path(file)));
        }
        if let Some(line) = line {
            push_member(to, self.key_names.line, line.to_string().as_bytes());
        }
    }

    /// Decides under which key a field is shown, and whether it is.
    pub(crate) fn key(&self, options: &Options, name: &str, is_event: bool) -> Key {
        let name = plain_name(name);
        let renamed = options.rename.iter().rev().find(|(from, _)| from == name);
        let key = renamed.map_or(name, |(_, to)| to.as_str());
        let is_message = is_event && name == "message";
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        let shown = !listed(&options.exclude) && options.include.as_deref().is_none_or(listed);
        let verdicts = options.redact.verdicts(name);
        let role = |verdict: KeyVerdict| match verdict {
            _ if is_message => Role::Message,
            _ if !shown => Role::Omitted,
            KeyVerdict::Pass => Role::Field,
            KeyVerdict::Text => Role::ScannedText,
            KeyVerdict::Trust => Role::Trusted,
            KeyVerdict::Redact => Role::Redacted,
            KeyVerdict::Replace => Role::Replaced,
            KeyVerdict::Remove => Role::Omitted,
        };
        let taken = match self.key_names.layout {
            Layout::Flat => {
                let of_location = [self.key_names.file, self.key_names.line].contains(&key);
                self.key_names.reserved().contains(&key)
                    && (options.source_location || !of_location)
                    || key.starts_with(FIELDS_PREFIX)
                    || self.added.iter().any(|added| added == key)
            }
            // Event fields have an object of their own; span fields share theirs with the span's
            // name.
            Layout::Nested => !is_event && (key == "name" || key.starts_with(FIELDS_PREFIX)),
        };
        let renamed_on_conflict = format!("{FIELDS_PREFIX}{key}");
        let key = match () {
            () if is_message && self.key_names.layout == Layout::Flat => self.key_names.message,
            () if taken => &renamed_on_conflict,
            () => key,
        };
        let key = &*limit_name(key);
        let is_context = !is_event
            && (CONTEXT_KEYS.contains(&name) || options.context_keys.iter().any(|key| key == name));
        let mut member = Vec::new();
        push_member(&mut member, key, b"");
        Key {
            member: PaddedBytes::new(member),
            bit: self.bit(key),
            role: role(verdicts.text),
            role_of_bool: role(verdicts.boolean),
            max_len: if is_context {
                options.max_field.min(MAX_CONTEXT_VALUE_LEN)
            } else {
                options.max_field
            },
        }
    }

    fn bit(&self, key: &str) -> u128 {
        let mut keys = self.keys.lock();
        let next = keys.len();
        let number = match keys.get(key) {
            Some(number) => *number,
            None => *keys.entry(key.to_owned()).or_insert(next),
        };
        1 << (number % 128)
    }
}

/// Removes the `r#` of a field whose name is a keyword.
pub(crate) fn plain_name(field: &str) -> &str {
    field.strip_prefix("r#").unwrap_or(field)
}

pub(crate) fn push_member(to: &mut Vec<u8>, key: &str, value: &[u8]) {
    to.push(b',');
    to.extend(escape::quoted(key));
    to.push(b':');
    to.extend(value);
}

/// Returns the policy if it scans text. Its verdicts about keys are read in [`LineTemplate::key`].
pub(crate) fn text_policy<'a>(
    template: &LineTemplate,
    options: &'a Options,
) -> Option<&'a dyn Redact> {
    template.redacts_text.then_some(&*options.redact)
}
