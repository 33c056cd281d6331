//! Scans a text for secrets in one pass. A clean text needs no second pass.

use std::sync::LazyLock;

use crate::{
    Detector, addresses,
    byte_class::ByteClass,
    byte_search::{after_escape, ends_escape, find, matches_at},
    numbers,
    prefix_filter::PrefixFilter,
    scan_cost,
    tokens::{self, RunCache, Token, TokenTail},
    urls,
};

/// A part of a text that must be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: Rule,
    /// The number of backslashes before the quotes that the replacement needs, if it needs quotes.
    pub(crate) needs_quotes: Option<usize>,
}

/// The rule that found a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Detector(Detector),
    /// A key rule, and the start and the end of the key.
    Key {
        rule: usize,
        at: (usize, usize),
    },
}

/// Counts of characters, and hints at what the text may contain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CharStats {
    seen: u64,
    digits: u64,
    dots: u64,
    /// Whether the text contains a command or an option.
    pub(crate) command_line: bool,
    /// Whether the text contains a part of a key.
    prose_key: bool,
    /// Whether the text contains an SQL statement with values.
    pub(crate) sql_insert: bool,
}

impl CharStats {
    #[inline]
    fn from_text(text: &[u8]) -> Self {
        let mut stats = Self::default();
        for part in text.chunks(MAX_PART_LEN) {
            let mut sum = 0;
            let mut add = |byte: &u8| sum += CHAR_COUNTS[usize::from(*byte)];
            // In blocks of eight, because otherwise the compiler counts byte by byte.
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

    /// Returns whether only tokens with known prefixes can be in the text.
    fn has_tokens_only(self) -> bool {
        self.seen & (AT | COLON) == 0 && self.dots < 2 && !self.may_have_numbers()
    }

    /// Returns whether keys with values may be in the text.
    #[inline]
    pub(crate) fn may_have_keys(self) -> bool {
        self.seen & (COLON | EQUALS | PERCENT | LESS) != 0
            || self.command_line
            || self.prose_key
            || self.sql_insert
    }

    pub(crate) fn may_have_pairs(self) -> bool {
        self.seen & (COLON | EQUALS) != 0
    }

    pub(crate) fn may_have_encoded_pairs(self) -> bool {
        self.seen & PERCENT != 0
    }

    pub(crate) fn may_have_xml_elements(self) -> bool {
        self.seen & LESS != 0
    }

    /// Returns whether pairs in prose may be in the text. Their values contain a digit.
    pub(crate) fn may_have_prose_pairs(self) -> bool {
        self.prose_key && self.digits > 0
    }

    fn may_have_numbers(self) -> bool {
        self.digits >= 8 || self.may_have_ipv4()
    }

    fn may_have_ipv4(self) -> bool {
        self.digits >= 4 && self.dots >= 3
    }
}

/// Returns whether a cheap check proves that the text contains no secret. This is the case for most
/// texts.
#[inline]
pub(crate) fn is_clearly_clean(text: &[u8]) -> bool {
    has_no_mark(text)
        && token_starts(text, MIN_TOKEN_LEN).is_none_or(|starts| {
            TOKEN_FILTERS
                .without_prose_keys
                .next_candidate(starts, 0)
                .is_none_or(|first| !has_literal(text, starts, first))
        })
}

/// Returns whether a whole literal is in `text`, from the first candidate on.
#[cold]
fn has_literal(text: &[u8], starts: &[u8], first: usize) -> bool {
    let filters = &*TOKEN_FILTERS;
    let is_at = |token: usize, at| filters.tokens[token].is_at(text, at).then_some(());
    let literals = &filters.without_prose_keys;
    literals.find_map(text, starts, first, is_at).is_some()
}

/// Returns the part of a text in which a token may begin.
#[inline]
fn token_starts(text: &[u8], shortest: usize) -> Option<&[u8]> {
    Some(&text[..text.len().checked_sub(shortest)? + PREFIX_LEN])
}

/// Returns whether the text has no digit, `@`, `:` or `=`, which are adjacent in ASCII.
#[inline]
fn has_no_mark(text: &[u8]) -> bool {
    // The last block overlaps the previous one, because the length of a text is rarely a multiple
    // of the block length.
    if let Some(last) = text.last_chunk::<16>() {
        !has_mark(last) && !text.as_chunks::<16>().0.iter().any(has_mark)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        !has_mark(first) && !has_mark(last)
    } else {
        !text.iter().any(|byte| has_mark(&[*byte]))
    }
}

/// Tests a whole block, which the compiler vectorizes.
#[inline]
fn has_mark<const SIZE: usize>(block: &[u8; SIZE]) -> bool {
    block.map(|byte| byte.wrapping_sub(b'0') <= b'@' - b'0') != [false; SIZE]
}

/// Appends the matches of the `wanted` detectors, unsorted. `wanted` has one bit per detector.
pub(crate) fn detect(text: &[u8], wanted: u32, matches: &mut Vec<Match>) -> CharStats {
    let mut stats = CharStats::from_text(text);
    scan_cost::add(text.len());
    find_tokens(text, &mut stats, wanted, matches);
    if !stats.has_tokens_only() {
        detect_marks(text, stats, wanted, matches);
    }
    stats
}

/// Appends the matches that certain characters announce.
// Not inlined, because most texts do not need it.
#[inline(never)]
fn detect_marks(text: &[u8], stats: CharStats, wanted: u32, matches: &mut Vec<Match>) {
    if stats.dots >= 2 && wanted & detector_bit(Detector::MiscPrefixed) != 0 {
        discord_tokens(text, matches);
    }
    if stats.seen & AT != 0 {
        detect_at_signs(text, wanted, matches);
    }
    let mut found = |detector: Detector, place: Option<(usize, usize)>| {
        let place = place.filter(|_| wanted & detector_bit(detector) != 0);
        matches.extend(place.map(|place| Match::by(detector, place)));
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

/// Appends the matches around an `@`.
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
            matches.extend(place.map(|place| Match::by(Detector::UrlUserinfo, place)));
            at = sign + 1;
        }
    }
    if wanted & detector_bit(Detector::Email) != 0 {
        // The part before the host of a URL is already hidden, and the host is shown.
        let is_mail = |at: &usize| hosts.binary_search(at).is_err();
        scan_cost::add(text.len());
        for at in memchr::memchr_iter(b'@', text).filter(is_mail) {
            let place = addresses::email(text, at);
            matches.extend(place.map(|place| Match::by(Detector::Email, place)));
        }
    }
}

/// Appends the tokens with known prefixes, and records hints for the searches for pairs.
fn find_tokens(text: &[u8], stats: &mut CharStats, wanted: u32, matches: &mut Vec<Match>) {
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
    // No literal matches a text that begins with the key: `PIN is 4821`.
    let begins_with_pin = || matches_at(text, 0, b"pin is");
    stats.prose_key =
        stats.digits > 0 && (begins_with_pin() || ends_with_digit() && ends_with_prose_key(text));
    let Some(starts) = token_starts(text, min_len) else {
        return;
    };
    let filters = &*TOKEN_FILTERS;
    let literals = if stats.digits > 0 {
        &filters.all
    } else {
        &filters.without_prose_keys
    };
    let mut found = TokenScan {
        tokens: &filters.tokens,
        wanted,
        runs: RunCache::new(),
        stats,
    };
    let mut at = 0;
    while let Some(start) = literals.next_candidate(starts, at) {
        scan_cost::add(start + 2 - at);
        at = start + 2;
        let found = found
            .token(literals, text, start)
            .or_else(|| found.token(literals, text, start + 1));
        if let Some(found) = found {
            // A token after `bearer` may extend further than the match of `bearer`.
            if found.start <= start + 1 {
                at = at.max(found.end);
            }
            matches.push(found);
        }
    }
}

/// Returns whether the end of a text, where no token can begin, contains an option: ` --pin 4217`.
fn ends_with_option(text: &[u8]) -> bool {
    let near = &text[text.len().saturating_sub(MIN_TOKEN_LEN + PREFIX_LEN)..];
    scan_cost::add(near.len());
    let is_option = |three: &[u8]| three[1..] == *b"--" && matches!(three[0], b' ' | b'"' | b'\'');
    near.windows(PREFIX_LEN).any(is_option)
}

/// Returns whether the end of a text, where no token can begin, contains a key with a value: `your
/// PIN is 4821`.
#[cold]
fn ends_with_prose_key(text: &[u8]) -> bool {
    let from = text.len().saturating_sub(MIN_TOKEN_LEN);
    scan_cost::add(text.len() - from);
    let filters = &*TOKEN_FILTERS;
    let is_key = |token: usize, at| {
        let token = &filters.tokens[token];
        (matches!(token.tail, TokenTail::ProseKey) && token.is_at(text, at)).then_some(())
    };
    filters.all.find_map(text, text, from, is_key).is_some()
}

/// The state of the search for tokens.
struct TokenScan<'s> {
    tokens: &'static [Token],
    /// One bit for each detector.
    wanted: u32,
    runs: RunCache,
    stats: &'s mut CharStats,
}

impl TokenScan<'_> {
    #[cold]
    fn token(&mut self, literals: &PrefixFilter, text: &[u8], at: usize) -> Option<Match> {
        literals.candidates_at(&text[at..]).find_map(|index| {
            let token = &self.tokens[index];
            scan_cost::add(token.literal.len());
            if !token.is_at(text, at) {
                return None;
            }
            let hint = match token.tail {
                TokenTail::CommandLine => Some(&mut self.stats.command_line),
                TokenTail::ProseKey => Some(&mut self.stats.prose_key),
                TokenTail::SqlInsert => Some(&mut self.stats.sql_insert),
                _ => None,
            };
            if let Some(hint) = hint {
                *hint = true;
                return None;
            }
            if self.wanted & detector_bit(token.detector) == 0 {
                return None;
            }
            let (start, end) = token.secret(text, at, &mut self.runs)?;
            // Keep the letter of an escape such as `\\r`.
            let start = after_escape(text, start).min(end);
            Some(Match::by(token.detector, (start, end)))
        })
    }
}

/// Appends Discord bot tokens: three parts, of which the second has six characters.
fn discord_tokens(text: &[u8], matches: &mut Vec<Match>) {
    const MIN_LEN: usize = 23 + 1 + 6 + 1 + 27;
    let mut at = 23;
    while text.len() >= MIN_LEN
        && let Some(dot) = find(text, b'.', at)
    {
        at = dot + 1;
        let is_second = text.get(dot + 7) == Some(&b'.')
            && ByteClass::BASE64URL.has_all(&text[dot + 1..dot + 7]);
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
            matches.push(Match::by(Detector::MiscPrefixed, (start, end)));
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
    scan_cost::add(text.len());
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
    fn by(detector: Detector, (start, end): (usize, usize)) -> Self {
        Self::new(start, end, Rule::Detector(detector))
    }

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

/// The detectors of [`each_number`].
const NUMBERS: u32 = detector_bit(Detector::Card)
    | detector_bit(Detector::Ssn)
    | detector_bit(Detector::Ipv4)
    | detector_bit(Detector::Iban);

/// All tokens, and filters for their literals, by their index.
struct TokenFilters {
    tokens: Vec<Token>,
    all: PrefixFilter,
    /// For texts without a digit, in which prose contains no value.
    without_prose_keys: PrefixFilter,
}

static TOKEN_FILTERS: LazyLock<TokenFilters> = LazyLock::new(|| {
    let tokens: Vec<Token> = tokens::tokens().collect();
    let all = tokens.iter().map(|token| (token.literal, token.next()));
    let unless_prose_key = all
        .clone()
        .zip(&tokens)
        .map(|(literal, token)| match token.tail {
            TokenTail::ProseKey => ("", None),
            _ => literal,
        });
    TokenFilters {
        all: PrefixFilter::new(all),
        without_prose_keys: PrefixFilter::new(unless_prose_key),
        tokens,
    }
});

/// The minimum length of a token with a known prefix.
const MIN_TOKEN_LEN: usize = 13;

/// The number of bytes by which a literal is found.
const PREFIX_LEN: usize = 3;

/// The minimum length of a URL with a password, from its `://`.
const MIN_URL_LEN: usize = 6;

/// Fields of seven bits in which a sum counts characters.
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

/// The number of bytes that one sum counts.
const MAX_PART_LEN: usize = 120;

/// The addend of each byte.
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
