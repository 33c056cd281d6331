//! The precomputed bytes around values, so that most values are written in one step.
//!
//! Most values need no [`Conversion`] although their format has one for the field: a text under
//! `labels.<name>`, a number under `numeric_labels.<name>`. A [`PrecomputedKey`] has the bytes
//! around each type of value, such as `,"labels.<name>":` in front of a text. Types that it does
//! not have take the path of the conversion.

use crate::{
    conversion::{Conversion, Rule},
    format_table::Kind,
    line_buffer::PaddedBytes,
    plan::{Key, Role},
};

/// The bytes around the values of a field, by type of value.
#[derive(Debug)]
pub(crate) struct PrecomputedKey {
    pub(crate) text: ValueFrame,
    pub(crate) integer: ValueFrame,
    pub(crate) float: ValueFrame,
    pub(crate) boolean: ValueFrame,
    /// Whether the format replaces a text without a visible character.
    pub(crate) has_blank: bool,
    pub(crate) text_role: Role,
    /// The maximum length of a value's text, in bytes: see [`Key::max_len`].
    pub(crate) max_len: usize,
}

/// The bytes around a value.
#[derive(Debug, Default)]
pub(crate) struct ValueFrame {
    /// The [`Role`] of the field, or 0 if the value is not written in one step.
    pub(crate) role: u8,
    pub(crate) closing_len: u8,
    /// The bytes behind the value, padded to a block. Mostly none.
    pub(crate) closing: [u8; CLOSING_LEN],
    /// The bytes in front of the value, mostly `,"key":`.
    pub(crate) opening: PaddedBytes<64>,
}

/// The maximum length of the bytes behind a value.
const CLOSING_LEN: usize = 8;

/// Returns the bytes in front of a value of this kind, and those behind it, in a line that is not
/// flat JSON. `opening` is `,"key":`, as flat JSON has it. `None` if such a value is rewritten.
pub(crate) type AroundValue =
    fn(opening: &[u8], kind: Kind, is_message: bool) -> Option<(Vec<u8>, &'static [u8])>;

impl ValueFrame {
    fn new(role: Role, opening: &[u8], closing: &[u8]) -> Self {
        let mut padded = [0; CLOSING_LEN];
        padded[..closing.len()].copy_from_slice(closing);
        Self {
            role: role as u8,
            closing_len: closing.len() as u8,
            closing: padded,
            opening: PaddedBytes::new(opening.to_vec()),
        }
    }
}

impl PrecomputedKey {
    /// Creates the bytes around values in flat JSON.
    pub(crate) fn new(key: &Key) -> Self {
        let Some(conversion) = &key.conversion else {
            let frame = |role| ValueFrame::new(role, key.opening.as_bytes(), b"");
            return Self {
                text: frame(key.role),
                integer: frame(key.role),
                float: frame(key.role),
                boolean: frame(key.role_of_bool),
                has_blank: false,
                text_role: key.role,
                max_len: key.max_len,
            };
        };
        let Conversion {
            style, rule, error, ..
        } = &**conversion;
        // The role of a converted key is `Omitted` or `Converted`. The conversion has the role of
        // the field.
        let role = |of_key, of_field| match of_key {
            Role::Omitted => Role::Omitted,
            _ => of_field,
        };
        let role_of_bool = &role(key.role_of_bool, conversion.role_of_bool);
        let role = &role(key.role, conversion.role);
        let frame = |role: Role, kind| ValueFrame::new(role, conversion.opening_for(kind), b"");
        let has_object = error.as_ref().is_some_and(|error| error.object.is_some());
        // The opening of a text has opened the object of an error.
        let text_closing: &[u8] = if has_object { b"}" } else { b"" };
        let text = ValueFrame::new(*role, conversion.opening_for(Kind::Text), text_closing);
        let none = ValueFrame::default;
        let (text, integer, float) = match rule {
            Rule::None | Rule::Leaf(_) => (
                text,
                frame(*role, Kind::Integer),
                frame(*role, Kind::Number),
            ),
            Rule::Nanos => (text, none(), none()),
            Rule::Message { .. } => (text, none(), none()),
            // Any text may be hexadecimal, so texts take the path of the conversion.
            Rule::Hex { .. } => (
                none(),
                frame(*role, Kind::Integer),
                frame(*role, Kind::Number),
            ),
        };
        let boolean = match rule {
            Rule::Message { .. } | Rule::Leaf(Kind::Bool) => none(),
            _ if style.quotes(Kind::Bool) => {
                let opening = [conversion.opening_for(Kind::Bool), b"\""].concat();
                ValueFrame::new(*role_of_bool, &opening, b"\"")
            }
            _ => frame(*role_of_bool, Kind::Bool),
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
        let frame = |frame: ValueFrame, kind| {
            let opening = frame.opening.as_bytes();
            let around = (frame.role != 0 && frame.closing_len == 0)
                .then(|| around(opening, kind, is_message))
                .flatten();
            around.map_or_else(ValueFrame::default, |(opening, closing)| ValueFrame {
                role: frame.role,
                ..ValueFrame::new(Role::Field, &opening, closing)
            })
        };
        Self {
            text: frame(json.text, Kind::Text),
            integer: frame(json.integer, Kind::Integer),
            float: frame(json.float, Kind::Number),
            boolean: frame(json.boolean, Kind::Bool),
            ..json
        }
    }
}
