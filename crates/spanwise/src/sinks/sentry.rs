//! The sink that sends errors to Sentry. `SENTRY_DSN` and the other variables of Sentry configure
//! it.

use std::sync::Arc;

use spanwise_core::{ParseError, Setting, SettingValue};
use spanwise_sentry::{
    Dsn, InvalidLevels, Sentry, SentryBuilder, SentryError, SentryGuard, SentryStats,
    is_valid_tag_name,
};
use tracing::level_filters::LevelFilter;

use super::{
    BuilderChanges, GuardedSink, OptionalSink, SinkChanges, SinkType, StackContext, StartedSink,
};
use crate::{
    Preset,
    choices::{Choices, Chosen, describe},
    conceal,
    explain::Origin,
    parse::{check_environment, check_release},
    service::Service,
    settings::{
        APP_ENV, SENTRY_BREADCRUMB_LEVEL, SENTRY_DSN, SENTRY_ENABLE_LOGS, SENTRY_ENVIRONMENT,
        SENTRY_EVENT_LEVEL, SENTRY_GROUPING, SENTRY_RELEASE, SENTRY_SAMPLE_RATE,
        SENTRY_TRACES_SAMPLE_RATE, SERVICE_NAME, SERVICE_VERSION,
    },
};

pub(super) const SINK_TYPE: SinkType = SinkType {
    choose: SentrySink::choose,
    own_settings: Vec::new,
};

/// The Sentry exporter, before it starts.
pub(crate) struct SentrySink {
    builder: SentryBuilder,
    changes: BuilderChanges<SentryBuilder>,
}

type RunningSentry = GuardedSink<Sentry, SentryGuard>;

impl SentrySink {
    /// Returns the sink if there is a DSN. Without a DSN, only checks the other settings.
    fn choose(
        changes: &SinkChanges,
        choices: &mut Choices<'_>,
        service: &Service,
    ) -> Option<Box<dyn OptionalSink>> {
        let changes = changes.get::<BuilderChanges<SentryBuilder>>();
        let dsn = choose_dsn(&changes, choices);
        choices.listing_if(dsn.is_some(), |choices| {
            let environment = choose_environment(choices, service, dsn.is_some());
            let release = choose_release(choices, service, dsn.is_some());
            let builder = dsn.map(Sentry::builder);
            let builder = set_option(builder, environment, SentryBuilder::environment);
            let builder = set_option(builder, release, SentryBuilder::release);
            let levels = choices.value(&SENTRY_EVENT_LEVEL);
            let builder = set_option(builder, levels, SentryBuilder::event_levels);
            let levels = choices.value(&SENTRY_BREADCRUMB_LEVEL);
            let builder = set_option(builder, levels, SentryBuilder::breadcrumb_levels);
            let ratio = choices.value(&SENTRY_SAMPLE_RATE);
            let builder = set_option(builder, ratio, SentryBuilder::sample_rate);
            let ratio = choices.value(&SENTRY_TRACES_SAMPLE_RATE);
            let builder = set_option(builder, ratio, SentryBuilder::traces_sample_rate);
            let is_off = choices.value(&SENTRY_GROUPING).filter(|is_on| !is_on);
            let builder = set_option(builder, is_off, |builder, _| builder.without_grouping());
            let is_on = choices.value(&SENTRY_ENABLE_LOGS).filter(|is_on| *is_on);
            let builder = set_option(builder, is_on, |builder, _| builder.logs(LevelFilter::INFO));
            builder.map(|builder| -> Box<dyn OptionalSink> { Box::new(Self { builder, changes }) })
        })
    }
}

impl OptionalSink for SentrySink {
    fn start(self: Box<Self>, context: &StackContext<'_>) -> Result<StartedSink, Vec<String>> {
        let mut builder = self.builder.report(context.report.clone());
        for key in context.context_keys {
            builder = builder.tag(key);
        }
        let tags = context.static_fields.iter();
        // Sentry accepts no empty tag, and the policy may have emptied a value.
        for (tag, value) in
            tags.filter(|(name, value)| is_valid_tag_name(name) && !value.is_empty())
        {
            builder = builder.static_tag(tag, value);
        }
        if let Some(policy) = context.policy {
            builder = builder.redact(Arc::clone(policy));
        }
        let (layer, guard) = self.changes.apply(builder).build().map_err(problems)?;
        let running = RunningSentry {
            handle: guard.sentry(),
            _guard: guard,
            on_installed: Sentry::bind,
        };
        Ok(StartedSink::new(
            |stack| stack.layer_unredacted(layer),
            running,
        ))
    }
}

/// Sets an option of the builder, if there is a builder and a value.
fn set_option<T>(
    builder: Option<SentryBuilder>,
    value: Option<T>,
    set: impl FnOnce(SentryBuilder, T) -> SentryBuilder,
) -> Option<SentryBuilder> {
    builder.map(|builder| match value {
        Some(value) => set(builder, value),
        None => builder,
    })
}

fn choose_dsn(changes: &BuilderChanges<SentryBuilder>, choices: &mut Choices<'_>) -> Option<Dsn> {
    let Some(Chosen { value: dsn, origin }) = choices.explicit_value(&SENTRY_DSN) else {
        let origin = match choices.preset {
            Preset::Test => Origin::Preset(Preset::Test.name()),
            Preset::Dev | Preset::Prod | Preset::Cli => Origin::Unset,
        };
        choices.add_explanation(&SENTRY_DSN.def, "none", &origin);
        return None;
    };
    let changes = match changes.is_empty() {
        true => "",
        false => ", with changes in code",
    };
    let hidden = conceal::hidden(dsn.length());
    let shown = format!("{hidden}, {dsn:?}{changes}");
    choices.add_explanation(&SENTRY_DSN.def, shown, &origin);
    Some(dsn)
}

/// Returns the value of `SENTRY_ENVIRONMENT`, or else the environment of the service.
fn choose_environment(
    choices: &mut Choices<'_>,
    service: &Service,
    has_dsn: bool,
) -> Option<String> {
    let set = choices.explicit_value(&SENTRY_ENVIRONMENT);
    let is_set = set.is_some();
    let (environment, origin) = match set {
        Some(set) => (Some(set.value), set.origin),
        None => (service.environment.clone(), Origin::Default),
    };
    let shown = environment.as_deref().unwrap_or("none");
    choices.add_explanation(&SENTRY_ENVIRONMENT.def, shown, &origin);
    if let Some(environment) = environment.as_deref().filter(|_| has_dsn && !is_set)
        && let Err(error) = check_environment(environment)
    {
        choices.add_problem(format!(
            "{} is that of the service, {}: {error}; or set {}",
            name_in_file(choices, &APP_ENV.def)
                .unwrap_or_else(|| SENTRY_ENVIRONMENT.def.name.to_owned()),
            conceal::shown(environment),
            SENTRY_ENVIRONMENT.def.name,
        ));
    }
    environment
}

/// Returns the value of `SENTRY_RELEASE`, or else a release of the name and the version of the
/// service.
fn choose_release(choices: &mut Choices<'_>, service: &Service, has_dsn: bool) -> Option<String> {
    let set = choices.explicit_value(&SENTRY_RELEASE);
    let is_set = set.is_some();
    let release_of_service = || Some(format!("{}@{}", service.name, service.version.as_ref()?));
    let (release, origin) = match set {
        Some(set) => (Some(set.value), set.origin),
        None => (release_of_service(), Origin::Default),
    };
    let shown = release.as_deref().unwrap_or("none");
    choices.add_explanation(&SENTRY_RELEASE.def, shown, &origin);
    if let Some(release) = release.as_deref().filter(|_| has_dsn && !is_set)
        && let Err(error) = check_release(release)
    {
        choices.add_problem(format!(
            "{} is made of {} and {}, {}: {error}; or set {}",
            name_in_file(choices, &SERVICE_NAME.def)
                .or_else(|| name_in_file(choices, &SERVICE_VERSION.def))
                .unwrap_or_else(|| SENTRY_RELEASE.def.name.to_owned()),
            SERVICE_NAME.def.name,
            SERVICE_VERSION.def.name,
            conceal::shown(release),
            SENTRY_RELEASE.def.name,
        ));
    }
    release
}

/// Returns the name of a setting with its position in the configuration file, if the file sets it.
fn name_in_file(choices: &Choices<'_>, def: &Setting) -> Option<String> {
    match choices.sourced_origin(def)? {
        Origin::File(place) => Some(place.name),
        _ => None,
    }
}

/// Returns a sentence for each problem in `error`.
fn problems(error: SentryError) -> Vec<String> {
    match error {
        SentryError::Levels(invalid) => invalid.iter().map(invalid_levels).collect(),
        SentryError::Tag(_) => vec![format!("sentry::SentryBuilder::static_tag: {error}")],
        _ => vec![format!("{}: {error}", SENTRY_DSN.def.name)],
    }
}

fn invalid_levels(invalid: &InvalidLevels) -> String {
    let InvalidLevels {
        setter,
        text,
        error,
    } = invalid;
    let shown = format!("sentry::SentryBuilder::{setter}({})", conceal::shown(text));
    describe(&shown, text, &ParseError::new(error.to_string()))
}

impl crate::Builder {
    /// Sets the project in Sentry to which errors are sent. Overrides `SENTRY_DSN`, and works with
    /// every preset.
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Prod)
    ///     .sentry_dsn("https://0123456789@sentry.example.com/42")
    ///     .sentry(|sentry| sentry.ignore_target("shop::probe").ignore_error("ClientGone"));
    /// assert!(builder.explain().to_string().contains("SENTRY_DSN = (hidden, 40 bytes)"));
    /// ```
    pub fn sentry_dsn(self, dsn: impl Into<SettingValue<Dsn>>) -> Self {
        self.set("sentry_dsn", &SENTRY_DSN, dsn)
    }

    /// Changes the options of Sentry, after the settings of the environment were applied. `change`
    /// is called only if there is a DSN. Each further call of `sentry` adds a change.
    pub fn sentry<F>(mut self, change: F) -> Self
    where
        F: FnOnce(SentryBuilder) -> SentryBuilder + Send + Sync + 'static,
    {
        self.sinks
            .get_mut::<BuilderChanges<SentryBuilder>>()
            .push(change);
        self
    }
}

impl crate::Handle {
    /// Returns the counters of events for Sentry. All counters are zero without Sentry.
    #[must_use]
    pub fn sentry_stats(&self) -> SentryStats {
        let running = self.sink::<RunningSentry>();
        running
            .map(|running| running.handle.stats())
            .unwrap_or_default()
    }
}
