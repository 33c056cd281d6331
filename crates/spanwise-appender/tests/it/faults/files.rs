//! Files: full disks, missing directories, other programs, kills and clocks.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{
    driver::{Ended, Setup, Victim, have, run, until},
    judge::{judge, shed_of},
};

/// A directory for logs, which outlives its victims. Only the victims may write there, as
/// `logrotate` requires.
struct Logs {
    dir: PathBuf,
    /// Whether the directory is on a separate disk.
    mounted: bool,
    _outer: TempDir,
}

impl Logs {
    fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap())
    }

    /// Creates the directory in memory, where many files cost little.
    fn in_memory() -> Self {
        Self::within(crate::support::dir_in_memory())
    }

    fn within(outer: TempDir) -> Self {
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let dir = outer.path().join("logs");
        fs::create_dir(&dir).unwrap();
        Self {
            dir,
            mounted: false,
            _outer: outer,
        }
    }

    /// Creates the directory on a separate disk of 1 MiB. Returns `None` if disks cannot be mounted
    /// here.
    fn on_a_small_disk(test: &str) -> Option<Self> {
        let mut logs = Self::new();
        logs.mounted = logs.mount("size=1m");
        if !logs.mounted {
            let _ = have(test, &["a tmpfs, which cannot be mounted here"]);
        }
        logs.mounted.then_some(logs)
    }

    fn mount(&self, options: &str) -> bool {
        run(
            "mount",
            &["-t", "tmpfs", "-o", options, "tmpfs", self.text()],
        )
    }

    fn text(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Creates a victim that writes `app.log` here.
    fn setup(&self) -> Setup {
        Setup::new().with("output", format!("rolling:{}/app.log", self.text()))
    }

    /// Returns the names of all files but the lock, from the oldest to the active one.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        names.sort_by_key(|name| age(name));
        names
    }

    /// Waits until a running victim has compressed each rolled file. A victim that ended may have
    /// left one unfinished.
    fn packed(&self) {
        let is_packed = |name: &String| name == "app.log" || name.ends_with(".gz");
        until("everything is packed", || {
            self.names().iter().all(is_packed).then_some(())
        });
    }

    /// Returns the contents of all files, one after the other.
    fn all(&self) -> Vec<u8> {
        let names = self.names();
        names
            .iter()
            .flat_map(|name| read(&self.path(name)))
            .collect()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        if self.mounted {
            run("umount", &["-l", self.text()]);
        }
    }
}

/// Orders by number, because numbers continue from day to day. The active file is the newest.
fn age(name: &str) -> (bool, u64) {
    let number = name
        .split('.')
        .nth(2)
        .and_then(|number| number.parse().ok());
    (number.is_none(), number.unwrap_or_default())
}

/// Returns the content of a file, uncompressed.
fn read(path: &Path) -> Vec<u8> {
    if path.extension().is_none_or(|extension| extension != "gz") {
        return fs::read(path).unwrap();
    }
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(unpacked.status.success(), "{path:?}: {unpacked:?}");
    unpacked.stdout
}

fn finish(mut victim: Victim) -> Ended {
    victim.tell("return");
    let ended = victim.ended();
    assert!(ended.status.success(), "{}", ended.status);
    ended.counts.assert_they_add_up();
    ended
}

/// Waits until the file accepts lines again.
fn recover(victim: &mut Victim) {
    until("the file takes lines again", || {
        (victim.ask("flush 1000") == "flushed").then_some(())
    });
}

#[test]
fn full_disk_reports_the_lines_it_loses() {
    const TEST: &str = "a full disk";
    for (rotation, compression) in [("never", "none"), ("128KiB", "none"), ("128KiB", "gzip")] {
        if compression == "gzip" && !have(TEST, &["the feature gzip", "gzip"]) {
            continue;
        }
        let Some(logs) = Logs::on_a_small_disk(TEST) else {
            return;
        };
        // If the files are compressed, all records may fit. Otherwise only the first ones fit.
        let other = if compression == "gzip" { 350 } else { 128 };
        fs::write(logs.path("other"), vec![0; other * 1024]).unwrap();
        let mut victim = logs
            .setup()
            .with("rotation", rotation)
            .with("compression", compression)
            .with("when_full", "shed")
            .with("capacity", 1024 * 1024)
            .with("size", 1_200)
            .start_with(Stdio::null(), Stdio::null());
        // 600 KB, then 3.6 MB, then 600 KB.
        victim.log(250, 200);
        // Files in compression may fill the disk temporarily.
        recover(&mut victim);
        victim.log(1_500, 200);
        let error = victim.ask("flush 1000");
        assert!(
            error.starts_with("StorageFull") || compression == "gzip",
            "{error}"
        );
        assert!(run("mount", &["-o", "remount,size=16m", logs.text()]));
        recover(&mut victim);
        victim.log(250, 200);
        let ended = finish(victim);
        fs::remove_file(logs.path("other")).unwrap();
        if compression == "gzip" {
            let setup = logs.setup().with("compression", compression);
            let next = setup.with("rotation", "128KiB").start();
            logs.packed();
            finish(next);
        }
        let verdict = ended.judge(&logs.all());
        println!("full disk, rotation {rotation}, {compression}: {verdict}");
        verdict.assert_sound();
        verdict.assert_lost_only(250..1_750);
        assert!(verdict.lost > 0 || compression == "gzip");
        ended.assert_it_says_so(&verdict);
        let reported: u64 = verdict.notices.iter().map(|notice| shed_of(notice)).sum();
        assert_eq!(reported, ended.counts.shed, "{:?}", verdict.notices);
    }
}

#[test]
fn removed_directory_is_created_again() {
    for rotation in ["never", "16KiB"] {
        let logs = Logs::new();
        let mut victim = logs.setup().with("rotation", rotation).start();
        victim.log(500, 0);
        victim.flush();
        fs::remove_dir_all(&logs.dir).unwrap();
        // The writer detects the change within a second.
        victim.log_until("it is made again", || logs.path("app.log").exists());
        victim.flush();
        victim.log(500, 0);
        let ended = finish(victim);
        let verdict = ended.judge(&logs.all());
        println!("directory removed, rotation {rotation}: {verdict}");
        verdict.assert_sound();
        // The records in the deleted file are lost.
        verdict.assert_lost_only(0..500);
    }
}

#[test]
fn deleted_or_moved_file_is_created_again() {
    for moved in [false, true] {
        for rotation in ["never", "16KiB"] {
            let logs = Logs::new();
            let mut victim = logs.setup().with("rotation", rotation).start();
            victim.log(50, 0);
            victim.flush();
            let path = logs.path("app.log");
            if moved {
                fs::rename(&path, logs.path("app.2000-01-01.0.moved")).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            victim.log_until("it is started again", || path.exists());
            victim.flush();
            victim.log(500, 0);
            let ended = finish(victim);
            assert!(path.exists());
            let verdict = ended.judge(&logs.all());
            println!("moved: {moved}, rotation {rotation}: {verdict}");
            verdict.assert_sound();
            verdict.assert_lost_only(if moved { 0..0 } else { 0..50 });
        }
    }
}

#[test]
fn moved_file_is_left_at_once_on_request() {
    let logs = Logs::new();
    let mut victim = logs.setup().start();
    victim.log(500, 0);
    victim.flush();
    fs::rename(logs.path("app.log"), logs.path("app.log.1")).unwrap();
    assert_eq!(victim.ask("reopen"), "reopened");
    victim.log(500, 0);
    let ended = finish(victim);
    assert_eq!(read(&logs.path("app.log")).len(), 2 * 500 * 120);
    let all = [read(&logs.path("app.log.1")), read(&logs.path("app.log"))];
    ended.judge(&all.concat()).assert_perfect();
}

#[test]
fn logrotate_create_and_copytruncate_lose_nothing() {
    if !have("logrotate", &["logrotate", "root"]) {
        return;
    }
    for how in ["create", "copytruncate"] {
        let logs = Logs::new();
        let config = logs.path("../config");
        let path = logs.path("app.log");
        let text = format!(
            "{} {{\n rotate 3\n {how}\n su root root\n}}\n",
            path.display()
        );
        fs::write(&config, text).unwrap();
        let state = logs.path("../state");
        let rotate = || {
            let arguments = [
                "-f",
                "-s",
                state.to_str().unwrap(),
                config.to_str().unwrap(),
            ];
            assert!(run("logrotate", &arguments));
        };
        let mut victim = logs.setup().start();
        for _ in 0..2 {
            victim.log(50, 0);
            victim.flush();
            rotate();
            let is_written = || fs::metadata(&path).is_ok_and(|file| file.len() > 0);
            victim.log_until("the new file is written", is_written);
            victim.flush();
        }
        let ended = finish(victim);
        let names = ["app.log.2", "app.log.1", "app.log"];
        let all = names.map(|name| read(&logs.path(name)));
        assert!(all.iter().all(|file| !file.is_empty()));
        let verdict = ended.judge(&all.concat());
        println!("logrotate with {how}: {verdict}");
        // The rest of the first file is written after the rotation, and the order is still correct.
        verdict.assert_perfect();
    }
}

#[test]
fn unwritable_directory_stops_the_start() {
    if !have("permissions", &["setpriv", "root"]) {
        return;
    }
    let logs = Logs::new();
    fs::set_permissions(&logs.dir, fs::Permissions::from_mode(0o555)).unwrap();
    let error = logs.setup().under(&NOBODY).start().refused();
    assert!(error.contains(logs.text()), "{error}");
}

const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

#[test]
fn revoked_permission_loses_nothing() {
    if !have("permissions", &["setpriv", "root"]) {
        return;
    }
    let logs = Logs::new();
    chown(&logs.dir, Some(65_534), Some(65_534)).unwrap();
    let mut victim = logs
        .setup()
        .with("rotation", "16KiB")
        .under(&NOBODY)
        .start();
    victim.log(500, 0);
    victim.flush();
    let rolled = logs.names().len();
    assert!(rolled > 3);
    fs::set_permissions(&logs.dir, fs::Permissions::from_mode(0o555)).unwrap();
    victim.log(500, 0);
    victim.flush();
    assert_eq!(logs.names().len(), rolled);
    fs::set_permissions(&logs.dir, fs::Permissions::from_mode(0o755)).unwrap();
    until("it rolls again", || {
        victim.log(20, 0);
        victim.flush();
        (logs.names().len() > rolled).then_some(())
    });
    let ended = finish(victim);
    let verdict = ended.judge(&logs.all());
    println!("permission taken and given back: {verdict}");
    verdict.assert_perfect();
}

/// Creates a victim under `strace`, which applies `inject` to calls of `write` to a file.
fn injected(logs: &Logs, inject: &str) -> Setup {
    let path = logs.path("app.log");
    let inject = format!("inject=write:{inject}");
    logs.setup().under(&[
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-P",
        path.to_str().unwrap(),
        "-e",
        "trace=write",
        "-e",
        &inject,
    ])
}

#[test]
fn interrupted_and_failed_writes_lose_nothing() {
    if !have("failing writes", &["strace"]) {
        return;
    }
    for inject in [
        "error=EINTR:when=1+3",
        "error=EIO:when=5+5",
        "error=EDQUOT:when=1+2",
    ] {
        let logs = Logs::new();
        fs::write(logs.path("app.log"), "").unwrap();
        let mut victim = injected(&logs, inject).start_with(Stdio::null(), Stdio::null());
        for _ in 0..20 {
            victim.log(50, 0);
            recover(&mut victim);
        }
        let ended = finish(victim);
        let verdict = ended.judge(&logs.all());
        println!("{inject}: {verdict}");
        verdict.assert_perfect();
    }
}

#[test]
fn kill_during_roll_leaves_no_partial_file() {
    let gzip = have(
        "a kill while files are packed",
        &["the feature gzip", "gzip"],
    );
    let compression = if gzip { "gzip" } else { "none" };
    let start = |logs: &Logs, base: u64| {
        logs.setup()
            .with("base", base)
            .with("rotation", "16KiB")
            .with("compression", compression)
            .with("capacity", 64 * 1024)
            .start()
    };
    let logs = Logs::new();
    let mut accepted = Vec::new();
    let rounds = 8;
    for round in 0..rounds {
        let before = logs.names().len();
        let mut victim = start(&logs, 10 * round);
        victim.ask("go 0");
        let rolled = 3 + usize::try_from(round).unwrap();
        until("files roll", || {
            (logs.names().len() >= before + rolled).then_some(())
        });
        victim.signal(libc::SIGKILL);
        let ended = victim.ended();
        accepted.extend(ended.accepted());
    }
    let mut last = start(&logs, 1_000);
    last.log(10, 0);
    if gzip {
        logs.packed();
    }
    accepted.extend(finish(last).accepted());
    // `gzip` reads each file completely, and reports a partial one.
    let verdict = judge(&logs.all(), 120, &accepted);
    println!(
        "killed {rounds} times while rolling, {} files: {verdict}",
        logs.names().len()
    );
    verdict.assert_in_order();
    assert_eq!(verdict.gaps, 0);
    assert!(verdict.torn <= rounds, "{verdict}");
    // The buffer, and a record in progress per thread.
    assert!(verdict.lost <= rounds * (64 * 1024 / 120 + 3), "{verdict}");
}

const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A clock for a victim, in seconds since 1970.
struct FakeClock<'a>(&'a Logs);

impl FakeClock<'_> {
    fn set(&self, seconds: i64) {
        let next = self.0.path("../clock.next");
        fs::write(&next, format!("@{seconds}\n")).unwrap();
        fs::rename(next, self.0.path("../clock")).unwrap();
    }

    fn setup(&self) -> Setup {
        let clock = self.0.path("../clock");
        let setup = self.0.setup().env("LD_PRELOAD", FAKETIME);
        setup
            .env("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
            .env("FAKETIME_FMT", "%s")
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

/// 2026-11-20 12:00:00 UTC.
const NOON: i64 = 1_795_176_000;
const DAY: i64 = 24 * 60 * 60;
const HOUR: i64 = 60 * 60;

#[test]
fn jumping_clock_loses_nothing() {
    if !have("a clock that jumps", &[FAKETIME]) {
        return;
    }
    let logs = Logs::new();
    let clock = FakeClock(&logs);
    clock.set(NOON);
    let mut victim = clock.setup().with("rotation", "daily,16KiB").start();
    for time in [
        NOON,
        NOON + 90,
        NOON - DAY,
        NOON + 3_653 * DAY,
        NOON,
        DAY,
        NOON,
    ] {
        clock.set(time);
        victim.log(100, 0);
        victim.flush();
    }
    let ended = finish(victim);
    let verdict = ended.judge(&logs.all());
    println!("clock back and forth: {verdict}, {:?}", logs.names());
    // The dates in the names are not in order.
    assert_eq!((verdict.lost, verdict.doubled, verdict.torn), (0, 0, 0));
    for name in logs.names() {
        ended.judge(&read(&logs.path(&name))).assert_sound();
    }
    for date in ["2026-11-20", "2026-11-19", "2036-11-20", "1970-01-02"] {
        let has_date = |name: &String| name.contains(date);
        assert!(logs.names().iter().any(has_date), "{date}");
    }
}

#[test]
fn each_hour_has_a_file_across_dst_changes() {
    if !have(
        "summer time",
        &[FAKETIME, "/usr/share/zoneinfo/Europe/Berlin"],
    ) {
        return;
    }
    for (date, change) in [("2026-03-29", 1_774_746_000), ("2026-10-25", 1_792_890_000)] {
        let logs = Logs::new();
        let clock = FakeClock(&logs);
        // Local times: after midnight, when it is still yesterday in UTC; the hour before the
        // change; the hour after it, which has the same name if the clocks went back.
        let times = [change - 2 * HOUR + 60, change - 60, change + HOUR - 60];
        clock.set(times[0]);
        let setup = clock.setup().with("rotation", "hourly,local");
        let mut victim = setup.env("TZ", "Europe/Berlin").start();
        for time in times {
            clock.set(time);
            victim.log(100, 0);
            victim.flush();
        }
        let ended = finish(victim);
        println!("summer time: {:?}", logs.names());
        ended.judge(&logs.all()).assert_perfect();
        let rolled = [1, 2].map(|number| format!("app.{date}.{number}.log"));
        assert_eq!(logs.names()[..2], rolled);
        assert_eq!(logs.names().len(), 3);
    }
}

#[test]
fn second_process_is_refused_or_gets_its_own_name() {
    let logs = Logs::new();
    let setup = || logs.setup().with("rotation", "16KiB");
    let mut first = setup().start();
    let error = setup().start().refused();
    assert!(
        error.contains("app.log") && error.contains(&first.pid().to_string()),
        "{error}"
    );
    let mut second = setup().with("per_process", true).with("base", 100).start();
    for victim in [&mut first, &mut second] {
        victim.tell("log 5000 0");
    }
    for victim in [&mut first, &mut second] {
        assert_eq!(victim.answer(), "logged");
    }
    let (first, second) = (finish(first), finish(second));
    let of = |slot: &str| -> Vec<u8> {
        let names = logs.names().into_iter();
        let names = names.filter(|name| name.starts_with("app.2.") == (slot == "second"));
        let mut names: Vec<_> = names.collect();
        names.sort_by_key(|name| age(&name.replace("app.2.", "app.")));
        names
            .iter()
            .flat_map(|name| read(&logs.path(name)))
            .collect()
    };
    first.judge(&of("first")).assert_perfect();
    second.judge(&of("second")).assert_perfect();
}

#[test]
fn non_files_are_refused_at_once() {
    if !have("a named pipe", &["mkfifo"]) {
        return;
    }
    let logs = Logs::new();
    let path = logs.path("app.log");
    assert!(run("mkfifo", &[path.to_str().unwrap()]));
    let error = logs.setup().start().refused();
    assert!(error.contains("app.log"), "{error}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = logs.setup().start().refused();
    assert!(error.contains("app.log"), "{error}");
}

#[test]
fn direct_file_is_checked_at_process_exit() {
    for end in ["return", "exit", "panic"] {
        let logs = Logs::new();
        let output = format!("direct:{}/app.log", logs.text());
        let mut victim = Setup::new().with("output", output).start();
        victim.log(50, 0);
        fs::remove_file(logs.path("app.log")).unwrap();
        victim.tell(end);
        victim.ended().judge(&logs.all()).assert_perfect();
    }
}

#[test]
fn logging_thread_reads_no_large_directory() {
    const OLD: u64 = 8_000;
    if !have("reads of a directory", &["strace"]) {
        return;
    }
    let logs = Logs::in_memory();
    for number in 1..=OLD {
        fs::File::create(logs.path(&format!("app.2020-01-01.{number}.log"))).unwrap();
    }
    let traces = logs.path("../traces");
    let mut victim = logs
        .setup()
        .with("rotation", "4KiB")
        .under(&["strace", "-ff", "-o", traces.to_str().unwrap()])
        .under(&["-e", "trace=getdents64,prctl"])
        .start();
    until("it rolls", || {
        victim.log(50, 0);
        victim.flush();
        (logs.names().len() as u64 > OLD + 1).then_some(())
    });
    finish(victim);
    let threads = fs::read_dir(logs.path(".."))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let traces = threads.filter(|path| path.to_str().unwrap().contains("traces"));
    let mut reads: Vec<(bool, u64)> = traces
        .map(|path| {
            let trace = fs::read_to_string(path).unwrap();
            let keeps_house = trace.contains("\"spanwise-files\"");
            let names = trace.split("/* ").filter_map(|part| {
                let (count, rest) = part.split_once(' ')?;
                rest.starts_with("entries")
                    .then(|| count.parse::<u64>().unwrap())
            });
            (keeps_house, names.sum())
        })
        .collect();
    reads.sort_unstable();
    println!("names read by threads, those that keep house last: {reads:?}");
    let (_, most) = reads.iter().rfind(|(keeps_house, _)| !keeps_house).unwrap();
    assert!(*most <= 4_096 + 512, "{reads:?}");
    assert!(reads.last().unwrap().1 >= OLD, "{reads:?}");
}

#[test]
fn similar_names_are_left_alone() {
    let logs = Logs::new();
    let look_alikes = [
        "app.log-payroll.db",
        "app.log.pgdump",
        "app.2020-01-01.log",
        "app.2020-01-01.0.log",
        "app.2020-01-01.01.log",
        "app.2020-13-01.1.log",
        "app.2020-01-01.1.log.bak",
        "app.2020-01-01.1.log.gz.bak",
        "app.2020-01-01.1.txt",
        "my-app.2020-01-01.1.log",
        "app.2.2020-01-01.1.log",
    ];
    for name in look_alikes {
        fs::write(logs.path(name), "precious").unwrap();
    }
    let setup = logs.setup().with("retention", "10");
    let mut victim = setup.with("rotation", "4KiB").start();
    victim.log(1_000, 0);
    victim.flush();
    let rolled = || logs.names().len() - look_alikes.len();
    until("old files are deleted", || (rolled() < 30).then_some(()));
    let ended = finish(victim);
    for name in look_alikes {
        assert_eq!(fs::read(logs.path(name)).unwrap(), b"precious", "{name}");
    }
    // Ten files of at most 4 KiB, and the active one.
    assert_eq!(ended.counts.delivered, 2_000);
}

#[test]
fn ten_megabyte_line_stays_whole() {
    let logs = Logs::new();
    let mut victim = logs
        .setup()
        .with("rotation", "64KiB")
        .with("size", 10_000_000)
        .with("threads", 1)
        .start();
    victim.log(2, 0);
    let ended = finish(victim);
    ended.judge(&logs.all()).assert_perfect();
    assert_eq!(logs.names().len(), 2);
}

#[test]
fn many_rotations_in_a_second_overwrite_nothing() {
    let logs = Logs::new();
    let mut victim = logs.setup().with("rotation", "4KiB").start();
    victim.log(4_000, 0);
    let ended = finish(victim);
    ended.judge(&logs.all()).assert_perfect();
    for name in logs.names() {
        assert!(
            fs::metadata(logs.path(&name)).unwrap().len() <= 4096,
            "{name}"
        );
    }
}

#[test]
fn descriptor_exhaustion_defers_the_roll() {
    if !have("no descriptors", &["prlimit"]) {
        return;
    }
    let logs = Logs::new();
    let mut victim = logs.setup().with("rotation", "16KiB").start();
    victim.log(500, 0);
    victim.flush();
    let rolled = logs.names().len();
    let pid = format!("--pid={}", victim.pid());
    assert!(run("prlimit", &[&pid, "--nofile=3:4096"]));
    victim.log(2_000, 0);
    victim.flush();
    assert_eq!(logs.names().len(), rolled);
    assert!(run("prlimit", &[&pid, "--nofile=1024:4096"]));
    until("it rolls again", || {
        victim.log(20, 0);
        victim.flush();
        (logs.names().len() > rolled).then_some(())
    });
    let ended = finish(victim);
    let verdict = ended.judge(&logs.all());
    println!("no descriptors: {verdict}");
    verdict.assert_perfect();
}

#[test]
fn file_size_limit_kills_or_loses_lines() {
    if !have("file sizes", &["prlimit", "env"]) {
        return;
    }
    let logs = Logs::new();
    let limited = |wrapper: &[&str]| {
        let setup = logs.setup().with("when_full", "shed");
        setup.under(&["prlimit", "--fsize=65536"]).under(wrapper)
    };
    let mut victim = limited(&[]).start();
    victim.tell("log 1000 0");
    assert_eq!(victim.ended().status.signal(), Some(libc::SIGXFSZ));

    fs::remove_file(logs.path("app.log")).unwrap();
    let mut victim = limited(&["env", "--ignore-signal=XFSZ"]).start();
    victim.log(1_000, 0);
    assert_ne!(victim.ask("flush 1000"), "flushed");
    victim.ask("shutdown 300");
    let ended = finish(victim);
    let verdict = ended.judge(&logs.all());
    println!("file size limit: {verdict}");
    verdict.assert_sound();
    ended.assert_it_says_so(&verdict);
}

#[test]
fn child_writes_to_the_file_of_its_parent() {
    for rotation in ["never", "16KiB"] {
        let logs = Logs::new();
        let mut victim = logs.setup().with("rotation", rotation).start();
        let stderr = victim.read_stderr();
        victim.ask("go 200");
        until("it is in full swing", || {
            (victim.counts().delivered > 500).then_some(())
        });
        assert_eq!(victim.ask("fork 1000"), "child 0");
        assert_eq!(victim.ask("stop"), "logged");
        let ended = finish(victim);
        ended.child.assert_they_add_up();
        let verdict = ended.judge(&logs.all());
        println!("fork, rotation {rotation}: {verdict} {}", stderr.text());
        assert_eq!((verdict.lost, verdict.doubled, verdict.torn), (0, 0, 0));
    }
}

#[test]
fn child_does_not_wait_for_the_parents_file_lock() {
    let logs = Logs::new();
    let output = format!("direct:{}/app.log", logs.text());
    let setup = Setup::new().with("output", output).with("threads", 3);
    let mut victim = setup.with("rotation", "1MiB").start();
    victim.ask("go 0");
    // Each of them is likely to meet a thread that writes.
    for _ in 0..20 {
        assert_eq!(victim.ask("fork 10"), "child 0");
    }
    assert_eq!(victim.ask("stop"), "logged");
    victim.tell("return");
    let ended = victim.ended();
    let verdict = ended.judge(&logs.all());
    println!("20 forks of a program that writes to the file itself: {verdict}");
    assert_eq!((verdict.lost, verdict.doubled), (0, 0));
}
