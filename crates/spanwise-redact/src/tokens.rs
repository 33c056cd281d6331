//! Secrets with a known prefix or a known host, and literals that announce other searches.

mod prefix_buckets;
mod token_table;

use crate::{
    Detector,
    byte_class::ByteClass,
    byte_search::{
        after_escape, backslashes_before, contains_text, ends_with_word, find, find_text,
        is_boundary, is_space, line_from, matches_at, quote_at, run_end, run_start, skip_space,
    },
    credential, scan_cost, urls,
};

pub(crate) use prefix_buckets::PrefixBuckets;
pub(crate) use token_table::tokens;

/// A literal that may begin a secret, such as `ghp_`, and the requirement on the text after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) detector: Detector,
    pub(crate) literal: &'static str,
    pub(crate) tail: TokenTail,
}

/// The requirement on the text after a literal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TokenTail {
    /// At least `n` characters of the class.
    Run(ByteClass, usize),
    /// Like [`Run`](Self::Run), with a letter and a digit among them.
    Mixed(ByteClass, usize),
    /// Exactly `n` characters of the class at the end of a word. No character of a name precedes
    /// the literal.
    Exact(ByteClass, usize),
    /// Exactly `n` characters of the first class before the literal, and at least `n` characters of
    /// the second class after the literal.
    Between((ByteClass, usize), (ByteClass, usize)),
    /// Exactly `n` capitals and digits at the end of a word.
    AwsKey(usize),
    /// The rest of a path. The first number is the number of segments before the rest, and the
    /// second is the minimum length of the rest.
    Path(usize, usize),
    Uuid,
    Jwt,
    Pem,
    /// The private part of a PuTTY key.
    Putty,
    /// Base64 over several lines.
    Lines,
    /// `xox` with the letter of the token type.
    Slack,
    Telegram,
    Bearer,
    Basic,
    /// `://` of a URL with a password or a token.
    Url,
    /// `@tcp(` of a data source name, after the user and the password.
    GoDsn,
    /// `jdbc:oracle:` before `thin:user/password@`.
    Oracle,
    /// `:5432:` of a line in `.pgpass`.
    PgPass,
    /// `IDENTIFIED BY` before a password in SQL.
    IdentifiedBy,
    /// `IDENTIFIED WITH plugin BY` before a password in SQL.
    IdentifiedWith,
    /// `PASSWORD` before a quoted password in SQL, or before a password in a line of `.netrc`.
    Password,
    /// A command, or the ` --` of an option. Arguments are searched separately.
    CommandLine,
    /// A part of a key. Pairs in prose are searched separately.
    ProseKey,
    /// `INSERT INTO`. The values are searched separately.
    SqlInsert,
}

impl Token {
    /// Returns whether the literal is at `at`.
    pub(crate) fn is_at(&self, text: &[u8], at: usize) -> bool {
        let literal = self.literal.as_bytes();
        match text.get(at..at + literal.len()) {
            Some(candidate) if self.any_case() => candidate.eq_ignore_ascii_case(literal),
            Some(candidate) => candidate == literal,
            None => false,
        }
    }

    /// Returns the start and the end of the secret whose literal is at `at`.
    pub(crate) fn secret(
        &self,
        text: &[u8],
        at: usize,
        runs: &mut RunCache,
    ) -> Option<(usize, usize)> {
        let literal_end = at + self.literal.len();
        // Inside a word, a literal counts only after `_` (`tok_ghp_…`) or as the end of a name.
        let is_inside_word = !is_boundary(text, at) && ByteClass::WORD.has(text[at]);
        if is_inside_word && text[at - 1] != b'_' && !self.is_end_of_name() {
            return None;
        }
        let follows = |word: &[u8]| ends_with_word(&text[..at], word);
        match self.tail {
            TokenTail::Run(class, min_len) => {
                let end = runs.run_end(class, text, literal_end);
                (end - literal_end >= min_len).then_some((at, end))
            }
            TokenTail::Mixed(class, min_len) => {
                let end = runs.run_end(class, text, literal_end);
                let is_long = end - literal_end >= min_len;
                (is_long && is_mixed(&text[literal_end..literal_end + min_len]))
                    .then_some((at, end))
            }
            TokenTail::Exact(class, length) => {
                let end = class.run_end(
                    &text[..text.len().min(literal_end + length + 1)],
                    literal_end,
                );
                let is_separate = at == 0 || !ByteClass::KEY.has(text[at - 1]) || !is_inside_word;
                let is_part_of_name = at > 0 && matches!(text[at - 1], b'-' | b'.' | b'_');
                let is_match = end - literal_end == length && is_boundary(text, end);
                (is_match && is_separate && !is_part_of_name).then_some((at, end))
            }
            TokenTail::Between((class_before, len_before), (class, min_len)) => {
                let start = class_before.run_start(text, at, len_before);
                let end = runs.run_end(class, text, literal_end);
                let is_whole = at - start == len_before && is_boundary(text, start);
                (is_whole && end - literal_end >= min_len).then_some((start, end))
            }
            TokenTail::AwsKey(length) => {
                let end = runs.run_end(ByteClass::UPPER_ALNUM, text, literal_end);
                (end - literal_end == length && is_boundary(text, end)).then_some((at, end))
            }
            TokenTail::Path(count, min_len) => path(text, literal_end, count, min_len),
            TokenTail::Uuid => {
                let end = ByteClass::HEX_DASH
                    .run_end(&text[..text.len().min(literal_end + 37)], literal_end);
                (end - literal_end == 36).then_some((at, end))
            }
            TokenTail::Jwt => jwt(text, literal_end, runs).map(|end| (at, end)),
            TokenTail::Pem => {
                pem(text, literal_end).map(|end| (run_start(text, at, 4, |byte| byte == b'-'), end))
            }
            TokenTail::Putty => {
                follows(b"Privat").then(|| (at - b"Privat".len(), putty(text, literal_end)))
            }
            TokenTail::Lines => Some((at, base64_lines(text, literal_end))),
            TokenTail::Slack => slack(text, literal_end, runs).map(|end| (at, end)),
            TokenTail::Telegram => telegram(text, at, literal_end, runs),
            TokenTail::Bearer => bearer(text, at, literal_end, runs),
            TokenTail::Basic => basic(text, literal_end, runs),
            TokenTail::Url => urls::userinfo(text, at, literal_end),
            TokenTail::GoDsn => urls::go_dsn(text, at),
            TokenTail::Oracle => {
                let drivers = [&b"thin:"[..], b"oci:", b"oci8:"];
                let mut drivers = drivers
                    .iter()
                    .filter(|driver| matches_at(text, literal_end, driver));
                urls::oracle(text, literal_end + drivers.next()?.len())
            }
            TokenTail::PgPass => pgpass(text, at, literal_end, runs),
            TokenTail::IdentifiedBy if follows(b"iden") => identified_by(text, at, literal_end),
            TokenTail::IdentifiedWith if follows(b"iden") => {
                quoted_after(text, literal_end, &[b" BY ", b" AS "])
            }
            TokenTail::Password if follows(b"pa") => password(text, at - 2, literal_end),
            TokenTail::IdentifiedBy | TokenTail::IdentifiedWith | TokenTail::Password => None,
            TokenTail::CommandLine | TokenTail::ProseKey | TokenTail::SqlInsert => None,
        }
    }
}

/// Remembers the last two runs of each class, so that a run with many literals is read only once.
#[derive(Debug)]
pub(crate) struct RunCache {
    /// The end of the password in the last `.pgpass` line.
    password_end: usize,
    /// The last runs of each class. `None` before the first run, because most texts have none.
    classes: Option<[CachedRuns; 32]>,
}

/// A class, and the start and the end of each of its last two runs.
type CachedRuns = (ByteClass, [(u32, u32); 2]);

impl RunCache {
    pub(crate) const fn new() -> Self {
        Self {
            password_end: 0,
            classes: None,
        }
    }

    /// Returns the end of the run of this class that contains `start`.
    fn run_end(&mut self, class: ByteClass, text: &[u8], start: usize) -> usize {
        let classes = self
            .classes
            .get_or_insert([(ByteClass::NONE, [(0, 0); 2]); 32]);
        let mut classes = classes.iter_mut();
        let cached = classes.find(|(cached, _)| *cached == class || *cached == ByteClass::NONE);
        let (Some((cached_class, runs)), Ok(_)) = (cached, u32::try_from(text.len())) else {
            return class.run_end(text, start);
        };
        *cached_class = class;
        let contains_start = |run: &&(u32, u32)| (run.0 as usize..run.1 as usize).contains(&start);
        if let Some((_, end)) = runs.iter().find(contains_start) {
            return *end as usize;
        }
        let end = class.run_end(text, start);
        *runs = [(start as u32, end as u32), runs[0]];
        end
    }
}

/// Returns whether the characters include letters and digits.
fn is_mixed(text: &[u8]) -> bool {
    scan_cost::add(text.len());
    text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic)
}

/// Returns the range of the rest of a path after its first `count` segments, without the query.
fn path(text: &[u8], literal_end: usize, count: usize, min_len: usize) -> Option<(usize, usize)> {
    let mut start = literal_end;
    for _ in 0..count {
        let end = ByteClass::PATH_PART.run_end(&text[..text.len().min(start + 64)], start);
        if end == start || text.get(end) != Some(&b'/') {
            return None;
        }
        start = end + 1;
    }
    let end = ByteClass::PATH_REST.run_end(text, start);
    (end - start >= min_len).then_some((start, end))
}

/// Returns the end of a JSON web token: a header, and two to four parts, which may be empty.
fn jwt(text: &[u8], literal_end: usize, runs: &mut RunCache) -> Option<usize> {
    let mut end = runs.run_end(ByteClass::BASE64URL, text, literal_end);
    if end - literal_end < 8 {
        return None;
    }
    let mut parts = 0;
    while parts < 4 && text.get(end) == Some(&b'.') {
        end = runs.run_end(ByteClass::BASE64URL, text, end + 1);
        parts += 1;
    }
    (parts >= 2).then_some(end)
}

/// Returns the end of a private key, or the end of the text if there is no end marker.
fn pem(text: &[u8], literal_end: usize) -> Option<usize> {
    let mut at = end_of_label(text, literal_end)?;
    while let Some(dashes_at) = find_text(text, b"----", at) {
        let word_at = run_end(text, dashes_at, |byte| byte == b'-');
        let word_at = word_at + usize::from(text.get(word_at) == Some(&b' '));
        if matches_at(text, word_at, b"END") {
            return Some(end_of_label(text, word_at + 3).unwrap_or(text.len()));
        }
        at = word_at;
    }
    Some(text.len())
}

/// Returns the end of the label `… PRIVATE KEY-----` that begins at `start`, ignoring case.
fn end_of_label(text: &[u8], start: usize) -> Option<usize> {
    const MAX_LABEL_LEN: usize = 100 + "PRIVATE KEY BLOCK-----".len();
    let label = &text[start..text.len().min(start + MAX_LABEL_LEN)];
    scan_cost::add(label.len());
    let word = b"PRIVATE KEY";
    let key_at = label
        .windows(word.len())
        .position(|part| part.eq_ignore_ascii_case(word))?;
    let mut end = key_at + word.len();
    let is_name = |byte: &u8| ByteClass::WORD.has(*byte) || b" -".contains(byte);
    if !label[..key_at].iter().all(is_name) {
        return None;
    }
    if matches_at(label, end, b" BLOCK") {
        end += b" BLOCK".len();
    }
    end += usize::from(label.get(end) == Some(&b' '));
    let dashes_end = run_end(label, end, |byte| byte == b'-');
    (dashes_end - end >= 4).then_some(start + dashes_end)
}

/// Returns the end of a PuTTY key: its line `Private-MAC: …`, or the end of the text.
fn putty(text: &[u8], literal_end: usize) -> usize {
    match find_text(text, b"Private-MAC:", literal_end) {
        Some(mac_at) => mac_at + line_from(text, mac_at, 128).len(),
        None => text.len(),
    }
}

/// Returns the end of base64 that continues over line breaks, escaped or not.
fn base64_lines(text: &[u8], literal_end: usize) -> usize {
    let mut end = ByteClass::BASE64_PADDED.run_end(text, literal_end);
    loop {
        let breaks_end = run_end(&text[..text.len().min(end + 8)], end, |byte| {
            matches!(byte, b'\r' | b'\n' | b'\\' | b' ')
        });
        let from = after_escape(text, breaks_end);
        let next = ByteClass::BASE64_PADDED.run_end(text, from);
        if from == end || next - from < 16 {
            return end;
        }
        end = next;
    }
}

/// Returns the end of a token after `xox`.
fn slack(text: &[u8], literal_end: usize, runs: &mut RunCache) -> Option<usize> {
    let is_one_of =
        |at: usize, letters: &[u8]| text.get(at).is_some_and(|byte| letters.contains(byte));
    let mut at = literal_end;
    if !is_one_of(at, b"abeoprs") {
        return None;
    }
    at += 1;
    if text[at..].starts_with(b".xox") && is_one_of(at + 4, b"bp") {
        at += 5;
    }
    if text.get(at) != Some(&b'-') {
        return None;
    }
    let end = runs.run_end(ByteClass::ALNUM_DASH, text, at + 1);
    (end - at > 10).then_some(end)
}

/// Returns the range of the id and the token of a bot: `704518823:AA…`.
fn telegram(
    text: &[u8],
    at: usize,
    literal_end: usize,
    runs: &mut RunCache,
) -> Option<(usize, usize)> {
    let start = ByteClass::DIGIT.run_start(text, at, 12);
    let end = runs.run_end(ByteClass::BASE64URL, text, literal_end);
    let is_match = (6..=11).contains(&(at - start)) && end - literal_end >= 30;
    is_match.then_some((start, end))
}

/// Returns the range of the credential after `Bearer` or `token`, unless it looks like a word or a
/// path.
fn bearer(
    text: &[u8],
    at: usize,
    literal_end: usize,
    runs: &mut RunCache,
) -> Option<(usize, usize)> {
    let start = skip_space(text, literal_end);
    if start == literal_end {
        return None;
    }
    let value_end = runs.run_end(ByteClass::TOKEN68, text, start);
    if value_end - start < 16 {
        return None;
    }
    let value = &text[start..value_end];
    scan_cost::add(value.len());
    let any = |is_kind: fn(&u8) -> bool| value.iter().any(is_kind);
    let has_digit = any(u8::is_ascii_digit);
    let is_mixed_case = any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase);
    let is_bearer = text[at] | 0x20 == b'b';
    let is_path = matches!(value[0], b'/' | b'.');
    let is_credential = (has_digit && any(u8::is_ascii_alphabetic)) || (is_mixed_case && is_bearer);
    let padding = text[value_end..]
        .iter()
        .take_while(|byte| **byte == b'=')
        .count();
    (is_credential && !is_path).then_some((start, value_end + padding))
}

/// Returns the range of the base64 of `user:password` after `Basic`.
fn basic(text: &[u8], literal_end: usize, runs: &mut RunCache) -> Option<(usize, usize)> {
    let start = skip_space(text, literal_end);
    if start == literal_end {
        return None;
    }
    let value_end = runs.run_end(ByteClass::BASE64, text, start);
    if value_end - start < 8 || !is_user_and_password(&text[start..value_end]) {
        return None;
    }
    let padding = text[value_end..]
        .iter()
        .take(2)
        .take_while(|byte| **byte == b'=');
    Some((start, value_end + padding.count()))
}

/// Returns whether the base64 contains a `:` and no control characters, as `user:password` does.
fn is_user_and_password(base64: &[u8]) -> bool {
    if base64.len() % 4 == 1 {
        return false;
    }
    let mut bits = 0_u32;
    let mut has_colon = false;
    for (index, byte) in base64.iter().enumerate() {
        scan_cost::add(1);
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        let octet = match index % 4 {
            0 => continue,
            1 => bits >> 4,
            2 => bits >> 2,
            _ => bits,
        } as u8;
        if octet < b' ' || octet == 0x7F {
            return false;
        }
        has_colon |= octet == b':';
    }
    has_colon
}

/// Returns the range of the password in `host:5432:database:user:password`, if white space or a
/// quote precedes the host.
fn pgpass(
    text: &[u8],
    at: usize,
    literal_end: usize,
    runs: &mut RunCache,
) -> Option<(usize, usize)> {
    // The literal is part of a password that is already hidden.
    if at < runs.password_end {
        return None;
    }
    let is_host = |byte: u8| ByteClass::BASE64URL_DOT.has(byte) || byte == b'*';
    let host_start = run_start(text, at, 64, is_host);
    let is_word_start = host_start == 0
        || is_space(text[host_start - 1])
        || matches!(text[host_start - 1], b'"' | b'\'' | b'`');
    if !is_word_start || host_start == at {
        return None;
    }
    let mut start = literal_end;
    for _ in 0..2 {
        let end = run_end(&text[..text.len().min(start + 64)], start, |byte| {
            is_host(byte) || matches!(byte, b'@' | b'$')
        });
        if end == start || text.get(end) != Some(&b':') {
            return None;
        }
        start = end + 1;
    }
    let end = urls::end_of_run(text, start);
    runs.password_end = end;
    (end > start).then_some((start, end))
}

/// Returns the range of the quoted password after `IDENTIFIED BY`. In a statement about a user or a
/// role, a word without quotes is a password, too.
fn identified_by(text: &[u8], at: usize, literal_end: usize) -> Option<(usize, usize)> {
    let mut start = skip_space(text, literal_end);
    if start == literal_end {
        return None;
    }
    for word in [&b"PASSWORD"[..], b"VALUES"] {
        if matches_at(text, start, word) {
            start = skip_space(text, start + word.len());
        }
    }
    if let Some(value) = quoted(text, start) {
        return Some(value);
    }
    let before = &text[at.saturating_sub(96)..at];
    scan_cost::add(before.len());
    let statements = [&b"USER "[..], b"ROLE ", b"GRANT "];
    if !statements.iter().any(|word| contains_text(before, word)) {
        return None;
    }
    let end = run_end(text, start, |byte| {
        !is_space(byte) && !b";,)\"'`\\".contains(&byte)
    });
    let is_shown = end == start || credential::is_placeholder(&text[start..end]);
    (!is_shown).then_some((start, end))
}

/// Returns the range of the password in `PASSWORD 'x'`, `PASSWORD('x')` and `login ada password x`.
fn password(text: &[u8], at: usize, literal_end: usize) -> Option<(usize, usize)> {
    let start = run_end(text, literal_end, |byte| is_space(byte) || byte == b'(');
    if start == literal_end {
        return None;
    }
    if matches_at(text, start, b"FOR ") {
        let is_set = ends_with_word(&text[..at], b"SET ");
        return is_set
            .then(|| quoted_after(text, start, &[b"= ", b"="]))
            .flatten();
    }
    if let Some((from, to)) = quoted(text, start) {
        let content = &text[from..to];
        return (!credential::is_sentence(content)).then_some((from, to));
    }
    // A line of `.netrc`: `machine db login ada password x`.
    let before = &text[at.saturating_sub(96)..at];
    scan_cost::add(before.len());
    let mut words = before
        .rsplit(|byte| is_space(*byte))
        .filter(|word| !word.is_empty());
    let (_, name) = (words.next(), words.next());
    if !name.is_some_and(|name| name == b"login" || name == b"account") {
        return None;
    }
    let end = run_end(text, start, |byte| !is_space(byte));
    (end > start).then_some((start, end))
}

/// Returns the range of the quoted text at `at`, unless the text is empty or a placeholder.
fn quoted(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let ((mark, slashes), start) = quote_at(text, at)?;
    let mut from = start;
    // Two quotes are an escaped quote, or the ends of this text and of a text around it. They are
    // the ends if no other closing quote follows. In that case, this text ends at `end_if_doubled`.
    let mut end_if_doubled = None;
    let end = loop {
        let Some(mark_at) = find(text, mark, from) else {
            break end_if_doubled?;
        };
        let slashes_before = backslashes_before(&text[start..], mark_at - start);
        let end = mark_at - slashes_before;
        if slashes_before != slashes {
            from = mark_at + 1;
        } else if slashes == 0 && text.get(mark_at + 1) == Some(&mark) && mark_at > start {
            end_if_doubled = end_if_doubled.or(Some(end));
            from = mark_at + 2;
        } else {
            break end;
        }
    };
    let is_shown = end <= start || credential::is_placeholder(&text[start..end]);
    (!is_shown).then_some((start, end))
}

/// Returns the range of the quoted text after one of these words, which begins at most 96 bytes
/// after `start`.
fn quoted_after(text: &[u8], start: usize, words: &[&[u8]]) -> Option<(usize, usize)> {
    const MAX_DISTANCE: usize = 96;
    let near = &text[..text.len().min(start + MAX_DISTANCE)];
    scan_cost::add(near.len() - start);
    let word_starts = start..near.len();
    let mut word_starts =
        word_starts.filter(|at| words.iter().any(|word| matches_at(near, *at, word)));
    word_starts.find_map(|at| {
        let word = words.iter().find(|word| matches_at(near, at, word))?;
        let quote_start = run_end(near, at + word.len(), |byte| byte == b' ');
        quoted(text, quote_start)
    })
}

impl Token {
    /// Returns whether the literal is only the end of a name. The filter would find the beginning
    /// of the name too often, because too many other words share that beginning.
    const fn is_end_of_name(&self) -> bool {
        matches!(
            self.tail,
            TokenTail::Uuid
                | TokenTail::Path(..)
                | TokenTail::Between(..)
                | TokenTail::Putty
                | TokenTail::Oracle
                | TokenTail::IdentifiedBy
                | TokenTail::IdentifiedWith
                | TokenTail::Password
        )
    }

    /// Returns the class of the character that must follow the literal, if there is one.
    pub(crate) fn next_class(&self) -> Option<ByteClass> {
        match self.tail {
            TokenTail::Run(class, 1..)
            | TokenTail::Mixed(class, 1..)
            | TokenTail::Between(_, (class, 1..)) => Some(class),
            TokenTail::AwsKey(_) => Some(ByteClass::UPPER_ALNUM),
            TokenTail::Jwt | TokenTail::Telegram => Some(ByteClass::BASE64URL),
            TokenTail::Slack => Some(ByteClass::ALPHA),
            _ => None,
        }
    }

    /// Returns whether the literal ignores case.
    pub(crate) const fn any_case(&self) -> bool {
        matches!(
            self.tail,
            TokenTail::Bearer
                | TokenTail::Basic
                | TokenTail::Pem
                | TokenTail::IdentifiedBy
                | TokenTail::IdentifiedWith
                | TokenTail::Password
                | TokenTail::ProseKey
                | TokenTail::SqlInsert
        )
    }
}
