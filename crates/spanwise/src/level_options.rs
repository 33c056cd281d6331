//! The levels of events and spans.

use spanwise_core::{Levels, TargetLevels};

use crate::{
    choices::{Choices, Chosen},
    conceal,
    explain::Origin,
    settings::{LOG_LEVEL, LOG_SPANS, RUST_LOG},
};

/// The levels of enabled events and spans.
pub(crate) struct LevelOptions {
    pub(crate) events: Levels,
    pub(crate) spans: TargetLevels,
}

impl LevelOptions {
    pub(crate) fn choose(
        default: Option<&Levels>,
        verbosity: i8,
        own_targets: &[String],
        choices: &mut Choices<'_>,
    ) -> Self {
        let by_preset = choices.preset.levels(own_targets);
        let defaults = match default {
            Some(levels) => Chosen::new(levels.clone().or(&by_preset), Origin::Code),
            None => Chosen::new(by_preset, Origin::Preset(choices.preset.name())),
        };
        let events = choose_events(choices, defaults, verbosity);
        if let Err(error) = events.check_spans() {
            for problem in error.problems() {
                choices.problem(problem.to_string());
            }
        }
        let spans = choices.value(&LOG_SPANS).unwrap_or_default();
        Self { events, spans }
    }
}

/// Chooses the levels of events. `verbosity` shifts levels from code or from the defaults, and
/// replaces the default level of a variable.
fn choose_events(choices: &mut Choices<'_>, defaults: Chosen<Levels>, verbosity: i8) -> Levels {
    let rust_log = choices.sourced(&RUST_LOG);
    let log_level = choices.sourced(&LOG_LEVEL);
    if let (Some(rust_log), Some(log_level)) = (&rust_log, &log_level)
        && rust_log.value != log_level.value
    {
        let warning = format!(
            "{}={} does not count: {}={} is set too; remove one of them",
            choices.name_of(&LOG_LEVEL.def),
            conceal::shown_unquoted(&log_level.value.to_string()),
            choices.name_of(&RUST_LOG.def),
            conceal::shown_unquoted(&rust_log.value.to_string()),
        );
        choices.warn(warning);
    }
    let is_log_level = rust_log.is_none();
    let set = choices.set(&RUST_LOG).or(log_level);
    let (levels, origin) = match set {
        Some(Chosen {
            value,
            origin: Origin::Code,
        }) => (value.or(&defaults.value).shifted(verbosity), Origin::Code),
        Some(Chosen { value, origin }) if verbosity == 0 => (value.or(&defaults.value), origin),
        Some(Chosen { value, .. }) => (
            defaults
                .value
                .shifted(verbosity)
                .with_directives_from(&value),
            Origin::Verbosity,
        ),
        None if verbosity == 0 => (defaults.value, defaults.origin),
        None => (defaults.value.shifted(verbosity), Origin::Verbosity),
    };
    let def = match &origin {
        Origin::Variable(_) if is_log_level => &LOG_LEVEL.def,
        _ => &RUST_LOG.def,
    };
    choices.explain(def, &levels, &origin);
    levels
}
