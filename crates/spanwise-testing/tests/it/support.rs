//! The tools that the tests of the workspace share.

use std::{io::Write as _, panic::catch_unwind};

use spanwise_testing::support::{Lines, bounded, parse_json, wait_until};

#[test]
fn lines_are_parsed_and_taken() {
    let lines = Lines::default();
    let mut writer = lines.clone();
    writer.write_all(b"{\"message\":\"a\",\"n\":1}\n").unwrap();
    assert_eq!(lines.only()["n"], 1);
    writer.write_all(b"{\"message\":\"b\"}\n").unwrap();
    assert_eq!(lines.messages(), ["a", "b"]);
    assert_eq!(lines.values_of("n"), ["1"]);
    assert_eq!(lines.with_message("a")["n"], 1);
    assert_eq!(lines.take_objects().len(), 2);
    assert_eq!(lines.text(), "");
}

#[test]
fn json_with_a_repeated_key_is_refused() {
    assert_eq!(parse_json(r#"{"a":[1,-1,1.5,null,true,"x"]}"#)["a"][5], "x");
    for text in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, "{"] {
        assert!(catch_unwind(|| parse_json(text)).is_err(), "{text}");
    }
}

#[test]
fn bounded_returns_the_result_or_the_panic() {
    assert_eq!(bounded(|| 7), 7);
    let panic = catch_unwind(|| bounded(|| panic!("of the test"))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"of the test"));
}

#[test]
fn wait_until_polls_its_condition() {
    let mut polls = 0;
    wait_until("the third poll", || {
        polls += 1;
        polls == 3
    });
    assert_eq!(polls, 3);
}
