//! Parsed and shortened backtraces.

use spanwise_core::internal::backtrace::{Frame, frames, relative_path, shorten};

/// A panic in a handler of axum, as std writes it.
const BACKTRACE: &str = include_str!("axum_backtrace.txt");

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
    // A shortened backtrace can be parsed, and does not change when it is shortened again.
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
    // Without debug information, a library looks like the program.
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
    // The file of the panic reveals the directory of the other files.
    let text = "0: shop::a\n at /build/shop/crates/a/src/lib.rs:1:2\n\
                1: shop::b\n at /build/shop/b.rs:3:4";
    let short = shorten(text, Some("crates/a/src/lib.rs"));
    assert!(short.contains("at crates/a/src/lib.rs:1:2\n"), "{short}");
    assert!(short.contains("at b.rs:3:4\n"), "{short}");
}

/// The application calls a library that calls itself many times before it panics.
#[test]
fn application_frames_precede_library_frames() {
    let library = " at /home/ada/.cargo/registry/src/index-1/serde_json-1.0.0/src/de.rs:7:1\n";
    let mut deep: String = (0..100)
        .map(|at| format!("{at}: serde_json::de::parse\n{library}"))
        .collect();
    deep.push_str(
        "100: shop::price\n at src/price.rs:12:9\n101: shop::main\n at src/main.rs:3:4\n",
    );
    let short = shorten(&deep, None);
    let expected = "  47: serde_json::de::parse\n             at serde_json-1.0.0/src/de.rs:7:1\n      \
                    … 52 frames of libraries\n \
                    100: shop::price\n             at src/price.rs:12:9\n \
                    101: shop::main\n             at src/main.rs:3:4\n";
    assert!(short.ends_with(expected), "{short}");
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
    assert_eq!(short.lines().count(), 51);
    assert!(short.ends_with("  49: shop::recurse\n      … 9950 more frames\n"));
    assert_eq!(
        shorten("0: <unknown>\n1: <unknown>\n", None),
        "      … 2 frames of unknown code\n"
    );
}

#[test]
fn path_owner_recognizes_crates() {
    let owner = |path: &str| {
        let text = format!("0: f::f\n at {path}:1:2\n");
        let short = shorten(&text, None);
        match short.strip_prefix("      … 1 frame of ") {
            Some(runtime) => runtime.trim_end().to_owned(),
            None if frames(&text)[0].is_in_app() => "program".to_owned(),
            None => "library".to_owned(),
        }
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
