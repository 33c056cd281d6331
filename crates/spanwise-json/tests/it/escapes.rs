//! Escapes in texts, at every place of a block of bytes.

use crate::support::{default, lines};
use spanwise_testing::support::parse_json;
use tracing::info;

/// The expected escapes, one character after the other.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect()
}

/// Logs each text as a string and as something that displays it.
fn check(texts: &[String]) {
    let lines = lines(default, || {
        for text in texts {
            info!(text = text.as_str(), shown = %text);
        }
    });
    let written = lines.text();
    let mut written = written.lines();
    for text in texts {
        let line = written.next().unwrap();
        let escaped = escaped(text);
        let expected = format!(r#","text":"{escaped}","shown":"{escaped}""#);
        assert!(line.contains(&expected), "{text:?}: {line}");
        let line = parse_json(line);
        assert_eq!(
            (&line["text"], &line["shown"]),
            (&text.as_str().into(), &text.as_str().into())
        );
    }
    assert_eq!(written.next(), None);
}

#[test]
fn each_character_is_escaped_anywhere_in_a_block() {
    let all = ('\0'..='\u{3000}').chain(['\u{feff}', '\u{1f980}', '\u{10ffff}']);
    let mut texts: Vec<String> = all.map(String::from).collect();
    for before in 0..40 {
        for c in [
            'a', '"', '\u{1b}', '\u{85}', '\u{a0}', '\u{2028}', '\u{2066}', '\u{20ac}',
        ] {
            texts.push(format!("{}{c}", "x".repeat(before)));
            texts.push(format!("{}{c}{c}tail of some length", "x".repeat(before)));
        }
    }
    check(&texts);
}

proptest::proptest! {
    #[test]
    fn any_text_reads_back(text in "\\PC*|[\\x00-\\xff\u{2020}-\u{2070}]*") {
        check(&[text]);
    }

    #[test]
    fn long_text_reads_back(
        text in "([\\x00-\\xff\u{2020}-\u{2070}]{1,3}|[a-z]{0,70}){20,60}"
    ) {
        check(&[text]);
    }
}
