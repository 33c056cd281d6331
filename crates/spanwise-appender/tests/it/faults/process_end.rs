//! Each way to end a program, with each kind of output, for a program and for its child.

use std::{
    fs::File,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
};

use super::driver::{Ended, Reading, Setup, Victim};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Pipe,
    /// A pipe that holds one page, so that each write waits for the reader.
    SmallPipe,
    File,
    RollingFile,
}

const OUTPUTS: [Output; 4] = [
    Output::Pipe,
    Output::SmallPipe,
    Output::File,
    Output::RollingFile,
];

/// The commands before the records and before the end, and the end.
type Way = (&'static [&'static str], &'static [&'static str]);

/// Ends that lose no line.
const WITHOUT_LOSS: [Way; 11] = [
    (&[], &["return"]),
    (&[], &["leak", "return"]),
    (&[], &["drop", "return"]),
    (&[], &["exit"]),
    (&[], &["leak", "exit"]),
    (&[], &["panic"]),
    (&[], &["abort 20000"]),
    (&[], &["flush_and_exec"]),
    // The guard belongs to a function that sets up logging, and is dropped at the end of this
    // function.
    (&["drop"], &["return"]),
    (&["drop"], &["exit"]),
    (&["drop"], &["flush_and_exec"]),
];

/// Ends that lose the buffered lines.
const WITHOUT_WARNING: [Way; 5] = [
    (&[], &["terminate"]),
    (&[], &["_exit"]),
    (&[], &["exec"]),
    (&["drop"], &["_exit"]),
    (&["drop"], &["terminate"]),
];

struct Run {
    victim: Victim,
    reading: Option<Reading>,
    file: Option<File>,
}

impl Run {
    fn start(setup: Setup, output: Output) -> Self {
        let path = setup.dir().join("log");
        let mut file = File::options();
        let file = file.append(true).create(true);
        let (mut victim, file) = match output {
            Output::Pipe | Output::SmallPipe => (setup.start(), None),
            Output::File => {
                let stdout = file.open(&path).unwrap();
                let read = File::open(&path).unwrap();
                (setup.start_with(stdout, Stdio::piped()), Some(read))
            }
            Output::RollingFile => {
                let setup = setup.with("output", format!("rolling:{}", path.display()));
                let victim = setup.start();
                (victim, Some(File::open(&path).unwrap()))
            }
        };
        let reading = match output {
            Output::Pipe => Some(victim.read_stdout()),
            Output::SmallPipe => Some(victim.read_small_stdout()),
            Output::File | Output::RollingFile => None,
        };
        Self {
            victim,
            reading,
            file,
        }
    }

    fn end(mut self, words: &[&str]) -> (Ended, Vec<u8>, String) {
        let stderr = self.victim.read_stderr();
        let (last, before) = words.split_last().unwrap();
        for word in before {
            self.victim.ask(word);
        }
        self.victim.tell(last);
        let ended = self.victim.ended();
        let reading = self.reading.or_else(|| self.file.map(Reading::start));
        (ended, reading.unwrap().all(), stderr.text())
    }
}

fn assert_ended_as_commanded(status: ExitStatus, end: &str) {
    let code = match end {
        "abort 20000" => return assert_eq!(status.signal(), Some(libc::SIGABRT)),
        "terminate" => return assert_eq!(status.signal(), Some(libc::SIGTERM)),
        "panic" => 101,
        _ => 0,
    };
    assert_eq!(status.code(), Some(code), "{end}: {status}");
}

#[test]
fn ordinary_end_loses_no_line() {
    for output in OUTPUTS {
        for (size, records) in [(120, 400), (8_000, 20)] {
            for (before, end) in WITHOUT_LOSS {
                let mut run = Run::start(Setup::new().with("size", size), output);
                before.iter().for_each(|word| drop(run.victim.ask(word)));
                run.victim.log(records, 0);
                let (ended, output_, stderr) = run.end(end);
                let way = format!("{output:?}, {size} bytes, {before:?}, {end:?}: {stderr}");
                println!("{way}");
                assert_ended_as_commanded(ended.status, end.last().unwrap());
                ended.judge(&output_).assert_perfect();
                assert!(!stderr.contains("lost"), "{way}");
            }
        }
    }
}

#[test]
fn ordinary_end_of_a_child_loses_no_line() {
    for output in OUTPUTS {
        for end in ["exit", "flush_and_exec", "abort"] {
            for before in [&[][..], &["drop"]] {
                let mut run = Run::start(Setup::new(), output);
                before.iter().for_each(|word| drop(run.victim.ask(word)));
                run.victim.log(200, 0);
                run.victim.ask(&format!("fork 200 {end}"));
                run.victim.log(200, 0);
                let (ended, output_, stderr) = run.end(&["return"]);
                println!("{output:?}, {before:?}, child {end}: {stderr}");
                assert!(ended.status.success());
                ended.judge(&output_).assert_perfect();
            }
        }
    }
}

#[test]
fn sudden_end_loses_only_the_last_lines() {
    for output in OUTPUTS {
        for (before, end) in WITHOUT_WARNING {
            let mut run = Run::start(Setup::new(), output);
            before.iter().for_each(|word| drop(run.victim.ask(word)));
            run.victim.log(200, 0);
            run.victim.flush();
            run.victim.log(200, 0);
            let (ended, output_, _) = run.end(end);
            assert_ended_as_commanded(ended.status, end.last().unwrap());
            let verdict = ended.judge(&output_);
            println!("{output:?}, {before:?}, {end:?}: {verdict}");
            // If the process ends during a write, for example by SIGKILL, the kernel may truncate
            // the write.
            assert!(verdict.torn <= 1, "{verdict}");
            verdict.assert_in_order();
            assert_eq!(verdict.gaps, 0, "{verdict}");
            // Flushed records are not lost.
            verdict.assert_lost_only(200..400);
        }
        let mut run = Run::start(Setup::new(), output);
        run.victim.log(200, 0);
        run.victim.flush();
        run.victim.ask("fork 200 _exit");
        run.victim.ask("fork 200 exec");
        let (ended, output_, _) = run.end(&["return"]);
        let verdict = ended.judge(&output_);
        verdict.assert_sound();
        assert!(
            verdict.missing.iter().all(|(thread, _)| *thread >= 64),
            "{verdict}"
        );
    }
}

/// Returns the written and lost lines of the last total on stderr.
fn reported_totals(stderr: &str) -> Option<(u64, u64)> {
    let line = stderr.lines().rfind(|line| line.contains("lines lost: "))?;
    let (before, after) = line.split_once(" lines written, ")?;
    let written = before.rsplit(' ').next()?.parse().ok()?;
    let lost = after.split(' ').next()?.parse().ok()?;
    Some((written, lost))
}

#[test]
fn stalled_reader_loses_what_stderr_reports() {
    for before in [&[][..], &["drop"]] {
        let setup = Setup::new()
            .with("when_full", "ladder:0")
            .with("capacity", 64 * 1024);
        let mut victim = setup.start();
        let stderr = victim.read_stderr();
        before.iter().for_each(|word| drop(victim.ask(word)));
        victim.log(2_000, 0);
        // The first loss is reported at once, the total at the end.
        assert!(victim.counts().shed > 0);
        let stdout = victim.take_stdout();
        victim.tell("exit");
        let ended = victim.ended();
        let (stdout, stderr) = (Reading::start(stdout).all(), stderr.text());
        println!("{before:?}: {stderr}");
        assert!(ended.status.success());
        let verdict = ended.judge(&stdout);
        verdict.assert_sound();
        ended.assert_it_says_so(&verdict);
        assert!(stderr.contains("spanwise: shed: stdout: "), "{stderr}");
        let counts = &ended.counts;
        assert_eq!(
            reported_totals(&stderr),
            Some((counts.delivered, counts.lost()))
        );
    }
}

#[test]
fn refused_write_after_shutdown_is_retried() {
    for direct in [false, true] {
        let mut victim = Setup::new()
            .with("when_full", "ladder:0")
            .with("direct", direct)
            .start();
        let stderr = victim.read_stderr();
        victim.ask("drop");
        // More than a pipe holds, without a reader.
        victim.log(1_000, 0);
        let stdout = victim.read_stdout();
        victim.log(1_000, 0);
        victim.tell("return");
        let ended = victim.ended();
        ended.counts.assert_they_add_up();
        ended.judge(&stdout.all()).assert_perfect();
        assert_eq!(stderr.text(), "");
    }
}

#[test]
fn aborting_panic_reports_lost_lines() {
    let mut victim = Setup::new().with("flush_on_panic", true).start();
    let stderr = victim.read_stderr();
    victim.log(5_000, 0);
    victim.tell("panic");
    let stdout = victim.take_stdout();
    let ended = victim.ended();
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT));
    let verdict = ended.judge(&Reading::start(stdout).all());
    let stderr = stderr.text();
    let report = format!("stdout: {} lines are still held", verdict.lost);
    assert!(stderr.contains(&report), "{verdict}: {stderr}");
    verdict.assert_in_order();
}
