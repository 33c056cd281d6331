//! The recorder does not exceed its memory limits, and reports evicted lines.

use std::{io, time::SystemTime};

use crate::allocator::{allocations, alone, assert_plateau, held, most_held};
use crate::support::{Lines, header, stack, stack_to};
use spanwise_core::{Clock, Fault, LevelLayer, SelfReport};
use spanwise_json::JsonLayer;
use spanwise_recorder::Recorder;
use tracing::{debug, dispatcher, error, info_span};
use tracing_subscriber::prelude::*;

const MIB: isize = 1024 * 1024;

#[test]
fn long_unit_keeps_the_newest_lines() {
    let _alone = alone();
    let (dispatch, lines, recorder, _) = stack(Recorder::builder());
    let _default = dispatcher::set_default(&dispatch);
    let held = most_held(|| {
        let _request = info_span!("request").entered();
        for n in 0..50_000 {
            debug!(n, "a step");
        }
        assert!(recorder.stats().memory <= 68 * 1024);
        error!("failed");
    });
    assert!(held < MIB, "{held}");
    let stats = recorder.stats();
    assert_eq!(stats.captured, 50_000);
    assert_eq!(stats.evicted, 50_000 - stats.written);
    let header = header(&lines).unwrap();
    assert_eq!(header["records"], stats.written);
    assert_eq!(header["evicted"], stats.evicted);
    let numbers = lines.values_of("n");
    assert!((300..=1000).contains(&numbers.len()), "{}", numbers.len());
    let newest: Vec<_> = (0..50_000).map(|n| n.to_string()).collect();
    assert!(newest.ends_with(&numbers));
}

#[test]
fn unit_keeps_limited_records() {
    let _alone = alone();
    let (dispatch, lines, recorder, _) = stack(Recorder::builder().max_unit_records(3));
    let _default = dispatcher::set_default(&dispatch);
    info_span!("request").in_scope(|| {
        for n in 0..10 {
            debug!(n, "a step");
        }
        error!("failed");
    });
    assert_eq!(lines.values_of("n"), ["7", "8", "9"]);
    assert_eq!(header(&lines).unwrap()["evicted"], 7);
    assert_eq!(recorder.stats().evicted, 7);
}

#[test]
fn open_units_share_memory_oldest_evicted_first() {
    let _alone = alone();
    let report = SelfReport::silent();
    let builder = Recorder::builder()
        .max_process_bytes(MIB as usize)
        .report(report.clone());
    let (dispatch, lines, recorder, _) = stack(builder);
    let _default = dispatcher::set_default(&dispatch);
    let mut open = Vec::new();
    for n in 0..20_000 {
        let request = info_span!("request", n);
        request.in_scope(|| debug!("a step"));
        open.push(request);
        assert!(recorder.stats().memory <= MIB as usize);
    }
    let stats = recorder.stats();
    assert_eq!(stats.held(), 256, "one chunk each");
    assert_eq!(stats.evicted, 20_000 - 256);
    assert_eq!(report.stats().faults, [(Fault::Evicted, stats.evicted)]);

    // If a unit lost its lines, its header has their number. Other units show their lines.
    open[0].in_scope(|| error!("failed"));
    assert_eq!(header(&lines).unwrap()["evicted"], 1);
    open[20_000 - 256].in_scope(|| error!("failed"));
    assert_eq!(
        lines
            .objects()
            .iter()
            .filter(|line| line["buffered"] == true)
            .count(),
        1
    );
    drop(open);
    let stats = recorder.stats();
    assert_eq!((stats.held(), stats.memory), (0, 0));
    assert_eq!(stats.written, 1);
}

#[test]
fn many_units_stay_within_the_memory() {
    let _alone = alone();
    let (dispatch, _, recorder, _) = stack(
        Recorder::builder()
            .max_process_bytes(MIB as usize)
            .report(SelfReport::silent()),
    );
    let _default = dispatcher::set_default(&dispatch);
    const UNITS: usize = 20_000;
    let spans = |line: bool| {
        most_held(|| {
            let mut open = Vec::with_capacity(UNITS);
            for n in 0..UNITS {
                let request = info_span!("request", n);
                if line {
                    request.in_scope(|| debug!("a step"));
                }
                open.push(request);
            }
        })
    };
    let without_lines = spans(false);
    let with_lines = spans(true);
    let by_lines = with_lines - without_lines;
    assert!(by_lines < 5 * MIB, "{by_lines} of {with_lines}");
    assert_eq!(recorder.stats().captured, UNITS as u64);
}

#[test]
fn unclosed_span_holds_no_memory_forever() {
    let _alone = alone();
    let report = SelfReport::silent();
    let builder = Recorder::builder()
        .max_process_bytes(MIB as usize)
        .report(report.clone());
    let (dispatch, _, recorder, _) = stack(builder);
    let _default = dispatcher::set_default(&dispatch);
    for _ in 0..1000 {
        let leaked = info_span!("request");
        leaked.in_scope(|| debug!("a step"));
        Box::leak(Box::new(leaked));
    }
    // Leaked spans use all memory, but a new unit still receives some.
    for _ in 0..1000 {
        info_span!("request").in_scope(|| debug!("a step"));
    }
    let stats = recorder.stats();
    assert!(stats.memory <= MIB as usize);
    assert!(stats.forgotten >= 999, "{stats:?}");
}

#[test]
fn oversize_line_is_dropped_and_counted() {
    let _alone = alone();
    let (dispatch, lines, recorder, _) = stack(Recorder::builder());
    let _default = dispatcher::set_default(&dispatch);
    let body = "x".repeat(10_000_000);
    info_span!("request").in_scope(|| {
        debug!("a step");
        // The layer truncates each value, and the line is still too long.
        debug!(a = body, b = body, "too long");
        error!("failed");
    });
    assert_eq!(lines.messages()[1..], ["a step", "failed"]);
    assert_eq!(header(&lines).unwrap()["evicted"], 1);
    let stats = recorder.stats();
    assert_eq!((stats.captured, stats.written, stats.oversize), (2, 1, 1));
}

#[test]
fn events_allocate_nothing_once_warm() {
    let _alone = alone();
    let recorder = Recorder::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    // The text of a new second is formatted anew.
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let json = recorder.sink(Lines::default(), levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer).clock(clock)
    });
    let _default = tracing_subscriber::registry()
        .with(json)
        .with(levels)
        .set_default();
    let unit = |events| {
        let request = info_span!("request", request_id = "r-1");
        let before = allocations();
        request.in_scope(|| {
            for n in 0..events {
                debug!(n, text = "some text", "a step");
            }
        });
        allocations() - before
    };
    unit(5000);
    assert_eq!((unit(5000), unit(1)), (0, 0));
    assert_eq!(recorder.stats().captured, 10_001);
}

/// Refuses every DEBUG line except the first one.
#[derive(Clone)]
struct Choosy(Lines);

impl io::Write for Choosy {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.windows(5).any(|bytes| bytes == b"n\":1,") {
            return Err(io::Error::other("not this one"));
        }
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn refused_line_is_counted_others_are_written() {
    let _alone = alone();
    let lines = Lines::default();
    let out = lines.clone();
    let recorder = Recorder::builder().report(SelfReport::silent()).build();
    let (dispatch, _) = stack_to(&recorder, move || Choosy(out.clone()));
    let _default = dispatcher::set_default(&dispatch);
    info_span!("request").in_scope(|| {
        for n in 0..3 {
            debug!(n, "a step");
        }
        error!("failed");
    });
    assert_eq!(lines.values_of("n"), ["0", "2"]);
    let stats = recorder.stats();
    assert_eq!((stats.written, stats.failed, stats.held()), (2, 1, 0));
    assert_eq!(stats.memory, 0);
}

#[test]
fn largest_unit_is_evicted_first() {
    let _alone = alone();
    // Sixteen chunks.
    let builder = Recorder::builder()
        .max_process_bytes(64 * 1024)
        .report(SelfReport::silent());
    let (dispatch, lines, recorder, _) = stack(builder);
    let _default = dispatcher::set_default(&dispatch);
    let step = |unit: &tracing::Span| unit.in_scope(|| debug!(text = "x".repeat(1000), "a step"));
    let open = |name: &str, steps: u32| {
        let unit = info_span!("request", name);
        (0..steps).for_each(|_| step(&unit));
        unit
    };
    let (first, greedy) = (open("first", 1), open("greedy", 30));
    let others: Vec<_> = (0..8).map(|_| open("other", 1)).collect();
    assert!(recorder.stats().evicted >= 30, "{}", recorder.stats());
    first.in_scope(|| error!("failed"));
    for other in &others {
        other.in_scope(|| error!("failed"));
    }
    assert_eq!(
        lines
            .messages()
            .iter()
            .filter(|message| *message == "a step")
            .count(),
        9,
        "what small units held is there, however old"
    );
    greedy.in_scope(|| error!("failed"));
    let mut last = lines.objects().into_iter().rev();
    let header = last.find(|line| line["reason"] == "error").unwrap();
    assert_eq!(
        (&header["records"], &header["evicted"]),
        (&0.into(), &30.into())
    );
}

#[test]
fn largest_unit_loses_only_its_oldest_lines() {
    let _alone = alone();
    let builder = Recorder::builder()
        .max_process_bytes(32 * 1024)
        .report(SelfReport::silent());
    let (dispatch, lines, recorder, _) = stack(builder);
    let _default = dispatcher::set_default(&dispatch);
    let small = info_span!("request", name = "small");
    small.in_scope(|| debug!("a small step"));
    let _greedy = info_span!("request", name = "greedy").entered();
    for n in 0..1000 {
        debug!(n, text = "x".repeat(500), "a step");
    }
    // The unit uses seven chunks.
    error!("failed");
    let numbers = lines.values_of("n");
    assert!(numbers.len() > 30, "{}", numbers.len());
    let all: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    assert!(all.ends_with(&numbers), "the newest");
    small.in_scope(|| error!("failed"));
    assert!(lines.messages().contains(&"a small step".to_owned()));
    assert_eq!(recorder.stats().held(), 0);
}

/// Checks the memory of an open unit without lines, and with one line.
#[test]
fn open_unit_takes_bounded_bytes() {
    let _alone = alone();
    const UNITS: isize = 10_000;
    let bytes = |line: bool, with_recorder: bool| {
        let recorder = Recorder::default();
        let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
        let json = |writer| JsonLayer::new().with_writer(writer);
        let plain = (!with_recorder).then(|| json(Lines::default()));
        let recorded = with_recorder.then(|| {
            recorder.sink(Lines::default(), levels.handle(), |writer| {
                JsonLayer::new().with_writer(writer)
            })
        });
        let mut list = spanwise_core::Layers::<tracing_subscriber::Registry>::default();
        plain.into_iter().for_each(|layer| list.push(layer));
        recorded.into_iter().for_each(|layer| list.push(layer));
        let stack = tracing_subscriber::registry().with(list).with(levels);
        let _default = stack.set_default();
        let before = held();
        let open: Vec<_> = (0..UNITS)
            .map(|n| {
                let unit = info_span!("request", n);
                if line {
                    unit.in_scope(|| debug!("a step"));
                }
                unit
            })
            .collect();
        let bytes = (held() - before) / UNITS;
        drop(open);
        bytes
    };
    let (without, quiet, kept) = (bytes(false, false), bytes(false, true), bytes(true, true));
    assert!(quiet - without <= 400, "{quiet} - {without}");
    // A chunk, and the list of chunks.
    assert!(kept - quiet <= 4096 + 400, "{kept} - {quiet}");
}

#[test]
fn memory_does_not_grow_with_ten_times_the_units() {
    let _alone = alone();
    let (dispatch, _, recorder, _) = stack(Recorder::builder());
    let _default = dispatcher::set_default(&dispatch);
    let run = |units: u32| {
        for n in 0..units {
            info_span!("request", n).in_scope(|| {
                debug!("a step");
                debug!("another");
            });
        }
        held()
    };
    let few = run(2000);
    let many = run(20_000);
    assert_plateau(few, many);
    assert_eq!(recorder.stats().memory, 0);
}
