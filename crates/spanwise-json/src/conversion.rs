//! Conversion of the encoder's JSON into the values that a format writes in its own way.

use crate::{
    escape,
    format_table::{ErrorPart, FormatTable, Kind, Style},
    line_buffer::LineBuffer,
    line_template::start_of,
    plan::Role,
};

/// How a format writes the values of one key.
#[derive(Debug)]
pub(crate) struct Conversion {
    /// The treatment of the field. The role of its [`Key`](crate::plan::Key) is `Converted`.
    pub(crate) role: Role,
    pub(crate) role_of_bool: Role,
    pub(crate) style: Style,
    pub(crate) rule: Rule,
    pub(crate) starts: Starts,
    pub(crate) error: Option<ErrorMembers>,
}

/// A place for values of one kind only.
#[derive(Debug)]
pub(crate) enum Rule {
    /// There is no such place.
    None,
    Leaf(Kind),
    Nanos,
    /// The start of the member ends with that of the value.
    Hex {
        digits: usize,
    },
    Message {
        blank: Option<&'static str>,
    },
}

/// The start of the member, `,"key":`, for each kind of value.
#[derive(Debug)]
pub(crate) struct Starts {
    /// For values that fit the [`Rule`].
    pub(crate) fitting: Box<[u8]>,
    pub(crate) text: Box<[u8]>,
    pub(crate) number: Box<[u8]>,
    pub(crate) number_as_text: Box<[u8]>,
    /// For booleans and nested values that are shown as text.
    pub(crate) other_as_text: Box<[u8]>,
}

/// The members that an error becomes.
#[derive(Debug)]
pub(crate) struct ErrorMembers {
    /// Whether this is a further error, not the error of the event or span.
    pub(crate) is_further: bool,
    /// The start of the object that contains the parts, if there is one.
    pub(crate) object: Option<Box<[u8]>>,
    pub(crate) parts: Box<[(ErrorPart, Box<[u8]>)]>,
}

impl ErrorMembers {
    /// The members for the error of an event or span.
    pub(crate) fn new(object: Option<&str>, parts: &[(ErrorPart, &str)]) -> Self {
        let start = |key: &str| -> Box<[u8]> { start_of(key).into() };
        let parts = parts.iter().map(|(part, key)| (*part, start(key)));
        Self {
            is_further: false,
            object: object.map(start),
            parts: parts.collect(),
        }
    }

    /// Ends the object, if there is one.
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

/// The positions of a member that the encoder wrote and that is being converted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    pub(crate) member_start: usize,
    pub(crate) value_start: usize,
    /// A number that is written as text.
    pub(crate) is_number_as_text: bool,
}

impl Starts {
    /// All values have the same key.
    pub(crate) fn same(start: &[u8]) -> Self {
        Self {
            fitting: start.into(),
            text: start.into(),
            number: start.into(),
            number_as_text: start.into(),
            other_as_text: start.into(),
        }
    }

    pub(crate) fn are_same(&self) -> bool {
        self.text == self.number
            && self.text == self.number_as_text
            && self.text == self.other_as_text
    }
}

impl Conversion {
    /// Returns the start of each member that the field may become.
    pub(crate) fn all_starts(&self) -> impl Iterator<Item = &[u8]> {
        let Starts {
            fitting,
            text,
            number,
            number_as_text,
            other_as_text,
        } = &self.starts;
        let error = self.error.iter().flat_map(|error| {
            let object = error.object.iter().map(|start| &**start);
            // The parts of an object are not members of the line.
            let parts = error.parts.iter().filter(|_| error.object.is_none());
            object.chain(parts.map(|(_, start)| &**start))
        });
        [fitting, text, number, number_as_text, other_as_text]
            .into_iter()
            .map(|start| &**start)
            .filter(|start| !start.is_empty())
            .chain(error)
    }

    /// Returns whether values are written as in `json`, under another key.
    pub(crate) fn is_name_only(&self) -> bool {
        self.style == Style::Json
            && matches!(self.rule, Rule::None)
            && self.error.is_none()
            && self.starts.are_same()
    }

    /// Returns the start of the member that a value of this kind nearly always has.
    #[inline]
    pub(crate) fn start_for(&self, kind: Kind) -> &[u8] {
        match self.rule {
            Rule::Leaf(leaf) if kind.fits(leaf) => &self.starts.fitting,
            _ => match kind {
                Kind::Text => &self.starts.text,
                Kind::Number | Kind::Integer => &self.starts.number,
                Kind::Bool | Kind::Nested if self.style == Style::Json => &self.starts.number,
                // Shown as text.
                Kind::Bool | Kind::Nested => &self.starts.other_as_text,
            },
        }
    }

    /// Ends a member that starts with [`start_for(kind)`](Self::start_for). Changes the start and
    /// the value if the value that was written needs that.
    pub(crate) fn finish(&self, line: &mut LineBuffer, written: Written, kind: Kind) {
        let value = &line.as_bytes()[written.value_start..];
        let actual = kind_of(value);
        let mut nanos = itoa::Buffer::new();
        let (start, value): (&[u8], Option<&[u8]>) = match self.rule {
            Rule::Leaf(leaf) if actual.fits(leaf) => (&self.starts.fitting, None),
            Rule::Nanos if let Some(count) = millis_to_nanos(value) => {
                let digits = nanos.format(count).as_bytes();
                (&self.starts.fitting, Some(digits))
            }
            Rule::Hex { digits } if is_hex(value, digits) => {
                // The opening quote is part of the start.
                let opening = written.value_start + 1;
                return line.splice(written.member_start..opening, &self.starts.fitting);
            }
            Rule::Message { blank } => return finish_message(line, written, actual, blank),
            _ => {
                if self.style.quotes(actual) {
                    quote_json(line, written.value_start);
                }
                match written.is_number_as_text {
                    true => (&self.starts.number_as_text, None),
                    false => (self.start_for(actual), None),
                }
            }
        };
        if let Some(value) = value {
            line.truncate(written.value_start);
            line.push(value);
        }
        if *start != *self.start_for(kind) {
            line.splice(written.member_start..written.value_start, start);
        }
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
    let Some(blank) = blank else { return };
    let text = &line.as_bytes()[written.value_start + 1..];
    // A visible first character is the common case.
    let is_visible = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if text.first().is_some_and(is_visible) {
        return;
    }
    let text: String =
        serde_json::from_slice(&line.as_bytes()[written.value_start..]).unwrap_or_default();
    if text.trim().is_empty() {
        line.truncate(written.value_start);
        escape::push_quoted(line, blank);
    }
}

/// Turns the JSON value at the end of the line into text.
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

fn has_fraction(number: &[u8]) -> bool {
    let is_of_fraction = |byte: &u8| matches!(byte, b'.' | b'e' | b'E');
    number.iter().any(is_of_fraction)
}

impl Kind {
    pub(crate) fn fits(self, place: Self) -> bool {
        self == place || (self == Self::Integer && place == Self::Number)
    }
}

/// Returns a JSON number of milliseconds in nanoseconds. `None` if it is not a number, negative or
/// too large for receivers, which have 63 bits.
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

/// Appends a member of the line itself, spelled as a field.
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
    match table.style.quotes(kind) {
        true => to.extend(escape::quoted(&String::from_utf8_lossy(json))),
        false => to.extend(json),
    }
}

/// The syntax of a list of texts in a line.
pub(crate) struct ListSyntax {
    pub(crate) open: &'static [u8],
    pub(crate) close: &'static [u8],
    /// Whether the texts have their quotes.
    has_quotes: bool,
}

impl Style {
    /// Returns whether a value of this kind becomes text.
    pub(crate) fn quotes(self, kind: Kind) -> bool {
        match self {
            Self::Json => false,
            Self::Words => kind == Kind::Nested,
            Self::Labels | Self::Scalar => matches!(kind, Kind::Nested | Kind::Bool),
        }
    }

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
    /// Appends a text, which is a JSON string, to a list that has some text or none.
    pub(crate) fn push_item(&self, to: &mut Vec<u8>, has_some: bool, quoted: &[u8]) {
        if has_some {
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
