//! Formats that rewrite the encoder's flat JSON in a syntax of their own, such as `logfmt`.
//!
//! To rewrite a whole line is slow, and only necessary for some lines, such as those that are too
//! long. Most lines are written directly in the format's syntax, and rewritten parts are reused:
//!
//! * The head and the end of a line mostly depend on its callsite alone. They are rewritten once
//!   per callsite.
//! * The members of the spans are rewritten once per version of a span, unless spans share members.
//! * Any other end of a line is called a *tail*. It mostly equals that of a recent line, so each
//!   thread remembers the last few tails.

use spanwise_core::internal::LayerId;

use crate::{
    builder::Options,
    line_buffer::{LineBuffer, MAX_RETAINED_LEN},
    member_keys::KeyedMembers,
    rewritten_plan::AroundValue,
};

/// Turns the encoder's flat JSON into a line of the format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rewrite {
    /// Returns the start of all lines of a layer.
    pub(crate) start: fn(&Options) -> Vec<u8>,
    /// Appends everything behind the start. The second argument is the line as flat JSON.
    pub(crate) line: fn(&Options, &[u8], &mut LineBuffer),
    /// The functions that write most lines without flat JSON, if the format allows that.
    pub(crate) by_parts: Option<RewriteByParts>,
}

/// Writes most lines in the format's own syntax directly, part by part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RewriteByParts {
    /// Returns the part behind [`Rewrite::start`], up to the text of the timestamp. The argument is
    /// the opening of the timestamp in flat JSON, `,"key":`.
    pub(crate) open: fn(&[u8]) -> Vec<u8>,
    /// Rewrites the members between the timestamp and the fields. The line has the first half of
    /// the result in front of the fields, and the last half at its end. `has_message` is whether
    /// the callsite has a message.
    pub(crate) head: fn(members: &[u8], has_message: bool) -> RewrittenPart,
    /// The bytes around the value of a field.
    pub(crate) around: AroundValue,
    /// Whether a text is written without quotes if it needs none.
    pub(crate) has_words: bool,
    /// Rewrites the members of fields that `around` has no bytes for.
    pub(crate) fields: fn(&[u8], &mut LineBuffer),
    /// Rewrites members behind the fields of the event: those of the spans, or those of the end of
    /// the line. The line has the first half of the result in the list of fields, and the last half
    /// behind that list.
    pub(crate) tail: RewriteTail,
    /// Ends the list of fields, after all first halves. `None` if the format has no such list. Then
    /// no result of `tail` has a last half.
    pub(crate) end_fields: Option<fn(&mut LineBuffer)>,
}

/// Appends the first and the last half of rewritten members to the two buffers.
pub(crate) type RewriteTail = fn(KeyedMembers<'_>, &mut [LineBuffer; 2]);

/// A rewritten part of a line, in two halves that a line may have at different positions.
#[derive(Debug, Default)]
pub(crate) struct RewrittenPart {
    /// Both halves, in one allocation.
    text: Box<[u8]>,
    first_len: usize,
}

impl RewrittenPart {
    pub(crate) fn new(first: &[u8], last: &[u8]) -> Self {
        let mut text = Vec::with_capacity(first.len() + last.len());
        text.extend_from_slice(first);
        text.extend_from_slice(last);
        Self {
            text: text.into(),
            first_len: first.len(),
        }
    }

    #[inline]
    pub(crate) fn first(&self) -> &[u8] {
        &self.text[..self.first_len]
    }

    #[inline]
    pub(crate) fn last(&self) -> &[u8] {
        &self.text[self.first_len..]
    }
}

/// A cache of rewritten tails, which are the ends of recent lines.
#[derive(Debug, Default)]
pub(crate) struct RewrittenTails {
    known: [KnownTail; KNOWN_TAILS],
    /// The index of the tail that is replaced next.
    next: usize,
    pub(crate) buffers: RewriteBuffers,
}

/// Reused memory in which members are rewritten.
#[derive(Debug, Default)]
pub(crate) struct RewriteBuffers([LineBuffer; 2]);

impl RewriteBuffers {
    /// Rewrites the members of all parts, one part after the other.
    pub(crate) fn rewrite(
        &mut self,
        parts: &[KeyedMembers<'_>],
        rewrite: RewriteTail,
    ) -> RewrittenPart {
        let Self(halves) = self;
        halves.iter_mut().for_each(LineBuffer::clear);
        parts.iter().for_each(|part| rewrite(*part, halves));
        let [first, last] = halves;
        RewrittenPart::new(first.as_bytes(), last.as_bytes())
    }
}

#[derive(Debug, Default)]
struct KnownTail {
    layer: Option<LayerId>,
    /// The tail as flat JSON.
    json: Vec<u8>,
    rewritten: RewrittenPart,
}

/// The number of tails that a thread remembers. Few are enough, because a thread alternates between
/// few spans.
const KNOWN_TAILS: usize = 4;

impl RewrittenTails {
    /// Returns the tail `json`, rewritten. Calls `rewrite` only if the tail is not known.
    #[inline]
    pub(crate) fn get(
        &mut self,
        layer: LayerId,
        json: &[u8],
        rewrite: RewriteTail,
    ) -> &RewrittenPart {
        let is_same = |known: &KnownTail| known.layer == Some(layer) && known.json == json;
        let index = match self.known.iter().position(is_same) {
            Some(index) => index,
            None => self.add(layer, json, rewrite),
        };
        &self.known[index].rewritten
    }

    /// Rewrites a tail, which replaces the oldest known one. Returns its index.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn add(&mut self, layer: LayerId, json: &[u8], rewrite: RewriteTail) -> usize {
        let index = self.next;
        self.next = (index + 1) % KNOWN_TAILS;
        let KnownTail {
            layer: known_layer,
            json: known_json,
            rewritten,
        } = &mut self.known[index];
        *known_layer = Some(layer);
        known_json.clear();
        known_json.shrink_to(MAX_RETAINED_LEN);
        known_json.extend_from_slice(json);
        *rewritten = (self.buffers).rewrite(&[KeyedMembers::from_text(json)], rewrite);
        index
    }
}
