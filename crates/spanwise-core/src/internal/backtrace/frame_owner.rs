//! The owner of the code that a frame runs: the application, a library or a runtime.

use super::source_path::{package_name, relative_path};

/// The owner of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Application,
    /// A library that the application calls.
    Library,
    /// std, a runtime, or other code that calls the application.
    Runtime(&'static str),
}

/// Returns the owner of a frame, from its source file or else from its function.
pub(super) fn frame_owner(function: &str, file: Option<&str>) -> Owner {
    let by_path = file.map(path_owner);
    match (by_path, runtime_for_name(crate_name(function))) {
        // The source tree of the application may contain a copy of spanwise.
        (None, Some(runtime)) | (Some(Owner::Application), Some(runtime @ "spanwise")) => {
            Owner::Runtime(runtime)
        }
        (Some(by_path), _) => by_path,
        // The `main` function of C, and the code that calls it.
        (None, None) if !function.contains("::") => Owner::Runtime("unknown code"),
        (None, None) => Owner::Application,
    }
}

/// Returns `tokio` for `tokio::task::spawn`. For a method of a trait, returns the first name in the
/// path of the type. If the type has no path, returns the first name in the path of the trait:
/// `core` for `<F as core::future::Future>::poll`.
fn crate_name(function: &str) -> &str {
    let function = function.trim_start_matches(['<', '&', '*', '(', '[']);
    let function = function.strip_prefix("mut ").unwrap_or(function);
    let name_end = |text: &str| {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let type_end = name_end(function);
    match function[type_end..].strip_prefix(" as ") {
        Some(trait_path) => &trait_path[..name_end(trait_path)],
        None => &function[..type_end],
    }
}

/// Runtimes, and other crates that run the application, log for it or capture its backtraces. Each
/// has the name suffixes of its further crates, separated by blanks: `util` for `tokio_util`.
const RUNTIMES: [(&str, &str); 16] = [
    ("tokio", "util stream rustls native_tls tungstenite"),
    ("futures", "core util executor channel task io sink"),
    ("rayon", "core"),
    ("hyper", "util rustls tls timeout"),
    ("axum", "core extra server"),
    ("tower", "http service layer"),
    ("tracing", "core subscriber futures log opentelemetry error"),
    (
        "spanwise",
        "core http json sample sentry appender redact testing",
    ),
    ("h2", ""),
    ("tonic", ""),
    ("actix", "web http rt server service router"),
    ("smol", ""),
    ("anyhow", ""),
    ("eyre", ""),
    ("log", ""),
    ("backtrace", ""),
];

/// Returns the runtime that a dependency belongs to. The name may have any suffix: the runtime of
/// `tokio_postgres` is `tokio`.
fn runtime_for_dependency(krate: &str) -> Option<&'static str> {
    find_runtime(krate, |_, _| true)
}

/// Returns the runtime that a crate belongs to, judged by its name only. A crate such as
/// `log_ingest` may be part of the application, so only the suffixes in [`RUNTIMES`] match.
fn runtime_for_name(krate: &str) -> Option<&'static str> {
    match krate {
        "std" | "core" | "alloc" | "__rustc" | "rust_begin_unwind" => Some("std"),
        _ => find_runtime(krate, |known_suffixes, suffix| {
            known_suffixes.split(' ').any(|known| known == suffix)
        }),
    }
}

/// Finds the runtime of a crate by the start of the crate's name. `accepts_suffix` decides about a
/// suffix of the name. Its arguments are the known suffixes of the runtime, and the suffix.
fn find_runtime(krate: &str, accepts_suffix: impl Fn(&str, &str) -> bool) -> Option<&'static str> {
    if krate == "async_std" {
        return Some("async_std");
    }
    let (name, known_suffixes) = RUNTIMES.iter().find(|(name, _)| {
        let after_name = krate.strip_prefix(name);
        after_name.is_some_and(|after_name| after_name.is_empty() || after_name.starts_with('_'))
    })?;
    let suffix = krate[name.len()..].strip_prefix('_');
    suffix
        .is_none_or(|suffix| accepts_suffix(known_suffixes, suffix))
        .then_some(*name)
}

/// Returns the owner of a source file.
pub(super) fn path_owner(path: &str) -> Owner {
    let path = relative_path(path);
    let is_libc =
        path.contains("sysdeps/") || path.starts_with("nptl/") || path.starts_with("csu/");
    if path.starts_with("library/") {
        Owner::Runtime("std")
    } else if is_libc {
        Owner::Runtime("libc")
    } else if let Some(package) = package_name(path) {
        let krate = package.replace('-', "_");
        runtime_for_dependency(&krate).map_or(Owner::Library, Owner::Runtime)
    } else {
        Owner::Application
    }
}
