//! `traceparent` and `tracestate`: the rules of the specification, and the W3C's own cases.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use spanwise_http::reserialize_headers;

const TRACE: &str = "12345678901234567890123456789012";
const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-01";

/// The `traceparent` and the `tracestate` that are sent on.
#[derive(Debug, PartialEq)]
struct Sent {
    parent: String,
    state: String,
}

impl Sent {
    fn from_headers(received: &HeaderMap) -> Option<Self> {
        let sent = reserialize_headers(received);
        let text = |name| Some(sent.get(name)?.to_str().unwrap().to_owned());
        let parent = text("traceparent");
        let state = text("tracestate").unwrap_or_default();
        assert!(parent.is_some() || state.is_empty(), "no state alone");
        parent.map(|parent| Self { parent, state })
    }

    fn trace_id(&self) -> &str {
        &self.parent[3..35]
    }
}

fn read(lines: &[(&'static str, &str)]) -> Option<Sent> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        // Like HTTP/2, which does not trim values.
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    Sent::from_headers(&headers)
}

fn trace_id(traceparent: &str) -> Option<String> {
    read(&[("traceparent", traceparent)]).map(|sent| sent.trace_id().to_owned())
}

/// Returns the `tracestate` that is sent for these lines, with a valid `traceparent`.
fn state(lines: &[&str]) -> String {
    let lines = lines.iter().map(|line| ("tracestate", *line));
    let all: Vec<_> = [("traceparent", VALID)].into_iter().chain(lines).collect();
    let context = read(&all).unwrap();
    assert_eq!(
        context.trace_id(),
        TRACE,
        "a bad state costs the state alone"
    );
    context.state
}

#[test]
fn examples_of_the_specification_parse() {
    let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context = read(&[
        ("traceparent", sampled),
        ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    ])
    .unwrap();
    assert_eq!(context.parent, sampled);
    assert_eq!(context.state, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");

    let not_sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let context = read(&[("traceparent", not_sampled)]).unwrap();
    assert_eq!((&*context.parent, &*context.state), (not_sampled, ""));
}

#[test]
fn traceparent_version_00_parses_strictly() {
    let malformed = [
        // longer
        "00-12345678901234567890123456789012-1234567890123456-01.",
        "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        "00-12345678901234567890123456789012-1234567890123456-01-",
        // the version
        ".0-12345678901234567890123456789012-1234567890123456-01",
        "0.-12345678901234567890123456789012-1234567890123456-01",
        "000-12345678901234567890123456789012-1234567890123456-01",
        "0000-12345678901234567890123456789012-1234567890123456-01",
        "0-12345678901234567890123456789012-1234567890123456-01",
        "-12345678901234567890123456789012-1234567890123456-01",
        // the trace
        "00-00000000000000000000000000000000-1234567890123456-01",
        "00-.2345678901234567890123456789012-1234567890123456-01",
        "00-1234567890123456789012345678901.-1234567890123456-01",
        "00-123456789012345678901234567890123-1234567890123456-01",
        "00-1234567890123456789012345678901-1234567890123456-01",
        "00-1234567890ABCDEF1234567890123456-1234567890123456-01",
        // the parent
        "00-12345678901234567890123456789012-0000000000000000-01",
        "00-12345678901234567890123456789012-.234567890123456-01",
        "00-12345678901234567890123456789012-123456789012345.-01",
        "00-12345678901234567890123456789012-12345678901234567-01",
        "00-12345678901234567890123456789012-123456789012345-01",
        "00-12345678901234567890123456789012-ABCDEF0123456789-01",
        // the flags
        "00-12345678901234567890123456789012-1234567890123456-.0",
        "00-12345678901234567890123456789012-1234567890123456-0.",
        "00-12345678901234567890123456789012-1234567890123456-001",
        "00-12345678901234567890123456789012-1234567890123456-1",
        "00-12345678901234567890123456789012-1234567890123456-0A",
        "00-12345678901234567890123456789012-1234567890123456-",
        "00-12345678901234567890123456789012-1234567890123456",
        // the separators
        "00_12345678901234567890123456789012-1234567890123456-01",
        "00-12345678901234567890123456789012_1234567890123456-01",
        "00-12345678901234567890123456789012-1234567890123456_01",
        "",
        "-",
    ];
    for text in malformed {
        assert_eq!(trace_id(text), None, "{text}");
    }
    assert_eq!(trace_id(VALID).unwrap(), TRACE);
}

#[test]
fn traceparent_with_other_bytes_is_invalid() {
    let mut headers = HeaderMap::new();
    let bytes = b"00-1234567890123456789012345678901\xC3\xA9-234567890123456-01";
    headers.insert("traceparent", HeaderValue::from_bytes(bytes).unwrap());
    assert_eq!(Sent::from_headers(&headers), None);
}

#[test]
fn later_version_reads_the_known_fields() {
    let later = [
        "cc-12345678901234567890123456789012-1234567890123456-01",
        "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        "01-12345678901234567890123456789012-1234567890123456-01-",
        "fe-12345678901234567890123456789012-1234567890123456-01",
    ];
    for text in later {
        let context = read(&[("traceparent", text)]).unwrap();
        assert_eq!(context.parent, VALID, "{text}");
    }
    let malformed = [
        "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like",
        "cc-12345678901234567890123456789012-1234567890123456-011",
        "CC-12345678901234567890123456789012-1234567890123456-01",
        "ff-12345678901234567890123456789012-1234567890123456-01",
        "ff-12345678901234567890123456789012-1234567890123456-01-x",
    ];
    for text in malformed {
        assert_eq!(trace_id(text), None, "{text}");
    }
}

#[test]
fn only_known_flags_are_propagated() {
    for (received, sent) in [
        ("00", "00"),
        ("01", "01"),
        ("02", "02"),
        ("03", "03"),
        ("ff", "03"),
        ("fc", "00"),
    ] {
        let text = format!("00-{TRACE}-1234567890123456-{received}");
        let again = read(&[("traceparent", &text)]).unwrap();
        assert_eq!(&again.parent[53..], sent, "{received}");
    }
}

#[test]
fn traceparent_is_trimmed() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        assert_eq!(trace_id(&format!("{before}{VALID}{after}")).unwrap(), TRACE);
    }
    assert_eq!(
        trace_id("00- 2345678901234567890123456789012-1234567890123456-01"),
        None
    );
}

#[test]
fn repeated_traceparent_is_invalid() {
    let other = "00-12345678901234567890123456789011-1234567890123456-01";
    assert_eq!(
        read(&[("traceparent", other), ("traceparent", VALID)]),
        None
    );
    assert_eq!(
        read(&[("traceparent", VALID), ("traceparent", VALID)]),
        None
    );
    assert_eq!(read(&[("traceparent", &format!("{VALID},{VALID}"))]), None);
}

#[test]
fn header_names_ignore_case() {
    for name in ["traceparent", "TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.insert(name, HeaderValue::from_static(VALID));
        assert!(Sent::from_headers(&headers).is_some());
    }
    assert_eq!(read(&[("trace-parent", VALID)]), None);
    assert_eq!(read(&[("trace.parent", VALID)]), None);
    let context = read(&[("traceparent", VALID), ("trace-state", "foo=1")]).unwrap();
    assert_eq!(context.state, "");
}

#[test]
fn tracestate_needs_a_traceparent() {
    assert_eq!(read(&[("tracestate", "foo=1")]), None);
    assert_eq!(read(&[("traceparent", ""), ("tracestate", "foo=1")]), None);
}

#[test]
fn tracestate_lines_join_in_order() {
    assert_eq!(state(&["foo=1,bar=2"]), "foo=1,bar=2");
    assert_eq!(
        state(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]),
        "foo=1,bar=2,rojo=1,congo=2,baz=3"
    );
    assert_eq!(state(&[""]), "");
    assert_eq!(state(&["foo=1", ""]), "foo=1");
    assert_eq!(state(&["", "foo=1"]), "foo=1");
    assert_eq!(state(&["foo=1,,,bar=2,"]), "foo=1,bar=2");
}

#[test]
fn tracestate_members_are_trimmed() {
    for line in [
        "foo=1 \t , \t bar=2, \t baz=3",
        "foo=1\t \t,\t \tbar=2,\t \tbaz=3",
        " foo=1,bar=2,baz=3",
        "\tfoo=1,bar=2,baz=3 ",
        "\t foo=1,bar=2,baz=3 \t",
    ] {
        assert_eq!(state(&[line]), "foo=1,bar=2,baz=3", "{line:?}");
    }
    // White space before the value is part of the value.
    assert_eq!(state(&["foo= 1"]), "foo= 1");
}

#[test]
fn first_of_a_repeated_state_key_wins() {
    for (lines, sent) in [
        (&["foo=1,foo=1"][..], "foo=1"),
        (&["foo=1,foo=2"], "foo=1"),
        (&["foo=1", "foo=1"], "foo=1"),
        (&["foo=1", "foo=2"], "foo=1"),
        (&["bar=0,foo=1", "baz=1,foo=2"], "bar=0,foo=1,baz=1"),
        (&["foo=1,foo=bad=member"], ""),
    ] {
        assert_eq!(state(lines), sent, "{lines:?}");
    }
}

#[test]
fn all_valid_state_characters_are_accepted() {
    let letters: String = ('a'..='z').collect();
    let key = format!("{letters}0123456789_-*/@");
    let value: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    for member in [
        format!("{key}={value}"),
        format!("{key}@a-z0-9_-*/={value}"),
        format!("0{key}={value}"),
        format!("0{key}@a-z0-9_-*/={value}"),
        format!("foo@={value}"),
        format!("foo@@bar={value}"),
        format!("foo@bar@baz={value}"),
        format!("foo@1bar={value}"),
    ] {
        assert_eq!(state(&[&member]), member);
    }
}

#[test]
fn invalid_character_drops_the_state() {
    for line in [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "_foo=1",
        "=1",
        "foo",
        "foo=",
        "foo=bar=baz",
        "foo=1\tx",
        "@foo=1,bar=2",
        "-foo=1,bar=2",
        "foo=,bar=3",
    ] {
        assert_eq!(state(&[line]), "", "{line:?}");
        assert_eq!(state(&["ok=1", line]), "", "{line:?}");
    }
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_static(VALID));
    headers.insert(
        "tracestate",
        HeaderValue::from_bytes(b"foo=\xC3\xA9").unwrap(),
    );
    assert_eq!(Sent::from_headers(&headers).unwrap().state, "");
}

#[test]
fn state_beyond_its_limits_is_dropped() {
    let members = |count: usize| {
        let members: Vec<_> = (1..=count)
            .map(|at| format!("bar{at:02}={at:02}"))
            .collect();
        members.join(",")
    };
    assert_eq!(state(&[&members(32)]), members(32));
    assert_eq!(state(&[&members(20), "", "foo=1"]).matches(',').count(), 20);
    assert_eq!(state(&[&members(33)]), "");
    assert_eq!(state(&[&members(32), "foo=1"]), "");

    let z = |count| "z".repeat(count);
    for (key, value, taken) in [
        (z(256), z(1), true),
        (z(257), z(1), false),
        (format!("{}@{}", z(241), z(14)), z(1), true),
        (format!("{}@v", z(242)), z(1), true),
        (format!("t@{}", z(15)), z(1), true),
        (format!("t@{}", z(254)), z(1), true),
        (format!("t@{}", z(255)), z(1), false),
        (z(1), z(256), true),
        (z(1), z(257), false),
    ] {
        let member = format!("{key}={value}");
        let expected = if taken { &*member } else { "" };
        assert_eq!(state(&[&member]), expected);
    }
}

/// The rule of Level 2 for keys, in an independent implementation.
fn is_key_of_level_2(key: &str) -> bool {
    let mut chars = key.chars();
    let first = chars.next();
    key.len() <= 256
        && first.is_some_and(|c| matches!(c, 'a'..='z' | '0'..='9'))
        && chars.all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '*' | '/' | '@'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn members_follow_level_2(
        keys in proptest::collection::vec(
            prop_oneof![6 => "[a-c0-1@_*/-]{1,3}", 1 => "[ -~]{0,3}", 1 => "[a-b@]{254,258}"], 0..36,
        ),
    ) {
        let keys: Vec<_> = keys.iter().filter(|key| !key.contains([',', '='])).collect();
        let members: Vec<_> = keys.iter().enumerate().map(|(at, key)| format!("{key}={at}")).collect();
        // Members are trimmed.
        let keys: Vec<_> = keys.iter().map(|key| key.trim_start()).collect();
        let expected = if keys.len() > 32 || !keys.iter().all(|key| is_key_of_level_2(key)) {
            String::new()
        } else {
            let mut seen = std::collections::HashSet::new();
            let first = keys.iter().zip(&members).filter(|(key, _)| seen.insert(**key));
            first.map(|(_, member)| member.trim_start()).collect::<Vec<_>>().join(",")
        };
        // In one line and in two.
        prop_assert_eq!(state(&[&members.join(",")]), &*expected);
        let (one, two) = members.split_at(members.len() / 2);
        prop_assert_eq!(state(&[&one.join(","), &two.join(",")]), &*expected);
    }
}
