//! Conversion of the encoder's JSON into the values that a format writes in its own way, such as
//! milliseconds that become nanoseconds.
//!
//! The *opening* of a member is everything before its value: `,"key":`. It may include the first
//! bytes of the value, such as a quote and a prefix.

use crate::{
    escape,
    format_table::{ErrorPart, FormatTable, Kind, Style},
    json_lexer::string_end,
    line_buffer::LineBuffer,
    line_template::opening_of,
    plan::Role,
};

/// How a format writes the values of one field.
#[derive(Debug)]
pub(crate) struct Conversion {
    /// The treatment of the field by the options and the policy. The [`Key`](crate::plan::Key) of
    /// the field has the role `Converted` instead.
    pub(crate) role: Role,
    pub(crate) role_of_bool: Role,
    pub(crate) style: Style,
    pub(crate) rule: Rule,
    pub(crate) openings: Openings,
    pub(crate) error: Option<ErrorMembers>,
}

/// The values for which the format has another key than for other values of the field.
#[derive(Debug)]
pub(crate) enum Rule {
    /// No values.
    None,
    /// Values of this kind.
    Leaf(Kind),
    /// Numbers of milliseconds, which become nanoseconds.
    Nanos,
    /// Texts of this many hexadecimal digits. Their opening includes the quote and a prefix.
    Hex { digits: usize },
    /// All values, as text. `blank` replaces a text that is empty or only white space.
    Message { blank: Option<&'static str> },
}

/// The opening of the member, by kind of value.
#[derive(Debug)]
pub(crate) struct Openings {
    /// For values that fit the [`Rule`]. Empty if no values do.
    pub(crate) fitting: Box<[u8]>,
    pub(crate) text: Box<[u8]>,
    pub(crate) number: Box<[u8]>,
    /// For numbers that are shown as text, such as NaN.
    pub(crate) number_as_text: Box<[u8]>,
    /// For booleans and nested values that are shown as text.
    pub(crate) other_as_text: Box<[u8]>,
}

/// The members that an error becomes.
#[derive(Debug)]
pub(crate) struct ErrorMembers {
    /// Whether the error is not the one that the format shows as the error of the event or span.
    pub(crate) is_further: bool,
    /// The opening of a member with an object of the parts. `None` if the line itself has the
    /// parts.
    pub(crate) object: Option<Box<[u8]>>,
    /// The parts, each with its opening.
    pub(crate) parts: Box<[(ErrorPart, Box<[u8]>)]>,
}

impl ErrorMembers {
    /// The members for the error of an event or span.
    pub(crate) fn new(object: Option<&str>, parts: &[(ErrorPart, &str)]) -> Self {
        let opening = |key: &str| -> Box<[u8]> { opening_of(key).into() };
        let parts = parts.iter().map(|(part, key)| (*part, opening(key)));
        Self {
            is_further: false,
            object: object.map(opening),
            parts: parts.collect(),
        }
    }

    /// Ends the object whose members begin at `start`, if there is an object.
    pub(crate) fn close_object(&self, line: &mut LineBuffer, start: usize) {
        if self.object.is_none() {
            return;
        }
        // The first comma becomes the opening brace.
        if let Some(comma) = line.as_mut_bytes().get_mut(start) {
            *comma = b'{';
        }
        line.push_byte(b'}');
    }
}

/// The byte offsets of a member that the encoder wrote, and that is being converted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    pub(crate) member_start: usize,
    pub(crate) value_start: usize,
    /// Whether the value is a number that was written as text.
    pub(crate) is_number_as_text: bool,
}

impl Openings {
    /// One opening for all values.
    pub(crate) fn same(opening: &[u8]) -> Self {
        Self {
            fitting: opening.into(),
            text: opening.into(),
            number: opening.into(),
            number_as_text: opening.into(),
            other_as_text: opening.into(),
        }
    }

    /// Returns whether all values that do not fit the [`Rule`] have the same opening.
    pub(crate) fn are_same(&self) -> bool {
        self.text == self.number
            && self.text == self.number_as_text
            && self.text == self.other_as_text
    }
}

impl Conversion {
    /// Returns the opening of each member that the field may become.
    pub(crate) fn all_openings(&self) -> impl Iterator<Item = &[u8]> {
        let Openings {
            fitting,
            text,
            number,
            number_as_text,
            other_as_text,
        } = &self.openings;
        let error = self.error.iter().flat_map(|error| {
            let object = error.object.iter().map(|opening| &**opening);
            // The parts of an object are not members of the line.
            let parts = error.parts.iter().filter(|_| error.object.is_none());
            object.chain(parts.map(|(_, opening)| &**opening))
        });
        [fitting, text, number, number_as_text, other_as_text]
            .into_iter()
            .map(|opening| &**opening)
            .filter(|opening| !opening.is_empty())
            .chain(error)
    }

    /// Returns whether values are written as in `json`, under another key.
    pub(crate) fn is_name_only(&self) -> bool {
        self.style == Style::Json
            && matches!(self.rule, Rule::None)
            && self.error.is_none()
            && self.openings.are_same()
    }

    /// Returns the opening that fits nearly all values of this kind. [`finish`](Self::finish)
    /// replaces it for the others.
    #[inline]
    pub(crate) fn opening_for(&self, kind: Kind) -> &[u8] {
        match self.rule {
            Rule::Leaf(leaf) if kind.fits(leaf) => &self.openings.fitting,
            _ => match kind {
                Kind::Text => &self.openings.text,
                Kind::Number | Kind::Integer => &self.openings.number,
                Kind::Bool | Kind::Nested if self.style == Style::Json => &self.openings.number,
                // Shown as text.
                Kind::Bool | Kind::Nested => &self.openings.other_as_text,
            },
        }
    }

    /// Completes a member that has the opening [`opening_for(kind)`](Self::opening_for), where
    /// `kind` is the expected kind of the value. Replaces the opening, and converts the value, if
    /// the written value requires it.
    pub(crate) fn finish(&self, line: &mut LineBuffer, written: Written, kind: Kind) {
        let value = &line.as_bytes()[written.value_start..];
        let actual = kind_of(value);
        let mut nanos = itoa::Buffer::new();
        // `new_value` is `None` if the written value stays.
        let (opening, new_value): (&[u8], Option<&[u8]>) = match self.rule {
            Rule::Leaf(_) if actual == Kind::Integer && !is_int64(value) => {
                (&self.openings.number, None)
            }
            Rule::Leaf(leaf) if actual.fits(leaf) => (&self.openings.fitting, None),
            Rule::Nanos if let Some(count) = millis_to_nanos(value) => {
                let digits = nanos.format(count).as_bytes();
                (&self.openings.fitting, Some(digits))
            }
            Rule::Hex { digits } if is_hex(value, digits) => {
                // The quote in front of the digits is part of the new opening.
                let digits_start = written.value_start + 1;
                return line.splice(written.member_start..digits_start, &self.openings.fitting);
            }
            Rule::Message { blank } => return finish_message(line, written, actual, blank),
            _ => {
                let is_misread = self.style.is_misread(actual, value);
                if is_misread || self.style.quotes(actual) {
                    quote_json(line, written.value_start);
                }
                match is_misread || written.is_number_as_text {
                    true => (&self.openings.number_as_text, None),
                    false => (self.opening_for(actual), None),
                }
            }
        };
        if let Some(value) = new_value {
            line.truncate(written.value_start);
            line.push(value);
        }
        if *opening != *self.opening_for(kind) {
            line.splice(written.member_start..written.value_start, opening);
        }
        // A text is the message in the object of the error, which its opening has opened.
        let in_object = self
            .error
            .as_ref()
            .is_some_and(|error| error.object.is_some());
        if in_object && actual == Kind::Text && !written.is_number_as_text {
            line.push_byte(b'}');
        }
    }
}

fn finish_message(
    line: &mut LineBuffer,
    written: Written,
    kind: Kind,
    blank: Option<&'static str>,
) {
    if kind != Kind::Text {
        return quote_json(line, written.value_start);
    }
    if let Some(blank) = blank
        && is_blank(&line.as_bytes()[written.value_start..])
    {
        line.truncate(written.value_start);
        escape::push_quoted(line, blank);
    }
}

/// Returns whether the first byte inside a JSON string is visible, so that the text is not blank. A
/// text that is not blank may also begin with another byte.
#[inline]
pub(crate) fn is_visible(byte: &u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')
}

/// Returns whether the JSON string at the start of `json` is blank: empty or only white space.
pub(crate) fn is_blank(json: &[u8]) -> bool {
    // A visible first character is the common case.
    if json.get(1).is_some_and(is_visible) {
        return false;
    }
    let text: String = serde_json::from_slice(&json[..string_end(json, 0)]).unwrap_or_default();
    text.trim().is_empty()
}

/// Turns the JSON value from `start` to the end of the line into a JSON string.
fn quote_json(line: &mut LineBuffer, start: usize) {
    if line.as_bytes()[start].is_ascii_alphanumeric() {
        // A number or a boolean has nothing to escape.
        line.splice(start..start, b"\"");
        return line.push_byte(b'"');
    }
    let json = String::from_utf8_lossy(&line.as_bytes()[start..]).into_owned();
    line.truncate(start);
    escape::push_quoted(line, &json);
}

/// Returns the kind of a JSON value.
pub(crate) fn kind_of(json: &[u8]) -> Kind {
    match json.first() {
        Some(b'"') => Kind::Text,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'0'..=b'9' | b'-') if has_fraction(json) => Kind::Number,
        Some(b'0'..=b'9' | b'-') => Kind::Integer,
        _ => Kind::Nested,
    }
}

/// Returns whether a number has a fraction or an exponent.
fn has_fraction(number: &[u8]) -> bool {
    let is_mark = |byte: &u8| matches!(byte, b'.' | b'e' | b'E');
    number.iter().any(is_mark)
}

impl Kind {
    /// Returns whether a value of this kind may have a key for values of the kind `accepted`.
    pub(crate) fn fits(self, accepted: Self) -> bool {
        self == accepted || (self == Self::Integer && accepted == Self::Number)
    }
}

/// Returns whether a whole number fits in an `i64`. Many receivers read no larger numbers.
pub(crate) fn is_int64(digits: &[u8]) -> bool {
    let text = || std::str::from_utf8(digits).unwrap_or_default();
    digits.len() < 19 || text().parse::<i64>().is_ok()
}

/// Converts a JSON number of milliseconds to nanoseconds. Returns `None` if the value is not a
/// number, is negative, or is more nanoseconds than fit in an `i64`.
pub(crate) fn millis_to_nanos(json: &[u8]) -> Option<u64> {
    const MAX: u64 = i64::MAX as u64;
    const PER_MILLI: u64 = 1_000_000;
    let text = std::str::from_utf8(json).ok()?;
    match kind_of(json) {
        Kind::Integer => text.parse::<u64>().ok()?.checked_mul(PER_MILLI),
        Kind::Number => {
            let nanos = (text.parse::<f64>().ok()? * PER_MILLI as f64).round();
            (0.0..MAX as f64).contains(&nanos).then_some(nanos as u64)
        }
        Kind::Text | Kind::Bool | Kind::Nested => None,
    }
    .filter(|nanos| *nanos <= MAX)
}

/// Returns whether `json` is text of this many hexadecimal digits in lower case, not all zero.
fn is_hex(json: &[u8], digits: usize) -> bool {
    let text = json
        .get(1..json.len().saturating_sub(1))
        .unwrap_or_default();
    json.first() == Some(&b'"')
        && text.len() == digits
        && text
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.iter().any(|byte| *byte != b'0')
}

/// Appends a member that is not a field. The format spells its key and its value like those of
/// fields.
pub(crate) fn push_field(to: &mut Vec<u8>, table: &FormatTable, name: &str, json: &[u8]) {
    let kind = kind_of(json);
    let is_number = matches!(kind, Kind::Number | Kind::Integer);
    let spell = if is_number {
        table.spelling.number
    } else {
        table.spelling.text
    };
    to.push(b',');
    to.extend(escape::quoted(&spell(name)));
    to.push(b':');
    match table.style.quotes(kind) || table.style.is_misread(kind, json) {
        true => to.extend(escape::quoted(&String::from_utf8_lossy(json))),
        false => to.extend(json),
    }
}

/// The syntax of a list of texts in a line.
pub(crate) struct ListSyntax {
    pub(crate) open: &'static [u8],
    pub(crate) close: &'static [u8],
    /// Whether each text keeps its quotes.
    has_quotes: bool,
}

impl Style {
    /// Returns whether a value of this kind is shown as text.
    pub(crate) fn quotes(self, kind: Kind) -> bool {
        match self {
            Self::Json => false,
            Self::Words => kind == Kind::Nested,
            Self::Labels | Self::Scalar => matches!(kind, Kind::Nested | Kind::Bool),
        }
    }

    /// Returns whether the receiver would show another number. Graylog takes the low 64 bits of a
    /// whole number as a signed number.
    fn is_misread(self, kind: Kind, json: &[u8]) -> bool {
        self == Self::Scalar && kind == Kind::Integer && !is_int64(json)
    }

    /// Returns the syntax of lists of texts.
    pub(crate) const fn list(self) -> ListSyntax {
        match self {
            Self::Json | Self::Labels => ListSyntax {
                open: b"[",
                close: b"]",
                has_quotes: true,
            },
            Self::Scalar | Self::Words => ListSyntax {
                open: b"\"",
                close: b"\"",
                has_quotes: false,
            },
        }
    }
}

impl ListSyntax {
    /// Appends a text, which is a JSON string, to a list. `has_items` is whether the list already
    /// has an item.
    pub(crate) fn push_item(&self, to: &mut Vec<u8>, has_items: bool, quoted: &[u8]) {
        if has_items {
            to.push(b',');
        }
        match self.has_quotes {
            true => to.extend(quoted),
            false => to.extend(unquoted(quoted)),
        }
    }
}

/// Returns a JSON string without its quotes.
pub(crate) fn unquoted(quoted: &[u8]) -> &[u8] {
    &quoted[1..quoted.len() - 1]
}
