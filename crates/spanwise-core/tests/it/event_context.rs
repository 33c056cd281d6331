//! The context of an event, and the disposition of its line.

use std::sync::Arc;

use spanwise_core::{
    EventContext,
    internal::{
        BufferingUnit, DispatchedSummary, EnteredLine, EnteredUnits, LayerId, LineDisposition,
        SinkMask, UnencodedEvent, panic_safe::catch_panic,
    },
};

/// A unit that buffers the events whose values are `room`.
struct Unit;

impl BufferingUnit for Unit {
    fn buffer(self: Arc<Self>, tag: u32, _: bool, event: &UnencodedEvent<'_>) -> bool {
        assert_eq!(tag, 9);
        event.values == b"room"
    }
}

struct Units;

impl EnteredUnits for Units {
    fn unit_at(&self, _: LayerId, _: u32) -> Option<Arc<dyn BufferingUnit>> {
        Some(Arc::new(Unit))
    }

    fn try_buffer(&self, line: &EnteredLine, event: &UnencodedEvent<'_>) -> bool {
        line.index == 0 && event.values == b"room"
    }
}

fn rate(rate: f64) -> impl FnOnce(&mut EventContext) {
    move |context| context.sample_rate = Some(rate)
}

fn buffer(tag: u32) -> LineDisposition {
    let unit = Arc::new(Unit);
    LineDisposition::Buffer { unit, tag }
}

fn take_tag(sink: LayerId) -> Option<(u32, bool)> {
    match LineDisposition::take(sink)? {
        (LineDisposition::Buffer { tag, .. }, is_sampled_out) => Some((tag, is_sampled_out)),
        (LineDisposition::Header(_) | LineDisposition::Dump(_), _) => None,
    }
}

/// Asserts that the next event and the next line of each sink start without any state.
fn assert_nothing_is_set(sinks: &[LayerId]) {
    assert!(!EventContext::is_set());
    assert!(!DispatchedSummary::is_current());
    for sink in sinks {
        assert!(EnteredLine::current(*sink).is_none());
        assert_eq!(take_tag(*sink), None);
        assert!(!DispatchedSummary::take(*sink));
    }
    // A leftover flag of a sampled-out line would apply to the next line.
    let sink = sinks[0];
    buffer(0).scope(
        sink,
        |_| {},
        || assert_eq!(take_tag(sink), Some((0, false))),
    );
}

#[test]
fn smallest_trace_rate_counts_and_others_multiply() {
    let mut context = EventContext::default();
    context.limit_trace_rate(0.1);
    context.limit_trace_rate(0.5);
    assert_eq!(context.sample_rate, Some(0.1));
    context.multiply_sample_rate(0.5);
    assert_eq!(context.sample_rate, Some(0.05));
    context.limit_trace_rate(0.02);
    let rate = context.sample_rate.unwrap();
    assert!((rate - 0.01).abs() < 1e-12, "{rate}");
}

#[test]
fn context_is_taken_once_and_ends_with_the_event() {
    EventContext::scope(rate(0.5), || {
        EventContext::scope(
            |context| context.buffered = true,
            || {
                let taken = EventContext::take();
                assert_eq!((taken.sample_rate, taken.buffered), (Some(0.5), true));
                assert_eq!(EventContext::take(), EventContext::default());
            },
        );
        assert_eq!(EventContext::take().sample_rate, Some(0.5));
    });
    let panicking = || EventContext::scope(rate(0.1), || panic!("a sink"));
    assert!(catch_panic(panicking).is_none());
    assert_nothing_is_set(&[LayerId::unique()]);
}

#[test]
fn nested_event_sees_neither_context_nor_line() {
    let (sink, other) = (LayerId::unique(), LayerId::unique());
    buffer(1).scope(sink, rate(0.5), || {
        EventContext::default().forward_new_event(|| {
            assert!(!EventContext::is_set());
            assert_eq!(take_tag(sink), None);
            buffer(2).scope(sink, |_| {}, || {});
        });
        let keep = |context: &mut EventContext| context.keep_if_sampled_out = true;
        let panicking = || buffer(3).scope(other, keep, || panic!("a value"));
        assert!(catch_panic(panicking).is_none());
        LineDisposition::without(|| assert_eq!(take_tag(sink), None));
        assert_eq!(EventContext::take().sample_rate, Some(0.5));
        assert_eq!(take_tag(other), None, "another sink's line");
        assert_eq!(take_tag(sink), Some((1, false)));
        assert_eq!(take_tag(sink), None);
    });
    assert_nothing_is_set(&[sink, other]);
}

#[test]
fn sampled_out_event_is_forwarded_only_to_be_buffered() {
    let sink = LayerId::unique();
    assert!(!EventContext::default().forward_sampled_out(|| panic!("forwarded")));
    let keep = |context: &mut EventContext| {
        context.keep_if_sampled_out = true;
        context.multiply_sample_rate(0.5);
    };
    buffer(7).scope(sink, keep, || {
        let context = EventContext::take();
        let forwarded = context.forward_sampled_out(|| {
            let inner = EventContext::take();
            assert_eq!((inner.buffered, inner.sample_rate), (true, None));
            assert_eq!(take_tag(sink), Some((7, true)));
        });
        assert!(forwarded);
    });
    assert_nothing_is_set(&[sink]);
}

#[test]
fn entered_line_keeps_its_unit_when_its_span_exits() {
    let sink = LayerId::unique();
    let line = |index| EnteredLine {
        sink,
        index,
        tag: 9,
        units: &Units,
    };
    line(2).scope(|| {
        EnteredLine::span_exited(sink, 0, || None);
        assert_eq!(EnteredLine::current(sink).map(|line| line.index), Some(1));
        EnteredLine::span_exited(sink, 1, || Some(Arc::new(Unit)));
        assert!(EnteredLine::current(sink).is_none());
        assert_eq!(take_tag(sink), Some((9, false)));
    });
    line(0).scope(|| {
        line(1).scope(EnteredLine::line_buffered);
        assert_eq!(take_tag(sink), Some((9, false)), "the outer line");
    });
    assert_nothing_is_set(&[sink]);
}

#[test]
fn unencoded_event_takes_the_place_of_its_line() {
    let (sink, other) = (LayerId::unique(), LayerId::unique());
    let event = |values| UnencodedEvent { values, span: None };
    let (fits, full) = (event(b"room"), event(b"none"));
    let line = |index| EnteredLine {
        sink,
        index,
        tag: 9,
        units: &Units,
    };
    line(0).scope(|| {
        assert!(!fits.try_buffer(other) && !full.try_buffer(sink));
        assert!(fits.try_buffer(sink));
        assert!(!fits.try_buffer(sink) && !fits.buffer(sink), "twice");
    });
    line(1).scope(|| {
        assert!(!fits.try_buffer(sink));
        assert!(!fits.buffer(other) && !full.buffer(sink));
        assert_eq!(LineDisposition::sink(), Some(sink));
        assert!(fits.buffer(sink));
        assert_eq!(LineDisposition::sink(), None);
    });
    line(1).scope(|| {
        assert!(!full.buffer(sink));
        assert_eq!(take_tag(sink), Some((9, false)), "the line is left");
    });
    assert_nothing_is_set(&[sink, other]);
}

#[test]
fn sinks_of_an_event_end_with_it() {
    let sinks = |bits| SinkMask::from_bits(bits);
    assert!(SinkMask::current().is_empty());
    sinks(0b101).scope(|| {
        sinks(0b010).scope(|| assert_eq!(SinkMask::current(), sinks(0b010)));
        assert_eq!(SinkMask::current(), sinks(0b101));
    });
    assert!(catch_panic(|| sinks(1).scope(|| panic!("a sink"))).is_none());
    assert!(SinkMask::current().is_empty());
}
