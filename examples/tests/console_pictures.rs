//! The pictures of the console show what the example `console` prints at a terminal.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "../../crates/spanwise/tests/programs/pseudo_terminal.rs"]
mod pseudo_terminal;

use std::process::Command;

/// The columns of the pictures.
const COLUMNS: u16 = 120;

/// What the example prints, without colours.
fn printed(format: &str) -> String {
    // Cargo builds the examples of a package along with its tests, into a folder beside theirs.
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let mut program = Command::new(target.join("examples/console"));
    let program = program.arg(format).env_clear().env("NO_COLOR", "1");
    pseudo_terminal::run(program, COLUMNS)
}

/// The text of a picture: each row of the terminal is an element.
fn text(svg: &str) -> String {
    let rows = svg.split("<text ").skip(1).map(|row| {
        let (row, _) = row.split_once("</text>").unwrap();
        let pieces = row.split('>').map(|piece| piece.split('<').next().unwrap());
        let text: String = pieces.skip(1).collect();
        let text = text.replace("&lt;", "<").replace("&gt;", ">");
        text.replace("&amp;", "&") + "\n"
    });
    rows.collect()
}

#[test]
fn picture_of_pretty_is_what_it_prints() {
    let picture = include_str!("../../docs/pictures/console-pretty.svg");
    assert_eq!(text(picture), printed("pretty"));
}

#[test]
fn picture_of_compact_is_what_it_prints() {
    let picture = include_str!("../../docs/pictures/console-compact.svg");
    assert_eq!(text(picture), printed("compact"));
}
