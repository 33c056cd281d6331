//! Compares buffers with models: the lines of one unit, and the units that share the memory.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
};

use proptest::prelude::*;
use spanwise_core::{LevelLayer, SelfReport};
use spanwise_recorder::{Recorder, RecorderWriter};
use tracing::{Event, Span, Subscriber, debug, dispatcher, error, info_span};
use tracing_subscriber::{
    Layer,
    fmt::MakeWriter,
    layer::{Context, SubscriberExt as _},
};

use crate::support::stack;

/// The memory of a unit grows by this many bytes.
const CHUNK_LEN: usize = 4096;

/// A line that fills a chunk together with its header.
const LINE: [u8; CHUNK_LEN - 8] = [b'x'; CHUNK_LEN - 8];

/// Writes [`LINE`] for each event.
struct FullChunks<W>(RecorderWriter<W>);

impl<S, W> Layer<S> for FullChunks<W>
where
    S: Subscriber,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut writer = self.0.make_writer_for(event.metadata());
        writer.write_all(&LINE).unwrap();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Open,
    /// Logs in one of the open units.
    Log(usize),
    Close(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Open),
        4 => any::<usize>().prop_map(Step::Log),
        1 => any::<usize>().prop_map(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Units follow each other, so that they reuse memory.
    #[test]
    fn dump_has_the_newest_lines_as_logged(
        units in prop::collection::vec(prop::collection::vec(0_usize..3 * CHUNK_LEN, 0..60), 1..4),
        max_records in 1_usize..40,
    ) {
        let builder = Recorder::builder()
            .max_unit_records(max_records)
            .max_unit_bytes(1 << 20);
        let (dispatch, lines, recorder, _) = stack(builder);
        let mut expected = Vec::new();
        dispatcher::with_default(&dispatch, || {
            for lens in &units {
                let _request = info_span!("request").entered();
                let mut newest = VecDeque::new();
                for (number, len) in lens.iter().enumerate() {
                    let letters = (0..*len).map(|at| char::from(b'a' + ((at + number) % 26) as u8));
                    let text: String = letters.collect();
                    debug!(text, "a step");
                    newest.push_back(text);
                    newest.drain(..newest.len().saturating_sub(max_records));
                }
                error!("failed");
                expected.extend(newest);
            }
        });
        prop_assert_eq!(lines.values_of("text"), expected);
        prop_assert_eq!(recorder.stats().memory, 0);
    }

    #[test]
    fn unit_with_most_memory_loses_its_lines(steps in prop::collection::vec(step(), 0..200)) {
        const MAX_CHUNKS: usize = 12;
        let recorder = Recorder::builder()
            .max_process_bytes(MAX_CHUNKS * CHUNK_LEN)
            .max_lines_per_second(1_000_000)
            .report(SelfReport::silent())
            .build();
        let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
        let chunks = recorder.sink(io::sink, levels.handle(), FullChunks);
        let stack = tracing_subscriber::registry().with(chunks).with(levels);
        let _default = tracing::subscriber::set_default(stack);
        // In the order in which they reached their size.
        let mut units: Vec<(Span, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Open => units.push((info_span!("request"), 0)),
                Step::Close(index) if !units.is_empty() => {
                    units.remove(index % units.len());
                }
                Step::Log(index) if !units.is_empty() => {
                    let index = index % units.len();
                    units[index].0.in_scope(|| debug!("a step"));
                    if units.iter().map(|(_, size)| size).sum::<usize>() == MAX_CHUNKS {
                        let most = units.iter().map(|(_, size)| *size).max();
                        let largest = units.iter().position(|(_, size)| Some(*size) == most);
                        if largest == Some(index) {
                            // The unit loses only its oldest line.
                            continue;
                        }
                        units[largest.unwrap()].1 = 0;
                    }
                    let (unit, size) = units.remove(index);
                    units.push((unit, size + 1));
                }
                Step::Close(_) | Step::Log(_) => {}
            }
        }
        for (unit, size) in units {
            let before = recorder.stats().written;
            unit.in_scope(|| error!("failed"));
            prop_assert_eq!(recorder.stats().written - before, size as u64);
        }
        prop_assert_eq!(recorder.stats().memory, 0);
    }
}
