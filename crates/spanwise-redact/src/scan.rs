//! Finds secrets that are recognized by their form: tokens, numbers and addresses.
//!
//! A first pass, the [`Survey`], reads which characters the text has. Each later search needs some
//! characters, and is skipped if the text does not have them. In a text of at most one block
//! ([`BLOCK_LEN`]), the survey also finds where tokens may begin. So most short texts need no
//! second pass. Positions and lengths are in bytes.

use std::sync::LazyLock;

use crate::{
    Detector, addresses,
    byte_blocks::{self, BLOCK_LEN},
    byte_class::ByteClass,
    byte_search::{after_escape, find, matches_at},
    char_stats::{AT, COLON, CharStats, DASH},
    matches::{Match, Matches, Rule},
    normalized_key::MAX_KEY_LEN,
    number_search::each_number,
    prefix_filter::{Literal, PrefixFilter},
    scan_cost,
    tokens::{self, PrefixBuckets, RunCache, Token, TokenTail},
    urls,
};

/// The result of the first pass over a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Survey {
    stats: CharStats,
    /// A bit for each position where a token may begin. `None` if the text is longer than a block.
    token_starts: Option<u64>,
}

impl Survey {
    #[inline(always)] // In one function with `is_clearly_clean`: saves 40 instructions.
    pub(crate) fn new(text: &[u8]) -> Self {
        scan_cost::add(text.len());
        if text.len() > BLOCK_LEN {
            return Self {
                stats: CharStats::from_text(text),
                token_starts: None,
            };
        }
        let (stats, token_starts) = CharStats::from_block(text, &TOKEN_FILTERS.literals);
        Self {
            stats,
            token_starts: Some(token_starts),
        }
    }

    /// Returns whether the text certainly contains no secret. Returns true for most short texts,
    /// and false for each text that is longer than a block.
    #[inline(always)] // See `new`.
    pub(crate) fn is_clearly_clean(&self, text: &[u8]) -> bool {
        let Self {
            stats,
            token_starts,
        } = self;
        let Some(token_starts) = token_starts else {
            return false;
        };
        let may_match = !stats.has_tokens_only()
            || stats.may_have_keys()
            || stats.digits > 0 && has_prose_key_at_start(text)
            || stats.seen & DASH != 0 && has_option_at_start_or_end(text);
        let literals = &TOKEN_FILTERS.literals;
        let key_end = || search_ends(text, *stats).1;
        !may_match && !literals.may_begin_in(text, *token_starts, key_end())
    }
}

/// Returns the end of the positions where a token may begin, and the end of the positions where a
/// key in prose may begin. The second end is not before the first.
#[inline]
fn search_ends(text: &[u8], stats: CharStats) -> (usize, usize) {
    // One position more than `min_len` requires, for a key that ends the text.
    let end = |min_len| (text.len() + 2).saturating_sub(min_len).min(text.len());
    let token_end = if stats.seen & COLON == 0 {
        end(MIN_TOKEN_LEN)
    } else {
        end(MIN_URL_LEN)
    };
    // After `token_end`, a key may still begin: `your PIN is 4821`.
    let key_end = if stats.digits > 0 && has_digit_at_end(text) {
        end(MIN_KEY_LEN)
    } else {
        token_end
    };
    (token_end, key_end.max(token_end))
}

/// Returns whether the text begins with the key of `PIN is 4821`. No literal matches this key at
/// the start of a text, because the literals begin with the character before `pin`.
#[inline]
fn has_prose_key_at_start(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'p' | b'P')) && matches_at(text, 0, b"pin is")
}

/// Appends the matches of the `wanted` detectors, unsorted. `wanted` has one bit per detector: see
/// [`detector_bit`]. Returns the statistics of the text, with hints for the searches for pairs.
pub(crate) fn detect(text: &[u8], survey: Survey, wanted: u32, matches: &mut Matches) -> CharStats {
    let mut stats = survey.stats;
    find_tokens(text, survey, &mut stats, wanted, matches);
    if !stats.has_tokens_only() {
        detect_by_chars(text, stats, wanted, matches);
    }
    stats
}

/// Appends the matches that contain an `@`, a colon, two dots or several digits.
// Not inlined, because most texts have no such match.
#[inline(never)]
fn detect_by_chars(text: &[u8], stats: CharStats, wanted: u32, matches: &mut Matches) {
    if stats.dots >= 2 && wanted & detector_bit(Detector::MiscPrefixed) != 0 {
        discord_tokens(text, matches);
    }
    if stats.seen & AT != 0 {
        detect_at_signs(text, wanted, matches);
    }
    let mut append_if_wanted = |detector: Detector, range: Option<(usize, usize)>| {
        let range = range.filter(|_| wanted & detector_bit(detector) != 0);
        matches.extend(range.map(|range| Match::by(detector, range)));
    };
    if stats.may_have_numbers() && wanted & NUMBER_DETECTORS != 0 {
        each_number(text, stats, &mut append_if_wanted);
    }
    if stats.seen & COLON != 0 && wanted & detector_bit(Detector::Ipv6) != 0 {
        each_ipv6_run(text, |start, end| {
            append_if_wanted(Detector::Ipv6, addresses::ipv6(text, start, end));
        });
    }
}

/// Appends the matches around an `@`.
fn detect_at_signs(text: &[u8], wanted: u32, matches: &mut Matches) {
    let is_userinfo = |found: &&Match| found.rule == Rule::Detector(Detector::UrlUserinfo);
    let mut userinfo_ends: Vec<usize> = matches
        .iter()
        .filter(is_userinfo)
        .map(|found| found.end)
        .collect();
    userinfo_ends.sort_unstable();
    let mut at = 0;
    while let Some(sign_at) = find(text, b'@', at) {
        at = sign_at + 1;
        if wanted & detector_bit(Detector::UrlUserinfo) != 0 {
            let range = urls::easy_connect(text, sign_at);
            matches.extend(range.map(|range| Match::by(Detector::UrlUserinfo, range)));
        }
        // `password@host` of a URL is not an e-mail address. The password is already hidden, and
        // the host is shown.
        let is_userinfo_end = || userinfo_ends.binary_search(&sign_at).is_ok();
        if wanted & detector_bit(Detector::Email) != 0 && !is_userinfo_end() {
            let range = addresses::email(text, sign_at);
            matches.extend(range.map(|range| Match::by(Detector::Email, range)));
        }
    }
}

/// Calls `on_run` with the start and the end of each run of characters that may contain an IPv6
/// address. If a run has more than 48 bytes before its first colon, the first bytes are cut off.
fn each_ipv6_run(text: &[u8], mut on_run: impl FnMut(usize, usize)) {
    const MAX_LEN_BEFORE: usize = 48;
    // An address has two colons with at most four digits between them. Most texts have no two
    // colons so close to each other.
    scan_cost::add(text.len());
    if !byte_blocks::may_have_close_pair(text, b':') {
        return;
    }
    // The end of the last run.
    let mut end = 0;
    let mut from = 0;
    while let Some(colon_at) = find(text, b':', from) {
        from = colon_at + 1;
        let near = &text[from..text.len().min(from + byte_blocks::MAX_CLOSE_DISTANCE)];
        if !near.contains(&b':') {
            continue;
        }
        let run_start = ByteClass::IPV6.run_start(text, colon_at, colon_at - end);
        let first_colon = find(text, b':', run_start).unwrap_or(colon_at);
        end = ByteClass::IPV6.run_end(text, colon_at);
        on_run(
            run_start.max(first_colon.saturating_sub(MAX_LEN_BEFORE)),
            end,
        );
        from = end;
    }
}

/// Appends the tokens with known prefixes. Records hints for the searches for pairs in `stats`.
fn find_tokens(
    text: &[u8],
    survey: Survey,
    stats: &mut CharStats,
    wanted: u32,
    matches: &mut Matches,
) {
    stats.command_line = stats.seen & DASH != 0 && has_option_at_start_or_end(text);
    stats.prose_key = stats.digits > 0 && has_prose_key_at_start(text);
    let TokenFilters { tokens, literals } = &*TOKEN_FILTERS;
    let (token_end, key_end) = search_ends(text, *stats);
    let mut scan = TokenScan {
        tokens,
        wanted,
        runs: RunCache::new(),
        stats,
    };
    let mut candidates = match survey.token_starts {
        Some(starts) => literals.candidates_in_block(text, key_end, starts),
        None => literals.candidates(text, 0..key_end),
    };
    let (mut from, mut reaches_end) = (0, false);
    while let Some(at) = candidates.next_from(from) {
        from = at + 1;
        if at >= token_end {
            scan.stats.prose_key |= is_prose_key(text, at);
        } else if let Some(found) = scan.token(literals, text, at) {
            reaches_end |= found.end + MIN_TOKEN_LEN > text.len();
            // After a literal such as `bearer`, which is not part of the secret, the search
            // continues in the secret, because a longer token may begin there.
            if found.start <= at {
                from = from.max(found.end);
            }
            matches.push(found);
        }
    }
    // If a token reaches the end of the text, the loop has skipped the keys inside that token.
    if reaches_end && key_end > token_end {
        stats.prose_key |= has_prose_key_at_end(text);
    }
}

/// Returns whether one of the last four bytes is a digit. Returns false if the text is shorter.
#[inline]
fn has_digit_at_end(text: &[u8]) -> bool {
    let last = text.last_chunk::<4>().copied().unwrap_or_default();
    last.map(|byte| byte.is_ascii_digit()) != [false; 4]
}

/// Returns whether a literal that announces a key in prose is at `at`.
#[cold]
fn is_prose_key(text: &[u8], at: usize) -> bool {
    let filters = &*TOKEN_FILTERS;
    let mut literals = filters.literals.literals_at_start(&text[at..]);
    literals.any(|index| {
        let token = &filters.tokens[index];
        matches!(token.tail, TokenTail::ProseKey) && token.is_at(text, at)
    })
}

/// Returns whether a text has an option at its start or at its end, where no literal matches the
/// option.
#[inline]
fn has_option_at_start_or_end(text: &[u8]) -> bool {
    text.starts_with(b"--") && has_option_at_start(text) || has_option_at_end(text)
}

/// Returns whether a text that begins with two dashes begins with an option and its value, and not
/// with a comment of SQL or the boundary of a form.
#[cold]
fn has_option_at_start(text: &[u8]) -> bool {
    let near = &text[..text.len().min(MAX_KEY_LEN)];
    let name_end = ByteClass::KEY.run_end(near, "--".len());
    scan_cost::add(name_end);
    matches!(near.get(name_end), Some(b' ' | b'\t')) && near[2].is_ascii_alphabetic()
}

/// Returns whether the end of a text, where no token can begin, contains an option: ` --pin 4217`.
fn has_option_at_end(text: &[u8]) -> bool {
    let near = &text[text.len().saturating_sub(MIN_TOKEN_LEN + OPTION_LEN)..];
    scan_cost::add(near.len());
    let is_option = |three: &[u8]| three[1..] == *b"--" && matches!(three[0], b' ' | b'"' | b'\'');
    may_have_two_dashes_at_end(text) && near.windows(OPTION_LEN).any(is_option)
}

/// Returns whether the last 16 bytes may contain two adjacent dashes. Returns true if the text is
/// shorter.
#[inline]
fn may_have_two_dashes_at_end(text: &[u8]) -> bool {
    const LOW: u128 = u128::from_le_bytes([0x7F; 16]);
    let Some(last) = text.last_chunk::<16>() else {
        return true;
    };
    // `dashes` has a zero byte for each dash. `others` has the highest bit of each other byte.
    let dashes = u128::from_le_bytes(*last) ^ u128::from_le_bytes([b'-'; 16]);
    let others = ((dashes & LOW) + LOW) | dashes | LOW;
    !others & !(others >> 8) != 0
}

/// The length of ` --`: a blank and two dashes.
const OPTION_LEN: usize = 3;

/// Returns whether the end of a text, where no token can begin, contains a key with a value: `your
/// PIN is 4821`.
#[cold]
fn has_prose_key_at_end(text: &[u8]) -> bool {
    let from = text.len().saturating_sub(MIN_TOKEN_LEN);
    scan_cost::add(text.len() - from);
    let to = (text.len() + 2).saturating_sub(MIN_KEY_LEN);
    (from..to.min(text.len())).any(|at| is_prose_key(text, at))
}

/// The state of the search for tokens.
struct TokenScan<'s> {
    tokens: &'static [Token],
    /// The bits of the wanted detectors: see [`detector_bit`].
    wanted: u32,
    runs: RunCache,
    stats: &'s mut CharStats,
}

impl TokenScan<'_> {
    /// Returns the token whose literal is at `at`. If the literal only announces a pair, records a
    /// hint in the statistics instead.
    #[cold]
    fn token(&mut self, literals: &PrefixFilter, text: &[u8], at: usize) -> Option<Match> {
        literals.literals_at_start(&text[at..]).find_map(|index| {
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
            // The letter of an escape such as `\\r` is not part of the secret.
            let start = after_escape(text, start).min(end);
            Some(Match::by(token.detector, (start, end)))
        })
    }
}

/// Appends Discord bot tokens: three parts with dots between them. The second part has six
/// characters.
fn discord_tokens(text: &[u8], matches: &mut Matches) {
    const MIN_LEN: usize = 23 + 1 + 6 + 1 + 27;
    let mut at = 23;
    while text.len() >= MIN_LEN
        && let Some(dot_at) = find(text, b'.', at)
    {
        at = dot_at + 1;
        let is_second_part = text.get(dot_at + 7) == Some(&b'.')
            && ByteClass::BASE64URL.has_all(&text[dot_at + 1..dot_at + 7]);
        if !is_second_part {
            continue;
        }
        let start = ByteClass::BASE64URL.run_start(text, dot_at, 32);
        let end = ByteClass::BASE64URL.run_end(text, dot_at + 8);
        let first = &text[start..dot_at];
        let is_bot = matches!(first.first(), Some(b'M' | b'N' | b'O'))
            && (23..=28).contains(&first.len())
            && (27..=45).contains(&(end - dot_at - 8));
        if is_bot {
            matches.push(Match::by(Detector::MiscPrefixed, (start, end)));
            at = end;
        }
    }
}

/// Returns the bit of a detector in a set of detectors.
pub(crate) const fn detector_bit(detector: Detector) -> u32 {
    1 << detector as u32
}

/// The detectors of [`each_number`].
const NUMBER_DETECTORS: u32 = detector_bit(Detector::Card)
    | detector_bit(Detector::Ssn)
    | detector_bit(Detector::Ipv4)
    | detector_bit(Detector::Iban);

/// All tokens, and a filter that finds their literals. The filter returns the index of a token.
struct TokenFilters {
    tokens: Vec<Token>,
    literals: PrefixFilter,
}

static TOKEN_FILTERS: LazyLock<TokenFilters> = LazyLock::new(|| {
    let tokens: Vec<Token> = tokens::tokens().collect();
    let buckets = PrefixBuckets::new();
    let literals = PrefixFilter::new(tokens.iter().enumerate().map(|(index, token)| {
        let literal = Literal {
            text: token.literal,
            next_class: token.next_class(),
            any_case: token.any_case(),
            bucket: buckets.bucket(token.literal).unwrap_or(index),
        };
        (index, literal)
    }));
    TokenFilters { tokens, literals }
});

/// The minimum length of a token with a known prefix, or of a command with a password of one byte:
/// `7z a -px`.
const MIN_TOKEN_LEN: usize = 8;

/// The minimum length of a literal of [`TokenTail::ProseKey`].
const MIN_KEY_LEN: usize = 4;

/// The minimum length of a URL with a password, from its `://`.
const MIN_URL_LEN: usize = 6;
