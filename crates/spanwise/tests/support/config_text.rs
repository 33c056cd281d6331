//! A text as a configuration file: it is valid, or each error has a place inside it. Also for the
//! fuzzer.

#![allow(unreachable_pub, reason = "a module of a test and of the fuzzer")]

use spanwise::{__private::from_file_text_and_vars, InitError};

/// Reads a text. The variables make the same preset on every machine.
///
/// # Panics
/// If an error has no place in the text.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // What a file may include or refer to is not the same on every machine.
    if text.contains("include") || text.contains("${file") {
        return;
    }
    for preset in ["prod", "dev"] {
        let vars = [("LOG_PRESET", preset), ("TZ", "UTC")];
        let problems = match from_file_text_and_vars(text, &vars) {
            Ok(builder) => wrong(&builder.explain().to_string()),
            Err(InitError::Settings(problems)) => problems,
            Err(other) => panic!("{other}"),
        };
        for problem in problems {
            assert!(
                is_inside(text, &problem),
                "{problem:?} has no place in {text:?}"
            );
        }
    }
}

fn wrong(explanation: &str) -> Vec<String> {
    let lines = explanation.lines();
    let wrong = lines.filter_map(|line| line.strip_prefix("wrong: "));
    wrong.map(str::to_owned).collect()
}

fn is_inside(text: &str, problem: &str) -> bool {
    let mut numbers = problem
        .strip_prefix("config:")
        .unwrap_or_default()
        .splitn(3, ':');
    let mut number = || -> Option<usize> { numbers.next()?.parse().ok() };
    let (Some(line), Some(column)) = (number(), number()) else {
        return false;
    };
    // An error may be just behind the last character.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let found = line
        .checked_sub(1)
        .and_then(|index| text.split('\n').nth(index));
    found.is_some_and(|line| (1..=line.chars().count() + 1).contains(&column))
}
