//! The rules of the specification, and the cases of the W3C's test suite.

use super::*;

/// Returns the parsed members as `key=value;properties`, with decoded values.
fn read(lines: &[&str]) -> Vec<String> {
    let baggage = Baggage::from_headers(&headers(lines));
    let shown = baggage.iter().map(|(key, member)| {
        let separator = if member.properties.is_empty() {
            ""
        } else {
            ";"
        };
        format!("{key}={}{separator}{}", member.value, member.properties)
    });
    shown.collect()
}

fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(BAGGAGE, HeaderValue::from_str(line).unwrap());
    }
    headers
}

fn written(members: &[(&str, &str, &str)]) -> Option<String> {
    let mut outgoing = Outgoing::default();
    for (key, value, properties) in members {
        outgoing.push(key, value, properties);
    }
    let header = outgoing.header()?;
    Some(header.to_str().unwrap().to_owned())
}

#[test]
fn examples_of_the_specification_parse() {
    assert_eq!(
        read(&[
            "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue"
        ]),
        [
            "key1=value1;property1;property2",
            "key2=value2",
            "key3=value3;propertyKey=propertyValue"
        ]
    );
    let three = ["userId=alice", "serverNode=DF 28", "isProduction=false"];
    assert_eq!(
        read(&["userId=alice,serverNode=DF%2028,isProduction=false"]),
        three
    );
    assert_eq!(
        read(&["userId=alice", "serverNode=DF%2028,isProduction=false"]),
        three
    );
    assert_eq!(
        read(&[
            "userId =   alice",
            "serverNode = DF%2028, isProduction = false"
        ]),
        three
    );
    assert_eq!(
        written(&[
            ("userId", "alice", ""),
            ("serverNode", "DF 28", ""),
            ("isProduction", "false", "")
        ])
        .unwrap(),
        "userId=alice,serverNode=DF%2028,isProduction=false"
    );
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
        assert_eq!(read(&[line]), expected, "{line:?}");
    }
}

#[test]
fn values_are_percent_encoded() {
    let value = "\t \"';=asdf!@#$%^&*()";
    let encoded = "%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29";
    assert_eq!(
        read(&[&format!("SomeKey={encoded}")]),
        [format!("SomeKey={value}")]
    );
    assert_eq!(
        read(&[&format!("SomeKey \t = \t {encoded} \t ")]),
        [format!("SomeKey={value}")]
    );
    // Only characters that need it are encoded.
    assert_eq!(
        written(&[("SomeKey", value, "")]).unwrap(),
        "SomeKey=%09%20%22'%3B=asdf!@#$%25^&*()"
    );
    assert_eq!(
        written(&[("k", "Ämelie\r\n", "")]).unwrap(),
        "k=%C3%84melie%0D%0A"
    );
    assert_eq!(read(&["k=%C3%84melie%0d%0a"]), ["k=Ämelie\r\n"]);
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
        assert_eq!(read(&[line]), [format!("k={value}")], "{line}");
    }
}

#[test]
fn only_a_malformed_member_is_dropped() {
    for member in [
        "", "=", "=v", "k", ";p", "k=v v", "k=\"v\"", "k=\\", "a b=v", "k@=v", "(k)=v", "k=v;p p",
        "k=v;=x", "k=v;p=\"",
    ] {
        assert_eq!(
            read(&[&format!("before=1,{member},after=2")]),
            ["before=1", "after=2"],
            "{member:?}"
        );
    }
    let mut headers = headers(&["a=1"]);
    let bytes = b"b=\xC3\xA9,c=3";
    headers.append(BAGGAGE, HeaderValue::from_bytes(bytes).unwrap());
    let baggage = Baggage::from_headers(&headers);
    assert!(baggage.get("b").is_none());
    assert_eq!(baggage.get("c").unwrap().value, "3");
}

#[test]
fn last_of_a_repeated_key_wins() {
    assert_eq!(read(&["a=1,b=2", "a=3"]), ["b=2", "a=3"]);
    // Keys differ by case.
    assert_eq!(read(&["a=1,A=2"]), ["a=1", "A=2"]);
}

#[test]
fn required_minimum_is_propagated() {
    let members: Vec<_> = (0..64).map(|at| format!("key{at}=value")).collect();
    assert_eq!(read(&[&members.join(",")]), members);
    let lines: Vec<_> = members.iter().map(String::as_str).collect();
    assert_eq!(read(&lines), members);

    let longest = format!("a={}", "0123456789".repeat(819));
    assert_eq!(longest.len(), 8192);
    assert_eq!(read(&[&longest]), [&*longest]);
    assert_eq!(written(&[("a", &longest[2..], "")]).unwrap(), longest);
}

#[test]
fn members_beyond_the_limits_are_dropped() {
    let members: Vec<_> = (0..70).map(|at| format!("key{at}=value")).collect();
    assert_eq!(read(&[&members.join(",")]), members[..64]);

    let long = "x".repeat(8190);
    assert_eq!(read(&[&format!("a={long}x"), "b=2"]), [""; 0]);
    assert_eq!(read(&[&format!("a={long}"), "b=2"]), [format!("a={long}")]);
    assert_eq!(read(&[&format!("a={}", &long[8..]), "b=2"]).len(), 2);

    let keys: Vec<_> = (0..70).map(|at| format!("k{at}")).collect();
    let all: Vec<_> = keys.iter().map(|key| (key.as_str(), "v", "")).collect();
    assert_eq!(written(&all).unwrap().split(',').count(), 64);
    // A member that does not fit leaves the room to others.
    assert_eq!(
        written(&[("a", &long, "p"), ("b", "2", "")]).unwrap(),
        "b=2"
    );
    assert_eq!(written(&[("a", &"ä".repeat(4096), "")]), None);
}

#[test]
fn invalid_key_is_not_written() {
    assert_eq!(
        written(&[("a b", "1", ""), ("ä", "1", ""), ("", "1", "")]),
        None
    );
    assert_eq!(
        written(&[(" a", "1", ""), ("order.id", "7", "")]).unwrap(),
        "order.id=7"
    );
}
