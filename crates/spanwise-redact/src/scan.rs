//! What is secret of a text, found in one pass that a clean text does not leave.

use std::sync::LazyLock;

use crate::{
    Detector, addresses,
    byte_class::ByteClass,
    byte_search::{after_escape, ends_escape, find, matches_at},
    numbers,
    prefix_filter::PrefixFilter,
    tokens::{RunCache, TOKENS, TokenTail},
    urls, work,
};

/// A part of a text that must not be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: Rule,
    /// The backslashes before the quotes that its replacement needs around it.
    pub(crate) needs_quotes: Option<usize>,
}

/// What found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Detector(Detector),
    /// A rule about keys, with where the key stands.
    Key {
        rule: usize,
        at: (usize, usize),
    },
}

/// What a first look at a text says may be in it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CharStats {
    seen: u64,
    digits: u64,
    dots: u64,
    /// A command or an option is in it.
    command_line: bool,
    /// A part of a key is in it.
    mention: bool,
    /// A statement of SQL with values is in it.
    insert: bool,
}

impl CharStats {
    #[inline]
    fn from_text(text: &[u8]) -> Self {
        let mut stats = Self::default();
        for part in text.chunks(MAX_PART_LEN) {
            let mut sum = 0;
            let mut add = |byte: &u8| sum += CHAR_COUNTS[usize::from(*byte)];
            // Eight at once, or the compiler counts them one by one.
            let (blocks, rest) = part.as_chunks::<8>();
            blocks
                .iter()
                .for_each(|block| block.iter().for_each(&mut add));
            rest.iter().for_each(add);
            stats.seen |= sum;
            stats.digits += sum & DIGIT;
            stats.dots += sum >> DOT.trailing_zeros() & DIGIT;
        }
        stats
    }

    /// Returns whether only the beginnings of tokens have to be looked for.
    fn has_tokens_only(self) -> bool {
        self.seen & (AT | COLON) == 0 && self.dots < 2 && !self.may_have_numbers()
    }

    /// Returns whether keys with their values have to be looked for.
    #[inline]
    pub(crate) fn may_have_keys(self) -> bool {
        self.seen & (COLON | EQUALS | PERCENT | LESS) != 0
            || self.command_line
            || self.mention
            || self.insert
    }

    pub(crate) fn may_have_pairs(self) -> bool {
        self.seen & (COLON | EQUALS) != 0
    }

    pub(crate) fn may_have_encoded_pairs(self) -> bool {
        self.seen & PERCENT != 0
    }

    pub(crate) fn may_have_elements(self) -> bool {
        self.seen & LESS != 0
    }

    pub(crate) fn may_have_command_line(self) -> bool {
        self.command_line
    }

    /// A value in running text has a digit.
    pub(crate) fn may_have_mentions(self) -> bool {
        self.mention && self.digits > 0
    }

    pub(crate) fn may_have_inserts(self) -> bool {
        self.insert
    }

    fn may_have_numbers(self) -> bool {
        self.digits >= 8 || self.may_have_ipv4()
    }

    fn may_have_ipv4(self) -> bool {
        self.digits >= 4 && self.dots >= 3
    }
}

/// True if nothing secret is in it, which is known of most texts after a short look.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    has_no_mark(text)
        && token_starts(text, MIN_TOKEN_LEN).is_none_or(|starts| {
            TOKEN_FILTERS
                .without_mentions
                .next_candidate(starts, 0)
                .is_none_or(|first| !has_literal(text, starts, first))
        })
}

/// Returns whether a whole literal is in `text`, from the place on where one may begin.
#[cold]
fn has_literal(text: &[u8], starts: &[u8], first: usize) -> bool {
    let literals = &TOKEN_FILTERS.without_mentions;
    let is_at = |at: usize| {
        let mut known = literals.candidates_at(text.get(at..).unwrap_or_default());
        known.any(|index| TOKENS[index].is_at(text, at))
    };
    let mut next = Some(first);
    while let Some(start) = next {
        if is_at(start) || is_at(start + 1) {
            return true;
        }
        next = literals.next_candidate(starts, start + 2);
    }
    false
}

/// The part of a text in which a token may begin.
#[inline]
fn token_starts(text: &[u8], shortest: usize) -> Option<&[u8]> {
    Some(&text[..text.len().checked_sub(shortest)? + PREFIX_LEN])
}

/// True if there is no digit in it, no `@`, no `:` and no `=`, which all stand side by side in
/// ASCII.
#[inline]
fn has_no_mark(text: &[u8]) -> bool {
    // A text is no multiple of a block: the last one begins before the one before it ends.
    if let Some(last) = text.last_chunk::<16>() {
        !has_mark(last) && !text.as_chunks::<16>().0.iter().any(has_mark)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        !has_mark(first) && !has_mark(last)
    } else {
        !text.iter().any(|byte| has_mark(&[*byte]))
    }
}

/// A block at once, for which the compiler has instructions.
#[inline]
fn has_mark<const SIZE: usize>(block: &[u8; SIZE]) -> bool {
    block.map(|byte| byte.wrapping_sub(b'0') <= b'@' - b'0') != [false; SIZE]
}

/// Appends what the detectors of `wanted` find, in no order; one bit a detector.
pub(crate) fn detect(text: &[u8], wanted: u32, matches: &mut Vec<Match>) -> CharStats {
    let mut stats = CharStats::from_text(text);
    work::step(text.len());
    tokens(text, &mut stats, wanted, matches);
    if !stats.has_tokens_only() {
        detect_marks(text, stats, wanted, matches);
    }
    stats
}

/// Appends what is found by the characters in it.
// Not inlined, as most texts need none of it.
#[inline(never)]
fn detect_marks(text: &[u8], stats: CharStats, wanted: u32, matches: &mut Vec<Match>) {
    if stats.dots >= 2 && wanted & detector_bit(Detector::MiscPrefixed) != 0 {
        discord_tokens(text, matches);
    }
    if stats.seen & AT != 0 {
        detect_at_signs(text, wanted, matches);
    }
    let mut found = |detector: Detector, place: Option<(usize, usize)>| {
        if let Some((start, end)) = place.filter(|_| wanted & detector_bit(detector) != 0) {
            matches.push(Match::new(start, end, Rule::Detector(detector)));
        }
    };
    if stats.may_have_numbers() && wanted & NUMBERS != 0 {
        each_number(text, stats, &mut found);
    }
    if stats.seen & COLON != 0 && wanted & detector_bit(Detector::Ipv6) != 0 {
        let mut at = 0;
        while let Some(colon) = find(text, b':', at) {
            let start = ByteClass::IPV6.run_start(text, colon, 48).max(at);
            let end = ByteClass::IPV6.run_end(text, colon);
            found(Detector::Ipv6, addresses::ipv6(text, start, end));
            at = end;
        }
    }
}

/// Appends what stands around an `@`.
fn detect_at_signs(text: &[u8], wanted: u32, matches: &mut Vec<Match>) {
    let is_userinfo = |found: &&Match| found.rule == Rule::Detector(Detector::UrlUserinfo);
    let mut hosts: Vec<usize> = matches
        .iter()
        .filter(is_userinfo)
        .map(|found| found.end)
        .collect();
    hosts.sort_unstable();
    if wanted & detector_bit(Detector::UrlUserinfo) != 0 {
        let mut at = 0;
        while let Some(sign) = find(text, b'@', at) {
            let place = urls::easy_connect(text, sign);
            let rule = Rule::Detector(Detector::UrlUserinfo);
            matches.extend(place.map(|(start, end)| Match::new(start, end, rule)));
            at = sign + 1;
        }
    }
    if wanted & detector_bit(Detector::Email) != 0 {
        // What stands before a host is hidden, and the host is shown.
        let is_mail = |at: &usize| hosts.binary_search(at).is_err();
        work::step(text.len());
        for at in memchr::memchr_iter(b'@', text).filter(is_mail) {
            let place = addresses::email(text, at);
            let rule = Rule::Detector(Detector::Email);
            matches.extend(place.map(|(start, end)| Match::new(start, end, rule)));
        }
    }
}

/// Appends what is found by how it begins, and notes what has to be read on its own.
fn tokens(text: &[u8], stats: &mut CharStats, wanted: u32, matches: &mut Vec<Match>) {
    let min_len = if stats.seen & COLON == 0 {
        MIN_TOKEN_LEN
    } else {
        MIN_URL_LEN
    };
    let may_have_option = stats.seen & DASH != 0 && stats.seen & BLANK != 0;
    stats.command_line = may_have_option && ends_with_option(text);
    let ends_with_digit = || {
        let last = text.last_chunk::<4>().copied().unwrap_or_default();
        last.map(|byte| byte.is_ascii_digit()) != [false; 4]
    };
    // No letter before it tells that a code follows: `PIN is 4821`.
    let begins_with_pin = || matches_at(text, 0, b"pin is");
    stats.mention =
        stats.digits > 0 && (begins_with_pin() || ends_with_digit() && ends_with_mention(text));
    let Some(starts) = token_starts(text, min_len) else {
        return;
    };
    let literals: &TokenFilters = &TOKEN_FILTERS;
    let literals = if stats.digits > 0 {
        &literals.all
    } else {
        &literals.without_mentions
    };
    let mut found = TokenScan {
        wanted,
        runs: RunCache::new(),
        stats,
    };
    let mut at = 0;
    while let Some(start) = literals.next_candidate(starts, at) {
        work::step(start + 2 - at);
        at = start + 2;
        let found = found
            .token(literals, text, start)
            .or_else(|| found.token(literals, text, start + 1));
        if let Some(found) = found {
            // After `bearer` a token may begin that goes on for longer than what `bearer` tells of.
            if found.start <= start + 1 {
                at = at.max(found.end);
            }
            matches.push(found);
        }
    }
}

/// Returns whether an option is in the last bytes of a text, in which no token begins:
/// ` --pin 4217`.
fn ends_with_option(text: &[u8]) -> bool {
    let near = &text[text.len().saturating_sub(MIN_TOKEN_LEN + PREFIX_LEN)..];
    work::step(near.len());
    let is_option = |three: &[u8]| three[1..] == *b"--" && matches!(three[0], b' ' | b'"' | b'\'');
    near.windows(PREFIX_LEN).any(is_option)
}

/// Returns whether a key is in the last bytes of a text, in which no token begins, with a value
/// after it: `your PIN is 4821`.
#[cold]
fn ends_with_mention(text: &[u8]) -> bool {
    let literals = &TOKEN_FILTERS.all;
    let is_key = |at: usize| {
        let mut known = literals.candidates_at(text.get(at..).unwrap_or_default());
        known.any(|index| {
            let token = &TOKENS[index];
            matches!(token.tail, TokenTail::Mention) && token.is_at(text, at)
        })
    };
    let mut at = text.len().saturating_sub(MIN_TOKEN_LEN);
    work::step(text.len() - at);
    while let Some(start) = literals.next_candidate(text, at) {
        if is_key(start) || is_key(start + 1) {
            return true;
        }
        at = start + 2;
    }
    false
}

/// What the search for tokens keeps from one to the next.
struct TokenScan<'s> {
    /// One bit a detector.
    wanted: u32,
    runs: RunCache,
    stats: &'s mut CharStats,
}

impl TokenScan<'_> {
    #[cold]
    fn token(&mut self, literals: &PrefixFilter, text: &[u8], at: usize) -> Option<Match> {
        literals.candidates_at(&text[at..]).find_map(|index| {
            let token = &TOKENS[index];
            work::step(token.literal.len());
            if !token.is_at(text, at) {
                return None;
            }
            match token.tail {
                TokenTail::CommandLine => {
                    self.stats.command_line = true;
                    return None;
                }
                TokenTail::Mention => {
                    self.stats.mention = true;
                    return None;
                }
                TokenTail::Insert => {
                    self.stats.insert = true;
                    return None;
                }
                _ => {}
            }
            if self.wanted & detector_bit(token.detector) == 0 {
                return None;
            }
            let (start, end) = token.secret(text, at, &mut self.runs)?;
            // The letter of a character that is written out, such as `\\r`, stays.
            let start = after_escape(text, start).min(end);
            Some(Match::new(start, end, Rule::Detector(token.detector)))
        })
    }
}

/// Appends tokens of bots: three parts, of which the second has six characters.
fn discord_tokens(text: &[u8], matches: &mut Vec<Match>) {
    const MIN_LEN: usize = 23 + 1 + 6 + 1 + 27;
    let mut at = 23;
    while text.len() >= MIN_LEN
        && let Some(dot) = find(text, b'.', at)
    {
        at = dot + 1;
        let is_second = text.get(dot + 7) == Some(&b'.')
            && text[dot + 1..dot + 7]
                .iter()
                .all(|byte| ByteClass::BASE64URL.has(*byte));
        if !is_second {
            continue;
        }
        let start = ByteClass::BASE64URL.run_start(text, dot, 32);
        let end = ByteClass::BASE64URL.run_end(text, dot + 8);
        let first = &text[start..dot];
        let is_bot = matches!(first.first(), Some(b'M' | b'N' | b'O'))
            && (23..=28).contains(&first.len())
            && (27..=45).contains(&(end - dot - 8));
        if is_bot {
            matches.push(Match::new(
                start,
                end,
                Rule::Detector(Detector::MiscPrefixed),
            ));
            at = end;
        }
    }
}

fn each_number(
    text: &[u8],
    stats: CharStats,
    found: &mut impl FnMut(Detector, Option<(usize, usize)>),
) {
    let to = |start: usize, end: Option<usize>| end.map(|end| (start, end));
    let mut in_word = false;
    work::step(text.len());
    for (at, byte) in text.iter().enumerate() {
        let goes_on = in_word;
        in_word = ByteClass::WORD.has(*byte);
        if !ByteClass::UPPER_ALNUM.has(*byte) || goes_on && !ends_escape(text, at) {
            continue;
        }
        if !byte.is_ascii_digit() {
            if stats.digits >= 8 {
                found(Detector::Iban, to(at, numbers::iban(text, at)));
            }
            continue;
        }
        if stats.digits >= 13 {
            found(Detector::Card, to(at, numbers::card(text, at)));
        }
        if stats.digits >= 9 && stats.seen & DASH != 0 {
            found(Detector::Ssn, to(at, numbers::ssn(text, at)));
        }
        if stats.may_have_ipv4() {
            found(Detector::Ipv4, to(at, addresses::ipv4(text, at)));
        }
    }
}

impl Match {
    pub(crate) fn new(start: usize, end: usize, rule: Rule) -> Self {
        Self {
            start,
            end,
            rule,
            needs_quotes: None,
        }
    }
}

pub(crate) const fn detector_bit(detector: Detector) -> u32 {
    1 << detector as u32
}

/// What [`each_number`] looks for.
const NUMBERS: u32 = detector_bit(Detector::Card)
    | detector_bit(Detector::Ssn)
    | detector_bit(Detector::Ipv4)
    | detector_bit(Detector::Iban);

/// The literals of [`TOKENS`], by their place there.
struct TokenFilters {
    all: PrefixFilter,
    /// For texts without a digit, which mention no value.
    without_mentions: PrefixFilter,
}

static TOKEN_FILTERS: LazyLock<TokenFilters> = LazyLock::new(|| {
    let all = TOKENS.iter().map(|token| (token.literal, token.next()));
    let unless_mention = TOKENS.iter().map(|token| match token.tail {
        TokenTail::Mention => ("", None),
        _ => (token.literal, token.next()),
    });
    TokenFilters {
        all: PrefixFilter::new(all),
        without_mentions: PrefixFilter::new(unless_mention),
    }
});

/// No text that is found by how it begins is shorter.
const MIN_TOKEN_LEN: usize = 13;

/// As much of a literal must be there for it to be found.
const PREFIX_LEN: usize = 3;

/// But for the password in a URL, from the `://`.
const MIN_URL_LEN: usize = 6;

/// Characters are counted in seven bits of a sum each: each constant has those of one.
const DIGIT: u64 = 0x7F;
const DOT: u64 = DIGIT << 7;
const AT: u64 = DIGIT << 14;
const COLON: u64 = DIGIT << 21;
const EQUALS: u64 = DIGIT << 28;
const DASH: u64 = DIGIT << 35;
const PERCENT: u64 = DIGIT << 42;
const LESS: u64 = DIGIT << 49;
/// Characters before an option.
const BLANK: u64 = DIGIT << 56;

/// The bytes that are counted in one sum.
const MAX_PART_LEN: usize = 120;

/// What a byte adds to the sum.
static CHAR_COUNTS: [u64; 256] = {
    let mut stats = [0; 256];
    let marks = b"0123456789.@:=-%< \"'";
    let mut index = 0;
    while index < marks.len() {
        let field = match marks[index] {
            b'0'..=b'9' => DIGIT,
            b'.' => DOT,
            b'@' => AT,
            b':' => COLON,
            b'=' => EQUALS,
            b'-' => DASH,
            b'%' => PERCENT,
            b'<' => LESS,
            _ => BLANK,
        };
        stats[marks[index] as usize] = 1 << field.trailing_zeros();
        index += 1;
    }
    stats
};

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Detector> {
        let mut matches = Vec::new();
        detect(text.as_bytes(), u32::MAX, &mut matches);
        let rules = matches.into_iter().map(|found| match found.rule {
            Rule::Detector(detector) => detector,
            Rule::Key { .. } => panic!("{text} has no key"),
        });
        rules.collect()
    }

    #[test]
    fn long_texts_are_counted() {
        let card = "4111111111111111";
        let text = format!("{}{card}", "1".repeat((1 << 20) - 16) + " ");
        assert_eq!(found(&text), [Detector::Card]);
    }

    #[test]
    fn shortest_tokens_are_found_at_any_offset() {
        let ends = "a".repeat(24);
        let shortest = [
            ("eyJabcdefgh..", Detector::Jwt),
            ("xapp-abcdefgh", Detector::Slack),
            ("xoxb-abcdefghij", Detector::Slack),
            ("basic YTpiOmM6", Detector::Basic),
            ("bearer abcdefghijklmno1", Detector::Bearer),
            ("token abcdefghijklmno1", Detector::Bearer),
            ("sk_test_abcdefghij", Detector::Stripe),
            ("AKIAABCDEFGHIJKLMNOP", Detector::AwsKeyId),
            ("a://:b@", Detector::UrlUserinfo),
            ("a@b.cd", Detector::Email),
            ("8.8.8.8", Detector::Ipv4),
            ("2a00::", Detector::Ipv6),
            ("078-05-1120", Detector::Ssn),
            ("4222222222222", Detector::Card),
            ("NO9386011117947", Detector::Iban),
        ];
        for (secret, detector) in shortest {
            for before in 0..20 {
                for after in 0..20 {
                    let (before, after) = (&ends[..before], &ends[..after]);
                    let text = format!("{before} {secret} {after}");
                    assert!(found(text.trim()).contains(&detector), "{text}");
                }
            }
        }
    }
}
