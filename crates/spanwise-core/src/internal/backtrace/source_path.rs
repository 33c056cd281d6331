//! Paths of source files, without the directories of the machine that built them.

/// Returns the path of a source file without the directory of the machine that built it:
/// `src/price.rs`, `sqlx-core-0.8.6/src/pool.rs`.
#[must_use]
pub fn relative_path(path: &str) -> &str {
    relative_to(path, None)
}

/// Returns the package of a dependency from its [relative](relative_path) path: `tokio` for
/// `tokio-1.54.1/src/lib.rs`.
pub(super) fn package_name(path: &str) -> Option<&str> {
    let (directory, path) = path.split_once('/')?;
    match directory {
        "vendor" => path.split('/').next(),
        // `git/checkouts/sqlx-0123456789abcdef/…`.
        "git" => {
            let directory = path.strip_prefix("checkouts/")?.split('/').next()?;
            directory.rsplit_once('-').map(|(package, _)| package)
        }
        _ => without_version(directory),
    }
}

/// Returns `tokio-util` for `tokio-util-0.7.1`, and `None` for a directory without a version.
fn without_version(directory: &str) -> Option<&str> {
    let is_version =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.');
    let mut dashes = directory.match_indices('-').map(|(at, _)| at);
    let name_end = dashes.find(|at| is_version(&directory[at + 1..]))?;
    Some(&directory[..name_end])
}

/// Like [`relative_path`], and also removes `build_directory`, the directory in which the
/// application was built, if it is known.
pub(super) fn relative_to<'a>(path: &'a str, build_directory: Option<&str>) -> &'a str {
    if let Some(relative) = build_directory.and_then(|directory| path.strip_prefix(directory)) {
        return relative;
    }
    if let Some(relative) = path.strip_prefix("./") {
        return relative;
    }
    // The layout of cargo and rustup, in any home directory.
    if let Some((_, in_registry)) = path.split_once("/registry/src/") {
        // Omits the name of the registry.
        return in_registry
            .split_once('/')
            .map_or(in_registry, |(_, relative)| relative);
    }
    if let Some(in_rustc) = path.strip_prefix("/rustc/") {
        // Omits the hash of the commit.
        return in_rustc
            .split_once('/')
            .map_or(in_rustc, |(_, relative)| relative);
    }
    for directory in ["/rustlib/src/rust/library/", "/git/checkouts/", "/vendor/"] {
        if let Some(at) = path.find(directory) {
            let start = match directory {
                "/rustlib/src/rust/library/" => at + "/rustlib/src/rust/".len(),
                _ => at + 1,
            };
            return &path[start..];
        }
    }
    let is_absolute = path.starts_with('/') || path.get(1..3) == Some(":\\");
    if is_absolute {
        path_from_package(path)
    } else {
        path
    }
}

/// Returns the path from the directory of the package: `pay/src/card.rs` for
/// `/build/shop/pay/src/card.rs`.
fn path_from_package(path: &str) -> &str {
    let source_directories = ["/src/", "/tests/", "/examples/", "/benches/"];
    let package_ends = source_directories.iter().filter_map(|name| path.find(name));
    let Some(package_end) = package_ends.min() else {
        return path.trim_start_matches('/');
    };
    let package_start = path[..package_end].rfind('/').map_or(0, |at| at + 1);
    match without_version(&path[package_start..package_end]) {
        // Omits the directory of the package, because with its version it would look like a
        // dependency.
        Some(_) => &path[package_end + 1..],
        None => &path[package_start..],
    }
}
