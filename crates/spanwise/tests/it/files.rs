//! Variables set a file, its level and a file for errors. Each event is encoded once.

use std::{
    fmt, fs,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde_json::Value;

/// Counts how often it is formatted.
struct Counted<'a>(&'a AtomicU32);

impl fmt::Debug for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        write!(f, "formatted {count} times")
    }
}

#[test]
fn each_file_gets_lines_of_its_levels() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let telemetry = spanwise::Builder::from_vars([
        ("LOG_PRESET", "prod".into()),
        ("LOG_OUTPUT", "none".into()),
        ("RUST_LOG", "debug".into()),
        ("LOG_FILE", path("logs/shop.log").into_os_string()),
        ("LOG_FILE_LEVEL", "info".into()),
        ("LOG_FILE_ROTATE", "never".into()),
        ("LOG_ERROR_FILE", path("logs/error.log").into_os_string()),
    ])
    .unwrap()
    .init()
    .unwrap();

    let formatted = AtomicU32::new(0);
    let value = Counted(&formatted);
    let request = tracing::info_span!("request", request_id = "r-1");
    request.in_scope(|| {
        tracing::error!(?value, "failed");
        tracing::info!(?value, "done");
        tracing::debug!(?value, "in between");
    });
    assert!(telemetry.handle().flush(Duration::from_secs(20)));
    assert_eq!(formatted.load(Ordering::Relaxed), 2);

    let lines = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(path(name)).unwrap();
        let parse = |line: &str| serde_json::from_str(line).unwrap();
        text.lines().map(parse).collect()
    };
    // The file does not have the DEBUG events of the start.
    let all = lines("logs/shop.log");
    assert_eq!(
        (&all[0]["message"], &all[1]["message"]),
        (&"failed".into(), &"done".into())
    );
    assert_eq!((&all[0]["request_id"], all.len()), (&"r-1".into(), 2));
    assert_eq!(lines("logs/error.log"), all[..1]);

    // After a file was moved, `reopen` creates a new file immediately.
    fs::rename(path("logs/shop.log"), path("logs/moved.log")).unwrap();
    telemetry.handle().reopen().unwrap();
    tracing::warn!("after the move");

    let names: Vec<_> = telemetry
        .handle()
        .stats()
        .sinks
        .into_iter()
        .map(|sink| sink.name)
        .collect();
    assert_eq!(names, ["file", "error_file"]);
    let report = telemetry.shutdown(Duration::from_secs(20));
    assert_eq!((report.delivered, report.lost), (4, 0));
    assert_eq!(lines("logs/shop.log")[0]["message"], "after the move");
    assert_eq!(lines("logs/moved.log").len(), 2);

    // After the shutdown, the logging thread writes the line.
    tracing::info!("late");
    assert_eq!(lines("logs/shop.log")[1]["message"], "late");
}
