//! What is written is the same whatever features other crates turn on: `cargo test -p
//! foreign-features`, with and without `--features on`.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use spanwise::{Builder, Telemetry};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The only line, from its message on.
    fn rest(&self) -> String {
        let lines = self.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let (_, rest) = lines[0].split_once(r#""message":"#).unwrap();
        rest.to_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start() -> (Telemetry, Lines) {
    let lines = Lines::default();
    let output = lines.clone();
    let telemetry = Builder::new(spanwise::Preset::Prod)
        .levels("info")
        .with_writer(move || output.clone())
        .init()
        .unwrap();
    (telemetry, lines)
}

/// One test: there is one global subscriber.
#[test]
fn lines_are_the_same() {
    let (telemetry, lines) = start();
    lines.take();
    nested_values(&lines);
    plain_values(&lines);
    records_and_events_are_there_once(&lines);
    secrets_are_hidden(&lines);
    drop(telemetry);
}

/// `preserve_order` changes the maps of `serde_json`, `arbitrary_precision` its numbers.
fn nested_values(lines: &Lines) {
    let sorted: BTreeMap<&str, i64> = [("b", 1), ("a", -2)].into();
    for (value, text) in [
        (json!(1), "1"),
        (json!(-7), "-7"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(0.1), "0.1"),
        (json!(1.5e300), "1.5e+300"),
        (json!(1e-7), "1e-7"),
        (json!([1, 2.5, null, true, "x"]), r#"[1,2.5,null,true,"x"]"#),
        (json!({ "a": { "b": 1.25 } }), r#"{"a":{"b":1.25}}"#),
        (json!(sorted), r#"{"a":-2,"b":1}"#),
    ] {
        tracing::info!(value = ?spanwise::as_json(&value), "nested");
        let rest = lines.rest();
        let expected = format!(r#""value":{text}"#);
        assert!(rest.contains(&expected), "{expected}: {rest}");
        assert!(!rest.contains("private"), "{rest}");
        let parsed: Value = serde_json::from_str(&format!(r#"{{"message":{rest}"#)).unwrap();
        assert_eq!(parsed["value"].to_string(), value.to_string());
    }
}

fn plain_values(lines: &Lines) {
    let error: io::Error = io::Error::other("no such order");
    tracing::info!(
        count = 3_u64,
        ratio = 0.25,
        large = u128::MAX,
        on = true,
        name = "a \"b\"",
        shown = %error,
        error = &error as &dyn std::error::Error,
        "plain"
    );
    let rest = lines.rest();
    for part in [
        r#""count":3,"ratio":0.25,"#,
        r#""large":"#,
        "340282366920938463463374607431768211455",
        r#""on":true,"name":"a \"b\"","shown":"no such order","#,
    ] {
        assert!(rest.contains(part), "{part}: {rest}");
    }
}

/// `tracing/log` turns events into records if there is no subscriber. Here is one, which also takes
/// records.
fn records_and_events_are_there_once(lines: &Lines) {
    let count = |message: &str| {
        let taken = lines.take();
        let of_message = taken.iter().filter(|line| line.contains(message));
        (of_message.count(), taken.len())
    };
    log::info!("a record");
    assert_eq!(count("a record"), (1, 1));
    tracing::info!("an event");
    assert_eq!(count("an event"), (1, 1));
    let span = tracing::info_span!("request", request_id = "r-1");
    span.in_scope(|| {
        tracing::info!("an event inside");
        log::warn!("a record inside");
    });
    drop(span);
    let inside = lines.take();
    assert_eq!(inside.len(), 2, "{inside:?}");
    assert!(
        inside
            .iter()
            .all(|line| line.contains(r#""request_id":"r-1""#))
    );
    log::debug!("below");
    tracing::debug!("below");
    assert_eq!(lines.take(), [""; 0]);
}

fn secrets_are_hidden(lines: &Lines) {
    let login = json!({ "password": "hunter2-hunter2" });
    tracing::info!(
        login = ?spanwise::as_json(&login),
        password = "hunter2-hunter2",
        "login"
    );
    log::info!("password=hunter2-hunter2");
    for line in lines.take() {
        assert!(line.contains("[REDACTED]"), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}
