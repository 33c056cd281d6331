//! `SIGHUP` reopens the path, for `logrotate` and operators.

use std::{fs, process::Command};

use super::support::{clock, log, read};
use spanwise_appender::{RollingFile, Rotation};
use spanwise_testing::support::wait_until;
use tempfile::tempdir;

#[test]
fn sighup_reopens_the_path() {
    let dir = tempdir().unwrap();
    let builder = RollingFile::builder(dir.path().join("app.log"))
        .rotation(Rotation::never())
        .clock(clock());
    let file = builder.reopen_on_sighup().build().unwrap();
    log(&file, "a");
    fs::rename(file.path(), dir.path().join("app.log.1")).unwrap();
    let kill = Command::new("kill")
        .args(["-HUP", &std::process::id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    wait_until("the signal is here", || {
        log(&file, "b");
        file.path().exists()
    });
    assert!(read(file.path()).starts_with("b\n"));
    assert!(read(dir.path().join("app.log.1")).starts_with("a\n"));
}
