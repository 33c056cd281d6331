//! The error that `main` returns is sent to Sentry before the program exits.

use std::{fs, io, process::ExitCode};

use serde_json::Value;
use spanwise::{Builder, Output, Preset};

use crate::receiver::Receiver;

#[test]
fn error_of_main_is_sent_before_the_end() {
    alone!();
    let receiver = Receiver::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.log");
    let started = Builder::new(Preset::Prod)
        .service("shop", "1.4.0")
        .sentry_dsn(receiver.dsn())
        .output(Output::None)
        .file(&file)
        .init();
    let code = spanwise::run(started, |_| {
        let taken = io::Error::new(io::ErrorKind::AddrInUse, "port 8080 is taken");
        Err::<(), _>(anyhow::Error::new(taken).context("cannot listen"))
    });
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));

    // The test need not wait, because logging has ended.
    let events = receiver.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["release"], "shop@1.4.0");
    assert!(events[0].get("environment").is_none_or(Value::is_null));
    let text = events[0].to_string();
    for part in ["program failed", "cannot listen", "port 8080 is taken"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let lines = fs::read_to_string(file).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(
        lines.contains("\"chain\":[\"port 8080 is taken\"]"),
        "{lines}"
    );
}
