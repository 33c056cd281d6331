//! The goals, and whether they are met.

use crate::figures::Figures;

pub(crate) struct Goal {
    pub(crate) title: &'static str,
    bound: Bound,
    formula: &'static str,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};

/// `a ÷ b` is a ratio, and `a - c ÷ b - c` one of what is above a base.
pub(crate) static GOALS: &[Goal] = &[
    goal(
        "`fmt-json` ÷ `spanwise-prod`, instructions, flat",
        AtLeast(9.0),
        "peers/instructions/fmt-json/flat ÷ peers/instructions/spanwise-prod/flat",
    ),
    goal(
        "the same, nested",
        AtLeast(28.0),
        "peers/instructions/fmt-json/nested ÷ peers/instructions/spanwise-prod/nested",
    ),
    goal(
        "the same, request",
        AtLeast(13.0),
        "peers/instructions/fmt-json/request ÷ peers/instructions/spanwise-prod/request",
    ),
    goal(
        "the same, escape",
        AtLeast(8.5),
        "peers/instructions/fmt-json/escape ÷ peers/instructions/spanwise-prod/escape",
    ),
    goal(
        "`microjson` ÷ `spanwise-prod`, instructions, flat",
        AtLeast(3.0),
        "peers/instructions/microjson/flat ÷ peers/instructions/spanwise-prod/flat",
    ),
    goal(
        "the same, nested",
        AtLeast(3.0),
        "peers/instructions/microjson/nested ÷ peers/instructions/spanwise-prod/nested",
    ),
    goal(
        "the same, request",
        AtLeast(3.0),
        "peers/instructions/microjson/request ÷ peers/instructions/spanwise-prod/request",
    ),
    goal(
        "the same, escape",
        AtLeast(3.0),
        "peers/instructions/microjson/escape ÷ peers/instructions/spanwise-prod/escape",
    ),
    goal(
        "`JsonLayer` with the policy ÷ without, instructions, numbers",
        AtMost(1.05),
        "redaction/instructions/spanwise-policy/numbers ÷ redaction/instructions/spanwise/numbers",
    ),
    goal(
        "the same, keys",
        AtMost(1.05),
        "redaction/instructions/spanwise-policy/keys ÷ redaction/instructions/spanwise/keys",
    ),
    goal(
        "the same, flat",
        AtMost(1.25),
        "redaction/instructions/spanwise-policy/flat ÷ redaction/instructions/spanwise/flat",
    ),
    goal(
        "`Redacted` in front of `fmt-json` ÷ without, instructions, flat",
        AtMost(1.10),
        "redaction/instructions/fmt-json-redacted/flat ÷ redaction/instructions/fmt-json/flat",
    ),
    goal(
        "the same, request",
        AtMost(1.10),
        "redaction/instructions/fmt-json-redacted/request ÷ redaction/instructions/fmt-json/request",
    ),
    goal(
        "ns of a ratio for a kept event, in front of `JsonLayer`",
        AtMost(15.0),
        "sampling/more-ns/ratio-kept/json-flat",
    ),
    goal(
        "ns of a rate, the same",
        AtMost(15.0),
        "sampling/more-ns/rate-kept/json-flat",
    ),
    goal(
        "time of a line ÷ of a suppressed event",
        AtLeast(5.0),
        "sampling/times-cheaper/rate-held-back/json-flat",
    ),
    goal(
        "lines/s, `spanwise` ÷ tracing-appender, two producers",
        AtLeast(5.0),
        "appender/speed/spanwise/lines-2",
    ),
    goal(
        "p99, tracing-appender ÷ `spanwise`, two producers",
        AtLeast(5.0),
        "appender/p99-ratio/spanwise/lines-2",
    ),
    goal(
        "flat events/s to a file, `spanwise-prod` ÷ `fmt-json`, two producers",
        AtLeast(7.0),
        "appender/speed/spanwise-prod/flat-2",
    ),
    goal(
        "the same, requests",
        AtLeast(7.0),
        "appender/speed/spanwise-prod/request-2",
    ),
    goal(
        "a request of a server above the bare one, `spanwise-prod` ÷ tower-http, instructions",
        AtMost(0.2),
        "http/instructions/spanwise-prod/served - http/instructions/bare/served ÷ \
         http/instructions/tower-http/served - http/instructions/bare/served",
    ),
    goal(
        "an event that the recorder buffers and drops ÷ a written one, instructions",
        AtMost(0.7),
        "recorder/instructions/recorder/kept ÷ recorder/instructions/written/kept",
    ),
    goal(
        "the same, with the policy",
        AtMost(0.7),
        "recorder/instructions/recorder-redacted/kept ÷ recorder/instructions/written-redacted/kept",
    ),
    goal(
        "a line with trace and span ids ÷ without, instructions, nested",
        AtMost(1.05),
        "formats/instructions/spanwise-ids/nested ÷ formats/instructions/spanwise/nested",
    ),
    goal(
        "`logfmt` ÷ `json`, instructions, flat",
        AtMost(1.10),
        "formats/instructions/spanwise-logfmt/flat ÷ formats/instructions/spanwise/flat",
    ),
    goal(
        "the same, nested",
        AtMost(1.10),
        "formats/instructions/spanwise-logfmt/nested ÷ formats/instructions/spanwise/nested",
    ),
    goal(
        "the same, request",
        AtMost(1.15),
        "formats/instructions/spanwise-logfmt/request ÷ formats/instructions/spanwise/request",
    ),
    goal(
        "`otlp` ÷ `json`, instructions, flat",
        AtMost(1.25),
        "formats/instructions/spanwise-otlp/flat ÷ formats/instructions/spanwise/flat",
    ),
    goal(
        "the same, nested",
        AtMost(1.25),
        "formats/instructions/spanwise-otlp/nested ÷ formats/instructions/spanwise/nested",
    ),
    goal(
        "the same, request",
        AtMost(1.25),
        "formats/instructions/spanwise-otlp/request ÷ formats/instructions/spanwise/request",
    ),
    goal(
        "a table of a program ÷ `json`, instructions, flat",
        AtMost(1.10),
        "formats/instructions/custom-table/flat ÷ formats/instructions/spanwise/flat",
    ),
    goal(
        "a `LineFormat` ÷ `json`, instructions, flat",
        AtMost(3.0),
        "formats/instructions/line-format/flat ÷ formats/instructions/spanwise/flat",
    ),
    goal(
        "OpenTelemetry, `spanwise` ÷ upstream-lean, instructions of the caller, span",
        AtMost(0.65),
        "otel/caller/spanwise/span ÷ otel/caller/upstream-lean/span",
    ),
    goal(
        "the same, enter",
        AtMost(0.75),
        "otel/caller/spanwise/enter ÷ otel/caller/upstream-lean/enter",
    ),
    goal(
        "OpenTelemetry, `spanwise` ÷ upstream, instructions of the caller, log",
        AtMost(0.75),
        "otel/caller/spanwise/log ÷ otel/caller/upstream/log",
    ),
    goal(
        "the same, request",
        AtMost(0.45),
        "otel/caller/spanwise/request ÷ otel/caller/upstream/request",
    ),
];

const fn goal(title: &'static str, bound: Bound, formula: &'static str) -> Goal {
    Goal {
        title,
        bound,
        formula,
    }
}

impl Goal {
    pub(crate) fn bound(&self) -> String {
        match self.bound {
            AtLeast(bound) => format!("at least {bound}"),
            AtMost(bound) => format!("at most {bound}"),
        }
    }

    pub(crate) fn measured(&self, figures: &Figures) -> Option<f64> {
        figures.evaluate(self.formula)
    }

    /// Whether the figure, as it is shown, is within the bound.
    pub(crate) fn is_met(&self, figures: &Figures) -> Option<bool> {
        let measured = (self.measured(figures)? * 100.0).round() / 100.0;
        Some(match self.bound {
            AtLeast(bound) => measured >= bound,
            AtMost(bound) => measured <= bound,
        })
    }
}
