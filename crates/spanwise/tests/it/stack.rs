//! `Stack` in a program without settings: the wrappers of each kind of layer, and their order.

use std::sync::Arc;

use crate::support::Lines;
use spanwise::{Stack, layer::JsonLayer, layer::Levels, record::Recorder, redact::Policy};
use tracing::{debug, error, info, info_span, subscriber};
use tracing_subscriber::fmt;

/// The wrappers of a stack.
#[derive(Debug, Clone, Copy)]
struct Wrappers {
    redaction: bool,
    sampler: bool,
    recorder: bool,
}

/// An output of each kind.
#[derive(Default)]
struct Outputs {
    json: Lines,
    lines: Lines,
    layer: Lines,
    layer_unredacted: Lines,
}

/// The kinds of outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Lines,
    Layer,
    LayerUnredacted,
}

fn all_wrappers() -> impl Iterator<Item = Wrappers> {
    (0..8).map(|bits| Wrappers {
        redaction: bits & 1 != 0,
        sampler: bits & 2 != 0,
        recorder: bits & 4 != 0,
    })
}

impl Outputs {
    fn stack(&self, wrappers: Wrappers) -> Stack {
        let mut stack = Stack::new("info".parse::<Levels>().unwrap())
            .layer_unredacted(JsonLayer::new().with_writer(self.layer_unredacted.clone()))
            .json(self.json.clone(), JsonLayer::new())
            .lines(self.lines.clone(), |writer| {
                fmt::layer().with_ansi(false).with_writer(writer)
            })
            .layer(fmt::layer().with_writer(self.layer.clone()));
        // The order of the calls does not matter.
        if wrappers.recorder {
            stack = stack.recorder(Recorder::default());
        }
        if wrappers.sampler {
            stack = stack.sampler("noisy=first:1".parse().unwrap());
        }
        if wrappers.redaction {
            stack = stack.redact(Arc::new(Policy::secrets()));
        }
        stack
    }

    fn all(&self) -> [(Kind, &Lines); 4] {
        [
            (Kind::Lines, &self.json),
            (Kind::Lines, &self.lines),
            (Kind::Layer, &self.layer),
            (Kind::LayerUnredacted, &self.layer_unredacted),
        ]
    }
}

/// Logs a failed request, with three lines for the recorder, two for the sampler, and one for both.
fn log() {
    let request = info_span!("request", token = "password=hunter2").entered();
    for n in 0..3 {
        debug!(target: "noisy", n, "query");
    }
    for n in 0..2 {
        info!(target: "noisy", n, password = "hunter2", "limited");
    }
    error!("failed");
    drop(request);
}

#[test]
fn each_kind_of_layer_has_its_wrappers() {
    for wrappers in all_wrappers() {
        let outputs = Outputs::default();
        subscriber::with_default(outputs.stack(wrappers).build(), log);
        for (kind, lines) in outputs.all() {
            let text = lines.text();
            let count = |message: &str| text.matches(message).count();
            let is_lines = kind == Kind::Lines;
            let is_redacted = wrappers.redaction && kind != Kind::LayerUnredacted;
            let why = format!("{wrappers:?}, {kind:?}: {text}");
            assert_eq!(text.contains("hunter2"), !is_redacted, "{why}");
            // The sampler would count buffered lines if the recorder did not run in front of it.
            let limited = if wrappers.sampler && is_lines { 1 } else { 2 };
            assert_eq!(count("limited"), limited, "{why}");
            let buffered = if wrappers.recorder && is_lines { 3 } else { 0 };
            assert_eq!(count("query"), buffered, "{why}");
            assert_eq!(count("failed"), 1, "{why}");
        }
    }
}

#[test]
fn stack_works_as_global_subscriber() {
    alone!();
    let outputs = Outputs::default();
    let wrappers = Wrappers {
        redaction: true,
        sampler: true,
        recorder: true,
    };
    let stack = outputs.stack(wrappers);
    let levels = stack.handle();
    subscriber::set_global_default(stack.build()).unwrap();
    log();
    levels.set_levels("debug").unwrap();
    debug!("enabled later");
    for (kind, lines) in outputs.all() {
        let text = lines.text();
        let is_redacted = kind != Kind::LayerUnredacted;
        assert_eq!(text.contains("hunter2"), !is_redacted, "{kind:?}: {text}");
        assert!(text.contains("enabled later"), "{kind:?}: {text}");
    }
    assert_eq!(outputs.json.with_message("failed")["token"], "[REDACTED]");
}
