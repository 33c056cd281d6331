//! Accounting: for any behaviour of the writer, every line is delivered, shed, failed or lost at
//! shutdown. The delivered lines are counted in the output.

use std::{io::Write, thread, time::Duration};

use crate::support::{Does, Steered};
use proptest::prelude::*;
use spanwise_appender::{Background, WhenFull};
use spanwise_core::SelfReport;
use tracing_subscriber::fmt::MakeWriter;

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        4 => Just(Does::Take),
        2 => (1..200_usize).prop_map(Does::TakeAtMost),
        2 => (0..200_usize).prop_map(Does::TakeThenFail),
        1 => Just(Does::Close),
        2 => Just(Does::Stall),
        1 => Just(Does::Panic),
    ]
}

fn when_full() -> impl Strategy<Value = WhenFull> {
    prop_oneof![
        Just(WhenFull::Shed),
        (0..5_u64).prop_map(|ms| WhenFull::ShedByLevel(Duration::from_millis(ms))),
        (0..5_u64).prop_map(|ms| WhenFull::Block(Duration::from_millis(ms))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_counted_exactly_once(
        script in prop::collection::vec((does(), 1..200_usize), 1..8),
        end in prop_oneof![3 => Just(Does::Take), 1 => does()],
        when_full in when_full(),
        direct in any::<bool>(),
        threads in 1..4_usize,
        width in 1..100_usize,
    ) {
        let writer = Steered::new(Does::Take);
        let mut builder = Background::builder(writer.clone())
            .capacity(4096)
            .when_full(when_full)
            .report(&SelfReport::silent());
        // A caller waits for a writer that does not return.
        let stalls = script.iter().map(|(does, _)| does).chain([&end]);
        let stalls = stalls.filter(|does| **does == Does::Stall).count() > 0;
        if direct && !stalls {
            builder = builder.direct();
        }
        let (background, guard) = builder.build().unwrap();
        let mut given = 0;
        for (step, (does, lines)) in script.iter().enumerate() {
            writer.set(*does);
            thread::scope(|scope| {
                for thread in 0..threads {
                    let background = &background;
                    scope.spawn(move || {
                        for n in 0..*lines {
                            let line = format!("<{thread} {step} {n} {:width$}>\n", "");
                            background.make_writer().write_all(line.as_bytes()).unwrap();
                        }
                    });
                }
            });
            given += threads * lines;
        }
        writer.set(end);
        let stalls = end == Does::Stall || matches!(end, Does::TakeThenFail(_));
        let deadline = if stalls { Duration::from_millis(80) } else { Duration::from_secs(20) };
        let report = guard.shutdown(deadline);
        let stats = background.stats();
        prop_assert_eq!((report.delivered, report.lost), (stats.delivered, stats.lost()));
        // After the shutdown the caller writes.
        let panics = script.iter().map(|(does, _)| does).chain([&end]);
        let panics = panics.filter(|does| **does == Does::Panic).count();
        writer.set(Does::Take);
        let after = 3;
        for n in 0..after {
            let line = format!("<{threads} {} {n} >\n", script.len());
            background.make_writer().write_all(line.as_bytes()).unwrap();
        }
        background.flush(Duration::from_secs(20)).unwrap();
        let given = given + after;
        let stats = background.stats();

        let whole: Vec<String> = writer
            .lines()
            .into_iter()
            .filter(|line| line.starts_with('<') && line.ends_with('>'))
            .collect();
        // After two panics, stderr replaces the writer, and this test does not read stderr.
        if panics == 0 {
            // A stalled writer may still write the records that it received before the deadline.
            let late = if end == Does::Stall { stats.lost_at_shutdown } else { 0 };
            let whole = whole.len() as u64;
            let delivered = stats.delivered..=stats.delivered + late;
            prop_assert!(delivered.contains(&whole), "{} whole, {:?}", whole, stats);
        }
        prop_assert_eq!(given as u64, stats.delivered + stats.lost());

        let mut seen = std::collections::HashSet::new();
        let mut last = std::collections::HashMap::new();
        for line in &whole {
            prop_assert!(seen.insert(line.clone()), "twice: {}", line);
            let mut numbers = line[1..].split(' ').map(|n| n.parse::<usize>());
            let mut next = || numbers.next().unwrap().unwrap();
            let (thread, order) = (next(), (next(), next()));
            if let Some(before) = last.insert(thread, order) {
                prop_assert!(before < order, "out of order: {}", line);
            }
        }
    }
}
