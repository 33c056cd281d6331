//! Parses and shortens the text of backtraces.
//!
//! std writes a frame as ` 12: shop::pay`, and on the next line `at ./src/main.rs:7:13`. Most
//! frames of a service belong to a runtime such as tokio. [`shorten`] replaces the frames of
//! runtimes with their number.

mod frame_owner;
mod source_path;

use std::{cmp::Reverse, fmt::Write as _};

use self::{frame_owner::Owner, source_path::relative_to};

pub use source_path::relative_path;

/// A frame of a backtrace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The number that std gave the frame.
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

/// A shortened backtrace shows at most this many frames. Frames of the application take precedence
/// over frames of libraries.
const MAX_FRAMES: usize = 50;

/// Parses the frames of a backtrace, innermost first.
///
/// Drops the frames of the panic machinery, and the frames that start the thread or `main`.
#[must_use]
pub fn frames(text: &str) -> Vec<Frame<'_>> {
    let mut frames = parse(text);
    let panic_index = frames
        .iter()
        .position(|frame| frame.is_function("__rust_end_short_backtrace"));
    if let Some(panic_index) = panic_index {
        let std_frames = frames[panic_index..]
            .iter()
            .take_while(|frame| frame.is_std());
        frames.drain(..panic_index + std_frames.count());
    }
    if let Some(entry_index) = frames
        .iter()
        .position(|frame| frame.is_function("__rust_begin_short_backtrace"))
    {
        frames.truncate(entry_index);
    }
    add_missing_modules(&mut frames);
    frames
}

/// Returns a shorter text of a backtrace: its [`frames`] in the format of std, with relative paths.
///
/// Frames of runtimes are only counted: `… 41 frames of tokio, 3 of std`. At the start of the
/// backtrace, they are omitted. At most 50 frames of the application and of libraries are shown.
/// Frames of the application take precedence, and further frames are only counted.
///
/// `file` is the source file of the panic, if it is known. With it, the paths are relative to the
/// directory in which the application was built.
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
    let build_directory = file.and_then(|file| find_build_directory(&frames, file));
    let mut out = String::new();
    let mut skipped = SkippedFrames::default();
    let is_application = |frame: &&Frame<'_>| frame.is_in_app();
    let mut app_frames_left = frames.iter().filter(is_application).count().min(MAX_FRAMES);
    let mut library_frames_left = MAX_FRAMES - app_frames_left;
    let mut remaining = frames.iter().peekable();
    // The backtrace of an error begins with the runtime frames that captured it. Skip these frames,
    // unless the backtrace has no others.
    while remaining.next_if(|frame| is_runtime(frame)).is_some() {}
    if remaining.peek().is_none() {
        remaining = frames.iter().peekable();
    }
    while let Some(frame) = remaining.next() {
        match frame.owner() {
            Owner::Runtime(name) => skipped.add(name),
            Owner::Library if library_frames_left == 0 => skipped.add("libraries"),
            Owner::Library => {
                skipped.write(&mut out);
                frame.write(&mut out, build_directory);
                library_frames_left -= 1;
            }
            Owner::Application if app_frames_left == 0 => {
                skipped.write(&mut out);
                // Writing to a `String` does not fail.
                let _ = writeln!(out, "      … {} more frames", 1 + remaining.count());
                return out;
            }
            Owner::Application => {
                skipped.write(&mut out);
                frame.write(&mut out, build_directory);
                app_frames_left -= 1;
            }
        }
    }
    skipped.write(&mut out);
    out
}

/// Returns the text that replaces each further backtrace after `limit` backtraces in a second.
#[must_use]
pub fn limit_notice(limit: u32) -> String {
    format!("(none: more than {limit} in a second)")
}

/// Returns the directory in which the application was built. `file` is the relative path of a
/// source file in one of the frames.
fn find_build_directory<'a>(frames: &[Frame<'a>], file: &str) -> Option<&'a str> {
    let mut directories = frames.iter().filter_map(|frame| {
        let directory = frame.file?.strip_suffix(file)?;
        (directory.len() > 1 && directory.ends_with('/') && directory != "./").then_some(directory)
    });
    directories.next()
}

fn is_runtime(frame: &Frame<'_>) -> bool {
    matches!(frame.owner(), Owner::Runtime(_))
}

/// Consecutive frames that are only counted: pairs of an owner and the number of its frames. The
/// owner is the name of a runtime, or `libraries`.
#[derive(Default)]
struct SkippedFrames(Vec<(&'static str, usize)>);

impl SkippedFrames {
    fn add(&mut self, owner: &'static str) {
        match self.0.iter_mut().find(|(counted, _)| *counted == owner) {
            Some((_, count)) => *count += 1,
            None => self.0.push((owner, 1)),
        }
    }

    /// Writes the counts, largest first, and clears them.
    fn write(&mut self, out: &mut String) {
        self.0.sort_by_key(|(_, count)| Reverse(*count));
        for (index, (owner, count)) in self.0.drain(..).enumerate() {
            // Writing to a `String` does not fail.
            let _ = match (index, count) {
                (0, 1) => write!(out, "      … 1 frame of {owner}"),
                (0, _) => write!(out, "      … {count} frames of {owner}"),
                _ => write!(out, ", {count} of {owner}"),
            };
        }
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
    }
}

impl Frame<'_> {
    fn write(&self, out: &mut String, build_directory: Option<&str>) {
        // Writing to a `String` does not fail.
        let _ = writeln!(out, "{:>4}: {}", self.number, self.function);
        if let Some(file) = self.file {
            let path = relative_to(file, build_directory);
            let _ = write!(out, "             at {path}");
            for number in [self.line, self.column].into_iter().flatten() {
                let _ = write!(out, ":{number}");
            }
            out.push('\n');
        }
    }

    /// Returns whether the frame belongs to the application, not to a library or a runtime.
    #[must_use]
    pub fn is_in_app(&self) -> bool {
        self.owner() == Owner::Application
    }

    fn owner(&self) -> Owner {
        frame_owner::frame_owner(&self.function, self.file)
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
        if let Some(location) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                set_location(frame, location);
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

fn set_location<'a>(frame: &mut Frame<'a>, location: &'a str) {
    let mut parts = location.rsplitn(3, ':');
    let (column, line, path) = (parts.next(), parts.next(), parts.next());
    if let (Some(column), Some(line), Some(path)) = (column, line, path) {
        frame.column = column.parse().ok();
        frame.line = line.parse().ok();
        frame.file = Some(path);
    }
}

/// Adds the module to function names without a path, which occur in programs that are built with
/// line tables only. The module is that of the next outer frame in the same file.
fn add_missing_modules(frames: &mut [Frame<'_>]) {
    for index in (0..frames.len()).rev() {
        let (inner, outer) = frames.split_at_mut(index + 1);
        let frame = &mut inner[index];
        if frame.function.contains("::")
            || frame.file.map(frame_owner::path_owner) != Some(Owner::Application)
        {
            continue;
        }
        let mut same_file = outer.iter().filter(|outer| outer.file == frame.file);
        if let Some(module) = same_file
            .next()
            .and_then(|next| module_path(&next.function))
        {
            frame.function = format!("{module}::{}", frame.function);
        }
    }
}

/// Returns `shop::orders` for `shop::orders::pay::{{closure}}`.
fn module_path(function: &str) -> Option<&str> {
    let path = function.split("::{").next()?;
    let (module, _) = path.rsplit_once("::")?;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    module.chars().all(is_plain).then_some(module)
}
