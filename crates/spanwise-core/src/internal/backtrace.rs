//! Backtraces as text, read and shortened.
//!
//! std writes a backtrace as `  12: shop::pay`, and on the next line `at ./src/main.rs:7:13`. Most
//! frames of a service's backtrace are those of its runtime. [`shorten`] counts them instead.

use std::{cmp::Reverse, fmt::Write as _};

/// A frame of a backtrace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The number that std gave it.
    pub number: u32,
    /// The name of the function: `shop::pay`.
    pub function: String,
    /// The source file.
    pub file: Option<&'a str>,
    /// The line in that file.
    pub line: Option<u32>,
    /// The column in that line.
    pub column: Option<u32>,
}

/// Whose code a frame runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Program,
    /// A library that the program calls.
    Library,
    /// std, a runtime, or something else that calls the program.
    Runtime(&'static str),
}

/// A shortened backtrace has at most this many frames.
const MAX_FRAMES: usize = 50;

/// Reads the frames of a backtrace, from the panic or the error to the entry of the runtime.
///
/// Frames are left out that panicking itself runs, and those of the runtime that started the thread
/// or `main`.
#[must_use]
pub fn frames(text: &str) -> Vec<Frame<'_>> {
    let mut frames = parse(text);
    let panic = frames
        .iter()
        .position(|frame| frame.is_function("__rust_end_short_backtrace"));
    if let Some(panic) = panic {
        let machinery = frames[panic..].iter().take_while(|frame| frame.is_std());
        frames.drain(..panic + machinery.count());
    }
    if let Some(entry) = frames
        .iter()
        .position(|frame| frame.is_function("__rust_begin_short_backtrace"))
    {
        frames.truncate(entry);
    }
    name_modules(&mut frames);
    frames
}

/// Writes a backtrace anew: its [`frames`], as std writes them, with relative paths. Frames of
/// runtimes are skipped: `… 41 frames of tokio, 3 of std`.
///
/// `file` is the source file of the panic, if it is known. It says which directory paths are
/// relative to.
///
/// ```
/// let text = "  \
///    0: shop::price
///              at /build/shop/src/price.rs:12:9
///    1: tokio::runtime::task::core::Core<T,S>::poll
///              at /home/ada/.cargo/registry/src/index-1/tokio-1.54.1/src/runtime/task/core.rs:365:24
///    2: tokio::runtime::task::harness::poll_future";
/// let short = spanwise_core::internal::backtrace::shorten(text, Some("src/price.rs"));
/// assert_eq!(
///     short,
///     "   0: shop::price\n             at src/price.rs:12:9\n      … 2 frames of tokio\n"
/// );
/// ```
#[must_use]
pub fn shorten(text: &str, file: Option<&str>) -> String {
    let frames = frames(text);
    let root = file.and_then(|file| root(&frames, file));
    let mut out = String::new();
    let mut skipped = SkippedFrames::default();
    let mut shown = 0;
    let mut rest = frames.iter().peekable();
    // Of an error, the frames that captured it come first.
    while rest.next_if(|frame| is_runtime(frame)).is_some() {}
    if rest.peek().is_none() {
        rest = frames.iter().peekable();
    }
    while let Some(frame) = rest.next() {
        match frame.owner() {
            Owner::Runtime(name) => skipped.add(name),
            Owner::Program | Owner::Library if shown == MAX_FRAMES => {
                skipped.write(&mut out);
                // Writing to a `String` does not fail.
                let _ = writeln!(out, "      … {} more frames", 1 + rest.count());
                return out;
            }
            Owner::Program | Owner::Library => {
                skipped.write(&mut out);
                frame.write(&mut out, root);
                shown += 1;
            }
        }
    }
    skipped.write(&mut out);
    out
}

/// Returns the remark that stands for a backtrace where more than `limit` are asked for in a second.
#[must_use]
pub fn limit_notice(limit: u32) -> String {
    format!("(none: more than {limit} in a second)")
}

/// Returns the path of a source file without the directory of the machine that built it:
/// `src/price.rs`, `sqlx-core-0.8.6/src/pool.rs`.
#[must_use]
pub fn relative_path(path: &str) -> &str {
    relative_to(path, None)
}

fn is_runtime(frame: &Frame<'_>) -> bool {
    matches!(frame.owner(), Owner::Runtime(_))
}

/// Counts frames in a row, by whose they are.
#[derive(Default)]
struct SkippedFrames(Vec<(&'static str, usize)>);

impl SkippedFrames {
    fn add(&mut self, name: &'static str) {
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => *count += 1,
            None => self.0.push((name, 1)),
        }
    }

    fn write(&mut self, out: &mut String) {
        self.0.sort_by_key(|(_, count)| Reverse(*count));
        for (index, (name, count)) in self.0.drain(..).enumerate() {
            // Writing to a `String` does not fail.
            let _ = match (index, count) {
                (0, 1) => write!(out, "      … 1 frame of {name}"),
                (0, _) => write!(out, "      … {count} frames of {name}"),
                _ => write!(out, ", {count} of {name}"),
            };
        }
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
    }
}

impl Frame<'_> {
    fn write(&self, out: &mut String, root: Option<&str>) {
        // Writing to a `String` does not fail.
        let _ = writeln!(out, "{:>4}: {}", self.number, self.function);
        if let Some(file) = self.file {
            let _ = write!(out, "             at {}", relative_to(file, root));
            for number in [self.line, self.column].into_iter().flatten() {
                let _ = write!(out, ":{number}");
            }
            out.push('\n');
        }
    }

    /// Returns whether the frame is of the program itself, not of a library or a runtime.
    #[must_use]
    pub fn is_in_app(&self) -> bool {
        self.owner() == Owner::Program
    }

    fn owner(&self) -> Owner {
        let by_path = self.file.map(path_owner);
        match (by_path, runtime_named(crate_of(&self.function))) {
            // A program may have a copy of spanwise.
            (None, Some(runtime)) | (Some(Owner::Program), Some(runtime @ "spanwise")) => {
                Owner::Runtime(runtime)
            }
            (Some(by_path), _) => by_path,
            // The `main` of C, and what is before it.
            (None, None) if !self.function.contains("::") => Owner::Runtime("unknown code"),
            (None, None) => Owner::Program,
        }
    }

    fn is_std(&self) -> bool {
        self.owner() == Owner::Runtime("std")
    }

    fn is_function(&self, function: &str) -> bool {
        // `__rust_end_short_backtrace::<…>` or `__rust_begin_short_backtrace<…>`.
        let path = self.function.split('<').next().unwrap_or_default();
        path.trim_end_matches("::").ends_with(function)
    }
}

fn parse(text: &str) -> Vec<Frame<'_>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                set_location(frame, place);
            }
            continue;
        }
        let parts = line.split_once(": ");
        let parts = parts.and_then(|(number, function)| Some((number.parse().ok()?, function)));
        if let Some((number, function)) = parts {
            frames.push(Frame {
                number,
                function: function.to_owned(),
                file: None,
                line: None,
                column: None,
            });
        }
    }
    frames
}

fn set_location<'a>(frame: &mut Frame<'a>, place: &'a str) {
    let mut parts = place.rsplitn(3, ':');
    let (column, line, path) = (parts.next(), parts.next(), parts.next());
    if let (Some(column), Some(line), Some(path)) = (column, line, path) {
        frame.column = column.parse().ok();
        frame.line = line.parse().ok();
        frame.file = Some(path);
    }
}

/// Completes names without a path, which a program has that is built with line tables alone: by the
/// module of the next frame of the same file.
fn name_modules(frames: &mut [Frame<'_>]) {
    for at in (0..frames.len()).rev() {
        let (inner, outer) = frames.split_at_mut(at + 1);
        let frame = &mut inner[at];
        if frame.function.contains("::") || frame.file.map(path_owner) != Some(Owner::Program) {
            continue;
        }
        let mut same_file = outer.iter().filter(|outer| outer.file == frame.file);
        if let Some(module) = same_file.next().and_then(|next| module_of(&next.function)) {
            frame.function = format!("{module}::{}", frame.function);
        }
    }
}

/// `shop::orders` of `shop::orders::pay::{{closure}}`.
fn module_of(function: &str) -> Option<&str> {
    let path = function.split("::{").next()?;
    let (module, _) = path.rsplit_once("::")?;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    module.chars().all(is_plain).then_some(module)
}

/// `tokio` of `<tokio::task::Task as core::future::Future>::poll`. Of `<F as Future>::poll`, whose
/// type is a name alone, that of the trait.
fn crate_of(function: &str) -> &str {
    let function = function.trim_start_matches(['<', '&', '*', '(', '[']);
    let function = function.strip_prefix("mut ").unwrap_or(function);
    let name = |text: &str| {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let end = name(function);
    match function[end..].strip_prefix(" as ") {
        Some(of_trait) => &of_trait[..name(of_trait)],
        None => &function[..end],
    }
}

/// Runtimes that run the program or log for it, each with the crates that its name begins.
const RUNTIMES: [(&str, &[&str]); 16] = [
    (
        "tokio",
        &["util", "stream", "rustls", "native_tls", "tungstenite"],
    ),
    (
        "futures",
        &["core", "util", "executor", "channel", "task", "io", "sink"],
    ),
    ("rayon", &["core"]),
    ("hyper", &["util", "rustls", "tls", "timeout"]),
    ("axum", &["core", "extra", "server"]),
    ("tower", &["http", "service", "layer"]),
    (
        "tracing",
        &[
            "core",
            "subscriber",
            "futures",
            "log",
            "opentelemetry",
            "error",
        ],
    ),
    (
        "spanwise",
        &[
            "core", "http", "json", "sample", "sentry", "appender", "redact", "testing",
        ],
    ),
    ("h2", &[]),
    ("tonic", &[]),
    (
        "actix",
        &["web", "http", "rt", "server", "service", "router"],
    ),
    ("smol", &[]),
    ("anyhow", &[]),
    ("eyre", &[]),
    ("log", &[]),
    ("backtrace", &[]),
];

/// The runtime of a dependency: `tokio` of `tokio_postgres`.
fn runtime_of_crate(krate: &str) -> Option<&'static str> {
    find_runtime(krate, |_, _| true)
}

/// The runtime of a crate whose path is not known. It may be the program's own, such as
/// `log_ingest`, so only known names count.
fn runtime_named(krate: &str) -> Option<&'static str> {
    match krate {
        "std" | "core" | "alloc" | "__rustc" | "rust_begin_unwind" => Some("std"),
        _ => find_runtime(krate, |parts, part| parts.contains(&part)),
    }
}

fn find_runtime(krate: &str, is_part: impl Fn(&[&str], &str) -> bool) -> Option<&'static str> {
    if krate == "async_std" {
        return Some("async_std");
    }
    let (name, parts) = RUNTIMES.iter().find(|(name, _)| {
        let rest = krate.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })?;
    let part = krate[name.len()..].strip_prefix('_');
    part.is_none_or(|part| is_part(parts, part))
        .then_some(*name)
}

fn path_owner(path: &str) -> Owner {
    let path = relative_path(path);
    let is_libc =
        path.contains("sysdeps/") || path.starts_with("nptl/") || path.starts_with("csu/");
    if path.starts_with("library/") {
        Owner::Runtime("std")
    } else if is_libc {
        Owner::Runtime("libc")
    } else if let Some(package) = package_of(path) {
        let krate = package.replace('-', "_");
        runtime_of_crate(&krate).map_or(Owner::Library, Owner::Runtime)
    } else {
        Owner::Program
    }
}

/// The package of a dependency, by its [relative](relative_path) path: `tokio` of `tokio-1.54.1/src/lib.rs`.
fn package_of(path: &str) -> Option<&str> {
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

/// `tokio-util` of `tokio-util-0.7.1`.
fn without_version(directory: &str) -> Option<&str> {
    let is_version =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.');
    let mut dashes = directory.match_indices('-').map(|(at, _)| at);
    let at = dashes.find(|at| is_version(&directory[at + 1..]))?;
    Some(&directory[..at])
}

/// The directory that the program was built in, by a file whose relative path is known.
fn root<'a>(frames: &[Frame<'a>], file: &str) -> Option<&'a str> {
    let roots = frames.iter().filter_map(|frame| {
        let root = frame.file?.strip_suffix(file)?;
        (root.len() > 1 && root.ends_with('/') && root != "./").then_some(root)
    });
    roots.into_iter().next()
}

fn relative_to<'a>(path: &'a str, root: Option<&str>) -> &'a str {
    if let Some(rest) = root.and_then(|root| path.strip_prefix(root)) {
        return rest;
    }
    if let Some(rest) = path.strip_prefix("./") {
        return rest;
    }
    // As cargo and rustup lay them out, in whatever home.
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        return rest.split_once('/').map_or(rest, |(_, rest)| rest);
    }
    if let Some(rest) = path.strip_prefix("/rustc/") {
        return rest.split_once('/').map_or(rest, |(_, rest)| rest);
    }
    for directory in ["/rustlib/src/rust/library/", "/git/checkouts/", "/vendor/"] {
        if let Some(at) = path.find(directory) {
            let kept = match directory {
                "/rustlib/src/rust/library/" => at + "/rustlib/src/rust/".len(),
                _ => at + 1,
            };
            return &path[kept..];
        }
    }
    let is_absolute = path.starts_with('/') || path.get(1..3).is_some_and(|at| at == ":\\");
    if is_absolute {
        from_package(path)
    } else {
        path
    }
}

/// `pay/src/card.rs` of `/build/shop/pay/src/card.rs`.
fn from_package(path: &str) -> &str {
    let targets = ["/src/", "/tests/", "/examples/", "/benches/"];
    let Some(target) = targets.iter().filter_map(|target| path.find(target)).min() else {
        return path.trim_start_matches('/');
    };
    let start = path[..target].rfind('/').map_or(0, |at| at + 1);
    match without_version(&path[start..target]) {
        // It would pass for a dependency.
        Some(_) => &path[target + 1..],
        None => &path[start..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panic in a handler of axum, as std writes it.
    const BACKTRACE: &str = include_str!("backtrace/axum.txt");

    fn functions(frames: &[Frame<'_>]) -> Vec<(String, bool)> {
        let name = |frame: &Frame<'_>| (frame.function.clone(), frame.is_in_app());
        frames.iter().map(name).collect()
    }

    #[test]
    fn frames_run_from_panic_to_main() {
        let expected = [
            ("shop::price", true),
            ("core::iter::traits::iterator::Iterator::map", false),
            ("shop::{async_fn#0}", true),
            ("<F as axum::handler::Handler<M>>::call", false),
            (
                "<core::pin::Pin<P> as core::future::future::Future>::poll",
                false,
            ),
            ("tokio::runtime::task::core::Core<T,S>::poll", false),
            ("sqlx_core::pool::Pool<DB>::acquire", false),
            ("shop::main", true),
            ("core::ops::function::FnOnce::call_once", false),
        ];
        let expected = expected.map(|(function, in_app)| (function.to_owned(), in_app));
        assert_eq!(functions(&frames(BACKTRACE)), expected);
    }

    #[test]
    fn shorten_keeps_program_and_library_frames() {
        let expected = "   7: shop::price
             at src/price.rs:12:9
      … 1 frame of std
   9: shop::{async_fn#0}
             at src/main.rs:40:13
      … 1 frame of axum, 1 of std, 1 of tokio
  13: sqlx_core::pool::Pool<DB>::acquire
             at sqlx-core-0.8.6/src/pool/mod.rs:3:5
  14: shop::main
             at src/main.rs:9:5
      … 1 frame of std
";
        assert_eq!(shorten(BACKTRACE, Some("src/price.rs")), expected);
        // What is shortened can be read, and stays as it is.
        assert_eq!(
            functions(&frames(expected)),
            functions(&frames(BACKTRACE))
                .into_iter()
                .filter(|(function, in_app)| *in_app || function.starts_with("sqlx"))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn owner_is_guessed_from_names_without_paths() {
        let lines = BACKTRACE
            .lines()
            .filter(|line| !line.trim().starts_with("at "));
        let text: Vec<_> = lines.collect();
        let own: Vec<_> = functions(&frames(&text.join("\n")))
            .into_iter()
            .filter_map(|(function, in_app)| in_app.then_some(function))
            .collect();
        // Without debug information a library looks as the program does.
        assert_eq!(
            own,
            [
                "shop::price",
                "sqlx_core::pool::Pool<DB>::acquire",
                "shop::main"
            ]
        );
    }

    #[test]
    fn relative_path_drops_build_directories() {
        for (path, expected) in [
            ("./src/main.rs", "src/main.rs"),
            ("src/main.rs", "src/main.rs"),
            ("/build/shop/src/price.rs", "shop/src/price.rs"),
            ("/build/shop-1.4.0/src/price.rs", "src/price.rs"),
            ("/build/ws/pay/tests/it/src/a.rs", "pay/tests/it/src/a.rs"),
            ("/build/out/generated.rs", "build/out/generated.rs"),
            (
                "/home/ada/.cargo/registry/src/index-1949/tokio-1.54.1/src/lib.rs",
                "tokio-1.54.1/src/lib.rs",
            ),
            (
                "/home/ada/.cargo/git/checkouts/sqlx-01ab/9f/src/lib.rs",
                "git/checkouts/sqlx-01ab/9f/src/lib.rs",
            ),
            (
                "/build/shop/vendor/serde/src/de.rs",
                "vendor/serde/src/de.rs",
            ),
            (
                "/rustc/5980/library/core/src/option.rs",
                "library/core/src/option.rs",
            ),
            (
                "/r/toolchains/stable/lib/rustlib/src/rust/library/std/src/rt.rs",
                "library/std/src/rt.rs",
            ),
            ("C:\\shop\\src\\main.rs", "C:\\shop\\src\\main.rs"),
            ("", ""),
            ("/", ""),
        ] {
            assert_eq!(relative_path(path), expected, "{path}");
        }
        // The file of the panic says where the others are.
        let text = "0: shop::a\n at /build/shop/crates/a/src/lib.rs:1:2\n\
                    1: shop::b\n at /build/shop/b.rs:3:4";
        let short = shorten(text, Some("crates/a/src/lib.rs"));
        assert!(short.contains("at crates/a/src/lib.rs:1:2\n"), "{short}");
        assert!(short.contains("at b.rs:3:4\n"), "{short}");
    }

    #[test]
    fn shorten_ignores_other_text_and_limits_frames() {
        for text in ["", "disabled backtrace", "a: b\n: c\n at d", "at x:1:2"] {
            assert_eq!(shorten(text, None), "", "{text}");
        }
        let deep: String = (0..10_000)
            .map(|at| format!("{at}: shop::recurse\n"))
            .collect();
        let short = shorten(&deep, None);
        assert_eq!(short.lines().count(), MAX_FRAMES + 1);
        assert!(short.ends_with("  49: shop::recurse\n      … 9950 more frames\n"));
        assert_eq!(
            shorten("0: <unknown>\n1: <unknown>\n", None),
            "      … 2 frames of unknown code\n"
        );
    }

    #[test]
    fn path_owner_recognizes_crates() {
        let owner = |path: &str| match path_owner(path) {
            Owner::Program => "program",
            Owner::Library => "library",
            Owner::Runtime(name) => name,
        };
        for (path, expected) in [
            ("./src/main.rs", "program"),
            ("shop/src/main.rs", "program"),
            ("tokio-util-0.7.1/src/lib.rs", "tokio"),
            ("hyper-util-0.1.19/src/lib.rs", "hyper"),
            ("tower-http-0.6.1/src/lib.rs", "tower"),
            ("axum-core-0.5.0/src/lib.rs", "axum"),
            ("tokio-stream-0.1.0-rc.1/src/lib.rs", "tokio"),
            ("sqlx-0.8.6/src/lib.rs", "library"),
            ("towers-1.0.0/src/lib.rs", "library"),
            ("git/checkouts/tokio-01ab/9f/src/lib.rs", "tokio"),
            ("/x/vendor/hyper/src/lib.rs", "hyper"),
            ("./nptl/pthread_create.c", "libc"),
            ("./misc/../sysdeps/unix/sysv/linux/x86_64/clone3.S", "libc"),
            ("/rustc/5980/library/std/src/rt.rs", "std"),
        ] {
            assert_eq!(owner(path), expected, "{path}");
        }
    }

    #[test]
    fn crates_named_like_runtimes_are_in_app() {
        for krate in [
            "log_ingest",
            "tower_api",
            "futures_desk",
            "actix_shop",
            "tokio_jobs",
            "test",
        ] {
            let text = format!(
                "0: {krate}::price\n at ./src/price.rs:1:2\n1: {krate}::main\n at /build/a/src/main.rs:3:4"
            );
            let owned = functions(&frames(&text));
            assert!(owned.iter().all(|(_, in_app)| *in_app), "{owned:?}");
            assert_eq!(shorten(&text, Some("src/price.rs")).lines().count(), 4);
            // A release build has no paths.
            let text = format!("0: {krate}::price\n1: tokio_util::a\n2: axum::b\n3: {krate}::main");
            let owned = functions(&frames(&text))
                .into_iter()
                .map(|(_, in_app)| in_app);
            let owned: Vec<_> = owned.collect();
            assert_eq!(owned, [true, false, false, true], "{krate}");
        }
    }
}
