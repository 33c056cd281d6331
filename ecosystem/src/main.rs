//! The programs that `docs/migrate.md` and `docs/recipes.md` quote: `cargo run -p ecosystem -- NAME`.

#![allow(
    clippy::print_stdout,
    reason = "programs that show what another crate has"
)]

mod programs;

use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    programs::run(&name).unwrap_or_else(|| {
        println!("usage: ecosystem NAME, of {:?}", programs::NAMES);
        ExitCode::from(2)
    })
}
