//! Head sampling of traces.
//!
//! A sampler with a ratio decides by the randomness of the trace alone, like the other samplers of
//! the workspace. So equal ratios keep the same traces.

use std::{fmt, sync::Arc};

use spanwise_core::{
    ParseError,
    internal::consistent_sampling::{Threshold, randomness_from_trace_id},
};

use crate::trace_state;

/// Decides which traces are exported. Defaults to `parentbased_always_on`: all, except those that
/// the caller does not sample.
///
/// A ratio is compared with the low 56 bits of the trace id. If the `tracestate` of the caller has
/// the sub-key `rv`, its value replaces these bits. That is [consistent probability sampling]:
/// equal ratios keep the same traces in all services. The traces that a smaller ratio keeps are
/// among the traces that a larger ratio keeps. The settings `LOG_SAMPLE` and `tail=` of `spanwise`
/// and the sampling of Sentry's traces use the trace id in the same way, but do not read `rv`.
///
/// ```
/// use spanwise_otel::TraceSampler;
///
/// let sampler = TraceSampler::ratio(0.01).expect("a ratio from 0 to 1").parent_based();
/// assert_eq!(sampler, TraceSampler::from_name("parentbased_traceidratio", Some("0.01"))?);
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
///
/// [consistent probability sampling]: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceSampler {
    root: RootDecision,
    follows_parent: bool,
}

/// The decision about a trace, unless the sampler follows the decision of the caller.
#[derive(Debug, Clone, Copy, PartialEq)]
enum RootDecision {
    All,
    None,
    Ratio(Threshold),
}

/// The sampled flag and the `tracestate` of the caller: the span of another process that is the
/// parent of the first span of this process in the trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteTrace<'a> {
    pub(crate) is_sampled: bool,
    pub(crate) state: Option<&'a Arc<str>>,
}

/// The sampler's decision about a trace. It applies to all spans of this process in the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) is_sampled: bool,
    /// The `tracestate` for the spans and for outgoing calls.
    pub(crate) state: Option<Arc<str>>,
}

impl TraceSampler {
    /// Returns the sampler that exports every trace.
    #[must_use]
    pub const fn always_on() -> Self {
        Self::from_root(RootDecision::All)
    }

    /// Returns the sampler that exports no trace. Log lines have trace and span ids nevertheless.
    #[must_use]
    pub const fn always_off() -> Self {
        Self::from_root(RootDecision::None)
    }

    /// Returns the sampler that exports this ratio of traces, or `None` if `ratio` is not a number
    /// from 0 to 1. The sampler sets the sub-key `th` in the `tracestate` of sampled traces.
    #[must_use]
    pub fn ratio(ratio: f64) -> Option<Self> {
        Threshold::from_ratio(ratio)
            .map(|threshold| Self::from_root(RootDecision::Ratio(threshold)))
    }

    /// Returns a sampler that follows the decision of the caller, if there is one. It decides about
    /// traces that begin here like `self`.
    #[must_use]
    pub const fn parent_based(self) -> Self {
        Self {
            follows_parent: true,
            ..self
        }
    }

    /// Returns the sampler for the values of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    /// The names are `always_on`, `always_off` and `traceidratio`, and each of them after
    /// `parentbased_`, in upper or lower case. Only `traceidratio` takes an argument: the ratio,
    /// which defaults to 1.
    ///
    /// # Errors
    /// * If the name is not one of these.
    /// * If the argument is not a ratio.
    /// * If there is an argument, and the sampler does not take one.
    pub fn from_name(name: &str, argument: Option<&str>) -> Result<Self, ParseError> {
        let lower_name = name.to_ascii_lowercase();
        let (root_name, follows_parent) = match lower_name.strip_prefix("parentbased_") {
            Some(root) => (root, true),
            None => (&*lower_name, false),
        };
        let root = match root_name {
            "always_on" => RootDecision::All,
            "always_off" => RootDecision::None,
            "traceidratio" => RootDecision::Ratio(parse_ratio(argument.unwrap_or("1"))?),
            _ => return Err(ParseError::word(name, "is not a sampler", ACCEPTED_NAMES)),
        };
        match argument {
            Some(argument) if !matches!(root, RootDecision::Ratio(_)) => Err(ParseError::word(
                argument,
                format!("has no meaning for `{name}`"),
                "unset it, or choose `traceidratio` or `parentbased_traceidratio`",
            )),
            _ => Ok(Self {
                root,
                follows_parent,
            }),
        }
    }

    const fn from_root(root: RootDecision) -> Self {
        Self {
            root,
            follows_parent: false,
        }
    }

    /// Decides about a trace when its first span of this process begins.
    #[inline] // So that the decision about a trace that begins here costs little.
    pub(crate) fn decide(self, trace_id: [u8; 16], remote: Option<RemoteTrace<'_>>) -> Decision {
        let state = remote.and_then(|remote| remote.state);
        let sub_keys = state.map(|state| trace_state::sampling_sub_keys(state));
        let sub_keys = sub_keys.unwrap_or_default();
        let randomness = || {
            sub_keys
                .randomness
                .unwrap_or_else(|| randomness_from_trace_id(trace_id))
        };
        let unchanged = || state.cloned();
        let without_threshold = || match state {
            Some(state) if sub_keys.has_threshold => trace_state::with_threshold(state, None),
            _ => unchanged(),
        };
        match (self.root, remote) {
            (_, Some(remote)) if self.follows_parent => {
                // Keep the caller's `th` only if the caller's decision follows from it.
                let is_consistent = sub_keys
                    .threshold
                    .is_some_and(|threshold| (randomness() >= threshold) == remote.is_sampled);
                Decision {
                    is_sampled: remote.is_sampled,
                    state: if is_consistent {
                        unchanged()
                    } else {
                        without_threshold()
                    },
                }
            }
            (RootDecision::All, _) => Decision {
                is_sampled: true,
                state: without_threshold(),
            },
            (RootDecision::None, _) => Decision {
                is_sampled: false,
                state: without_threshold(),
            },
            (RootDecision::Ratio(threshold), _) => {
                let is_sampled = threshold.keeps(randomness());
                Decision {
                    is_sampled,
                    state: match threshold.digits() {
                        Some(digits) if is_sampled => {
                            let state = state.map_or("", |state| state);
                            trace_state::with_threshold(state, Some(&digits))
                        }
                        _ => without_threshold(),
                    },
                }
            }
        }
    }
}

const ACCEPTED_NAMES: &str = "write `always_on`, `always_off`, `traceidratio`, or one of them after \
                        `parentbased_`";

fn parse_ratio(text: &str) -> Result<Threshold, ParseError> {
    let threshold = text.parse().ok().and_then(Threshold::from_ratio);
    threshold.ok_or_else(|| {
        ParseError::word(
            text,
            "is not a ratio of traces",
            "write a number from 0 to 1, such as 0.1",
        )
    })
}

impl Default for TraceSampler {
    fn default() -> Self {
        Self::always_on().parent_based()
    }
}

impl fmt::Display for TraceSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.follows_parent {
            f.write_str("parentbased_")?;
        }
        match self.root {
            RootDecision::All => f.write_str("always_on"),
            RootDecision::None => f.write_str("always_off"),
            RootDecision::Ratio(threshold) => write!(f, "traceidratio={}", threshold.ratio()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace id with low randomness: even a large ratio drops the trace.
    const LOW: [u8; 16] = [
        0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0, 0, 0, 0, 0, 0, 0, 1,
    ];
    /// A trace id with the highest randomness: even a small ratio keeps the trace.
    const HIGH: [u8; 16] = [0xFF; 16];

    /// Checks the decision about a trace. `caller` and `expected` each have whether the trace is
    /// sampled, and the `tracestate`.
    #[track_caller]
    fn check(
        sampler: TraceSampler,
        trace_id: [u8; 16],
        caller: Option<(bool, &str)>,
        expected: (bool, Option<&str>),
    ) {
        let state: Option<Arc<str>> = caller
            .filter(|(_, state)| !state.is_empty())
            .map(|(_, state)| state.into());
        let remote = caller.map(|(is_sampled, _)| RemoteTrace {
            is_sampled,
            state: state.as_ref(),
        });
        let decision = sampler.decide(trace_id, remote);
        assert_eq!((decision.is_sampled, decision.state.as_deref()), expected);
    }

    fn ratio(ratio: f64) -> TraceSampler {
        TraceSampler::ratio(ratio).unwrap()
    }

    #[test]
    fn roots_are_decided_by_their_randomness() {
        check(TraceSampler::always_on(), LOW, None, (true, None));
        check(TraceSampler::always_off(), HIGH, None, (false, None));
        check(ratio(0.01), HIGH, None, (true, Some("ot=th:fd70a4")));
        check(ratio(0.1), HIGH, None, (true, Some("ot=th:e6666")));
        check(ratio(0.5), HIGH, None, (true, Some("ot=th:8")));
        check(ratio(1.0), LOW, None, (true, Some("ot=th:0")));
        check(ratio(0.5), LOW, None, (false, None));
        check(ratio(0.0), HIGH, None, (false, None));
    }

    #[test]
    fn explicit_randomness_wins_over_the_trace_id() {
        let low = "ot=rv:00000000000001";
        let high = "ot=rv:ffffffffffffff";
        check(ratio(0.5), HIGH, Some((true, low)), (false, Some(low)));
        let expected = "ot=rv:ffffffffffffff;th:8";
        check(ratio(0.5), LOW, Some((false, high)), (true, Some(expected)));
        let expected = format!("{expected},congo=t61");
        let caller = "congo=t61,ot=th:c;rv:ffffffffffffff";
        check(
            ratio(0.5),
            LOW,
            Some((true, caller)),
            (true, Some(&expected)),
        );
    }

    #[test]
    fn parent_decides_and_keeps_its_threshold() {
        for sampler in [
            TraceSampler::default(),
            TraceSampler::always_off().parent_based(),
            ratio(0.0).parent_based(),
        ] {
            check(sampler, LOW, Some((true, "")), (true, None));
            check(sampler, HIGH, Some((false, "")), (false, None));
            let state = "ot=th:8,congo=t61";
            check(sampler, HIGH, Some((true, state)), (true, Some(state)));
        }
    }

    #[test]
    fn threshold_that_was_not_followed_is_erased() {
        let state = "ot=th:8;x:1,congo=t61";
        let erased = Some("ot=x:1,congo=t61");
        check(
            TraceSampler::default(),
            LOW,
            Some((true, state)),
            (true, erased),
        );
        check(
            TraceSampler::always_on(),
            HIGH,
            Some((true, state)),
            (true, erased),
        );
        check(
            TraceSampler::always_off(),
            HIGH,
            Some((true, state)),
            (false, erased),
        );
        check(ratio(0.1), LOW, Some((true, state)), (false, erased));
        check(
            TraceSampler::always_on(),
            HIGH,
            Some((true, "ot=th:8")),
            (true, None),
        );
    }

    #[test]
    fn six_names_are_samplers() {
        for (name, argument) in [
            ("always_on", None),
            ("always_off", None),
            ("traceidratio", Some("0.25")),
            ("parentbased_always_on", None),
            ("parentbased_always_off", None),
            ("parentbased_traceidratio", Some("0.25")),
        ] {
            let shown = TraceSampler::from_name(name, argument).unwrap().to_string();
            assert_eq!(shown.split('=').next(), Some(name));
            assert_eq!(shown.split('=').nth(1), argument);
        }
        assert_eq!(
            TraceSampler::from_name("traceidratio", None),
            Ok(TraceSampler::ratio(1.0).unwrap())
        );
    }

    #[test]
    fn other_samplers_are_errors() {
        let error = |name, argument| {
            TraceSampler::from_name(name, argument)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("jaeger_remote", None),
            "`jaeger_remote` is not a sampler: write `always_on`, `always_off`, `traceidratio`, \
             or one of them after `parentbased_`"
        );
        for ratio in ["1.5", "-0.1", "NaN", "", "10%"] {
            assert_eq!(
                error("traceidratio", Some(ratio)),
                format!(
                    "`{ratio}` is not a ratio of traces: write a number from 0 to 1, such as 0.1"
                )
            );
        }
        assert_eq!(
            error("always_on", Some("0.1")),
            "`0.1` has no meaning for `always_on`: unset it, or choose `traceidratio` or \
             `parentbased_traceidratio`"
        );
    }

    #[test]
    fn equal_ratios_keep_the_same_traces() {
        let ids = (0..10_000_u64).map(|number| {
            let hash = |seed: u64| {
                let mixed = (number ^ seed)
                    .wrapping_add(1)
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                mixed ^ (mixed >> 32)
            };
            (u128::from(hash(1 << 40)) << 64 | u128::from(hash(0))).to_be_bytes()
        });
        let mut kept = [0_u32; 3];
        let ratios = [0.01, 0.1, 0.5];
        for id in ids {
            let decisions = ratios.map(|ratio| {
                let threshold = Threshold::from_ratio(ratio).unwrap();
                let is_sampled = TraceSampler::ratio(ratio)
                    .unwrap()
                    .decide(id, None)
                    .is_sampled;
                assert_eq!(is_sampled, threshold.keeps(randomness_from_trace_id(id)));
                is_sampled
            });
            // A smaller ratio keeps a subset.
            assert!(decisions.is_sorted(), "{id:?}");
            for (kept, is_sampled) in kept.iter_mut().zip(decisions) {
                *kept += u32::from(is_sampled);
            }
        }
        for (ratio, kept) in ratios.into_iter().zip(kept) {
            let standard_deviation = (10_000.0 * ratio * (1.0 - ratio)).sqrt();
            let excess = (f64::from(kept) - 10_000.0 * ratio).abs();
            assert!(excess <= 3.0 * standard_deviation, "{ratio}: {kept}");
        }
    }
}
