//! The choice of the levels of events and spans.
//!
//! Several sources may set levels. Levels without a default level do not replace the levels of a
//! source with lower priority, but add their directives to them.

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
    /// The levels that code or a variable sets. They override the levels and routes of a
    /// configuration file.
    pub(crate) over_file: Option<Chosen<Levels>>,
    /// The levels that apply where `over_file` sets none: those of the configuration file, of
    /// [`Builder::default_levels`](crate::Builder::default_levels) and of the preset.
    pub(crate) defaults: Chosen<Levels>,
}

impl LevelOptions {
    pub(crate) fn choose(
        default_levels: Option<&Levels>,
        verbosity: i8,
        own_targets: &[String],
        choices: &mut Choices<'_>,
    ) -> Self {
        let by_preset = choices.preset.levels(own_targets);
        let defaults = match default_levels {
            Some(levels) => Chosen::new(levels.clone().or(&by_preset), Origin::Code),
            None => Chosen::new(by_preset, Origin::Preset(choices.preset.name())),
        };
        // The levels of the file, like those of the preset, are defaults for those of a variable.
        let defaults = match choices.value_in_file(&RUST_LOG) {
            Some(file) => Chosen::new(file.value.or(&defaults.value), file.origin),
            None => defaults,
        };
        let events = choose_events(choices, defaults.clone(), verbosity);
        if let Err(error) = events.check_spans() {
            let file = choices.value_in_file(&RUST_LOG);
            let file = file.as_ref().and_then(|file| file.origin.source_name());
            let place = file.map(|name| format!("{name}: ")).unwrap_or_default();
            for problem in error.problems() {
                choices.add_problem(format!("{place}{problem}"));
            }
        }
        let spans = choices.value(&LOG_SPANS).unwrap_or_default();
        Self {
            events,
            spans,
            over_file: over_file(choices, verbosity),
            defaults: match verbosity {
                0 => defaults,
                _ => Chosen::new(defaults.value.shifted(verbosity), Origin::Verbosity),
            },
        }
    }
}

/// Returns the levels that code or a variable sets. If `verbosity` is not 0, it shifts the levels
/// from code, and removes the default level of a variable.
fn over_file(choices: &mut Choices<'_>, verbosity: i8) -> Option<Chosen<Levels>> {
    let rust_log = choices
        .explicit_value(&RUST_LOG)
        .filter(|levels| !levels.is_from_file());
    let explicit = rust_log.or_else(|| choices.sourced(&LOG_LEVEL));
    explicit.map(|explicit| {
        let levels = match explicit.origin {
            Origin::Code => explicit.value.shifted(verbosity),
            _ if verbosity == 0 => explicit.value,
            _ => Levels::default().with_directives_from(&explicit.value),
        };
        Chosen::new(levels, explicit.origin)
    })
}

/// Chooses the levels of events. If `verbosity` is not 0, it shifts levels from code or from the
/// defaults, and the shifted default level replaces that of a variable.
fn choose_events(choices: &mut Choices<'_>, defaults: Chosen<Levels>, verbosity: i8) -> Levels {
    let rust_log = choices
        .sourced(&RUST_LOG)
        .filter(|levels| !levels.is_from_file());
    let log_level = choices.sourced(&LOG_LEVEL);
    if let (Some(rust_log), Some(log_level)) = (&rust_log, &log_level)
        && rust_log.value != log_level.value
    {
        let warning = format!(
            "{}={} has no effect: {}={} is set too; remove one of them",
            choices.name_of(&LOG_LEVEL.def),
            conceal::shown_unquoted(&log_level.value.to_string()),
            choices.name_of(&RUST_LOG.def),
            conceal::shown_unquoted(&rust_log.value.to_string()),
        );
        choices.warn(warning);
    }
    let is_from_log_level = rust_log.is_none();
    let log_level =
        log_level.map(|levels| Chosen::new(levels.value, levels.origin.over(&defaults.origin)));
    let explicit = choices
        .explicit_value(&RUST_LOG)
        .filter(|levels| !levels.is_from_file());
    let (levels, origin) = match explicit.or(log_level) {
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
        Origin::Variable(_) | Origin::Over(..) if is_from_log_level => &LOG_LEVEL.def,
        _ => &RUST_LOG.def,
    };
    choices.add_explanation(def, &levels, &origin);
    levels
}
