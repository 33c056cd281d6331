//! The programs that `docs/migrate.md` and `docs/recipes.md` quote.
//!
//! `cargo run -p ecosystem -- NAME` runs one.

#![allow(
    clippy::disallowed_methods,
    reason = "services read settings of their own"
)]

mod programs;

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "how it is used")]
fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    programs::run(&name).unwrap_or_else(|| {
        eprintln!("usage: ecosystem NAME, of {:?}", programs::NAMES);
        ExitCode::from(2)
    })
}
