//! [W3C Baggage]: keys and values that a caller propagates to all services of a request. This
//! module parses and builds the header `baggage`.
//!
//! [W3C Baggage]: https://www.w3.org/TR/baggage/

use http::{HeaderMap, HeaderName, HeaderValue};
use spanwise_core::{
    CONTEXT_KEYS,
    internal::{inherited_context::InheritedContext, percent_decode, propagators},
};

pub(crate) const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The members of a request's baggage. If a key is repeated, its last member counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Baggage {
    members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    key: String,
    /// The decoded value, which may be any text.
    pub(crate) value: String,
    /// The properties as received, without surrounding white space. Often empty.
    pub(crate) properties: String,
}

impl Baggage {
    /// Parses the headers of a trusted sender. Returns no members if this process does not
    /// propagate baggage.
    pub(crate) fn from_headers_if_enabled(headers: &HeaderMap) -> Self {
        match propagators::BAGGAGE.is_on() {
            true => Self::from_headers(headers),
            false => Self::default(),
        }
    }

    /// Parses the baggage that the parent process passed to this process. Drops the members of
    /// [`CONTEXT_KEYS`], which this process sets itself. Returns `None` if the parent process
    /// passed no baggage, or a different trace.
    pub(crate) fn from_parent_process(trace_id: [u8; 16]) -> Option<Self> {
        let baggage = InheritedContext::for_trace(trace_id)?.baggage.as_deref()?;
        let value = HeaderValue::from_str(baggage).ok()?;
        let mut baggage = Self::from_headers(&HeaderMap::from_iter([(BAGGAGE, value)]));
        baggage.retain(|key| !CONTEXT_KEYS.contains(&key));
        Some(baggage)
    }

    /// Parses the `baggage` headers. Drops malformed members, and everything after 64 members or
    /// 8,192 bytes.
    ///
    /// A value may be any text. Validate it before you use it as an id.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let mut baggage = Self::default();
        let mut remaining_len = MAX_BAGGAGE_LEN;
        for line in headers.get_all(BAGGAGE) {
            for member in line.as_bytes().split(|byte| *byte == b',') {
                // Every member except the first is preceded by a comma.
                let needed_len = member.len() + usize::from(remaining_len < MAX_BAGGAGE_LEN);
                if needed_len > remaining_len || baggage.members.len() == MAX_MEMBERS {
                    return baggage;
                }
                remaining_len -= needed_len;
                if let Some(member) = Member::parse(member) {
                    baggage.members.retain(|earlier| earlier.key != member.key);
                    baggage.members.push(member);
                }
            }
        }
        baggage
    }

    /// Returns the member of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.key == key)
    }

    /// Drops the members of keys for which `is_kept` returns `false`.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.members.retain(|member| is_kept(&member.key));
    }

    /// Returns each member with its key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members
            .iter()
            .map(|member| (member.key.as_str(), member))
    }
}

impl Member {
    /// Parses a member. Returns `None` if the member is malformed.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b';');
        let (key, value) = parse_key_and_value(parts.next()?)?;
        let mut properties = String::new();
        for property in parts.filter(|part| !part.trim_ascii().is_empty()) {
            if !properties.is_empty() {
                properties.push(';');
            }
            match parse_key_and_value(property) {
                Some((key, value)) => properties.extend([key, "=", value]),
                None => properties.push_str(parse_token(property)?),
            }
        }
        Some(Self {
            key: key.to_owned(),
            value: percent_decode(value),
            properties,
        })
    }
}

/// Parses `key=value`, with optional white space around the key and the value. Returns `None` if
/// either is malformed.
fn parse_key_and_value(text: &[u8]) -> Option<(&str, &str)> {
    let equals_index = text.iter().position(|byte| *byte == b'=')?;
    let value = text[equals_index + 1..].trim_ascii();
    let value = value.iter().all(is_baggage_octet).then_some(value)?;
    Some((
        parse_token(&text[..equals_index])?,
        str::from_utf8(value).ok()?,
    ))
}

/// Parses a key, or a property without a value. Returns `None` if the text is not an HTTP `token`.
fn parse_token(text: &[u8]) -> Option<&str> {
    let text = text.trim_ascii();
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_token = !text.is_empty() && text.iter().all(is_allowed);
    is_token.then(|| str::from_utf8(text).ok()).flatten()
}

/// Returns whether a value may contain the byte unescaped: visible ASCII except `"`, `,`, `;` and
/// `\`.
fn is_baggage_octet(byte: &u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(byte)
}

/// Builds a `baggage` header.
#[derive(Debug, Default)]
pub(crate) struct BaggageHeaderBuilder {
    text: String,
    member_count: usize,
}

impl BaggageHeaderBuilder {
    /// Adds a member. Skips the member if its key is not an HTTP `token`, or if the header would
    /// exceed its limits.
    pub(crate) fn push(&mut self, key: &str, value: &str, properties: &str) {
        let len_before = self.text.len();
        if parse_token(key.as_bytes()).is_none_or(|token| token.len() != key.len()) {
            return;
        }
        if len_before > 0 {
            self.text.push(',');
        }
        self.text.extend([key, "="]);
        for byte in value.bytes() {
            if is_baggage_octet(&byte) && byte != b'%' {
                self.text.push(char::from(byte));
            } else {
                let hex_digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
                self.text
                    .extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
            }
        }
        if !properties.is_empty() {
            self.text.extend([";", properties]);
        }
        if self.text.len() > MAX_BAGGAGE_LEN || self.member_count == MAX_MEMBERS {
            self.text.truncate(len_before);
        } else {
            self.member_count += 1;
        }
    }

    /// Returns the header, or `None` if there are no members.
    pub(crate) fn build(self) -> Option<HeaderValue> {
        (self.member_count > 0)
            .then(|| HeaderValue::try_from(self.text).ok())
            .flatten()
    }
}

/// The maximum length of all members of a request, in bytes, received or sent. The specification
/// does not allow a lower limit.
const MAX_BAGGAGE_LEN: usize = 8192;

/// The maximum number of members of a request, received or sent. The specification does not allow
/// a lower limit.
const MAX_MEMBERS: usize = 64;
