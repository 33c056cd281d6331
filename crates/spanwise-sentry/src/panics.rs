//! The backtrace of a panic, which comes as text, as the frames that Sentry shows.

use sentry_core::protocol::{Frame, Stacktrace};

/// A panic's stack is longer only if it recurses.
const MAX_FRAMES: usize = 100;

/// Reads what `std::backtrace::Backtrace` writes: `  12: shop::pay`, and on the next line `at ./src/main.rs:7:13`.
///
/// The frames go from the panic to the program's outermost function. What panicking itself calls,
/// and the runtime that called the program, are left out. Of the others, those of the program are
/// marked.
pub(crate) fn stacktrace(text: &str) -> Option<Stacktrace> {
    let mut frames = parse(text);
    for frame in &mut frames {
        frame.in_app = Some(is_in_app(frame));
    }
    let panic = frames
        .iter()
        .position(|frame| is(frame, "__rust_end_short_backtrace"));
    if let Some(panic) = panic {
        let machinery = frames[panic..].iter().take_while(|frame| is_std(frame));
        frames.drain(..panic + machinery.count());
    }
    if let Some(entry) = frames
        .iter()
        .position(|frame| is(frame, "__rust_begin_short_backtrace"))
    {
        frames.truncate(entry);
    }
    let is_own = |frame: &Frame| frame.in_app == Some(true);
    if let Some(outermost) = frames.iter().rposition(is_own) {
        frames.truncate(outermost + 1);
    }
    frames.truncate(MAX_FRAMES);
    name_modules(&mut frames);
    Stacktrace::from_frames_reversed(frames)
}

/// Completes names without a path, which a program has that is built with line tables alone: by the
/// module of the next frame of the same file.
fn name_modules(frames: &mut [Frame]) {
    for at in (0..frames.len()).rev() {
        let (inner, outer) = frames.split_at_mut(at + 1);
        let Frame {
            function,
            filename,
            in_app,
            ..
        } = &mut inner[at];
        let Some(name) = function.as_mut().filter(|name| !name.contains("::")) else {
            continue;
        };
        let mut same_file = outer.iter().filter(|frame| frame.filename == *filename);
        let next = same_file.next().and_then(|frame| frame.function.as_deref());
        if *in_app == Some(true)
            && let Some(module) = next.and_then(module_of)
        {
            *name = format!("{module}::{name}");
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

fn parse(text: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                locate(frame, place);
            }
            continue;
        }
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let function = line
            .split_once(": ")
            .filter(|(number, _)| is_number(number));
        if let Some((_, function)) = function {
            frames.push(Frame {
                function: Some(function.to_owned()),
                ..Frame::default()
            });
        }
    }
    frames
}

fn locate(frame: &mut Frame, place: &str) {
    let mut parts = place.rsplitn(3, ':');
    let (column, line, path) = (parts.next(), parts.next(), parts.next());
    if let (Some(column), Some(line), Some(path)) = (column, line, path) {
        frame.colno = column.parse().ok();
        frame.lineno = line.parse().ok();
        frame.filename = Some(path.to_owned());
    }
}

fn is(frame: &Frame, function: &str) -> bool {
    let own = frame.function.as_deref().unwrap_or_default();
    // `__rust_end_short_backtrace::<…>` or `__rust_begin_short_backtrace<…>`.
    let path = own.split('<').next().unwrap_or_default();
    path.trim_end_matches("::").ends_with(function)
}

fn is_std(frame: &Frame) -> bool {
    let function = frame.function.as_deref().unwrap_or_default();
    let is_of_std = matches!(crate_of(function), "std" | "core" | "alloc" | "__rustc");
    is_of_std || frame.filename.as_deref().is_some_and(is_path_of_std)
}

/// Of the program: by the path of its source, and where that is not known, by the crate in its
/// name.
fn is_in_app(frame: &Frame) -> bool {
    let function = frame.function.as_deref().unwrap_or_default();
    let of_others = is_other_crate(crate_of(function));
    match frame.filename.as_deref() {
        Some(path) => !of_others && !is_path_of_std(path) && !is_path_of_dependency(path),
        None => !of_others && function.contains("::"),
    }
}

fn is_path_of_std(path: &str) -> bool {
    path.starts_with("/rustc/") || path.contains("/lib/rustlib/src/rust/library/")
}

fn is_path_of_dependency(path: &str) -> bool {
    // As cargo lays them out, in whatever home; and the C library's.
    let parts = ["/registry/src/", "/git/checkouts/", "/sysdeps/", "/vendor/"];
    parts.iter().any(|part| path.contains(part)) || path.starts_with("./nptl/")
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

/// Whether `name` is a crate that runs the program, or logs for it.
fn is_other_crate(name: &str) -> bool {
    const CRATES: [&str; 20] = [
        "std",
        "core",
        "alloc",
        "__rustc",
        "rust_begin_unwind",
        "_start",
        "__libc_start_main",
        "start_thread",
        "clone",
        "clone3",
        "test",
        "backtrace",
        "async_std",
        "smol",
        "h2",
        "reqwest",
        "tonic",
        "log",
        "anyhow",
        "eyre",
    ];
    /// With those whose names go on after an underscore.
    const FAMILIES: [&str; 8] = [
        "tokio", "futures", "rayon", "hyper", "axum", "tower", "tracing", "spanwise",
    ];
    let is_of = |family: &&str| {
        let rest = name.strip_prefix(*family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    CRATES.contains(&name) || FAMILIES.iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panic in a handler of axum, as std writes it.
    const BACKTRACE: &str = "\
   0: spanwise::panic_hook::capture
             at /home/ada/.cargo/registry/src/index-1/spanwise-0.1.0/src/panic_hook.rs:57:9
   1: <alloc::boxed::Box<F,A> as core::ops::function::Fn<Args>>::call
             at /rustc/5980/library/alloc/src/boxed.rs:2220:9
   2: std::panicking::panic_with_hook
             at /rustc/5980/library/std/src/panicking.rs:833:13
   3: std::sys::backtrace::__rust_end_short_backtrace::<std::panicking::panic_handler::{closure#0}, !>
             at /rustc/5980/library/std/src/sys/backtrace.rs:174:18
   4: __rustc::rust_begin_unwind
             at /rustc/5980/library/std/src/panicking.rs:689:5
   5: core::panicking::panic_fmt
             at /rustc/5980/library/core/src/panicking.rs:80:14
   6: core::option::expect_failed
             at /rustc/5980/library/core/src/option.rs:2130:5
   7: shop::price
             at ./src/price.rs:12:9
   8: core::iter::traits::iterator::Iterator::map
             at /rustc/5980/library/core/src/iter/mod.rs:3:5
   9: {async_fn#0}
             at ./src/main.rs:40:13
  10: <F as axum::handler::Handler<M>>::call
             at /home/ada/.cargo/registry/src/index-1/axum-0.8.9/src/handler/mod.rs:3:5
  11: <core::pin::Pin<P> as core::future::future::Future>::poll
  12: tokio::runtime::task::core::Core<T,S>::poll
             at /home/ada/.cargo/registry/src/index-1/tokio-1.54.1/src/runtime/task/core.rs:365:24
  13: shop::main
             at ./src/main.rs:9:5
  14: core::ops::function::FnOnce::call_once
             at /rustc/5980/library/core/src/ops/function.rs:250:5
  15: std::sys::backtrace::__rust_begin_short_backtrace
  16: std::rt::lang_start
  17: main
  18: __libc_start_main
  19: _start
";

    fn frames(text: &str) -> Vec<(String, bool)> {
        let frames = stacktrace(text)
            .map(|stack| stack.frames)
            .unwrap_or_default();
        let frame = |frame: Frame| (frame.function.unwrap(), frame.in_app.unwrap());
        frames.into_iter().rev().map(frame).collect()
    }

    #[test]
    fn a_stack_goes_from_the_panic_to_main() {
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
            ("shop::main", true),
        ];
        let expected = expected.map(|(function, in_app)| (function.to_owned(), in_app));
        assert_eq!(frames(BACKTRACE), expected);
    }

    #[test]
    fn a_stack_without_lines_is_told_by_the_names() {
        let lines = BACKTRACE
            .lines()
            .filter(|line| !line.trim().starts_with("at "));
        let text: Vec<_> = lines.collect();
        let own: Vec<_> = frames(&text.join("\n"))
            .into_iter()
            .filter_map(|(function, in_app)| in_app.then_some(function))
            .collect();
        assert_eq!(own, ["shop::price", "shop::main"]);
    }

    #[test]
    fn a_stack_is_no_longer_than_it_may_be() {
        let deep: String = (0..10_000)
            .map(|at| format!("{at}: shop::recurse\n"))
            .collect();
        assert_eq!(frames(&deep).len(), MAX_FRAMES);
        assert_eq!(frames("disabled backtrace"), []);
    }
}
