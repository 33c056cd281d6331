//! Secrets that say by how they begin what they are.

use crate::{
    Detector,
    bytes::{Set, after_escape, is_boundary, is_space, skip_space},
};

/// A text that may begin a secret, and what must follow for it to be one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) detector: Detector,
    pub(crate) literal: &'static str,
    pub(crate) then: Then,
}

/// What follows the literal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// Characters of the set, at least so many.
    Run(Set, usize),
    /// Exactly so many characters, the last of a word.
    AwsKey(usize),
    Jwt,
    Pem,
    /// `xox` with what kind of token it is.
    Slack,
    OpenAi,
    Bearer,
    Basic,
    /// `://`
    Url,
}

impl Token {
    /// What is secret of a literal found at `at`: from where to where.
    pub(crate) fn secret(&self, text: &[u8], at: usize, runs: &mut Runs) -> Option<(usize, usize)> {
        let after = at + self.literal.len();
        if !is_boundary(text, at) && Set::WORD.has(text[at]) {
            return None;
        }
        match self.then {
            Then::Run(set, least) => {
                let end = runs.end(set, text, after);
                (end - after >= least).then_some((at, end))
            }
            Then::AwsKey(length) => {
                let end = Set::UPPER_ALNUM.run(text, after);
                (end - after == length && is_boundary(text, end)).then_some((at, end))
            }
            Then::Jwt => jwt(text, after, runs).map(|end| (at, end)),
            Then::Pem => pem(text, after).map(|end| (at, end)),
            Then::Slack => slack(text, after, runs).map(|end| (at, end)),
            Then::OpenAi => {
                let end = runs.end(Set::ALNUM, text, after);
                let marked = text[after..end].get(20..28) == Some(b"T3BlbkFJ");
                (marked && end - after >= 48).then_some((at, end))
            }
            Then::Bearer => bearer(text, at, after),
            Then::Basic => basic(text, after),
            Then::Url => userinfo(text, at, after),
        }
    }
}

/// Where the runs of characters are that were looked at last: a run is walked once, however many literals are in it.
#[derive(Debug)]
pub(crate) struct Runs {
    known: [(Set, usize, usize); 4],
    next: usize,
}

impl Runs {
    pub(crate) const fn new() -> Self {
        Self {
            known: [(Set::WORD, 0, 0); 4],
            next: 0,
        }
    }

    fn end(&mut self, set: Set, text: &[u8], start: usize) -> usize {
        let is_in = |run: &&(Set, usize, usize)| run.0 == set && (run.1..run.2).contains(&start);
        if let Some((_, _, end)) = self.known.iter().find(is_in) {
            return *end;
        }
        let end = set.run(text, start);
        self.known[self.next] = (set, start, end);
        self.next = (self.next + 1) % self.known.len();
        end
    }
}

/// Two to four parts after the header, any of which may be empty.
fn jwt(text: &[u8], after: usize, runs: &mut Runs) -> Option<usize> {
    let mut end = runs.end(Set::BASE64URL, text, after);
    if end - after < 8 {
        return None;
    }
    let mut parts = 0;
    while parts < 4 && text.get(end) == Some(&b'.') {
        end = runs.end(Set::BASE64URL, text, end + 1);
        parts += 1;
    }
    (parts >= 2).then_some(end)
}

/// A private key, to its end; without an end, everything.
fn pem(text: &[u8], after: usize) -> Option<usize> {
    let body = end_of_label(text, after)?;
    let Some(end) = memchr::memmem::find(&text[body..], b"-----END") else {
        return Some(text.len());
    };
    let footer = body + end + "-----END".len();
    Some(end_of_label(text, footer).unwrap_or(text.len()))
}

/// The place after `… PRIVATE KEY-----`.
fn end_of_label(text: &[u8], start: usize) -> Option<usize> {
    const LONGEST: usize = 100 + "PRIVATE KEY BLOCK-----".len();
    let label = &text[start..text.len().min(start + LONGEST)];
    let ends = [&b"PRIVATE KEY-----"[..], b"PRIVATE KEY BLOCK-----"];
    let found = |end: &[u8]| memchr::memmem::find(label, end).map(|at| start + at + end.len());
    ends.into_iter().filter_map(found).min()
}

fn slack(text: &[u8], after: usize, runs: &mut Runs) -> Option<usize> {
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
    let end = runs.end(Set::ALNUM_DASH, text, at + 1);
    (end - at > 10).then_some(end)
}

/// `Bearer` or `token`, and what looks more like a credential than like a word.
fn bearer(text: &[u8], at: usize, after: usize) -> Option<(usize, usize)> {
    let start = skip_space(text, after);
    let run = Set::TOKEN68.run(text, start);
    if start == after || run - start < 16 {
        return None;
    }
    let value = &text[start..run];
    let any = |of: fn(&u8) -> bool| value.iter().any(of);
    let digits = any(u8::is_ascii_digit);
    let mixed = any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase);
    let is_bearer = text[at] | 0x20 == b'b';
    let is_path = matches!(value[0], b'/' | b'.');
    let looks_so = (digits && any(u8::is_ascii_alphabetic)) || (mixed && is_bearer);
    let padding = text[run..].iter().take_while(|byte| **byte == b'=').count();
    (looks_so && !is_path).then_some((start, run + padding))
}

/// `Basic` and base64 of `user:password`.
fn basic(text: &[u8], after: usize) -> Option<(usize, usize)> {
    let start = skip_space(text, after);
    let run = Set::BASE64.run(text, start);
    if start == after || run - start < 8 || !is_user_and_password(&text[start..run]) {
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

/// The password in `scheme://user:password@host`, or the token in `https://token@host`.
fn userinfo(text: &[u8], at: usize, after: usize) -> Option<(usize, usize)> {
    let scheme = after_escape(text, Set::KEY.run_back(text, at, 31));
    if scheme >= at || after >= text.len() {
        return None;
    }
    let authority = &text[after..];
    let is_end = |byte: &u8| is_space(*byte) || b"/?#\"'<>\\".contains(byte);
    let length = authority.iter().position(is_end).unwrap_or(authority.len());
    let at_sign = memchr::memrchr(b'@', &authority[..length])?;
    let user = &authority[..at_sign];
    if let Some(colon) = memchr::memchr(b':', user) {
        return (colon + 1 < at_sign).then_some((after + colon + 1, after + at_sign));
    }
    let is_http = text[scheme..at].to_ascii_lowercase().starts_with(b"http");
    let is_token = user.len() >= 20 && user.iter().all(|byte| Set::BASE64URL.has(*byte));
    (is_http && is_token).then_some((after, after + at_sign))
}

/// Everything that is found by how it begins.
#[rustfmt::skip] // a row each
pub(crate) static TOKENS: &[Token] = &[
    token(Detector::Pem, "-----BEGIN", Then::Pem),
    token(Detector::Jwt, "eyJ", Then::Jwt),
    run(Detector::Github, "ghp_", Set::ALNUM, 36),
    run(Detector::Github, "gho_", Set::ALNUM, 36),
    run(Detector::Github, "ghu_", Set::ALNUM, 36),
    run(Detector::Github, "ghr_", Set::ALNUM, 36),
    run(Detector::Github, "ghs_", Set::BASE64URL_DOT, 36),
    run(Detector::Github, "github_pat_", Set::WORD, 60),
    run(Detector::Gitlab, "glpat", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "gldt", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "glrt", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "glcbt", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "glptt", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "glft", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "glimt", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "glagent", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "glsoat", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "glffct", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "gloas", Set::BASE64URL_DOT, 20),
    run(Detector::Gitlab, "GR1348941", Set::BASE64URL_DOT, 20),
    token(Detector::AwsKeyId, "AKIA", Then::AwsKey(16)),
    token(Detector::AwsKeyId, "ASIA", Then::AwsKey(16)),
    token(Detector::AwsKeyId, "ABIA", Then::AwsKey(16)),
    token(Detector::AwsKeyId, "ACCA", Then::AwsKey(16)),
    token(Detector::AwsKeyId, "A3T", Then::AwsKey(17)),
    run(Detector::Stripe, "sk_test_", Set::ALNUM, 10),
    run(Detector::Stripe, "sk_live_", Set::ALNUM, 10),
    run(Detector::Stripe, "sk_prod_", Set::ALNUM, 10),
    run(Detector::Stripe, "rk_test_", Set::ALNUM, 10),
    run(Detector::Stripe, "rk_live_", Set::ALNUM, 10),
    run(Detector::Stripe, "rk_prod_", Set::ALNUM, 10),
    run(Detector::Stripe, "whsec_", Set::BASE64_PADDED, 24),
    token(Detector::Slack, "xox", Then::Slack),
    run(Detector::Slack, "xapp-", Set::ALNUM_DASH, 8),
    run(Detector::SlackWebhook, "hooks.slack.com/services/", Set::PATH, 40),
    run(Detector::SlackWebhook, "hooks.slack.com/workflows/", Set::PATH, 40),
    run(Detector::SlackWebhook, "hooks.slack.com/triggers/", Set::PATH, 40),
    run(Detector::Google, "AIza", Set::BASE64URL, 35),
    run(Detector::Google, "ya29.", Set::BASE64URL, 20),
    run(Detector::Google, "GOCSPX-", Set::BASE64URL, 28),
    run(Detector::LlmKeys, "sk-ant-", Set::BASE64URL, 82),
    run(Detector::LlmKeys, "sk-proj-", Set::BASE64URL, 40),
    run(Detector::LlmKeys, "sk-svcacct-", Set::BASE64URL, 40),
    run(Detector::LlmKeys, "sk-admin-", Set::BASE64URL, 40),
    token(Detector::LlmKeys, "sk-", Then::OpenAi),
    run(Detector::MiscPrefixed, "npm_", Set::ALNUM, 36),
    run(Detector::MiscPrefixed, "pypi-AgEIcHlwaS5vcmc", Set::BASE64URL, 50),
    run(Detector::MiscPrefixed, "hf_", Set::ALPHA, 34),
    run(Detector::MiscPrefixed, "dop_v1_", Set::LOWER_HEX, 64),
    run(Detector::MiscPrefixed, "SG.", Set::SENDGRID, 66),
    run(Detector::MiscPrefixed, "shpat_", Set::HEX, 32),
    run(Detector::MiscPrefixed, "shpca_", Set::HEX, 32),
    run(Detector::MiscPrefixed, "shppa_", Set::HEX, 32),
    run(Detector::MiscPrefixed, "shpss_", Set::HEX, 32),
    run(Detector::MiscPrefixed, "dapi", Set::LOWER_HEX, 32),
    run(Detector::MiscPrefixed, "hvb.", Set::BASE64URL, 90),
    run(Detector::MiscPrefixed, "hvs.", Set::BASE64URL, 90),
    run(Detector::MiscPrefixed, "glsa_", Set::BASE64_ANY, 32),
    run(Detector::MiscPrefixed, "glc_", Set::BASE64_ANY, 32),
    run(Detector::MiscPrefixed, "sntrys_", Set::BASE64_ANY_PADDED, 40),
    run(Detector::MiscPrefixed, "sntryu_", Set::BASE64_ANY_PADDED, 40),
    run(Detector::MiscPrefixed, "AGE-SECRET-KEY-1", Set::UPPER_ALNUM, 58),
    run(Detector::MiscPrefixed, "ops_eyJ", Set::BASE64, 250),
    run(Detector::MiscPrefixed, "lin_api_", Set::ALNUM, 40),
    run(Detector::MiscPrefixed, "pul-", Set::LOWER_HEX, 40),
    run(Detector::MiscPrefixed, "rubygems_", Set::LOWER_HEX, 48),
    run(Detector::MiscPrefixed, "sq0atp-", Set::BASE64URL, 22),
    run(Detector::MiscPrefixed, "sq0csp-", Set::BASE64URL, 22),
    run(Detector::MiscPrefixed, "dckr_pat_", Set::BASE64URL, 27),
    run(Detector::MiscPrefixed, "tskey-", Set::BASE64URL, 22),
    token(Detector::Bearer, "bearer", Then::Bearer),
    token(Detector::Bearer, "token", Then::Bearer),
    token(Detector::Basic, "basic", Then::Basic),
    token(Detector::UrlUserinfo, "://", Then::Url),
];

impl Token {
    /// True if the case of the literal does not count.
    pub(crate) const fn any_case(&self) -> bool {
        matches!(self.then, Then::Bearer | Then::Basic)
    }
}

const fn token(detector: Detector, literal: &'static str, then: Then) -> Token {
    Token {
        detector,
        literal,
        then,
    }
}

const fn run(detector: Detector, literal: &'static str, set: Set, least: usize) -> Token {
    token(detector, literal, Then::Run(set, least))
}
