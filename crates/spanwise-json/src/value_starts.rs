//! The precomputed bytes in front of values, so that most values are written in one step.
//!
//! A format may have a [`Conversion`] for a field, but most values only need another key: a text
//! `labels.<name>`, and a number `numeric_labels.<name>`. For each such type of value,
//! [`ValueStarts`] has the bytes in front of it, such as `,"labels.<name>":`. All other types are
//! converted.

use crate::{
    conversion::{Conversion, Rule},
    format_table::Kind,
    line_buffer::PaddedBytes,
    plan::Role,
};

/// The bytes in front of the values of a field, by type of value.
#[derive(Debug)]
pub(crate) struct ValueStarts {
    /// For texts. If the field has no conversion, the opening is also used for values of types that
    /// are not listed here, such as errors.
    pub(crate) text: ValueStart,
    pub(crate) integer: ValueStart,
    pub(crate) float: ValueStart,
    pub(crate) boolean: ValueStart,
    /// The length of the quote behind a boolean: 1 if the format shows it as text, else 0.
    pub(crate) bool_closing_len: u8,
}

/// The bytes in front of a value.
#[derive(Debug, Default)]
pub(crate) struct ValueStart {
    /// The treatment of the value, or [`Role::Omitted`] if it is not written in one step.
    pub(crate) role: Role,
    /// The bytes in front of the value, mostly `,"key":`.
    pub(crate) opening: PaddedBytes<32>,
}

impl ValueStart {
    fn new(role: Role, opening: &[u8]) -> Self {
        Self {
            role,
            opening: PaddedBytes::new(opening.to_vec()),
        }
    }
}

impl ValueStarts {
    /// Creates the starts for a field without a conversion.
    pub(crate) fn plain([role, role_of_bool]: [Role; 2], opening: &[u8]) -> Self {
        Self {
            text: ValueStart::new(role, opening),
            integer: ValueStart::new(role, opening),
            float: ValueStart::new(role, opening),
            boolean: ValueStart::new(role_of_bool, opening),
            bool_closing_len: 0,
        }
    }

    /// Creates the starts for a field with a conversion.
    pub(crate) fn converted(conversion: &Conversion) -> Self {
        let Conversion {
            role,
            role_of_bool,
            style,
            rule,
            error,
            ..
        } = conversion;
        let start = |role: Role, kind| ValueStart::new(role, conversion.opening_for(kind));
        let needs_conversion = ValueStart::default;
        let (integer, float) = match rule {
            Rule::None | Rule::Leaf(_) | Rule::Hex { .. } => {
                (start(*role, Kind::Integer), start(*role, Kind::Number))
            }
            Rule::Nanos | Rule::Message { .. } => (needs_conversion(), needs_conversion()),
        };
        let has_object = error.as_ref().is_some_and(|error| error.object.is_some());
        let is_text_in_one_step = match rule {
            // A text becomes the message in the object of an error, which must be closed.
            _ if has_object => false,
            // Any text may be hexadecimal.
            Rule::Hex { .. } => false,
            // A blank message is replaced after all fields are written, without the conversion.
            Rule::Message { blank } => blank.is_none() || *role == Role::Message,
            Rule::None | Rule::Leaf(_) | Rule::Nanos => true,
        };
        let text_role = match is_text_in_one_step {
            true => *role,
            false => Role::Omitted,
        };
        let is_bool_quoted = style.quotes(Kind::Bool);
        let boolean = match rule {
            Rule::Message { .. } | Rule::Leaf(Kind::Bool) => needs_conversion(),
            _ if is_bool_quoted => {
                let opening = [conversion.opening_for(Kind::Bool), b"\""].concat();
                ValueStart::new(*role_of_bool, &opening)
            }
            _ => start(*role_of_bool, Kind::Bool),
        };
        Self {
            text: start(text_role, Kind::Text),
            integer,
            float,
            boolean,
            bool_closing_len: is_bool_quoted.into(),
        }
    }

    /// Omits all values.
    pub(crate) fn omit(&mut self) {
        let Self {
            text,
            integer,
            float,
            boolean,
            ..
        } = self;
        for start in [text, integer, float, boolean] {
            start.role = Role::Omitted;
        }
    }
}
