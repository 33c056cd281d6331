//! A panic shows no secrets in its event, in the text of std, or in messages about logging itself.
//! A custom hook receives the panic unchanged.

use std::{
    io,
    panic::{self, PanicHookInfo},
    process::Output,
};

use spanwise::{Builder, InitError, Preset};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "panic_secrets",
    run: || {
        panic_message_is_shown_without_the_secret();
        panic_without_a_secret_is_printed_by_std();
        hook_set_by_the_program_gets_the_panic();
        what_logging_says_about_itself_is_without_it_too();
        panic_forges_no_line_on_stderr();
    },
    victims: &[
        ("panics", panics),
        ("panics-without-output", panics_without_output),
        ("panics-with-hook", panics_with_hook),
        ("writer-fails", writer_fails),
        ("hostile-panics", hostile_panics),
    ],
};

const TOKEN: &str = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";

fn panics() -> Result<(), InitError> {
    panics_under(Builder::new(Preset::Prod))
}

/// std prints the panic if no output accepts it.
fn panics_without_output() -> Result<(), InitError> {
    panics_under(Builder::new(Preset::Prod).output(spanwise::Output::None))
}

fn panics_under(builder: Builder) -> Result<(), InitError> {
    let _telemetry = builder.init()?;
    let worker = std::thread::Builder::new().name("worker".to_owned());
    let secret = worker.spawn(|| panic!("no access with {TOKEN} to the shop"));
    let _ = secret.unwrap().join();
    let harmless = std::thread::spawn(|| panic!("out of {}", "stock"));
    let _ = harmless.join();
    Ok(())
}

fn panics_with_hook() -> Result<(), InitError> {
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let text = info.payload().downcast_ref::<String>();
        eprintln!("hook: {}", text.unwrap());
    }));
    panics()
}

fn writer_fails() -> Result<(), InitError> {
    struct Broken;
    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other(format!(
                "https://ada:{TOKEN}@logs.example is gone"
            )))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let _telemetry = Builder::new(Preset::Prod).with_writer(|| Broken).init()?;
    tracing::info!("lost");
    Ok(())
}

fn hostile_panics() -> Result<(), InitError> {
    let _telemetry = Builder::new(Preset::Dev)
        .output(spanwise::Output::None)
        .init()?;
    for text in [
        "a\n12:00:00.000 ERROR forged",
        "a\n INFO shop forged",
        "\u{1b}[2Jcleared",
        "\u{202e}turned",
    ] {
        let name = std::thread::Builder::new().name(format!("worker {text}"));
        let _ = name.spawn(move || panic!("{text}")).unwrap().join();
        let _ = std::thread::spawn(move || panic!("{text}")).join();
    }
    let _ = std::thread::spawn(|| assert_eq!(1, 2)).join();
    Ok(())
}

fn panic_forges_no_line_on_stderr() {
    let (_, stderr) = run("hostile-panics");
    assert!(!stderr.contains(['\u{1b}', '\u{202e}']), "{stderr:?}");
    assert!(
        !stderr
            .lines()
            .any(|line| line.starts_with("12:00") || line.starts_with(" INFO")),
        "{stderr}"
    );
    for forged in ["| 12:00:00.000 ERROR forged", "|  INFO shop forged"] {
        assert_eq!(stderr.matches(forged).count(), 2, "{stderr}");
    }
    // A text without control characters is printed by std.
    assert!(
        stderr.contains("\n  left: 1\n right: 2\nnote: "),
        "{stderr}"
    );
}

fn run(how: &str) -> (String, String) {
    let Output { stdout, stderr, .. } = victim(how).env_clear().output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr))
}

fn panic_message_is_shown_without_the_secret() {
    let (stdout, stderr) = run("panics");
    assert!(
        !stdout.contains(TOKEN) && !stderr.contains(TOKEN),
        "{stdout}{stderr}"
    );
    assert!(
        stdout.contains(r#""message":"no access with [REDACTED] to the shop""#),
        "{stdout}"
    );
    assert_eq!(stderr, "");
    let (_, stderr) = run("panics-without-output");
    assert!(!stderr.contains(TOKEN), "{stderr}");
    assert!(stderr.contains("thread 'worker' panicked at "), "{stderr}");
    assert!(
        stderr.contains("\n  | no access with [REDACTED] to the shop\n"),
        "{stderr}"
    );
}

fn panic_without_a_secret_is_printed_by_std() {
    let (_, stderr) = run("panics-without-output");
    assert!(
        stderr.contains("\nout of stock\nnote: run with `RUST_BACKTRACE=1`"),
        "{stderr}"
    );
}

fn hook_set_by_the_program_gets_the_panic() {
    let (stdout, stderr) = run("panics-with-hook");
    assert!(!stdout.contains(TOKEN), "{stdout}");
    assert!(
        stderr.contains(&format!("hook: no access with {TOKEN} to the shop")),
        "{stderr}"
    );
}

fn what_logging_says_about_itself_is_without_it_too() {
    let (_, stderr) = run("writer-fails");
    assert!(
        stderr.contains("spanwise: write failed") && !stderr.contains(TOKEN),
        "{stderr}"
    );
    assert!(stderr.contains("[REDACTED]"), "{stderr}");
}
