//! The program we are in.

use std::path::Path;

/// The name of the program's file, as its crate is called in targets: `my-shop` is `my_shop`.
pub(crate) fn name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let in_deps = path
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|folder| folder == "deps");
    let name = if in_deps { without_hash(&stem) } else { &stem };
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name.replace('-', "_")
    }
}

/// Cargo names the binaries of tests `name-0123456789abcdef`.
fn without_hash(stem: &str) -> &str {
    match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()) => {
            name
        }
        _ => stem,
    }
}
