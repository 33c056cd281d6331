//! Lines of a file that cannot be written, after a reload.

use std::{
    fs,
    time::{Duration, Instant},
};

use spanwise_core::SinkStats;
use tracing::info;

use super::Program;

const FILE: &str = "[sink.app]\nkind = 'file'\npath = 'DIR/logs/app.log'\n";
const STDERR: &str = "[sink.console]\nkind = 'stderr'\n";

impl Program {
    /// Flushes the lines. Returns whether they are in the file.
    fn is_written(&self) -> bool {
        let lost = || -> u64 {
            let stats = self.telemetry.handle().stats();
            stats.sinks.iter().map(SinkStats::lost).sum()
        };
        let before = lost();
        // Longer than a healthy file needs. A broken file is tried for all of this time.
        let is_flushed = self.telemetry.handle().flush(Duration::from_millis(200));
        is_flushed && lost() == before
    }

    /// Logs while the directory of the file is replaced by a file. Returns whether the line is in
    /// the file later. It is not if it went to stderr instead.
    fn keeps_line(&self, line: &str) -> bool {
        let logs = self.path("logs");
        fs::remove_dir_all(&logs).unwrap();
        fs::write(&logs, "in the way").unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        let log_until = |line: &str, is_done: &dyn Fn() -> bool| {
            while !is_done() {
                assert!(
                    Instant::now() < end,
                    "the state of the file does not change"
                );
                self.log(|| info!("{line}"));
            }
        };
        // Until then, the open file takes lines although it has no name.
        log_until("before it", &|| !self.is_written());
        self.log(|| info!("{line}"));
        self.is_written();
        fs::remove_file(&logs).unwrap();
        let file = logs.join("app.log");
        log_until("after it", &|| self.is_written() && file.exists());
        fs::read_to_string(file).unwrap().contains(line)
    }
}

#[test]
fn open_file_falls_back_as_the_new_sinks_require() {
    alone!();
    let program = Program::start(FILE);
    assert!(!program.keeps_line("first"));
    program.reload(&format!("{FILE}{STDERR}")).unwrap();
    assert!(program.keeps_line("second"));
    program
        .reload(&format!("{FILE}fallback = ['stderr']\n{STDERR}"))
        .unwrap();
    assert!(!program.keeps_line("third"));
    program.reload(FILE).unwrap();
    assert!(!program.keeps_line("fourth"));
}
