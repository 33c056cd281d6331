//! Prints the public items of the crate that a file of rustdoc's JSON describes, one per line.
//!
//! `scripts/public-api` runs this program. The list omits blanket, automatic and derived trait
//! implementations. Any other trait implementation is one line, without its methods.

use std::{error::Error, io::Write};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("usage: public-api-list FILE.json")?;
    let api = public_api::Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    let mut out = std::io::stdout().lock();
    // The type that the trait is implemented for, while the items of a trait implementation follow.
    let mut implementor: Option<String> = None;
    for item in api.items() {
        let line = item.to_string();
        if line.starts_with("impl") {
            let implemented = line.split_once(" for ").map(|(_, of)| without_generics(of));
            implementor = implemented.map(str::to_owned);
            writeln!(out, "{line}")?;
            continue;
        }
        let is_in_impl = implementor.as_ref().is_some_and(|of| is_member(&line, of));
        if !is_in_impl {
            implementor = None;
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn without_generics(name: &str) -> &str {
    let name = name.split(" where ").next().unwrap_or(name);
    name.split('<').next().unwrap_or(name)
}

/// Returns whether the line is a function or an associated type of the type `implementor`.
fn is_member(line: &str, implementor: &str) -> bool {
    let Some(mut rest) = line.strip_prefix("pub ") else {
        return false;
    };
    for qualifier in ["const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(qualifier).unwrap_or(rest);
    }
    let member = rest
        .strip_prefix("fn ")
        .or_else(|| rest.strip_prefix("type "));
    let after = member.and_then(|member| member.strip_prefix(implementor));
    after.is_some_and(|after| after.starts_with(['<', ':']))
}
