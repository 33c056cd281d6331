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

/// A literal that may begin a secret, and the requirement on the text after it.
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
    /// Exactly `n` characters of a class before the literal, and at least `n` after it.
    Between((ByteClass, usize), (ByteClass, usize)),
    /// Exactly `n` capitals and digits at the end of a word.
    AwsKey(usize),
    /// The rest of a path after `n` segments, with a minimum length.
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
    /// `://`
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
    /// `PASSWORD` before a quoted password, or in a line of `.netrc`.
    Password,
    /// A command, or the ` --` of an option. Arguments are searched separately.
    CommandLine,
    /// A part of a key. Prose is searched separately.
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
        let after = at + self.literal.len();
        // A prefix may follow an underscore: `tok_ghp_…`.
        let is_glued = !is_boundary(text, at) && ByteClass::WORD.has(text[at]);
        if is_glued && text[at - 1] != b'_' && !self.is_rest() {
            return None;
        }
        let follows = |word: &[u8]| ends_with_word(&text[..at], word);
        match self.tail {
            TokenTail::Run(set, least) => {
                let end = runs.end(set, text, after);
                (end - after >= least).then_some((at, end))
            }
            TokenTail::Mixed(set, least) => {
                let end = runs.end(set, text, after);
                let long = end - after >= least;
                (long && is_mixed(&text[after..after + least])).then_some((at, end))
            }
            TokenTail::Exact(set, length) => {
                let end = set.run_end(&text[..text.len().min(after + length + 1)], after);
                let is_separate = at == 0 || !ByteClass::KEY.has(text[at - 1]) || !is_glued;
                let is_named = at > 0 && matches!(text[at - 1], b'-' | b'.' | b'_');
                let is_match = end - after == length && is_boundary(text, end);
                (is_match && is_separate && !is_named).then_some((at, end))
            }
            TokenTail::Between((before, many), (set, least)) => {
                let start = before.run_start(text, at, many);
                let end = runs.end(set, text, after);
                let is_whole = at - start == many && is_boundary(text, start);
                (is_whole && end - after >= least).then_some((start, end))
            }
            TokenTail::AwsKey(length) => {
                let end = runs.end(ByteClass::UPPER_ALNUM, text, after);
                (end - after == length && is_boundary(text, end)).then_some((at, end))
            }
            TokenTail::Path(parts, least) => path(text, after, parts, least),
            TokenTail::Uuid => {
                let end = ByteClass::HEX_DASH.run_end(&text[..text.len().min(after + 37)], after);
                (end - after == 36).then_some((at, end))
            }
            TokenTail::Jwt => jwt(text, after, runs).map(|end| (at, end)),
            TokenTail::Pem => {
                pem(text, after).map(|end| (run_start(text, at, 4, |byte| byte == b'-'), end))
            }
            TokenTail::Putty => {
                follows(b"Privat").then(|| (at - b"Privat".len(), putty(text, after)))
            }
            TokenTail::Lines => Some((at, lines(text, after))),
            TokenTail::Slack => slack(text, after, runs).map(|end| (at, end)),
            TokenTail::Telegram => telegram(text, at, after, runs),
            TokenTail::Bearer => bearer(text, at, after, runs),
            TokenTail::Basic => basic(text, after, runs),
            TokenTail::Url => urls::userinfo(text, at, after),
            TokenTail::GoDsn => urls::go_dsn(text, at),
            TokenTail::Oracle => {
                let drivers = [&b"thin:"[..], b"oci:", b"oci8:"];
                let mut drivers = drivers
                    .iter()
                    .filter(|driver| matches_at(text, after, driver));
                urls::oracle(text, after + drivers.next()?.len())
            }
            TokenTail::PgPass => pgpass(text, at, after, runs),
            TokenTail::IdentifiedBy if follows(b"iden") => identified_by(text, at, after),
            TokenTail::IdentifiedWith if follows(b"iden") => {
                quoted_after(text, after, &[b" BY ", b" AS "])
            }
            TokenTail::Password if follows(b"pa") => password(text, at - 2, after),
            TokenTail::IdentifiedBy | TokenTail::IdentifiedWith | TokenTail::Password => None,
            TokenTail::CommandLine | TokenTail::ProseKey | TokenTail::SqlInsert => None,
        }
    }
}

/// The last two runs of each class, so that a run with many literals is read only once.
#[derive(Debug)]
pub(crate) struct RunCache {
    /// The end of the password in the last `.pgpass` line.
    password_end: usize,
    /// Initialized at the first run, because most texts have none.
    known: Option<[CachedRuns; 32]>,
}

/// A class with the start and the end of its last two runs.
type CachedRuns = (ByteClass, [(u32, u32); 2]);

impl RunCache {
    pub(crate) const fn new() -> Self {
        Self {
            password_end: 0,
            known: None,
        }
    }

    fn end(&mut self, set: ByteClass, text: &[u8], start: usize) -> usize {
        let known = self
            .known
            .get_or_insert([(ByteClass::NONE, [(0, 0); 2]); 32]);
        let mut known = known.iter_mut();
        let known = known.find(|(of, _)| *of == set || *of == ByteClass::NONE);
        let (Some((of, runs)), Ok(_)) = (known, u32::try_from(text.len())) else {
            return set.run_end(text, start);
        };
        *of = set;
        let contains_start = |run: &&(u32, u32)| (run.0 as usize..run.1 as usize).contains(&start);
        if let Some((_, end)) = runs.iter().find(contains_start) {
            return *end as usize;
        }
        let end = set.run_end(text, start);
        *runs = [(start as u32, end as u32), runs[0]];
        end
    }
}

/// Returns whether the characters include letters and digits.
fn is_mixed(text: &[u8]) -> bool {
    scan_cost::add(text.len());
    text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic)
}

/// Returns the rest of a path after `parts` segments, without the query.
fn path(text: &[u8], after: usize, parts: usize, least: usize) -> Option<(usize, usize)> {
    let mut start = after;
    for _ in 0..parts {
        let end = ByteClass::PATH_PART.run_end(&text[..text.len().min(start + 64)], start);
        if end == start || text.get(end) != Some(&b'/') {
            return None;
        }
        start = end + 1;
    }
    let end = ByteClass::PATH_REST.run_end(text, start);
    (end - start >= least).then_some((start, end))
}

/// Returns the end of two to four parts after the header, any of which may be empty.
fn jwt(text: &[u8], after: usize, runs: &mut RunCache) -> Option<usize> {
    let mut end = runs.end(ByteClass::BASE64URL, text, after);
    if end - after < 8 {
        return None;
    }
    let mut parts = 0;
    while parts < 4 && text.get(end) == Some(&b'.') {
        end = runs.end(ByteClass::BASE64URL, text, end + 1);
        parts += 1;
    }
    (parts >= 2).then_some(end)
}

/// Returns the end of a private key. Without an end marker it is the end of the text.
fn pem(text: &[u8], after: usize) -> Option<usize> {
    let mut at = end_of_label(text, after)?;
    while let Some(dashes) = find_text(text, b"----", at) {
        let word = run_end(text, dashes, |byte| byte == b'-');
        let word = word + usize::from(text.get(word) == Some(&b' '));
        if matches_at(text, word, b"END") {
            return Some(end_of_label(text, word + 3).unwrap_or(text.len()));
        }
        at = word;
    }
    Some(text.len())
}

/// Returns the end of `… PRIVATE KEY-----`, ignoring case.
fn end_of_label(text: &[u8], start: usize) -> Option<usize> {
    const MAX_LABEL_LEN: usize = 100 + "PRIVATE KEY BLOCK-----".len();
    let label = &text[start..text.len().min(start + MAX_LABEL_LEN)];
    scan_cost::add(label.len());
    let word = b"PRIVATE KEY";
    let key = label
        .windows(word.len())
        .position(|part| part.eq_ignore_ascii_case(word))?;
    let mut end = key + word.len();
    let is_name = |byte: &u8| ByteClass::WORD.has(*byte) || b" -".contains(byte);
    if !label[..key].iter().all(is_name) {
        return None;
    }
    if matches_at(label, end, b" BLOCK") {
        end += b" BLOCK".len();
    }
    end += usize::from(label.get(end) == Some(&b' '));
    let dashes = run_end(label, end, |byte| byte == b'-');
    (dashes - end >= 4).then_some(start + dashes)
}

/// Returns the end of the line `Private-MAC: …`, or of the text.
fn putty(text: &[u8], after: usize) -> usize {
    match find_text(text, b"Private-MAC:", after) {
        Some(mac) => mac + line_from(text, mac, 128).len(),
        None => text.len(),
    }
}

/// Returns the end of base64 that continues over line breaks, escaped or not.
fn lines(text: &[u8], after: usize) -> usize {
    let mut end = ByteClass::BASE64_PADDED.run_end(text, after);
    loop {
        let breaks = run_end(&text[..text.len().min(end + 8)], end, |byte| {
            matches!(byte, b'\r' | b'\n' | b'\\' | b' ')
        });
        let from = after_escape(text, breaks);
        let next = ByteClass::BASE64_PADDED.run_end(text, from);
        if from == end || next - from < 16 {
            return end;
        }
        end = next;
    }
}

fn slack(text: &[u8], after: usize, runs: &mut RunCache) -> Option<usize> {
    let kind = |at: usize, of: &[u8]| text.get(at).is_some_and(|byte| of.contains(byte));
    let mut at = after;
    if !kind(at, b"abeoprs") {
        return None;
    }
    at += 1;
    if text[at..].starts_with(b".xox") && kind(at + 4, b"bp") {
        at += 5;
    }
    if text.get(at) != Some(&b'-') {
        return None;
    }
    let end = runs.end(ByteClass::ALNUM_DASH, text, at + 1);
    (end - at > 10).then_some(end)
}

/// Returns the bot's id and its token: `704518823:AA…`.
fn telegram(text: &[u8], at: usize, after: usize, runs: &mut RunCache) -> Option<(usize, usize)> {
    let start = ByteClass::DIGIT.run_start(text, at, 12);
    let end = runs.end(ByteClass::BASE64URL, text, after);
    let is_match = (6..=11).contains(&(at - start)) && end - after >= 30;
    is_match.then_some((start, end))
}

/// Returns the credential after `Bearer` or `token`, if it does not look like a word.
fn bearer(text: &[u8], at: usize, after: usize, runs: &mut RunCache) -> Option<(usize, usize)> {
    let start = skip_space(text, after);
    if start == after {
        return None;
    }
    let run = runs.end(ByteClass::TOKEN68, text, start);
    if run - start < 16 {
        return None;
    }
    let value = &text[start..run];
    scan_cost::add(value.len());
    let any = |of: fn(&u8) -> bool| value.iter().any(of);
    let digits = any(u8::is_ascii_digit);
    let mixed = any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase);
    let is_bearer = text[at] | 0x20 == b'b';
    let is_path = matches!(value[0], b'/' | b'.');
    let is_credential = (digits && any(u8::is_ascii_alphabetic)) || (mixed && is_bearer);
    let padding = text[run..].iter().take_while(|byte| **byte == b'=').count();
    (is_credential && !is_path).then_some((start, run + padding))
}

/// Returns the base64 of `user:password` after `Basic`.
fn basic(text: &[u8], after: usize, runs: &mut RunCache) -> Option<(usize, usize)> {
    let start = skip_space(text, after);
    if start == after {
        return None;
    }
    let run = runs.end(ByteClass::BASE64, text, start);
    if run - start < 8 || !is_user_and_password(&text[start..run]) {
        return None;
    }
    let padding = text[run..].iter().take(2).take_while(|byte| **byte == b'=');
    Some((start, run + padding.count()))
}

fn is_user_and_password(base64: &[u8]) -> bool {
    if base64.len() % 4 == 1 {
        return false;
    }
    let mut bits = 0_u32;
    let mut colon = false;
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
        colon |= octet == b':';
    }
    colon
}

/// Returns the password of `host:5432:database:user:password`, alone on a line.
fn pgpass(text: &[u8], at: usize, after: usize, runs: &mut RunCache) -> Option<(usize, usize)> {
    // Before that end, the literal is part of a password that is already hidden.
    if at < runs.password_end {
        return None;
    }
    let is_host = |byte: u8| ByteClass::BASE64URL_DOT.has(byte) || byte == b'*';
    let host = run_start(text, at, 64, is_host);
    let begins =
        host == 0 || is_space(text[host - 1]) || matches!(text[host - 1], b'"' | b'\'' | b'`');
    if !begins || host == at {
        return None;
    }
    let mut start = after;
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

/// Returns the quoted password after `IDENTIFIED BY`, or a word in a statement about a user.
fn identified_by(text: &[u8], at: usize, after: usize) -> Option<(usize, usize)> {
    let mut start = skip_space(text, after);
    if start == after {
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
    let shown = end == start || credential::is_placeholder(&text[start..end]);
    (!shown).then_some((start, end))
}

/// Returns the password of `PASSWORD 'x'`, `PASSWORD('x')` and `login ada password x`.
fn password(text: &[u8], at: usize, after: usize) -> Option<(usize, usize)> {
    let start = run_end(text, after, |byte| is_space(byte) || byte == b'(');
    if start == after {
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

/// Returns the quoted text at `at`, unless the text is empty or a placeholder.
fn quoted(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let ((mark, slashes), start) = quote_at(text, at)?;
    let mut from = start;
    // Two quotes are a quote inside the text, or they end this text and a text around it. `first`
    // is the end in the second case, which applies if no other closing quote follows.
    let mut first = None;
    let end = loop {
        let Some(quote) = find(text, mark, from) else {
            break first?;
        };
        let escapes = backslashes_before(&text[start..], quote - start);
        let end = quote - escapes;
        if escapes != slashes {
            from = quote + 1;
        } else if slashes == 0 && text.get(quote + 1) == Some(&mark) && quote > start {
            first = first.or(Some(end));
            from = quote + 2;
        } else {
            break end;
        }
    };
    let shown = end <= start || credential::is_placeholder(&text[start..end]);
    (!shown).then_some((start, end))
}

/// Returns the quoted text after one of these words, which begins at most 96 bytes after `after`.
fn quoted_after(text: &[u8], after: usize, words: &[&[u8]]) -> Option<(usize, usize)> {
    const MAX_DISTANCE: usize = 96;
    let near = &text[..text.len().min(after + MAX_DISTANCE)];
    scan_cost::add(near.len() - after);
    let starts = after..near.len();
    let mut starts = starts.filter(|at| words.iter().any(|word| matches_at(near, *at, word)));
    starts.find_map(|at| {
        let word = words.iter().find(|word| matches_at(near, at, word))?;
        let start = run_end(near, at + word.len(), |byte| byte == b' ');
        quoted(text, start)
    })
}

impl Token {
    /// Returns whether the literal is only the end of a name. Too many other words share the
    /// beginning of the name, so the filter would find it too often.
    const fn is_rest(&self) -> bool {
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
    pub(crate) fn next(&self) -> Option<ByteClass> {
        match self.tail {
            TokenTail::Run(set, 1..)
            | TokenTail::Mixed(set, 1..)
            | TokenTail::Between(_, (set, 1..)) => Some(set),
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
