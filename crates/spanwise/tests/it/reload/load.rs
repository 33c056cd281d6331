//! Reloads while other threads log.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::Program;
use tracing::{dispatcher, info, info_span};

const THREADS: u64 = 4;

const RELOADS: u64 = 90;

/// The number of reloads: `SPANWISE_RELOADS` sets another. With 10000, two million events are
/// logged.
#[expect(
    clippy::disallowed_methods,
    reason = "a switch of the test, no setting"
)]
fn reloads() -> u64 {
    let number = std::env::var("SPANWISE_RELOADS").ok();
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or(RELOADS)
}

const EVENTS_PER_RELOAD: u64 = 50;

/// The open files and threads of this process, and its memory in KiB.
fn resources() -> (usize, usize, u64) {
    let count = |path: &str| fs::read_dir(path).unwrap().count();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let memory = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let memory = memory.trim().trim_end_matches(" kB").parse().unwrap();
    (count("/proc/self/fd"), count("/proc/self/task"), memory)
}

/// Each line is written exactly once, whatever the sinks become meanwhile. The resources of the
/// old sinks are released.
#[test]
fn no_event_is_lost_or_doubled() {
    // With more reloads, it takes longer than such a process may.
    if reloads() == RELOADS {
        alone!();
    }
    const ALWAYS: &str = "\
        [sink.app]\nkind = 'file'\npath = 'DIR/main.log'\nrotate = 'never'\nwhen_full = 'block 60s'\n\
        [sink.all]\nkind = 'file'\npath = 'DIR/all.log'\nrotate = 'never'\nwhen_full = 'block 60s'\n";
    // The sink `all` changes its lines, and then its buffer. The sink `extra` comes and goes.
    let variants = [
        format!("{ALWAYS}format = 'bunyan'\n"),
        format!(
            "{ALWAYS}[sink.extra]\nkind = 'file'\npath = 'DIR/extra.log'\nlevel = 'warn'\n\
             [filter]\nno = {{ drop = {{ field = 'none', is = 1 }} }}\n[root]\nfilters = ['no']\n"
        ),
        format!("{ALWAYS}buffer = '1MiB'\n"),
    ];
    let program = Program::start(&variants[0]);
    let allowed = AtomicU64::new(EVENTS_PER_RELOAD);
    let is_done = AtomicBool::new(false);
    let sent = AtomicU64::new(0);
    let mut at_first = None;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (is_done, sent, allowed) = (&is_done, &sent, &allowed);
            let dispatch = program.dispatch.clone();
            scope.spawn(move || {
                dispatcher::with_default(&dispatch, || {
                    for number in 0.. {
                        while number >= allowed.load(Ordering::Relaxed) {
                            if is_done.load(Ordering::Relaxed) {
                                return;
                            }
                            thread::yield_now();
                        }
                        let span = info_span!("request", number);
                        let _entered = span.entered();
                        info!(thread, number, "sent");
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                });
            });
        }
        for number in 0..reloads() {
            let file = &variants[number as usize % variants.len()];
            program.reload(file).unwrap();
            assert!(!program.refused("[sink.app\n").is_empty());
            allowed.fetch_add(EVENTS_PER_RELOAD, Ordering::Relaxed);
            if number % (reloads() / 10) == 0 {
                println!("{number} reloads: {:?}", resources());
            }
            if number < 30 && number % 3 == 2 {
                // The least, because threads of closed sinks may still be ending.
                let (files, threads, _) = resources();
                let (least_files, least_threads) = at_first.unwrap_or((files, threads));
                at_first = Some((files.min(least_files), threads.min(least_threads)));
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
    program.reload(&variants[2]).unwrap();
    let (files, threads) = at_first.unwrap();
    // Those that log are gone. A thread of a closed sink may still be ending.
    let expected = (files, threads - THREADS as usize);
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (files, threads, _) = resources();
        if (files, threads) == expected {
            break;
        }
        assert!(Instant::now() < end, "{:?}", (files, threads, expected));
        thread::yield_now();
    }
    assert!(program.telemetry.handle().flush(Duration::from_secs(60)));
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent >= reloads() * EVENTS_PER_RELOAD);
    for file in ["main.log", "all.log"] {
        let text = fs::read_to_string(program.path(file)).unwrap();
        let mut numbers: Vec<(u64, u64)> = text
            .lines()
            .filter_map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                Some((line["thread"].as_u64()?, line["number"].as_u64()?))
            })
            .collect();
        assert_eq!(numbers.len() as u64, sent, "{file}");
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len() as u64, sent, "{file}");
    }
}
