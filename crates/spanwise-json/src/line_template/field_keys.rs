//! The key of each field in the lines of a layer, and the conversion of its values.
//!
//! A field is *displaced*, to `fields.<name>`, if its name is a key of the line. A *place* is a key
//! that a format has for one field, or for a part of the error.

use std::{borrow::Cow, sync::atomic::Ordering};

use spanwise_core::{
    CONTEXT_KEYS, KeyVerdict,
    internal::{MAX_CONTEXT_VALUE_LEN, forks},
};

use super::{LineTemplate, open_object, opening_of, plain_name};
use crate::{
    builder::Options,
    conversion::{Conversion, ErrorMembers, Openings, Rule},
    escape,
    format::FIELDS_PREFIX,
    format_table::{ErrorPart, ErrorShape, Known, Layout, Style},
    line_parts,
    member_keys::{KeyId, NO_KEY_ID},
    name_limits::limit_name,
    plan::{Key, Role},
    spelling::Spell,
    value_starts::ValueStarts,
};

/// The key id and the bits of an opening.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownOpening {
    key_id: KeyId,
    /// One of 128 bits. The openings of one field have the same bit if they became known together.
    /// All bits if the layer has no more key ids.
    bits: u128,
}

/// The origin of a field: an event or a span, and its relation to the error there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldSource {
    /// An event of which no field can be the error.
    Event,
    /// The field is the error of the event.
    ErrorOfEvent,
    /// Another field of the event is its error.
    BesideErrorOfEvent,
    /// A span of which no field can be the error.
    Span,
    /// The field is the error of the span.
    ErrorOfSpan,
    /// Another field of the span is its error.
    BesideErrorOfSpan,
}

impl FieldSource {
    fn is_event(self) -> bool {
        matches!(
            self,
            Self::Event | Self::ErrorOfEvent | Self::BesideErrorOfEvent
        )
    }

    fn is_error(self) -> bool {
        matches!(self, Self::ErrorOfEvent | Self::ErrorOfSpan)
    }

    fn is_beside_error(self) -> bool {
        matches!(self, Self::BesideErrorOfEvent | Self::BesideErrorOfSpan)
    }
}

impl LineTemplate {
    /// Decides whether a field is shown, and under which key.
    pub(crate) fn key(&self, options: &Options, name: &str, source: FieldSource) -> Key {
        let name = plain_name(name);
        let is_message = source.is_event() && name == "message";
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        let shown = !listed(&options.exclude) && options.include.as_deref().is_none_or(listed);
        let verdicts = options.redact.verdicts(name);
        let role = |verdict: KeyVerdict| match verdict {
            _ if is_message && options.message => Role::Message,
            _ if is_message || !shown => Role::Omitted,
            KeyVerdict::Pass => Role::Field,
            KeyVerdict::Text => Role::ScannedText,
            KeyVerdict::Trust => Role::Trusted,
            KeyVerdict::Redact => Role::Redacted,
            KeyVerdict::Replace => Role::Replaced,
            KeyVerdict::Remove => Role::Omitted,
        };
        let is_context = !source.is_event()
            && (CONTEXT_KEYS.contains(&name) || options.context_keys.iter().any(|key| key == name));
        let (role, role_of_bool) = (role(verdicts.text), role(verdicts.boolean));
        let max_len = if is_context {
            options.max_field.min(MAX_CONTEXT_VALUE_LEN)
        } else {
            options.max_field
        };
        let conversion = self.conversion(options, name, source, is_message, [role, role_of_bool]);
        // Instead of a conversion that only changes the key, an opening with the new key is enough.
        let renamed_opening = conversion
            .as_ref()
            .filter(|conversion| conversion.is_name_only())
            .map(|conversion| conversion.openings.text.to_vec());
        let conversion = conversion.filter(|_| renamed_opening.is_none());
        let plain = |opening: &[u8]| ValueStarts::plain([role, role_of_bool], opening);
        let (starts, (key_ids, bits)) = match (&conversion, renamed_opening) {
            (_, Some(opening)) => {
                let ids_and_bits = self.key_ids(std::iter::once(&*opening));
                (plain(&opening), ids_and_bits)
            }
            (None, None) => {
                let key = match is_message && self.table.layout == Layout::Flat {
                    true => Cow::Borrowed(self.table.message.key),
                    false => {
                        let (field_name, _) = self.field_name(options, name, source);
                        Cow::Owned(field_name)
                    }
                };
                let opening = opening_of(&limit_name(&key));
                let ids_and_bits = self.key_ids(std::iter::once(&*opening));
                (plain(&opening), ids_and_bits)
            }
            (Some(conversion), None) => {
                let ids_and_bits = self.key_ids(conversion.all_openings());
                (ValueStarts::converted(conversion), ids_and_bits)
            }
        };
        let is_converted = conversion.is_some();
        let role_of_key = |role: Role| match role {
            Role::Omitted => Role::Omitted,
            _ if is_converted => Role::Converted,
            role => role,
        };
        Key {
            starts,
            bits,
            key_id: match (&conversion, &*key_ids) {
                (None, [key_id]) => *key_id,
                _ => NO_KEY_ID,
            },
            key_ids,
            role: role_of_key(role),
            role_of_bool: role_of_key(role_of_bool),
            max_len,
            conversion: conversion.map(Box::new),
        }
    }

    /// Returns the name under which a field is shown, and whether it was logged with this name. An
    /// option may rename the field, and a field whose name is a key of the line is displaced.
    pub(crate) fn field_name(
        &self,
        options: &Options,
        name: &str,
        source: FieldSource,
    ) -> (String, bool) {
        let renamed = options.rename.iter().rev().find(|(from, _)| from == name);
        let key = renamed.map_or(name, |(_, to)| to.as_str());
        let is_taken = match self.table.layout {
            Layout::Flat => {
                let is_taken_by_part = match renamed {
                    Some(_) => self.is_shown(options, key),
                    // A field with a place gets the key of the place, whatever its name is.
                    None => self.is_taken(options, key) && self.table.known(key).is_none(),
                };
                is_taken_by_part
                    || source.is_beside_error() && self.table.is_error_key(&self.table.spell(key))
            }
            // The object of an event has only fields. That of a span also has its name, `name`.
            Layout::Nested => {
                !source.is_event() && (key == "name" || key.starts_with(FIELDS_PREFIX))
            }
        };
        match is_taken {
            true => (self.displaced_name(key), false),
            false => (key.to_owned(), renamed.is_none()),
        }
    }

    /// Returns whether lines show a part with this key. Unlike for [`is_taken`](Self::is_taken), a
    /// reserved key that no line shows does not count: an option may rename a field to it.
    fn is_shown(&self, options: &Options, key: &str) -> bool {
        let spelled = self.table.spell(key);
        let mut shown = line_parts::shown_keys(options);
        key.starts_with(FIELDS_PREFIX)
            || self.taken_keys.contains(&spelled)
            || shown.any(|other| other == spelled)
    }

    /// Returns whether no field may have this key, because a part of the line has it or because the
    /// receiver gives it a meaning.
    pub(crate) fn is_taken(&self, options: &Options, key: &str) -> bool {
        let spelled = self.table.spell(key);
        self.is_part(&spelled)
            || self.table.reserves(&spelled)
            || options.source_location && self.table.is_location_key(&spelled)
            || key.starts_with(FIELDS_PREFIX)
    }

    /// Returns whether a part of the line has this key. In flat lines, the parts of the tail, such
    /// as `service`, count even if lines do not show them.
    fn is_part(&self, key: &str) -> bool {
        let mut tail = self.table.tail.iter();
        self.taken_keys.iter().any(|taken| taken == key)
            || self.table.layout == Layout::Flat && tail.any(|(part, _)| *part == key)
    }

    /// Returns the name of a displaced field, `fields.<key>`.
    pub(crate) fn displaced_name(&self, key: &str) -> String {
        format!("{FIELDS_PREFIX}{key}")
    }

    /// Returns the conversion of a field's values, if the format writes them in its own way.
    fn conversion(
        &self,
        options: &Options,
        name: &str,
        source: FieldSource,
        is_message: bool,
        [role, role_of_bool]: [Role; 2],
    ) -> Option<Conversion> {
        let table = self.table;
        if table.layout == Layout::Nested {
            return None;
        }
        let style = table.style;
        if is_message {
            let message = table.message;
            return message.is_text.then(|| Conversion {
                role,
                role_of_bool,
                style,
                rule: Rule::Message {
                    blank: message.blank,
                },
                openings: Openings::same(&opening_of(message.key)),
                error: None,
            });
        }
        // Only a field with the name that it was logged with is shown as the error.
        let (json_name, is_unchanged) = self.field_name(options, name, source);
        let is_part_of_error =
            |place: &Known| source.is_beside_error() && table.is_error_key(place.key());
        // A field that an option renames gets the place of a field with the new name.
        let place = table
            .known(&json_name)
            .filter(|place| !is_part_of_error(place));
        // If lines show a part with the key of the place, such as `host.name`, the part keeps the
        // key, and the field is displaced.
        let is_part = place.is_some_and(|place| self.is_part(place.key()));
        let place = place.filter(|_| !is_part);
        let field = match is_part {
            true => self.displaced_name(&json_name),
            false => json_name.clone(),
        };
        let spelled_opening = |name: &str, spell: Spell| {
            let spelled = spell(name).into_owned();
            match self.taken_keys.contains(&spelled) {
                true => opening_of(&limit_name(&spell(&self.displaced_name(name)))),
                false => opening_of(&limit_name(&spelled)),
            }
        };
        let opening_with = |spell| spelled_opening(&field, spell);
        let mut openings = Openings {
            fitting: Box::default(),
            text: opening_with(table.spelling.text).into(),
            number: opening_with(table.spelling.number).into(),
            number_as_text: opening_with(table.spelling.number_as_text).into(),
            other_as_text: opening_with(table.spelling.text).into(),
        };
        let (mut rule, mut error) = (Rule::None, None);
        if !is_unchanged && table.is_reserved_name(&field) {
            openings = Openings::same(&opening_of(&limit_name(&field)));
        }
        match (table.error, place) {
            (ErrorShape::Members(parts), _) if source.is_error() && is_unchanged => {
                error = Some(ErrorMembers::new(None, parts));
                let message = parts.iter().find(|(part, _)| *part == ErrorPart::Message);
                if let Some((_, key)) = message {
                    openings.text = opening_of(key).into();
                }
            }
            (ErrorShape::Object(key, parts), _) if source.is_error() && is_unchanged => {
                error = Some(ErrorMembers::new(Some(key), parts));
                if field == key {
                    // Only an object may have this key, so all other values get another key.
                    let other = opening_of(&limit_name(&table.spell(&self.displaced_name(key))));
                    openings = Openings::same(&other);
                }
                let message = parts.iter().find(|(part, _)| *part == ErrorPart::Message);
                if let Some((_, message)) = message {
                    let mut inner = opening_of(message);
                    open_object(&mut inner);
                    openings.text = [opening_of(key), inner].concat().into();
                }
            }
            (_, None) => {}
            (_, Some(Known::Named(key))) => openings = Openings::same(&opening_of(key)),
            (_, Some(Known::Leaf(key, kind))) => {
                (rule, openings.fitting) = (Rule::Leaf(kind), opening_of(key).into());
            }
            (_, Some(Known::Nanos(key))) => {
                (rule, openings.fitting) = (Rule::Nanos, opening_of(key).into());
            }
            (
                _,
                Some(Known::Hex {
                    key,
                    digits,
                    prefix,
                }),
            ) => {
                if let Some(prefix) = prefix(options) {
                    let mut opening = opening_of(key);
                    opening.extend(escape::quoted(&prefix));
                    // The closing quote comes after the digits.
                    opening.pop();
                    (rule, openings.fitting) = (Rule::Hex { digits }, opening.into());
                }
            }
        }
        if error.is_none() && style != Style::Json {
            // The style does not allow objects. So an error that is not the error of the event or
            // span has two members: its message and its causes.
            let chain = spelled_opening(&format!("{field}.chain"), table.spelling.text);
            error = Some(ErrorMembers {
                is_further: true,
                object: None,
                parts: Box::new([
                    (ErrorPart::Message, openings.text.clone()),
                    (ErrorPart::Chain, chain.into()),
                ]),
            });
        }
        let is_as_in_json = matches!(rule, Rule::None)
            && error.is_none()
            && openings.are_same()
            && *openings.text == *opening_of(&limit_name(&json_name));
        (!is_as_in_json).then_some(Conversion {
            role,
            role_of_bool,
            style,
            rule,
            openings,
            error,
        })
    }

    /// Renames the member with the causes of the error in the field `name`, because another field
    /// has the key of that member.
    pub(crate) fn displace_chain(&self, key: &mut Key, name: &str) {
        let conversion = key.conversion.as_mut();
        let error = conversion.and_then(|conversion| conversion.error.as_mut());
        for (part, opening) in error.into_iter().flat_map(|error| &mut error.parts) {
            if *part == ErrorPart::Chain {
                let displaced = self.displaced_name(&format!("{name}.chain"));
                *opening = opening_of(&limit_name(&self.table.spell(&displaced))).into();
            }
        }
        if let Some(conversion) = &key.conversion {
            (key.key_ids, key.bits) = self.key_ids(conversion.all_openings());
        }
    }

    /// Returns the key ids and the bits of a field whose members have these openings. New openings
    /// share one bit.
    fn key_ids<'s>(&self, openings: impl Iterator<Item = &'s [u8]>) -> (Box<[KeyId]>, u128) {
        let _no_fork = forks::defer();
        let mut known_openings = self.openings.lock();
        let (mut key_ids, mut bits, mut new_bit) = (Vec::new(), 0, None);
        for opening in openings {
            let known = known_openings.get(opening).copied().unwrap_or_else(|| {
                let bits = *new_bit.get_or_insert_with(|| {
                    1 << (self.next_bit.fetch_add(1, Ordering::Relaxed) % 128)
                });
                let known = match KeyId::try_from(known_openings.len()) {
                    Ok(key_id) if key_id < NO_KEY_ID => KnownOpening { key_id, bits },
                    _ => KnownOpening {
                        key_id: NO_KEY_ID,
                        bits: u128::MAX,
                    },
                };
                known_openings.insert(opening.into(), known);
                known
            });
            key_ids.push(known.key_id);
            bits |= known.bits;
        }
        (key_ids.into(), bits)
    }
}
