//! A counter of steps, so that unit tests can assert an amount of work instead of a time.

/// Counts `steps` in a unit test. Does nothing elsewhere.
#[inline(always)] // Outside of unit tests, it compiles to nothing.
pub(crate) fn step(steps: u64) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + steps);
    #[cfg(not(test))]
    let _ = steps;
}

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Returns how many steps this thread takes during `f`.
#[cfg(test)]
pub(crate) fn count(f: impl FnOnce()) -> u64 {
    let before = STEPS.get();
    f();
    STEPS.get() - before
}

#[cfg(test)]
mod tests {
    use std::{io, time::SystemTime};

    use spanwise_core::{Clock, Layers};
    use tracing::{
        Dispatch, Event, Level, Metadata, callsite::Callsite, dispatcher, field::FieldSet, span,
    };
    use tracing_core::{Interest, Kind, identify_callsite};
    use tracing_subscriber::prelude::*;

    use super::*;
    use crate::{Format, JsonLayer};

    /// Creates a callsite that is never registered, with fields of these names.
    fn callsite(kind: Kind, names: impl Iterator<Item = String>) -> &'static Metadata<'static> {
        struct Site;
        impl Callsite for Site {
            fn set_interest(&self, _: Interest) {}
            fn metadata(&self) -> &Metadata<'_> {
                unreachable!("never registered")
            }
        }
        static SITE: Site = Site;
        let names: Vec<&'static str> = names.map(|name| &*name.leak()).collect();
        let fields = FieldSet::new(names.leak(), identify_callsite!(&SITE));
        let metadata = Metadata::new("c", "t", Level::INFO, None, None, None, fields, kind);
        Box::leak(Box::new(metadata))
    }

    /// The number of spans and fields that a test logs.
    struct Load {
        /// The number of spans that are inside one another.
        depth: usize,
        /// The number of fields of each span.
        fields: usize,
        /// Whether the fields of all spans have the same few names.
        repeated: bool,
        /// The number of fields of the event. They have names of the spans' fields.
        event_fields: usize,
        max_line: usize,
    }

    /// Returns the steps that it takes to open the spans, and the steps of a late `record` together
    /// with the event after it.
    fn steps(format: &Format, load: &Load) -> [u64; 2] {
        let layer = JsonLayer::new()
            .format(format.clone())
            .max_line(load.max_line)
            .with_writer(io::sink as fn() -> io::Sink);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let name = |depth: usize, index: usize| match load.repeated {
            true => format!("f{}", index % 7),
            false => format!("f{depth}_{index}"),
        };
        dispatcher::with_default(&dispatch, || {
            let mut spans = Vec::new();
            let values: Vec<_> = vec![Some(&"a value" as &dyn tracing::Value); load.fields];
            let span_steps = count(|| {
                for depth in 0..load.depth {
                    let names = (0..load.fields).map(|index| name(depth, index));
                    let site = callsite(Kind::SPAN, names);
                    let set = site.fields().value_set_all(&values);
                    let id = dispatch.new_span(&span::Attributes::new(site, &set));
                    dispatch.enter(&id);
                    spans.push((id, site));
                }
            });
            let names = (0..load.event_fields).map(|index| name(index % load.depth, index));
            let site = callsite(Kind::EVENT, names);
            let event_fields: Vec<_> = vec![Some(&1_u64 as &dyn tracing::Value); load.event_fields];
            let event_steps = count(|| {
                if let Some((id, site)) = spans.last() {
                    let set = site.fields().value_set_all(&values);
                    dispatch.record(id, &span::Record::new(&set));
                }
                dispatch.event(&Event::new(
                    site,
                    &site.fields().value_set_all(&event_fields),
                ));
            });
            for (id, _) in spans.into_iter().rev() {
                dispatch.exit(&id);
                dispatch.try_close(id);
            }
            [span_steps, event_steps]
        })
    }

    /// Returns the steps of an event with the fields `event`, in spans with the fields `spans`.
    /// Between the spans and the event, the layer sees `other_names` other names of fields.
    fn steps_of_event(other_names: usize, spans: &[&[String]], event: &[String]) -> u64 {
        let layer = JsonLayer::new().with_writer(io::sink as fn() -> io::Sink);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let log = |names: &[String]| {
            let site = callsite(Kind::EVENT, names.iter().cloned());
            let values = vec![Some(&1_u64 as &dyn tracing::Value); names.len()];
            let set = site.fields().value_set_all(&values);
            // The first event makes the plan, and formats the timestamp. It is not counted.
            dispatch.event(&Event::new(site, &set));
            count(|| dispatch.event(&Event::new(site, &set)))
        };
        dispatcher::with_default(&dispatch, || {
            for names in spans {
                let site = callsite(Kind::SPAN, names.iter().cloned());
                let values = vec![Some(&"a value" as &dyn tracing::Value); names.len()];
                let set = site.fields().value_set_all(&values);
                let id = dispatch.new_span(&span::Attributes::new(site, &set));
                dispatch.enter(&id);
            }
            for number in 0..other_names {
                log(&[format!("other_{number}")]);
            }
            log(event)
        })
    }

    fn names(prefix: &str, count: usize) -> Vec<String> {
        (0..count)
            .map(|number| format!("{prefix}_{number}"))
            .collect()
    }

    #[test]
    fn event_compares_few_key_ids_in_deep_spans() {
        let spans: Vec<_> = (0..64)
            .map(|depth| names(&format!("s{depth}"), 2))
            .collect();
        let spans: Vec<_> = spans.iter().map(Vec::as_slice).collect();
        let event = names("e", 5);
        assert_eq!(steps_of_event(0, &spans[..1], &event), 0);
        // Each of five keys is compared with 128, eight at a time, which are in several pieces.
        let steps = steps_of_event(0, &spans, &event);
        assert!(steps <= 5 * 32, "{steps}");
    }

    #[test]
    fn event_compares_few_key_ids_among_many_keys() {
        let spans = [&*names("a", 3), &*names("b", 3), &*names("c", 3)];
        // After about 128 other names, keys of the event share bits with keys of the spans.
        for other_names in (0..160).step_by(8).chain([1_000]) {
            let steps = steps_of_event(other_names, &spans, &names("e", 5));
            assert!(steps <= 5 * 2, "{other_names}: {steps}");
        }
    }

    #[test]
    fn event_with_a_key_of_a_span_reads_no_text() {
        let spans = [&*names("a", 3), &*names("b", 3), &*names("c", 3)];
        let event = [&names("e", 4)[..], &names("b", 2)[..]].concat();
        // For each key that the spans may have, two searches. For each member of the spans, a step.
        let steps = steps_of_event(0, &spans, &event);
        assert!(steps <= 2 * 4 + 10, "{steps}");
    }

    #[test]
    fn lines_of_eight_layers_start_once_a_second() {
        let layer = || {
            JsonLayer::new()
                .clock(Clock::manual(SystemTime::UNIX_EPOCH))
                .with_writer(io::sink as fn() -> io::Sink)
        };
        let mut list = Layers::default();
        (0..8).for_each(|_| list.push(layer()));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(list));
        let site = callsite(Kind::EVENT, std::iter::empty());
        let event = || {
            for _ in 0..100 {
                dispatch.event(&Event::new(site, &site.fields().value_set_all(&[])));
            }
        };
        assert_eq!([count(event), count(event)], [8, 0]);
    }

    #[test]
    fn work_is_linear_in_fields_and_depth() {
        let base = Load {
            depth: 4,
            fields: 8,
            repeated: false,
            event_fields: 8,
            max_line: 16 * 1024 * 1024,
        };
        type Grow = fn(&Load, usize) -> Load;
        let cases: [(&str, Grow); 5] = [
            ("fields of the spans", |base, by| Load {
                fields: base.fields * by,
                ..*base
            }),
            ("fields of the event", |base, by| Load {
                event_fields: base.event_fields * by * 8,
                ..*base
            }),
            ("repeated names", |base, by| Load {
                fields: base.fields * by,
                event_fields: base.event_fields * by * 8,
                repeated: true,
                ..*base
            }),
            ("depth, with a line that shows few spans", |base, by| Load {
                depth: base.depth * by,
                max_line: 4 * 1024,
                ..*base
            }),
            ("dropped fields", |base, by| Load {
                event_fields: base.event_fields * by * 8,
                max_line: 1024,
                ..*base
            }),
        ];
        for format in [Format::Json, Format::JsonNested] {
            for (name, grow) in cases {
                let small = steps(&format, &grow(&base, 1));
                let large = steps(&format, &grow(&base, 8));
                for (small, large) in small.into_iter().zip(large) {
                    // Some work is only done with the larger load.
                    let bound = 12 * small + 64 * 1024;
                    assert!(large <= bound, "{format:?}, {name}: {small}, then {large}");
                }
            }
        }
    }
}
