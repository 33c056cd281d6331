//! What is secret of a text, found in one pass that a clean text does not leave.

use std::sync::LazyLock;

use crate::{
    Detector, addresses,
    bytes::{Set, is_boundary},
    literals::{Literals, push},
    numbers,
    tokens::{Runs, TOKENS},
};

/// A part of a text that must not be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signs {
    seen: u8,
    digits: usize,
}

impl Signs {
    pub(crate) fn may_have_pairs(self) -> bool {
        self.seen & (COLON | EQUALS) != 0
    }
}

/// Appends what the detectors of `wanted` find, in no order; one bit a detector.
pub(crate) fn detect(text: &[u8], wanted: u32, hits: &mut Vec<Hit>) -> Signs {
    let literals: &Literals = &LITERALS;
    let mut runs = Runs::new();
    let (mut seen, mut digits, mut three, mut done) = (0_u8, 0_usize, 0_u32, 0_usize);
    for (at, byte) in text.iter().enumerate() {
        seen |= SIGNS[usize::from(*byte)];
        digits += usize::from(byte.is_ascii_digit());
        three = push(three, *byte);
        if literals.may_start(three)
            && at >= done + 2
            && let Some(hit) = token(literals, three, text, at - 2, wanted, &mut runs)
        {
            // After `bearer` a token may begin that goes on for longer than what `bearer` tells of.
            if hit.start == at - 2 {
                done = hit.end;
            }
            hits.push(hit);
        }
    }
    let signs = Signs { seen, digits };
    let mut found = |detector: Detector, place: Option<(usize, usize)>| {
        if let Some((start, end)) = place.filter(|_| wanted & bit(detector) != 0) {
            hits.push(Hit::new(start, end, Rule::Detector(detector)));
        }
    };
    if seen & AT != 0 && wanted & bit(Detector::Email) != 0 {
        for at in memchr::memchr_iter(b'@', text) {
            found(Detector::Email, addresses::email(text, at));
        }
    }
    // The least digits that a number with a meaning has: an address of four.
    if digits >= 4 {
        each_number(text, signs, &mut found);
    }
    if seen & COLON != 0 && wanted & bit(Detector::Ipv6) != 0 {
        let mut at = 0;
        while let Some(colon) = memchr::memchr(b':', &text[at..]) {
            let start = Set::IPV6.run_back(text, at + colon, 48).max(at);
            let end = Set::IPV6.run(text, at + colon);
            found(Detector::Ipv6, addresses::ipv6(text, start, end));
            at = end;
        }
    }
    signs
}

#[cold]
fn token(
    literals: &Literals,
    three: u32,
    text: &[u8],
    at: usize,
    wanted: u32,
    runs: &mut Runs,
) -> Option<Hit> {
    literals.starting(three).find_map(|index| {
        let token = &TOKENS[index];
        let there = text.get(at..at + token.literal.len())?;
        let is_it = if token.any_case() {
            there.eq_ignore_ascii_case(token.literal.as_bytes())
        } else {
            there == token.literal.as_bytes()
        };
        if !is_it || wanted & bit(token.detector) == 0 {
            return None;
        }
        let (start, end) = token.secret(text, at, runs)?;
        Some(Hit::new(start, end, Rule::Detector(token.detector)))
    })
}

fn each_number(
    text: &[u8],
    signs: Signs,
    found: &mut impl FnMut(Detector, Option<(usize, usize)>),
) {
    let to = |start: usize, end: Option<usize>| end.map(|end| (start, end));
    let mut at = 0;
    while at < text.len() {
        if !Set::UPPER_ALNUM.has(text[at]) || !is_boundary(text, at) {
            at += 1;
            continue;
        }
        if !text[at].is_ascii_digit() {
            if signs.digits >= 8 {
                found(Detector::Iban, to(at, numbers::iban(text, at)));
            }
        } else {
            if signs.digits >= 13 {
                found(Detector::Card, to(at, numbers::card(text, at)));
            }
            if signs.seen & DASH != 0 {
                found(Detector::Ssn, to(at, numbers::ssn(text, at)));
            }
            if signs.seen & DOT != 0 {
                found(Detector::Ipv4, to(at, addresses::ipv4(text, at)));
            }
        }
        at += 1;
    }
}

impl Hit {
    pub(crate) fn new(start: usize, end: usize, rule: Rule) -> Self {
        Self {
            start,
            end,
            rule,
            needs_quotes: None,
        }
    }
}

pub(crate) const fn bit(detector: Detector) -> u32 {
    1 << detector as u32
}

static LITERALS: LazyLock<Literals> =
    LazyLock::new(|| Literals::new(TOKENS.iter().map(|token| token.literal)));

const AT: u8 = 1;
const COLON: u8 = 1 << 1;
const EQUALS: u8 = 1 << 2;
const DASH: u8 = 1 << 3;
const DOT: u8 = 1 << 4;

static SIGNS: [u8; 256] = {
    let mut signs = [0; 256];
    signs[b'@' as usize] = AT;
    signs[b':' as usize] = COLON;
    signs[b'=' as usize] = EQUALS;
    signs[b'-' as usize] = DASH;
    signs[b'.' as usize] = DOT;
    signs
};
