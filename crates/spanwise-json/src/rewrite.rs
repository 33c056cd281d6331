//! Lines that are not flat JSON. The encoder's flat JSON is rewritten, part by part.
//!
//! The head of a line depends on its callsite alone, so it is rewritten once per callsite. The end
//! is mostly that of a recent line, so a thread remembers the last few ends that it has rewritten.
//! Most fields of the event are encoded in the format's syntax directly.

use spanwise_core::internal::LayerId;

use crate::{
    builder::Options,
    line_buffer::{LineBuffer, MAX_RETAINED_LEN},
    rewritten_keys::AroundValue,
};

/// Turns the encoder's flat JSON into a line of the format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rewrite {
    /// Returns the start of all lines of a layer.
    pub(crate) start: fn(&Options) -> Vec<u8>,
    /// Appends the rest of the line.
    pub(crate) line: fn(&Options, &[u8], &mut LineBuffer),
    /// Rewrites each part separately, if the format allows that.
    pub(crate) by_parts: Option<RewriteByParts>,
}

/// Rewrites a line part by part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RewriteByParts {
    /// Rewrites the members between the timestamp and the fields.
    pub(crate) head: fn(&[u8]) -> RewrittenPart,
    /// Rewrites the rest of the line, after the fields of the event, as the two halves of a
    /// [`RewrittenPart`].
    pub(crate) tail: RewriteTail,
    /// Appends a line from these parts: the same line as [`Rewrite::line`] appends.
    pub(crate) compose: fn(&LineParts<'_>, &mut LineBuffer),
    /// How the encoder writes most fields in the format's syntax directly.
    pub(crate) fields: RewrittenFields,
}

/// How a format writes the fields of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RewrittenFields {
    /// The bytes around a value that is written in the format's syntax directly.
    pub(crate) around: AroundValue,
    /// Rewrites members of flat JSON, for all other values.
    pub(crate) rewrite: fn(&[u8], &mut LineBuffer),
    /// Whether a text is written without quotes if it needs none.
    pub(crate) has_words: bool,
    /// Like [`RewriteByParts::compose`], for fields that are in the format's syntax already.
    pub(crate) compose: fn(&LineParts<'_>, &mut LineBuffer),
}

type RewriteTail = fn(&[u8], &mut [LineBuffer; 2]);

/// A rewritten part of a line, in two halves that a line may have at different positions.
#[derive(Debug, Default)]
pub(crate) struct RewrittenPart {
    pub(crate) first: Vec<u8>,
    pub(crate) last: Vec<u8>,
}

/// The parts of a line.
pub(crate) struct LineParts<'a> {
    /// See [`Rewrite::start`].
    pub(crate) start: &'a [u8],
    /// The flat JSON in front of the text of the timestamp: `{"ts":"`.
    pub(crate) open: &'a [u8],
    /// The text of the timestamp.
    pub(crate) time: &'a [u8],
    pub(crate) head: &'a RewrittenPart,
    /// The fields of the event, as members of flat JSON or in the format's syntax.
    pub(crate) fields: &'a [u8],
    /// The length of the message at the start of `fields`, if these are in the format's syntax.
    pub(crate) message_len: usize,
    pub(crate) tail: &'a RewrittenPart,
}

/// The ends of recent lines, rewritten.
#[derive(Debug, Default)]
pub(crate) struct RewrittenTails {
    known: [KnownTail; KNOWN_TAILS],
    /// The index of the end that is replaced next.
    next: usize,
    /// Reused memory, in which an end is rewritten.
    halves: [LineBuffer; 2],
}

#[derive(Debug, Default)]
struct KnownTail {
    layer: Option<LayerId>,
    /// The end of the line as flat JSON.
    json: Vec<u8>,
    rewritten: RewrittenPart,
}

/// The number of ends that a thread remembers. It alternates between few spans.
const KNOWN_TAILS: usize = 4;

impl RewrittenTails {
    /// Returns the rewritten end of a line.
    #[inline]
    pub(crate) fn get(
        &mut self,
        layer: LayerId,
        json: &[u8],
        rewrite: RewriteTail,
    ) -> &RewrittenPart {
        let is_same = |known: &KnownTail| known.layer == Some(layer) && known.json == json;
        let at = match self.known.iter().position(is_same) {
            Some(at) => at,
            None => self.add(layer, json, rewrite),
        };
        &self.known[at].rewritten
    }

    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn add(&mut self, layer: LayerId, json: &[u8], rewrite: RewriteTail) -> usize {
        let at = self.next;
        self.next = (at + 1) % KNOWN_TAILS;
        let KnownTail {
            layer: known_layer,
            json: known_json,
            rewritten,
        } = &mut self.known[at];
        *known_layer = Some(layer);
        for part in [&mut *known_json, &mut rewritten.first, &mut rewritten.last] {
            part.clear();
            part.shrink_to(MAX_RETAINED_LEN);
        }
        known_json.extend_from_slice(json);
        self.halves.iter_mut().for_each(LineBuffer::clear);
        rewrite(json, &mut self.halves);
        let [first, last] = &self.halves;
        rewritten.first.extend_from_slice(first.as_bytes());
        rewritten.last.extend_from_slice(last.as_bytes());
        at
    }
}
