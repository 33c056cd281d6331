//! Invariants of received and forwarded propagation headers.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

use std::collections::HashSet;

use http::{HeaderMap, HeaderValue};
use spanwise_http::reserialize_headers;

/// Parses the bytes as lines of `name: value`, and checks the headers in [`NAMES`].
pub fn check(bytes: &[u8]) {
    let mut received = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let name = NAMES.iter().find(|name| line.starts_with(name.as_bytes()));
        let value = name.and_then(|name| line[name.len()..].strip_prefix(b": "));
        if let (Some(name), Some(value)) = (name, value)
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            received.append(*name, value);
        }
    }
    let sent = reserialize_headers(&received);
    assert_eq!(
        reserialize_headers(&sent),
        sent,
        "written headers parse to other values"
    );
    for (name, value) in &sent {
        assert!(value.to_str().is_ok(), "{name} is not text");
        assert_eq!(sent.get_all(name).iter().count(), 1, "{name} is repeated");
    }
    traceparent(&received, &sent);
    tracestate(&received, &sent);
    baggage(&received, &sent);
    request_id(&received, &sent);
}

/// Headers of proxies, such as `x-forwarded-for`, are not sent on.
const NAMES: [&str; 4] = ["traceparent", "tracestate", "baggage", "x-request-id"];

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// A valid header is sent as version 00. Its parts decide whether it is valid.
fn traceparent(received: &HeaderMap, sent: &HeaderMap) {
    let lines: Vec<&[u8]> = received
        .get_all("traceparent")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let expected = match lines[..] {
        // A later version may have further bytes that are not text.
        [line] => by_its_parts(&String::from_utf8_lossy(line)),
        _ => None,
    };
    assert_eq!(text(sent, "traceparent"), expected.as_deref());
}

fn by_its_parts(line: &str) -> Option<String> {
    let parts: Vec<&str> = line.trim_matches([' ', '\t']).split('-').collect();
    let [version, trace, span, flags, more @ ..] = &parts[..] else {
        return None;
    };
    let digits = |text: &str, count: usize| {
        text.len() == count && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    };
    let holds = digits(version, 2)
        && *version != "ff"
        && digits(trace, 32)
        && !trace.chars().all(|c| c == '0')
        && digits(span, 16)
        && !span.chars().all(|c| c == '0')
        && digits(flags, 2)
        && (*version != "00" || more.is_empty());
    let flags = u8::from_str_radix(flags, 16).ok()? & 0b11;
    holds.then(|| format!("00-{trace}-{span}-{flags:02x}"))
}

/// All members are sent or none, except for repeated keys.
fn tracestate(received: &HeaderMap, sent: &HeaderMap) {
    let Some(state) = text(sent, "tracestate") else {
        return;
    };
    assert!(sent.contains_key("traceparent"), "a state of nothing");
    let lines = received.get_all("tracestate").iter();
    let members: Vec<&str> = lines
        .flat_map(|line| line.to_str().unwrap().split(','))
        .map(|member| member.trim_matches([' ', '\t']))
        .filter(|member| !member.is_empty())
        .collect();
    assert!(members.len() <= 32, "{} members", members.len());
    let mut keys = HashSet::new();
    let mut first = members.clone();
    first.retain(|member| keys.insert(key_of(member)));
    assert_eq!(state, first.join(","));
}

/// Returns whether a key is valid in Level 2: `( lcalpha / DIGIT ) 0*255 keychar`.
fn key_of(member: &str) -> &str {
    let (key, value) = member.split_once('=').unwrap();
    let of_a_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-*/@".contains(c);
    assert!(
        (1..=256).contains(&key.len()) && key.chars().all(of_a_key),
        "{key}"
    );
    assert!(
        key.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "{key}"
    );
    assert!((1..=256).contains(&value.len()), "{value}");
    key
}

/// The baggage is within the limits, and has only valid characters and received keys.
fn baggage(received: &HeaderMap, sent: &HeaderMap) {
    let Some(baggage) = text(sent, "baggage") else {
        return;
    };
    assert!(baggage.len() <= 8192, "{} bytes", baggage.len());
    assert!(baggage.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!baggage.contains(['"', '\\']));
    let members: Vec<&str> = baggage.split(',').collect();
    assert!(members.len() <= 64, "{} members", members.len());
    let lines = received.get_all("baggage").iter();
    let came: HashSet<&[u8]> = lines
        .flat_map(|line| line.as_bytes().split(|byte| b",;=".contains(byte)))
        .map(<[u8]>::trim_ascii)
        .collect();
    let mut keys = HashSet::new();
    for member in members {
        let (key, _) = member.split_once('=').unwrap();
        assert!(came.contains(key.as_bytes()), "{key} came from nowhere");
        assert!(keys.insert(key), "{key} came twice");
    }
}

fn request_id(received: &HeaderMap, sent: &HeaderMap) {
    let Some(id) = text(sent, "x-request-id") else {
        return;
    };
    assert_eq!(received["x-request-id"], id);
    assert!((1..=200).contains(&id.len()), "{} bytes", id.len());
    let of_an_id = |c: char| c.is_ascii_alphanumeric() || "_.=#:/+@-".contains(c);
    assert!(id.chars().all(of_an_id));
}
