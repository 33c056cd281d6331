//! `spanwise::run` logs the error that `main` returns, keeps the exit code of std, and loses no
//! line.

use std::{
    error::Error,
    fmt, io,
    process::{ExitCode, Termination},
};

use serde_json::{Value, json};
use spanwise::{Builder, Output, Preset, Telemetry};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "failed_main",
    run,
    victims: &[],
};

/// A program with its own exit code. The name of its victim begins with `main-`.
type Program = (&'static str, fn() -> ExitCode);

pub(crate) const PROGRAMS: [Program; 16] = [
    ("unit", || run_with(|_| tracing::info!("served"))),
    ("code", || run_with(|_| ExitCode::from(7))),
    ("ok-unit", || run_with(|_| Ok::<(), CannotStart>(()))),
    ("ok-code", || {
        run_with(|_| Ok::<_, CannotStart>(ExitCode::from(7)))
    }),
    ("ok-own", || run_with(|_| Ok::<_, CannotStart>(Seven))),
    ("error", || run_with(|_| Err::<(), _>(CannotStart::new()))),
    ("box", || {
        run_with(|_| Err::<(), Box<dyn Error>>(CannotStart::new().into()))
    }),
    ("send-box", || {
        run_with(|_| {
            // Many lines, which stay buffered until the end.
            (0..1_000).for_each(|n| tracing::info!(n, "working"));
            Err::<ExitCode, Box<dyn Error + Send + Sync>>(CannotStart::new().into())
        })
    }),
    ("anyhow", || {
        run_with(|_| Err::<(), _>(anyhow::Error::new(CannotStart::new())))
    }),
    ("eyre", || {
        run_with(|_| Err::<(), _>(eyre::Report::new(CannotStart::new())))
    }),
    ("async", || spanwise::run(spanwise::init_from_env!(), serve)),
    ("no-output", || {
        let builder = Builder::new(Preset::Prod).output(Output::None);
        spanwise::run(builder.init(), |_| Err::<(), _>(CannotStart::new()))
    }),
    ("busy", || {
        run_with(|telemetry| {
            telemetry.handle().set_levels("info,main=off").unwrap();
            // Other lines are written before and after, because the error logs when it is dropped.
            (0..1_000).for_each(|n| tracing::info!(n, "working"));
            let CannotStart(taken, _) = CannotStart::new();
            Err::<(), _>(anyhow::Error::new(CannotStart(taken, Some(LastWord))))
        })
    }),
    ("early", || {
        run_with(|telemetry| {
            telemetry.handle().set_levels("off,shop=info").unwrap();
            Err::<(), _>(CannotStart::new())
        })
    }),
    ("panic", || run_with(|_| -> () { panic!("no shop") })),
    ("exit", || run_with(|_| -> () { std::process::exit(5) })),
];

fn run_with<R: spanwise::Outcome<Kind>, Kind>(main: impl FnOnce(&Telemetry) -> R) -> ExitCode {
    spanwise::run(spanwise::init_from_env!(), main)
}

#[derive(Debug)]
struct LastWord;

impl Drop for LastWord {
    fn drop(&mut self) {
        tracing::info!("connection closed");
    }
}

/// The task is dropped with the runtime, before logging ends.
#[tokio::main(flavor = "current_thread")]
async fn serve(_: &Telemetry) -> Result<(), Box<dyn Error + Send + Sync>> {
    let connection = LastWord;
    tokio::spawn(async move {
        let _connection = connection;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
    Err(CannotStart::new().into())
}

#[derive(Debug)]
struct CannotStart(
    io::Error,
    #[expect(dead_code, reason = "it is dropped with the error")] Option<LastWord>,
);

impl CannotStart {
    fn new() -> Self {
        let taken = io::Error::new(io::ErrorKind::AddrInUse, "port 8080 is taken");
        Self(taken, None)
    }
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot listen")
    }
}

impl Error for CannotStart {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

struct Seven;

impl Termination for Seven {
    fn report(self) -> ExitCode {
        tracing::info!("ends with seven");
        ExitCode::from(7)
    }
}

/// Returns the exit code, stdout and stderr.
fn output(name: &str, vars: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut program = victim(&format!("main-{name}"));
    let vars = [("LOG_PRESET", "prod")].iter().chain(vars).copied();
    let output = program.env_clear().envs(vars).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    (output.status.code(), stdout, stderr)
}

fn objects(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

#[track_caller]
fn assert_failure(line: &Value) {
    assert_eq!(
        (&line["level"], &line["message"]),
        (&json!("ERROR"), &json!("program failed"))
    );
    assert_eq!(line["error"]["message"], "cannot listen", "{line}");
    assert_eq!(line["error"]["chain"], json!(["port 8080 is taken"]));
}

fn run() {
    value_of_main_decides_the_exit_code();
    error_of_main_is_the_last_line();
    error_that_no_output_takes_is_on_stderr();
    wrong_settings_are_on_stderr();
    panic_and_exit_keep_their_codes();
}

fn value_of_main_decides_the_exit_code() {
    for (name, code, lines) in [
        ("unit", 0, 1),
        ("code", 7, 0),
        ("ok-unit", 0, 0),
        ("ok-code", 7, 0),
        ("ok-own", 7, 1),
    ] {
        let (status, stdout, stderr) = output(name, &[]);
        assert_eq!((status, &*stderr), (Some(code), ""), "{name}");
        assert_eq!(objects(&stdout).len(), lines, "{name}: {stdout}");
    }
}

fn error_of_main_is_the_last_line() {
    for (name, before) in [
        ("error", 0),
        ("box", 0),
        ("anyhow", 0),
        ("eyre", 0),
        ("send-box", 1_000),
        ("async", 1),
    ] {
        let (status, stdout, stderr) = output(name, &[]);
        assert_eq!((status, &*stderr), (Some(1), ""), "{name}");
        let lines = objects(&stdout);
        assert_eq!(lines.len(), before + 1, "{name}: {stdout}");
        let line = lines.last().unwrap();
        assert_failure(line);
        // The type of a boxed error is not available.
        let of_type = "programs::failed_main::CannotStart";
        assert!(
            line["error"]["type"] == of_type || name != "error",
            "{line}"
        );
    }
    let (status, stdout, stderr) = output("error", &[("LOG_PRESET", "dev")]);
    assert_eq!((status, &*stdout), (Some(1), ""));
    let (line, error) = stderr.split_once('\n').unwrap();
    assert!(
        line.ends_with("ERROR main                 program failed"),
        "{stderr}"
    );
    let indent = " ".repeat(13);
    let expected = format!("{indent}| cannot listen\n{indent}|   caused by: port 8080 is taken\n");
    assert_eq!(error, expected);
}

fn error_that_no_output_takes_is_on_stderr() {
    let told = "no output accepted the error of the program: cannot listen: port 8080 is taken\n";
    for (name, var) in [
        ("no-output", ("LOG_PRESET", "prod")),
        ("early", ("LOG_PRESET", "prod")),
        ("error", ("RUST_LOG", "info,main=off")),
    ] {
        let (status, stdout, stderr) = output(name, &[var]);
        assert_eq!((status, &*stdout), (Some(1), ""), "{name}");
        assert!(stderr.ends_with(told), "{name}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{name}: {stderr}");
    }
    // Lines of other threads do not replace the error. Only JSON lines have a backtrace.
    let (status, stdout, stderr) = output("busy", &[("RUST_BACKTRACE", "1")]);
    assert_eq!(stdout.lines().count(), 1_001);
    assert_eq!((status, stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.ends_with(told), "{stderr}");
    // With all levels off, nothing is printed.
    let outcome = output("error", &[("RUST_LOG", "off")]);
    assert_eq!(outcome, (Some(1), String::new(), String::new()));
}

fn wrong_settings_are_on_stderr() {
    let (status, stdout, stderr) = output("unit", &[("LOG_FORMAT", "jsn")]);
    assert_eq!((status, &*stdout), (Some(1), ""));
    let expected = "Error: logging did not start because of an invalid setting:\n  LOG_FORMAT=\"jsn\" is unknown: ";
    assert!(stderr.starts_with(expected), "{stderr}");
}

fn panic_and_exit_keep_their_codes() {
    let (status, stdout, _) = output("panic", &[]);
    assert_eq!(status, Some(101));
    assert_eq!(objects(&stdout)[0]["message"], "no shop");
    let outcome = output("exit", &[]);
    assert_eq!(outcome, (Some(5), String::new(), String::new()));
}
