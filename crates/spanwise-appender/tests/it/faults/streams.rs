//! Standard output and standard error: closed, full, stalled, shared.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::fd::{AsFd, FromRawFd as _, OwnedFd},
    process::Stdio,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    driver::{Ended, Reading, Setup, Victim, until},
    judge::{judge, shed_of},
};

/// Waits until there is something to read, with a bound.
fn wait_until_readable(stdout: &impl AsFd) {
    let mut ready = [PollFd::new(stdout, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    assert_eq!(
        poll(&mut ready, Some(&timeout)).unwrap(),
        1,
        "no line comes"
    );
}

/// Reads this many bytes, and leaves the rest to the next reader.
fn read_some(from: &mut impl Read, bytes: usize) -> Vec<u8> {
    let mut some = vec![0; bytes];
    from.read_exact(&mut some).unwrap();
    some
}

#[test]
fn closed_pipe_loses_lines_and_not_the_program() {
    let mut victim = Setup::new().start();
    let stderr = victim.read_stderr();
    victim.close_stdout();
    victim.log(2_000, 0);
    victim.tell("return");
    let ended = victim.ended();
    assert!(ended.status.success(), "{}", ended.status);
    ended.counts.assert_they_add_up();
    assert_eq!(ended.counts.write_failed, 4_000);
    // Each cause is reported once.
    let stderr = stderr.text();
    assert_eq!(stderr.matches("write failed").count(), 1, "{stderr}");
}

#[test]
fn closed_standard_streams_are_tolerated() {
    for output in ["stdout", "stderr"] {
        let mut victim = Setup::new().with("output", output).start();
        victim.close_stdout();
        victim.close_stderr();
        victim.log(2_000, 0);
        victim.tell("return");
        let ended = victim.ended();
        assert!(ended.status.success(), "{}", ended.status);
        ended.counts.assert_they_add_up();
        assert_eq!(ended.counts.write_failed, 4_000);
    }
}

#[test]
fn full_device_reports_losses_and_ends_in_time() {
    for both in [false, true] {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let stderr = if both { full().into() } else { Stdio::null() };
        let mut victim = Setup::new()
            .with("when_full", "shed")
            .with("capacity", 64 * 1024)
            .start_with(full(), stderr);
        victim.log(2_000, 0);
        let error = victim.ask("flush 5000");
        assert!(error.starts_with("StorageFull"), "{error}");
        victim.ask("shutdown 300");
        victim.tell("return");
        let ended = victim.ended();
        assert!(ended.status.success(), "{}", ended.status);
        ended.counts.assert_they_add_up();
        assert_eq!(ended.counts.delivered, 0);
        assert!(ended.counts.shed > 0 && ended.counts.lost_at_shutdown > 0);
    }
}

/// The result of a victim whose reader stalled while it logged, and then continued.
fn stall(when_full: &str, capacity: usize, records: u64, pause: u64) -> (Ended, Vec<u8>) {
    let mut victim = Setup::new()
        .with("when_full", when_full)
        .with("capacity", capacity)
        .with("levels", "all")
        .start();
    victim.log(records, pause);
    let stdout = victim.read_stdout();
    victim.flush();
    victim.log(100, 100);
    victim.tell("return");
    (victim.ended(), stdout.all())
}

#[test]
fn stalled_reader_delays_nobody_and_shed_is_counted() {
    let mut victim = Setup::new()
        .with("when_full", "shed")
        .with("capacity", 256 * 1024)
        .start();
    // A thread that waited for the reader would not return.
    victim.log(10_000, 0);
    let shed = victim.counts().shed;
    assert!(shed > 10_000, "{shed}");
    let stdout = victim.read_stdout();
    victim.flush();
    // Records that are logged after the stall are not lost.
    victim.log(100, 0);
    victim.tell("return");
    let ended = victim.ended();
    let stdout = stdout.all();
    ended.counts.assert_they_add_up();
    let verdict = ended.judge(&stdout);
    println!("{verdict}");
    verdict.assert_sound();
    ended.assert_it_says_so(&verdict);
    assert_eq!(
        verdict.found + verdict.notices.len() as u64,
        ended.counts.delivered
    );
    // The log itself reports the number of all missing records.
    let reported: u64 = verdict.notices.iter().map(|notice| shed_of(notice)).sum();
    assert_eq!(reported, ended.counts.shed, "{:?}", verdict.notices);
}

#[test]
fn least_severe_levels_are_shed_first() {
    // All records together do not fit, but the records at WARN and ERROR fit.
    let (ended, stdout) = stall("ladder:0", 256 * 1024, 1_600, 0);
    ended.counts.assert_they_add_up();
    assert!(ended.counts.shed_info > 0, "{:?}", ended.counts);
    assert!(ended.counts.shed > ended.counts.shed_info);
    assert_eq!(ended.counts.shed_severe, 0);
    let verdict = ended.judge(&stdout);
    println!("{verdict}");
    verdict.assert_sound();
    ended.assert_it_says_so(&verdict);
    let reported: u64 = verdict.notices.iter().map(|notice| shed_of(notice)).sum();
    assert_eq!(reported, ended.counts.shed, "{:?}", verdict.notices);
    // The last hundred records of each thread were logged when there was room again.
    assert!(stdout.ends_with(b"\n"));
}

#[test]
fn shedding_ends_at_half_of_its_threshold() {
    const CAPACITY: usize = 1024 * 1024;
    let mut victim = Setup::new()
        .with("when_full", "ladder:0")
        .with("capacity", CAPACITY)
        .with("threads", 1)
        .start();
    let mut stdout = victim.take_stdout();
    // INFO is shed above four fifths; the rest is in the pipe.
    victim.log(9_000, 0);
    let shed = victim.counts().shed;
    assert!(shed > 0);
    // The buffer is still more than half full, so INFO is still shed.
    let mut output = read_some(&mut stdout, CAPACITY / 4);
    victim.log(100, 0);
    assert_eq!(victim.counts().shed, shed + 100);
    // The buffer is less than two fifths full, so INFO is accepted again.
    output.extend(read_some(&mut stdout, CAPACITY / 4));
    until("lines at INFO are taken again", || {
        let before = victim.counts().shed;
        victim.log(1, 0);
        (victim.counts().shed == before).then_some(())
    });
    let rest = Reading::start(stdout);
    victim.tell("return");
    let ended = victim.ended();
    output.extend(rest.all());
    ended.counts.assert_they_add_up();
    let verdict = ended.judge(&output);
    verdict.assert_sound();
    ended.assert_it_says_so(&verdict);
}

#[test]
fn redirected_stdout_begins_with_a_whole_line() {
    const SIZE: usize = 10_000;
    let setup = Setup::new()
        .with("direct", true)
        .with("size", SIZE)
        .with("threads", 1);
    let path = setup.dir().join("log");
    let mut victim = setup.start();
    // The pipe is full within a line.
    victim.log(20, 0);
    let answer = victim.ask(&format!("redirect_stdout {}", path.display()));
    assert_eq!(answer, "redirected");
    victim.log(1, 0);
    victim.flush();
    let mut output = victim.read_stdout().all();
    let partial_len = output.len() % SIZE;
    assert_ne!(partial_len, 0, "no line is partial");
    output.truncate(output.len() - partial_len);
    output.extend(std::fs::read(&path).unwrap());
    victim.tell("return");
    let ended = victim.ended();
    ended.counts.assert_they_add_up();
    ended.judge(&output).assert_perfect();
}

#[test]
fn line_is_written_soon_whenever_it_comes() {
    let mut victim = Setup::new().with("threads", 1).start();
    let mut stdout = victim.take_stdout();
    for round in 0..100 {
        // With pauses around the times after which the writer thread waits in a different way.
        victim.tell(&format!("log 1 {}", round * 291));
        wait_until_readable(&stdout);
        read_some(&mut stdout, 120);
        assert_eq!(victim.answer(), "logged");
    }
}

#[test]
fn caller_gives_up_on_a_stalled_reader() {
    // The buffer is full much earlier. Each further line waits, and would wait forever.
    let mut victim = Setup::new()
        .with("when_full", "block:20")
        .with("capacity", 4 * 1024)
        .start();
    victim.log(350, 0);
    assert!(victim.counts().shed > 0);
    let stdout = victim.read_stdout();
    victim.tell("return");
    let ended = victim.ended();
    ended.counts.assert_they_add_up();
    let verdict = ended.judge(&stdout.all());
    verdict.assert_sound();
    ended.assert_it_says_so(&verdict);
}

#[test]
fn blocking_callers_lose_nothing_to_a_slow_reader() {
    let mut victim = Setup::new().with("capacity", 64 * 1024).start();
    let stdout = victim.read_small_stdout();
    victim.log(5_000, 0);
    victim.tell("return");
    let ended = victim.ended();
    ended.counts.assert_they_add_up();
    ended.judge(&stdout.all()).assert_perfect();
}

#[test]
fn stalled_reader_does_not_delay_the_shutdown() {
    let mut victim = Setup::new().start();
    let stderr = victim.read_stderr();
    victim.log(10_000, 0);
    victim.ask("shutdown 500");
    // Threads that still log do not wait either.
    victim.log(500, 0);
    let mut stdout = victim.take_stdout();
    victim.tell("return");
    let ended = victim.ended();
    assert!(ended.status.success());
    ended.counts.assert_they_add_up();
    assert!(ended.counts.lost_at_shutdown > 19_000, "{:?}", ended.counts);
    assert!(stderr.text().contains("spanwise: lines lost: stdout: "));
    let mut output = Vec::new();
    stdout.read_to_end(&mut output).unwrap();
    let verdict = ended.judge(&output);
    println!("{verdict}");
    verdict.assert_in_order();
    ended.assert_it_says_so(&verdict);
}

/// Opens both ends of a terminal: one for the user, and one for the victim.
#[expect(unsafe_code, reason = "nothing safe opens one")]
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut person, mut program) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: The first two point to integers that live longer than the call; the others may be
    // null. The returned descriptors are open, and owned by nobody else.
    unsafe {
        assert_eq!(
            libc::openpty(
                &raw mut person,
                &raw mut program,
                null,
                null.cast(),
                null.cast()
            ),
            0
        );
        (OwnedFd::from_raw_fd(person), OwnedFd::from_raw_fd(program))
    }
}

#[test]
fn unread_terminals_block_nobody() {
    let ((person, stdout), (other_person, stderr)) = (terminal(), terminal());
    let mut victim = Setup::new()
        .with("when_full", "shed")
        .with("capacity", 256 * 1024)
        .start_with(Stdio::from(stdout), Stdio::from(stderr));
    victim.log(20_000, 0);
    victim.ask("shutdown 500");
    victim.tell("return");
    let ended = victim.ended();
    assert!(ended.status.success());
    ended.counts.assert_they_add_up();
    assert!(ended.counts.lost() > 30_000, "{:?}", ended.counts);
    drop((person, other_person));
}

#[test]
fn stalled_reader_does_not_delay_the_exit() {
    let mut victim = Setup::new().start();
    victim.log(10_000, 0);
    victim.tell("return");
    let ended = victim.ended();
    assert!(ended.status.success());
    ended.counts.assert_they_add_up();
    assert!(ended.counts.lost_at_shutdown > 19_000);
}

/// Runs two programs with one stream, each with its size of line. Returns their output.
fn share(mut start: impl FnMut(Setup) -> Victim, sizes: [usize; 2], records: u64) -> Vec<Ended> {
    let mut victims = sizes.map(|size| start(Setup::new().with("size", size).with("threads", 1)));
    for victim in &mut victims {
        victim.tell(&format!("log {records} 0"));
    }
    let victims = victims.into_iter().map(|mut victim| {
        assert_eq!(victim.answer(), "logged");
        victim.tell("return");
        victim.ended()
    });
    victims.collect()
}

/// Returns the lines of each program, which differ in size. Asserts that no other line occurs.
#[track_caller]
fn assert_unmixed(output: &[u8], ended: &[Ended], sizes: [usize; 2]) {
    let lines = |size| {
        let lines = output.split_inclusive(move |byte| *byte == b'\n');
        lines
            .filter(move |line| line.len() == size)
            .flatten()
            .copied()
    };
    let mut bytes = 0;
    for (ended, size) in ended.iter().zip(sizes) {
        let own: Vec<u8> = lines(size).collect();
        bytes += own.len();
        judge(&own, size, &[ended.counts.accepted[0]]).assert_perfect();
    }
    assert_eq!(bytes, output.len(), "torn");
}

#[test]
fn two_programs_on_a_pipe_keep_4_kib_lines_whole() {
    for sizes in [[100, 101], [4_096, 4_095]] {
        let (reader, writer) = std::io::pipe().unwrap();
        let reading = Reading::start(reader);
        let start = |setup: Setup| setup.start_with(writer.try_clone().unwrap(), Stdio::null());
        let ended = share(start, sizes, 2_000);
        drop(writer);
        assert_unmixed(&reading.all(), &ended, sizes);
    }
}

#[test]
fn two_programs_on_a_file_keep_lines_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let open = || {
        File::options()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap()
    };
    let sizes = [20_000, 20_001];
    let ended = share(|setup| setup.start_with(open(), Stdio::null()), sizes, 500);
    assert_unmixed(&std::fs::read(&path).unwrap(), &ended, sizes);
}

#[test]
fn memory_is_bounded_while_nobody_reads() {
    let mut victim = Setup::new()
        .with("when_full", "shed")
        .with("size", 10_000)
        .start();
    let before = victim.memory("VmRSS");
    victim.log(10_000, 0);
    let grown = victim.memory("VmHWM") - before;
    println!("200 MB of lines: {grown} KiB more");
    // The buffer of 8 MiB, the unused ends of its chunks, and the victim itself.
    assert!(grown < 16 * 1024, "{grown} KiB");
    victim.ask("shutdown 0");
    victim.tell("return");
    victim.ended().counts.assert_they_add_up();
}

#[test]
fn program_with_little_memory_survives_a_stall() {
    if !super::driver::have("little memory", &["prlimit"]) {
        return;
    }
    let mut victim = Setup::new()
        .with("when_full", "shed")
        .with("size", 10_000)
        .under(&["prlimit", "--as=268435456"])
        .start();
    victim.log(15_000, 0);
    victim.ask("shutdown 0");
    victim.tell("return");
    let ended = victim.ended();
    assert!(ended.status.success(), "{}", ended.status);
    ended.counts.assert_they_add_up();
}
