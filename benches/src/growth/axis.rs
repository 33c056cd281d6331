//! The axes, with their points.

use std::{hint::black_box, iter};

use spanwise_core::{Layers, LevelLayer, Levels};
use spanwise_json::JsonLayer;
use tracing::{Dispatch, Span, field::Value, info, info_span, level_filters::LevelFilter};
use tracing_subscriber::{Layer, Registry, prelude::*, registry};

use super::site::Site;
use crate::{
    Contender, Workload,
    data::{self, Data},
    workload::Runs,
    writers::NullWriter,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Axis {
    /// The number of open spans around an event, each with two keys of its own.
    Depth,
    /// The number of different keys in earlier events. The measured event is inside three spans.
    Keys,
    /// How many of the four keys of an event a span around the event has, too.
    SharedKeys,
    /// The number of open spans around an event. The outermost records a field before each event.
    LateRecord,
    /// The number of callsites, which log in turn.
    Callsites,
    /// The number of layers that each write the event.
    Layers,
    /// The number of open spans. Each event enters and exits one of them.
    OpenSpans,
    /// The number of fields of an event, which are numbers.
    Numbers,
    /// The number of fields of an event, which are texts of 16 bytes.
    Texts,
    /// The length in bytes of a formatted message without digits.
    Message,
    /// The length in bytes of a formatted message with numbers.
    MessageNumbers,
    /// The number of threads that log at the same time.
    Threads,
    /// The number of threads that log at the same time, with a span around each event.
    ThreadSpans,
}

/// Runs one unit of work. The argument is the number of the unit.
pub(super) type Unit = Box<dyn FnMut(u64)>;

impl Axis {
    pub(super) const ALL: [Self; 13] = [
        Self::Depth,
        Self::Keys,
        Self::SharedKeys,
        Self::LateRecord,
        Self::Callsites,
        Self::Layers,
        Self::OpenSpans,
        Self::Numbers,
        Self::Texts,
        Self::Message,
        Self::MessageNumbers,
        Self::Threads,
        Self::ThreadSpans,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Keys => "keys",
            Self::SharedKeys => "shared-keys",
            Self::LateRecord => "late-record",
            Self::Callsites => "callsites",
            Self::Layers => "layers",
            Self::OpenSpans => "open-spans",
            Self::Numbers => "numbers",
            Self::Texts => "texts",
            Self::Message => "message",
            Self::MessageNumbers => "message-numbers",
            Self::Threads => "threads",
            Self::ThreadSpans => "thread-spans",
        }
    }

    pub(super) fn points(self) -> &'static [u64] {
        match self {
            Self::Depth => &[1, 4, 16, 64],
            Self::Keys => &[0, 64, 125, 250, 1_000],
            Self::SharedKeys => &[0, 1, 4],
            Self::LateRecord => &[1, 4, 16],
            Self::Callsites => &[10, 1_000, 10_000],
            Self::Layers => &[1, 2, 3, 4, 8],
            Self::OpenSpans => &[10, 1_000, 100_000],
            Self::Numbers | Self::Texts => &[1, 8, 16, 32],
            Self::Message | Self::MessageNumbers => &[16, 256, 4_096, 65_536],
            Self::Threads | Self::ThreadSpans => &[1, 2],
        }
    }

    /// Returns whether times are measured, because instructions do not show the cost of cache
    /// misses and of other threads.
    pub(super) fn is_timed(self) -> bool {
        self.is_threaded() || matches!(self, Self::Callsites | Self::OpenSpans)
    }

    pub(super) fn is_threaded(self) -> bool {
        matches!(self, Self::Threads | Self::ThreadSpans)
    }

    /// Returns whether this axis is measured with the contender. The facade encodes a line once for
    /// all outputs, so it has no axis of layers.
    pub(super) fn takes(self, contender: Contender) -> bool {
        self != Self::Layers || matches!(contender, Contender::Spanwise | Contender::FmtJson)
    }

    pub(super) fn runs(self, at: u64) -> Runs {
        match (self, at) {
            (Self::Message | Self::MessageNumbers, 65_536) => Runs {
                warm_up: 16,
                short: 10,
                long: 50,
            },
            (Self::Depth, 64) | (Self::Message | Self::MessageNumbers, 4_096) => Runs {
                warm_up: 100,
                short: 100,
                long: 500,
            },
            // Every run logs at each callsite equally often.
            (Self::Callsites, 10_000) => Runs {
                warm_up: at,
                short: at,
                long: 2 * at,
            },
            _ => Runs {
                warm_up: 1_000,
                short: 500,
                long: 2_500,
            },
        }
    }

    pub(super) fn dispatch(self, contender: Contender, at: u64) -> Option<Dispatch> {
        match (self, contender) {
            (Self::Layers, Contender::FmtJson) => Some(side_by_side(at, |_| {
                tracing_subscriber::fmt::layer()
                    .json()
                    .with_writer(NullWriter)
            })),
            (Self::Layers, _) => Some(side_by_side(at, |_| {
                JsonLayer::new().with_writer(NullWriter)
            })),
            _ => contender.dispatch(NullWriter),
        }
    }

    /// Opens the spans that stay open, and returns the unit. Call it after the subscriber is set.
    pub(super) fn prepare(self, at: u64) -> Unit {
        let count = at as usize;
        match self {
            Self::Depth => depth(count),
            Self::Keys => {
                log_keys(count);
                workload(Workload::Nested)
            }
            Self::SharedKeys => shared_keys(count),
            Self::LateRecord => late_record(count),
            Self::Callsites => callsites(count),
            Self::Layers => workload(Workload::Flat),
            Self::OpenSpans => open_spans(count),
            Self::Numbers => {
                let numbers = (0..FIELD_LISTS).map(|list| vec![184_467 + list as u64; count]);
                fields(numbers.collect())
            }
            Self::Texts => fields((0..FIELD_LISTS).map(|list| texts(list, count)).collect()),
            Self::Message => message(count, data::letters),
            Self::MessageNumbers => message(count, data::text),
            Self::Threads => workload(Workload::Flat),
            Self::ThreadSpans => {
                let mut event = workload(Workload::Flat);
                Box::new(move |turn| {
                    let _span = info_span!("work", attempt = black_box(turn)).entered();
                    event(turn);
                })
            }
        }
    }
}

/// The number of lists of values. They are logged in turn, so a cache of the last texts does not
/// help.
const FIELD_LISTS: usize = 64;

fn side_by_side<L>(count: u64, layer: impl Fn(u64) -> L) -> Dispatch
where
    L: Layer<Registry> + Send + Sync,
{
    let mut layers = Layers::<Registry>::default();
    for number in 0..count {
        layers.push(layer(number));
    }
    let levels = LevelLayer::new(Levels::from(LevelFilter::INFO));
    registry().with(layers).with(levels).into()
}

fn workload(workload: Workload) -> Unit {
    let data: &'static Data = Box::leak(Box::new(workload.data()));
    let spans = workload.enter_spans(data);
    Box::new(move |turn| {
        let _entered = &spans;
        workload.take_turns(data, turn..turn + 1);
    })
}

fn depth(count: usize) -> Unit {
    let site = |number| Site::span(vec![format!("name_{number}"), format!("attempt_{number}")]);
    let mut spans = Vec::new();
    for number in 0..count {
        let attempt = number as u64;
        let span = site(number).open(&[Some(&"orders-eu-central"), Some(&attempt)]);
        spans.push(span.entered());
    }
    Box::new(move |turn| {
        let _entered = &spans;
        info!(rows = black_box(turn), express = true, "order placed");
    })
}

fn shared_keys(count: usize) -> Unit {
    const KEYS: usize = 4;
    let key = |number| format!("key_{number}");
    let own = |number| format!("own_{number}");
    let value: &'static u64 = &184_467;
    let values: [Option<&dyn Value>; KEYS] = [Some(value); KEYS];
    let span = Site::span((0..KEYS).map(key).collect());
    let span = span.open(&values).entered();
    let names = (0..KEYS).map(|number| {
        if number < count {
            key(number)
        } else {
            own(number)
        }
    });
    let event = Site::event(names.collect());
    Box::new(move |turn| {
        let _entered = &span;
        let turn = black_box(turn);
        let value: Option<&dyn Value> = Some(&turn);
        event.log(&[value; KEYS]);
    })
}

fn late_record(depth: usize) -> Unit {
    let root = Site::span(vec!["queue".to_owned(), "late".to_owned()]);
    let root = root.open(&[Some(&"orders-eu-central"), None]);
    let mut entered = vec![root.clone().entered()];
    for number in 1..depth {
        let site = Site::span(vec![format!("attempt_{number}")]);
        entered.push(site.open(&[Some(&(number as u64))]).entered());
    }
    Box::new(move |turn| {
        let _entered = &entered;
        root.record("late", black_box(turn));
        info!(rows = turn, express = true, "order placed");
    })
}

/// Logs events with ten keys each. No key is in two events.
fn log_keys(count: usize) {
    let names: Vec<_> = (0..count).map(|number| format!("key_{number}")).collect();
    for names in names.chunks(10) {
        let value = 1_u64;
        let values: Vec<Option<&dyn Value>> = names.iter().map(|_| Some(&value as _)).collect();
        Site::event(names.to_vec()).log(&values);
    }
}

fn callsites(count: usize) -> Unit {
    let names = || ["message", "rows", "queue"].map(str::to_owned).to_vec();
    let sites: Vec<_> = iter::repeat_with(|| Site::event(names()))
        .take(count)
        .collect();
    Box::new(move |turn| {
        let message = format_args!("order placed");
        let rows = black_box(turn);
        sites[turn as usize % sites.len()].log(&[
            Some(&message),
            Some(&rows),
            Some(&"orders-eu-central"),
        ]);
    })
}

fn open_spans(count: usize) -> Unit {
    let open = |number: usize| info_span!("work", queue = "orders-eu-central", number);
    let spans: Vec<Span> = (0..count).map(open).collect();
    // The step has no common divisor with the number of spans, so each span has its turn. It is
    // large, so the next span is not a neighbour in memory.
    let mut next = 0_usize;
    Box::new(move |turn| {
        next = (next + 7_919) % spans.len();
        let _entered = spans[next].enter();
        info!(rows = black_box(turn), express = true, "order placed");
    })
}

fn texts(list: usize, count: usize) -> Vec<&'static str> {
    let letter = |at: usize| char::from(b'a' + ((list + at) * 7 % 26) as u8);
    let text = |field: usize| &*(field..field + 16).map(letter).collect::<String>().leak();
    (0..count).map(text).collect()
}

fn fields<T: Value + 'static>(lists: Vec<Vec<T>>) -> Unit {
    let lists: &'static [Vec<T>] = lists.leak();
    let names = (0..lists[0].len()).map(|number| format!("field_{number}"));
    let site = Site::event(names.collect());
    let values = |list: &'static Vec<T>| -> Vec<Option<&'static dyn Value>> {
        list.iter().map(|value| Some(value as &dyn Value)).collect()
    };
    let lists: Vec<_> = lists.iter().map(values).collect();
    Box::new(move |turn| site.log(black_box(&lists[turn as usize % FIELD_LISTS])))
}

/// Logs messages of `len` bytes, which begin at different positions of the same text.
fn message(len: usize, text: fn(usize) -> String) -> Unit {
    const MESSAGES: usize = 16;
    let text = text(len + MESSAGES);
    Box::new(move |turn| {
        let start = turn as usize % MESSAGES;
        info!("{}", black_box(&text[start..start + len]));
    })
}
