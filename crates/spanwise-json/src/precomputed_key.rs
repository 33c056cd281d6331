//! The precomputed bytes around values, so that most values are written in one step.
//!
//! Most values need no [`Conversion`] although their format has one for the key: a text under
//! `labels.<name>`, a number under `numeric_labels.<name>`. A [`PrecomputedKey`] is the table of
//! the bytes around each type of value. Types that it does not have take the path of the
//! conversion.

use crate::{
    conversion::{Conversion, Rule},
    format_table::Kind,
    line_buffer::PaddedBytes,
    plan::{Key, Role},
};

/// The bytes around the values of a field, by type of value.
#[derive(Debug)]
pub(crate) struct PrecomputedKey {
    pub(crate) text: PrecomputedPlace,
    pub(crate) integer: PrecomputedPlace,
    pub(crate) float: PrecomputedPlace,
    pub(crate) boolean: PrecomputedPlace,
    /// Whether the format replaces a text without a visible character.
    pub(crate) has_blank: bool,
    pub(crate) text_role: Role,
    /// The maximum length of a value's text, in bytes: see [`Key::max_len`].
    pub(crate) max_len: usize,
}

/// The bytes around a value.
#[derive(Debug, Default)]
pub(crate) struct PrecomputedPlace {
    /// The role of the field, or none if the value is not written in one step.
    pub(crate) role: u8,
    pub(crate) end_len: u8,
    pub(crate) end: [u8; END_LEN],
    pub(crate) start: PaddedBytes<64>,
}

const END_LEN: usize = 8;

/// Returns the bytes around a value of this kind in a line that is not flat JSON, for a member that
/// starts with `,"key":` in JSON. `None` if such a value is rewritten.
pub(crate) type AroundValue =
    fn(start: &[u8], kind: Kind, is_message: bool) -> Option<(Vec<u8>, &'static [u8])>;

impl PrecomputedPlace {
    fn new(role: Role, start: &[u8], end: &[u8]) -> Self {
        let mut padded = [0; END_LEN];
        padded[..end.len()].copy_from_slice(end);
        Self {
            role: role as u8,
            end_len: end.len() as u8,
            end: padded,
            start: PaddedBytes::new(start.to_vec()),
        }
    }
}

impl PrecomputedKey {
    /// Creates the bytes around values in flat JSON.
    pub(crate) fn new(key: &Key) -> Self {
        let Some(conversion) = &key.conversion else {
            let place = |role| PrecomputedPlace::new(role, key.member.as_bytes(), b"");
            return Self {
                text: place(key.role),
                integer: place(key.role),
                float: place(key.role),
                boolean: place(key.role_of_bool),
                has_blank: false,
                text_role: key.role,
                max_len: key.max_len,
            };
        };
        let Conversion {
            style, rule, error, ..
        } = &**conversion;
        // The role of a converted key only matters if it is `Omitted`: the conversion has the
        // others.
        let role = |of_key, of_field| match of_key {
            Role::Omitted => Role::Omitted,
            _ => of_field,
        };
        let role_of_bool = &role(key.role_of_bool, conversion.role_of_bool);
        let role = &role(key.role, conversion.role);
        let place = |role: Role, kind| PrecomputedPlace::new(role, conversion.start_for(kind), b"");
        let has_object = error.as_ref().is_some_and(|error| error.object.is_some());
        let text_end: &[u8] = if has_object { b"}" } else { b"" };
        let text = PrecomputedPlace::new(*role, conversion.start_for(Kind::Text), text_end);
        let none = PrecomputedPlace::default;
        let (text, integer, float) = match rule {
            Rule::None | Rule::Leaf(_) => (
                text,
                place(*role, Kind::Integer),
                place(*role, Kind::Number),
            ),
            Rule::Nanos => (text, none(), none()),
            Rule::Message { .. } => (text, none(), none()),
            // Any text may be hexadecimal, so texts take the path of the conversion.
            Rule::Hex { .. } => (
                none(),
                place(*role, Kind::Integer),
                place(*role, Kind::Number),
            ),
        };
        let boolean = match rule {
            Rule::Message { .. } | Rule::Leaf(Kind::Bool) => none(),
            _ if style.quotes(Kind::Bool) => {
                let start = [conversion.start_for(Kind::Bool), b"\""].concat();
                PrecomputedPlace::new(*role_of_bool, &start, b"\"")
            }
            _ => place(*role_of_bool, Kind::Bool),
        };
        Self {
            text,
            integer,
            float,
            boolean,
            has_blank: matches!(rule, Rule::Message { blank: Some(_) }),
            text_role: *role,
            max_len: key.max_len,
        }
    }

    /// Creates the bytes around values in a line that is not flat JSON. A type that the format has
    /// to rewrite has none.
    pub(crate) fn rewritten(key: &Key, around: AroundValue) -> Self {
        let json = Self::new(key);
        let is_message = key.is_message();
        let place = |place: PrecomputedPlace, kind| {
            let start = place.start.as_bytes();
            let around = (place.role != 0 && place.end_len == 0)
                .then(|| around(start, kind, is_message))
                .flatten();
            around.map_or_else(PrecomputedPlace::default, |(start, end)| PrecomputedPlace {
                role: place.role,
                ..PrecomputedPlace::new(Role::Field, &start, end)
            })
        };
        Self {
            text: place(json.text, Kind::Text),
            integer: place(json.integer, Kind::Integer),
            float: place(json.float, Kind::Number),
            boolean: place(json.boolean, Kind::Bool),
            ..json
        }
    }
}
