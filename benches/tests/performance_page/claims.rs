//! The figures in prose. Each page lists the ones that it claims, with their formulas:
//!
//! ```text
//! <!-- figures
//! 8.9× = peers/instructions/fmt-json/flat ÷ peers/instructions/spanwise-prod/flat
//! 43 = adoption/crates/with-spanwise/service
//! 9× = goal
//! -->
//! ```
//!
//! A claim is right if the data gives the same number, rounded to its digits. Every number with a
//! `×` must be in the list, and everything in the list must be on the page.

use std::fs;

use crate::{figures::Figures, path, tables};

/// The README of the repository and of each crate, and the guides. Decisions are history.
pub(crate) fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned()];
    for entry in fs::read_dir(path("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    for entry in fs::read_dir(path("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        pages.push(format!("crates/{name}/README.md"));
    }
    pages.retain(|page| path(page).exists());
    pages.sort();
    pages
}

pub(crate) fn check(name: &str, text: &str, figures: &Figures, problems: &mut Vec<String>) {
    let (prose, listed) = split(text);
    let prose = tables::without(&prose);
    let mut claims = Vec::new();
    for line in &listed {
        let Some((claim, formula)) = line.split_once(" = ") else {
            problems.push(format!("{name}: `{line}` is not `figure = formula`"));
            continue;
        };
        if !numbers(&prose).any(|number| number == claim) {
            problems.push(format!("{name}: {claim} is listed, but not on the page"));
        }
        if formula != "goal" {
            match figures.evaluate(formula) {
                Some(value) if rounds_to(value, claim) => {}
                Some(value) => problems.push(format!(
                    "{name}: {claim} is {value:.4} by the data: {formula}"
                )),
                None => problems.push(format!("{name}: no data for {claim}: {formula}")),
            }
        }
        claims.push(claim);
    }
    for number in numbers(&prose).filter(|number| number.ends_with('×')) {
        if !claims.contains(&number) {
            problems.push(format!("{name}: {number} is not in a list of figures"));
        }
    }
}

/// The text without the lists, and the lines of the lists.
fn split(text: &str) -> (String, Vec<String>) {
    let (mut prose, mut listed) = (String::new(), Vec::new());
    let (mut in_list, mut in_code) = (false, false);
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        }
        match (line, in_list) {
            ("<!-- figures", _) => in_list = true,
            ("-->", true) => in_list = false,
            (line, true) => listed.push(line.to_owned()),
            (line, false) if !in_code => {
                prose.push_str(line);
                prose.push('\n');
            }
            _ => {}
        }
    }
    (prose, listed)
}

/// The words that begin with a digit, without the punctuation behind them.
fn numbers(prose: &str) -> impl Iterator<Item = &str> {
    let is_outside = |letter: char| letter.is_whitespace() || "()*|[]".contains(letter);
    let words = prose.split(is_outside);
    words
        .map(|word| word.trim_end_matches(['.', ',', ';', ':', '%']))
        .filter(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))
}

fn rounds_to(value: f64, claim: &str) -> bool {
    let digits = claim.trim_end_matches('×').replace(',', "");
    let decimals = digits.split_once('.').map_or(0, |(_, after)| after.len());
    format!("{value:.decimals$}") == digits
}
