//! Normal and abnormal ends of programs, and forks.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    process::Stdio,
};

use super::{
    driver::{Ended, Reading, Setup, have, until},
    judge::Verdict,
};

/// Runs a victim that logs a burst and then receives a command to end. Returns its remains and its
/// output.
fn burst_then(records: u64, words: &[&str]) -> (Ended, Verdict) {
    let mut victim = Setup::new().with("threads", 4).start();
    let stdout = victim.read_stdout();
    victim.log(records, 0);
    let (last, before) = words.split_last().unwrap();
    for word in before {
        victim.ask(word);
    }
    victim.tell(last);
    let ended = victim.ended();
    let verdict = ended.judge(&stdout.all());
    println!("{words:?}: {verdict}");
    (ended, verdict)
}

#[test]
fn burst_before_every_kind_of_end_is_written() {
    for words in [
        &["return"][..],
        &["drop", "return"],
        &["leak", "return"],
        &["leak", "exit"],
        &["exit"],
        &["panic"],
    ] {
        let (ended, verdict) = burst_then(20_000, words);
        let code = if words == ["panic"] { 101 } else { 0 };
        assert_eq!(ended.status.code(), Some(code), "{words:?}");
        assert!(ended.counts.knows);
        ended.counts.assert_they_add_up();
        verdict.assert_perfect();
    }
}

#[test]
fn aborting_panic_with_flushing_hook_loses_nothing() {
    let (ended, verdict) = burst_then(20_000, &["abort 5000"]);
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT));
    assert!(ended.counts.knows);
    ended.counts.assert_they_add_up();
    verdict.assert_perfect();
}

#[test]
fn exit_during_shutdown_loses_nothing() {
    let mut victim = Setup::new().start();
    victim.log(20_000, 0);
    let stdout = victim.take_stdout();
    // One thread has begun to shut down, and the other one is about to exit.
    assert_eq!(victim.ask("shutdown_and_exit"), "exiting");
    let stdout = Reading::start(stdout);
    let ended = victim.ended();
    ended.counts.assert_they_add_up();
    ended.judge(&stdout.all()).assert_perfect();
}

#[test]
fn short_shutdown_writes_what_the_reader_takes() {
    let mut victim = Setup::new().start();
    let stdout = victim.read_stdout();
    victim.log(10, 0);
    assert_eq!(victim.ask("shutdown 40"), "20 0");
    victim.tell("return");
    victim.ended().judge(&stdout.all()).assert_perfect();
}

#[test]
fn exit_while_threads_log_ends() {
    for small in [false, true] {
        let mut victim = Setup::new()
            .with("threads", 3)
            .with("capacity", 1024 * 1024)
            .start();
        let stdout = match small {
            true => victim.read_small_stdout(),
            false => victim.read_stdout(),
        };
        victim.ask("go 0");
        until("it is in full swing", || {
            (victim.counts().delivered > 1_000).then_some(())
        });
        victim.tell("exit");
        let ended = victim.ended();
        let verdict = ended.judge(&stdout.all());
        println!("exit while others log: {verdict}, {:?}", ended.counts);
        assert!(ended.status.success());
        verdict.assert_in_order();
        // The threads continue while the counters are read. Their lines go to a buffer that is no
        // longer written.
        assert!(verdict.lost <= ended.counts.lost() + 2 * 1024 * 1024 / 120);
    }
}

#[test]
fn kill_loses_at_most_the_buffer() {
    const CAPACITY: u64 = 256 * 1024;
    let mut worst = 0;
    for (signal, pause) in [
        (libc::SIGTERM, 100),
        (libc::SIGKILL, 100),
        (libc::SIGTERM, 0),
        (libc::SIGKILL, 0),
    ] {
        for round in 0..2 {
            let mut victim = Setup::new().with("capacity", CAPACITY).start();
            let stdout = victim.read_stdout();
            victim.ask(&format!("go {pause}"));
            until("it is in full swing", || {
                (victim.counts().delivered > 300 + 171 * round).then_some(())
            });
            victim.signal(signal);
            let ended = victim.ended();
            assert_eq!(ended.status.signal(), Some(signal));
            let verdict = ended.judge(&stdout.all());
            verdict.assert_in_order();
            assert_eq!(verdict.gaps, 0);
            assert!(verdict.torn <= 1, "{verdict}");
            worst = worst.max(verdict.lost);
        }
    }
    println!("killed 8 times: at worst {worst} lost");
    assert!(worst <= CAPACITY / 120 + 2, "{worst}");
}

#[test]
fn synced_line_survives_a_kill() {
    let mut victim = Setup::new()
        .with("levels", "all")
        .with("sync_on", "error")
        .start();
    let stdout = victim.read_stdout();
    for _ in 0..20 {
        // The first of each five is an ERROR, and so is the last of these.
        victim.log(1, 0);
    }
    victim.log(1, 0);
    victim.signal(libc::SIGKILL);
    victim.ended().judge(&stdout.all()).assert_perfect();
}

#[test]
fn slow_disk_delays_no_caller_and_loses_nothing() {
    if !have("a slow disk", &["strace"]) {
        return;
    }
    for output in ["plain", "rolling"] {
        let setup = Setup::new();
        let path = setup.dir().join("log");
        let path = path.to_str().unwrap();
        // A write needs half a second. If each line waited for its write, the test would time out.
        let slow = [
            "strace",
            "-f",
            "-o",
            "/dev/null",
            "-P",
            path,
            "-e",
            "trace=write",
            "-e",
            "inject=write:delay_enter=500000",
        ];
        fs::write(path, "").unwrap();
        let log = File::open(path).unwrap();
        let mut victim = setup
            .with("output", format!("{output}:{path}"))
            .under(&slow)
            .start_with(Stdio::null(), Stdio::piped());
        victim.log(200, 0);
        victim.tell("return");
        let ended = victim.ended();
        ended.counts.assert_they_add_up();
        ended.judge(&Reading::start(log).all()).assert_perfect();
    }
}

#[test]
fn child_and_parent_both_log() {
    let mut victim = Setup::new().start();
    let stdout = victim.read_stdout();
    victim.log(500, 0);
    assert_eq!(victim.ask("fork 1000"), "child 0");
    victim.log(500, 0);
    victim.tell("return");
    let ended = victim.ended();
    ended.counts.assert_they_add_up();
    ended.child.assert_they_add_up();
    assert_eq!(ended.child.delivered, 1_000);
    let verdict = ended.judge(&stdout.all());
    println!("fork: {verdict}");
    verdict.assert_perfect();
}

#[test]
fn child_of_a_busy_parent_logs() {
    for output in ["pipe", "file"] {
        for _ in 0..3 {
            let setup = Setup::new();
            let path = setup.dir().join("log");
            let log = File::options()
                .append(true)
                .create(true)
                .open(&path)
                .unwrap();
            let mut victim = match output {
                "pipe" => setup.start(),
                _ => setup.start_with(log, Stdio::piped()),
            };
            let file = File::open(path).unwrap();
            let stdout = (output == "pipe").then(|| victim.read_stdout());
            let stderr = victim.read_stderr();
            victim.ask("go 0");
            until("it is in full swing", || {
                (victim.counts().delivered > 5_000).then_some(())
            });
            assert_eq!(victim.ask("fork 1000"), "child 0");
            assert_eq!(victim.ask("stop"), "logged");
            victim.tell("return");
            let ended = victim.ended();
            let output = stdout.unwrap_or_else(|| Reading::start(file)).all();
            println!("stderr: {}", stderr.text());
            ended.counts.assert_they_add_up();
            ended.child.assert_they_add_up();
            let verdict = ended.judge(&output);
            println!("fork flat out: {verdict}");
            verdict.assert_perfect();
        }
    }
}

#[test]
fn many_forks_of_a_busy_parent_lose_nothing() {
    let mut victim = Setup::new().start();
    let stdout = victim.read_stdout();
    victim.ask("go 10");
    for _ in 0..30 {
        assert_eq!(victim.ask("fork 10"), "child 0");
    }
    assert_eq!(victim.ask("stop"), "logged");
    victim.tell("return");
    let ended = victim.ended();
    ended.counts.assert_they_add_up();
    let verdict = ended.judge(&stdout.all());
    println!("30 forks: {verdict}");
    verdict.assert_perfect();
}

#[test]
fn fork_with_stalled_reader_does_not_block() {
    let mut victim = Setup::new().with("when_full", "shed").start();
    let stderr = victim.read_stderr();
    victim.log(5_000, 0);
    assert_eq!(victim.ask("fork 1000"), "child 0");
    let stdout = victim.read_stdout();
    victim.tell("return");
    let ended = victim.ended();
    ended.counts.assert_they_add_up();
    ended.child.assert_they_add_up();
    let stderr = stderr.all();
    assert!(String::from_utf8_lossy(&stderr).contains("this child writes to stderr"));
    let own: Vec<_> = stderr
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(b"{"))
        .flatten()
        .copied()
        .collect();
    ended.judge(&[stdout.all(), own].concat()).assert_perfect();
}

#[test]
fn daemon_keeps_the_last_lines_of_its_parent() {
    for _ in 0..5 {
        let mut victim = Setup::new().with("threads", 1).start();
        let stdout = victim.read_stdout();
        assert_eq!(victim.ask("daemon 100"), "child");
        victim.log(100, 0);
        victim.tell("return");
        let ended = victim.ended();
        let verdict = ended.judge(&stdout.all());
        println!("daemon: {verdict}");
        verdict.assert_perfect();
    }
}
