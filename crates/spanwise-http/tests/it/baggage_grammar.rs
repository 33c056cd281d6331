//! Parsing and writing of `baggage`: the rules of the specification, and the cases of the W3C's
//! test suite.

use http::{HeaderMap, HeaderValue, header::HeaderName};
use spanwise_http::reserialize_headers;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Returns the header that is sent after these lines were received from a trusted sender.
fn forwarded(lines: &[impl AsRef<[u8]>]) -> Option<String> {
    let mut received = HeaderMap::new();
    for line in lines {
        received.append(BAGGAGE, HeaderValue::from_bytes(line.as_ref()).unwrap());
    }
    let sent = reserialize_headers(&received);
    sent.get(BAGGAGE)
        .map(|header| header.to_str().unwrap().to_owned())
}

/// Returns the parsed members as `key=value;properties`, with decoded values.
fn parsed(lines: &[impl AsRef<[u8]>]) -> Vec<String> {
    let header = forwarded(lines);
    let members = header.iter().flat_map(|header| header.split(','));
    members.map(percent_decode).collect()
}

fn percent_decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn examples_of_the_specification_parse() {
    assert_eq!(
        parsed(&[
            "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue"
        ]),
        [
            "key1=value1;property1;property2",
            "key2=value2",
            "key3=value3;propertyKey=propertyValue"
        ]
    );
    let three = ["userId=alice", "serverNode=DF 28", "isProduction=false"];
    let header = "userId=alice,serverNode=DF%2028,isProduction=false";
    for lines in [
        &[header][..],
        &["userId=alice", "serverNode=DF%2028,isProduction=false"],
        &[
            "userId =   alice",
            "serverNode = DF%2028, isProduction = false",
        ],
    ] {
        assert_eq!(parsed(lines), three);
        assert_eq!(forwarded(lines).unwrap(), header);
    }
}

#[test]
fn members_and_properties_are_separated() {
    for (line, expected) in [
        ("SomeKey=SomeValue", &["SomeKey=SomeValue"][..]),
        ("SomeKey=SomeValue=equals", &["SomeKey=SomeValue=equals"]),
        (
            "SomeKey \t = \t SomeValue \t , \t SomeKey2 \t = \t SomeValue2 \t ",
            &["SomeKey=SomeValue", "SomeKey2=SomeValue2"],
        ),
        (
            "SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp=PropVal",
            &[
                "SomeKey=SomeValue;SomeProp",
                "SomeKey2=SomeValue2;ValueProp=PropVal",
            ],
        ),
        (
            "SomeKey \t = \t SomeValue \t ; \t SomeProp \t ; \t SecondProp \t = \t PropValue",
            &["SomeKey=SomeValue;SomeProp;SecondProp=PropValue"],
        ),
        ("a=;b", &["a=;b"]),
        ("a=", &["a="]),
        ("a=1;;,b=2;", &["a=1", "b=2"]),
    ] {
        assert_eq!(parsed(&[line]), expected, "{line:?}");
    }
}

#[test]
fn values_are_percent_encoded() {
    let value = "\t \"';=asdf!@#$%^&*()";
    let encoded = "%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29";
    for line in [
        format!("SomeKey={encoded}"),
        format!("SomeKey \t = \t {encoded} \t "),
    ] {
        assert_eq!(parsed(&[&line]), [format!("SomeKey={value}")]);
        // Only characters that need it are encoded.
        assert_eq!(
            forwarded(&[&line]).unwrap(),
            "SomeKey=%09%20%22'%3B=asdf!@#$%25^&*()"
        );
    }
    let name = ["k=%C3%84melie%0d%0a"];
    assert_eq!(parsed(&name), ["k=Ämelie\r\n"]);
    assert_eq!(forwarded(&name).unwrap(), "k=%C3%84melie%0D%0A");
}

#[test]
fn invalid_encoding_is_kept_as_text() {
    for (line, value) in [
        ("k=%", "%"),
        ("k=%2", "%2"),
        ("k=%zz", "%zz"),
        ("k=%+1", "%+1"),
        ("k=100%25", "100%"),
        ("k=%FFx", "\u{FFFD}x"),
        ("k=%C3", "\u{FFFD}"),
        ("k=+", "+"),
    ] {
        assert_eq!(parsed(&[line]), [format!("k={value}")], "{line}");
    }
}

#[test]
fn only_a_malformed_member_is_dropped() {
    for member in [
        "", "=", "=v", "k", ";p", "k=v v", "k=\"v\"", "k=\\", "a b=v", "k@=v", "(k)=v", "k=v;p p",
        "k=v;=x", "k=v;p=\"", "ä=v", "k=é",
    ] {
        assert_eq!(
            parsed(&[format!("before=1,{member},after=2")]),
            ["before=1", "after=2"],
            "{member:?}"
        );
    }
}

#[test]
fn last_of_a_repeated_key_wins() {
    assert_eq!(parsed(&["a=1,b=2", "a=3"]), ["b=2", "a=3"]);
    // Keys differ by case.
    assert_eq!(parsed(&["a=1,A=2"]), ["a=1", "A=2"]);
}

#[test]
fn required_minimum_is_propagated() {
    let members: Vec<_> = (0..64).map(|at| format!("key{at}=value")).collect();
    assert_eq!(parsed(&[members.join(",")]), members);
    assert_eq!(parsed(&members), members);

    let longest = format!("a={}", "0123456789".repeat(819));
    assert_eq!(longest.len(), 8192);
    assert_eq!(forwarded(&[&longest]).unwrap(), longest);
}

#[test]
fn members_beyond_the_limits_are_dropped() {
    let members: Vec<_> = (0..70).map(|at| format!("key{at}=value")).collect();
    assert_eq!(parsed(&[members.join(",")]), members[..64]);

    let long = "x".repeat(8190);
    assert_eq!(parsed(&[&*format!("a={long}x"), "b=2"]), [""; 0]);
    assert_eq!(
        parsed(&[&*format!("a={long}"), "b=2"]),
        [format!("a={long}")]
    );
    assert_eq!(parsed(&[&*format!("a={}", &long[8..]), "b=2"]).len(), 2);

    // The encoded text is three times as long. If it does not fit, other members use the room.
    let percent = format!("a={};p", "%".repeat(4000));
    assert_eq!(forwarded(&[&*percent, "b=2"]).unwrap(), "b=2");
    assert_eq!(forwarded(&[percent]), None);
}
