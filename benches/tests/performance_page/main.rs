//! The tables of `docs/performance.md`, and the figures that other pages claim, come from
//! `docs/performance.tsv`, which `scripts/performance` writes.
//!
//! `UPDATE_DOCS=1 cargo test -p benches --test performance_page` writes the tables.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test are tests to everyone but clippy"
)]

mod claims;
mod figures;
mod goals;
mod tables;

use std::{fs, path::PathBuf};

use figures::Figures;

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn figures() -> Figures {
    Figures::parse(&read(DATA))
}

const DATA: &str = "docs/performance.tsv";
const PAGE: &str = "docs/performance.md";

#[test]
fn tables_are_those_of_the_data() {
    let page = read(PAGE);
    let rendered = tables::render(&page, &figures());
    #[expect(
        clippy::disallowed_methods,
        reason = "it belongs to this test, and not to the crates"
    )]
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(PAGE), rendered).unwrap();
        return;
    }
    assert!(
        page == rendered,
        "{PAGE} is not what {DATA} gives: UPDATE_DOCS=1 cargo test -p benches --test \
         performance_page"
    );
}

#[test]
fn every_table_is_generated() {
    let by_hand = tables::lines_outside(&read(PAGE));
    assert!(by_hand.is_empty(), "tables without a marker: {by_hand:#?}");
}

#[test]
fn every_table_is_on_the_page() {
    let page = read(PAGE);
    for table in tables::all() {
        assert!(
            page.contains(&tables::begin(table.name)),
            "{PAGE} has no table {}",
            table.name
        );
    }
}

#[test]
fn claims_are_those_of_the_data() {
    let figures = figures();
    let mut problems = Vec::new();
    for name in claims::pages() {
        claims::check(&name, &read(&name), &figures, &mut problems);
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn wrong_claims_are_found() {
    let figures = Figures::parse("a/b/c/d\t300\tx\na/b/e/d\t100\tx\n");
    let problems = |text: &str| {
        let mut problems = Vec::new();
        claims::check("page", text, &figures, &mut problems);
        problems.len()
    };
    assert_eq!(
        problems("It is 3.0× faster.\n\n<!-- figures\n3.0× = a/b/c/d ÷ a/b/e/d\n-->\n"),
        0
    );
    assert_eq!(
        problems("It is 3.1× faster.\n\n<!-- figures\n3.1× = a/b/c/d ÷ a/b/e/d\n-->\n"),
        1
    );
    assert_eq!(problems("It is 3.0× faster.\n"), 1);
    assert_eq!(
        problems("It is fast.\n\n<!-- figures\n3.0× = a/b/c/d ÷ a/b/e/d\n-->\n"),
        1
    );
    assert_eq!(
        problems("It is 3× faster.\n\n<!-- figures\n3× = a/b/c/d ÷ no/such/id/d\n-->\n"),
        1
    );
    assert_eq!(
        problems("The goal was 9×.\n\n<!-- figures\n9× = goal\n-->\n"),
        0
    );
    assert_eq!(
        problems("It takes 300.\n\n<!-- figures\n300 = a/b/c/d\n-->\n"),
        0
    );
}
