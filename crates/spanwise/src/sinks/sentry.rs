//! With the feature `sentry`.

use std::{fmt, sync::Arc, time::Instant};

use spanwise_core::{Flush, SelfReport, Setting, SinkControl, TargetLevels};
use spanwise_sentry::{
    Dsn, InvalidLevels, Sentry, SentryBuilder, SentryError, SentryGuard, SentryLayer, SentryStats,
    is_valid_tag_name,
};

use super::{
    SENTRY_BREADCRUMB_LEVEL, SENTRY_DSN, SENTRY_ENABLE_LOGS, SENTRY_ENVIRONMENT,
    SENTRY_EVENT_LEVEL, SENTRY_GROUPING, SENTRY_RELEASE, SENTRY_SAMPLE_RATE,
    SENTRY_TRACES_SAMPLE_RATE,
};
use crate::{
    Builder, Preset, conceal,
    explain::Origin,
    from_env::Vars,
    parse::Mistake,
    resolve::{self, Service},
    settings::{SERVICE_NAME, SERVICE_VERSION},
};

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub(crate) struct FromEnv {
    dsn: Option<(Dsn, usize)>,
    environment: Option<String>,
    release: Option<String>,
    events: Option<TargetLevels>,
    breadcrumbs: Option<TargetLevels>,
    sample_rate: Option<f64>,
    traces_sample_rate: Option<f64>,
    grouping: Option<bool>,
    logs: Option<bool>,
}

/// What the code says.
#[derive(Default)]
pub(crate) struct InCode {
    pub(crate) dsn: Option<Dsn>,
    pub(crate) change: Option<Box<dyn FnOnce(SentryBuilder) -> SentryBuilder + Send + Sync>>,
}

/// Every choice made.
pub(crate) struct Resolved {
    dsn: Dsn,
    environment: Option<String>,
    release: Option<String>,
    env: FromEnv,
}

/// A layer that is not in the stack yet.
pub(crate) struct Started(Option<(SentryLayer, SentryGuard)>);

#[derive(Clone, Default)]
pub(crate) struct Running(Option<Arc<SentryGuard>>);

impl FromEnv {
    pub(crate) fn read(vars: &mut Vars) -> Self {
        Self {
            dsn: dsn(vars),
            environment: name(vars, &SENTRY_ENVIRONMENT, check_environment),
            release: name(vars, &SENTRY_RELEASE, check_release),
            events: vars.parsed(&SENTRY_EVENT_LEVEL),
            breadcrumbs: vars.parsed(&SENTRY_BREADCRUMB_LEVEL),
            sample_rate: ratio(vars, &SENTRY_SAMPLE_RATE),
            traces_sample_rate: ratio(vars, &SENTRY_TRACES_SAMPLE_RATE),
            grouping: vars.switch(&SENTRY_GROUPING),
            logs: vars.switch(&SENTRY_ENABLE_LOGS),
        }
    }
}

fn dsn(vars: &mut Vars) -> Option<(Dsn, usize)> {
    let text = vars.get(&SENTRY_DSN)?;
    match text.parse() {
        Ok(dsn) => Some((dsn, text.len())),
        Err(error) => {
            let name = vars.name(&SENTRY_DSN);
            vars.problem(format!("{name}={error}"));
            None
        }
    }
}

fn ratio(vars: &mut Vars, setting: &Setting) -> Option<f64> {
    let text = vars.get(setting)?;
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    if share.is_none() {
        let shown = vars.shown(setting, &text);
        vars.problem(format!(
            "{shown} is out of range: accepts {}",
            setting.accepts
        ));
    }
    share
}

/// A name that Sentry takes; others it discards without a word.
fn name(
    vars: &mut Vars,
    setting: &Setting,
    check: fn(&str) -> Result<(), String>,
) -> Option<String> {
    let text = vars.get(setting)?;
    match check(&text) {
        Ok(()) => Some(text),
        Err(error) => {
            vars.wrong(setting, &text, &error);
            None
        }
    }
}

const MAX_RELEASE_LEN: usize = 200;
const MAX_ENVIRONMENT_LEN: usize = 64;

/// <https://docs.sentry.io/cli/releases/#creating-releases>
fn check_release(release: &str) -> Result<(), String> {
    if release.chars().count() > MAX_RELEASE_LEN {
        return Err(format!(
            "Sentry discards a release of more than {MAX_RELEASE_LEN} characters: write a shorter one"
        ));
    }
    if release.contains(['/', '\\', '\n', '\t']) || [".", ".."].contains(&release) {
        return Err(
            "Sentry discards a release with a slash or a backslash, or of dots alone: write one such as `shop@1.4.2`"
                .to_owned(),
        );
    }
    Ok(())
}

/// <https://docs.sentry.io/concepts/key-terms/environments/>
fn check_environment(environment: &str) -> Result<(), String> {
    if environment.chars().count() > MAX_ENVIRONMENT_LEN {
        return Err(format!(
            "Sentry discards an environment of more than {MAX_ENVIRONMENT_LEN} characters: write a shorter one"
        ));
    }
    if environment.contains(|c: char| c == '/' || c.is_whitespace()) || environment == "None" {
        return Err(
            "Sentry discards an environment with a slash or a blank, and `None`: write one such as `production`"
                .to_owned(),
        );
    }
    Ok(())
}

impl Resolved {
    /// What Sentry would discard of the names that are made of others.
    pub(crate) fn problems(&self) -> Vec<String> {
        let Self {
            environment,
            release,
            env,
            ..
        } = self;
        let mut problems = Vec::new();
        if let (Some(release), None) = (release, &env.release)
            && let Err(error) = check_release(release)
        {
            problems.push(format!(
                "{} is made of {} and {}, {}: {error}; or set {0}",
                SENTRY_RELEASE.name,
                SERVICE_NAME.name,
                SERVICE_VERSION.name,
                conceal::shown(release),
            ));
        }
        if let (Some(environment), None) = (environment, &env.environment)
            && let Err(error) = check_environment(environment)
        {
            problems.push(format!(
                "{} is that of the service, {}: {error}; or set {0}",
                SENTRY_ENVIRONMENT.name,
                conceal::shown(environment),
            ));
        }
        problems
    }
}

/// Returns why Sentry takes no tag of this name.
pub(crate) fn check_tag(name: &str) -> Result<(), String> {
    if is_valid_tag_name(name) {
        return Ok(());
    }
    let error = SentryError::Tag(name.to_owned()).to_string();
    // A key may be put in place of a name.
    Err(conceal::message(&error, name))
}

/// What is wrong with names that are made of other settings.
pub(crate) fn problems(resolved: &resolve::Resolved) -> Vec<String> {
    let choices = resolved.sentry.as_ref();
    choices.map(Resolved::problems).unwrap_or_default()
}

pub(crate) fn resolve(
    builder: &Builder,
    preset: Preset,
    service: &Service,
    explain: &mut impl FnMut(&Setting, &dyn fmt::Display, &Origin),
) -> Option<Resolved> {
    let variable = |setting: &Setting| Origin::Variable(setting.name.to_owned());
    let env = &builder.env.sentry;
    // Tests that run where a service is configured report nothing.
    let of_env = env.dsn.as_ref().filter(|_| preset != Preset::Test);
    let (dsn, length, origin) = match (&builder.sentry.dsn, of_env) {
        (Some(dsn), _) => (dsn, dsn.length(), Origin::Code),
        (None, Some((dsn, length))) => (dsn, *length, variable(&SENTRY_DSN)),
        (None, None) => {
            let origin = match preset {
                Preset::Test => Origin::Preset(preset.name()),
                Preset::Dev | Preset::Prod | Preset::Cli => Origin::Unset,
            };
            explain(&SENTRY_DSN, &"none", &origin);
            return None;
        }
    };
    let changes = match builder.sentry.change {
        Some(_) => ", and changes of the program's",
        None => "",
    };
    let shown = format!("(hidden, {length} bytes), {dsn:?}{changes}");
    explain(&SENTRY_DSN, &shown, &origin);

    let (environment, origin) = match &env.environment {
        Some(environment) => (Some(environment.clone()), variable(&SENTRY_ENVIRONMENT)),
        None => (service.environment.clone(), Origin::Default),
    };
    explain(
        &SENTRY_ENVIRONMENT,
        &environment.as_deref().unwrap_or("none"),
        &origin,
    );
    let of_service = || Some(format!("{}@{}", service.name, service.version.as_ref()?));
    let (release, origin) = match &env.release {
        Some(release) => (Some(release.clone()), variable(&SENTRY_RELEASE)),
        None => (of_service(), Origin::Default),
    };
    explain(
        &SENTRY_RELEASE,
        &release.as_deref().unwrap_or("none"),
        &origin,
    );
    let mut value = |setting: &Setting, value: Option<&dyn fmt::Display>| match value {
        Some(value) => explain(setting, value, &variable(setting)),
        None => explain(setting, &setting.default, &Origin::Default),
    };
    fn show<T: fmt::Display>(value: Option<&T>) -> Option<&dyn fmt::Display> {
        value.map(|value| value as &dyn fmt::Display)
    }
    value(&SENTRY_EVENT_LEVEL, show(env.events.as_ref()));
    value(&SENTRY_BREADCRUMB_LEVEL, show(env.breadcrumbs.as_ref()));
    value(&SENTRY_SAMPLE_RATE, show(env.sample_rate.as_ref()));
    value(
        &SENTRY_TRACES_SAMPLE_RATE,
        show(env.traces_sample_rate.as_ref()),
    );
    let grouping = env.grouping.map(|on| if on { "on" } else { "off" });
    value(&SENTRY_GROUPING, show(grouping.as_ref()));
    value(&SENTRY_ENABLE_LOGS, show(env.logs.as_ref()));
    Some(Resolved {
        dsn: dsn.clone(),
        environment,
        release,
        env: env.clone(),
    })
}

/// Starts what sends, if it is asked for.
pub(crate) fn start(
    resolved: &resolve::Resolved,
    code: InCode,
    report: &SelfReport,
) -> Result<Started, Vec<String>> {
    let Some(choices) = &resolved.sentry else {
        return Ok(Started(None));
    };
    let env = &choices.env;
    let mut builder = Sentry::builder(choices.dsn.clone()).report(report.clone());
    if let Some(environment) = &choices.environment {
        builder = builder.environment(environment);
    }
    if let Some(release) = &choices.release {
        builder = builder.release(release);
    }
    if let Some(levels) = &env.events {
        builder = builder.event_levels(levels.clone());
    }
    if let Some(levels) = &env.breadcrumbs {
        builder = builder.breadcrumb_levels(levels.clone());
    }
    if let Some(ratio) = env.sample_rate {
        builder = builder.sample_rate(ratio);
    }
    if let Some(ratio) = env.traces_sample_rate {
        builder = builder.traces_sample_rate(ratio);
    }
    if env.grouping == Some(false) {
        builder = builder.without_grouping();
    }
    if env.logs == Some(true) {
        builder = builder.logs(tracing::level_filters::LevelFilter::INFO);
    }
    for key in &resolved.context {
        builder = builder.tag(key);
    }
    let static_fields = resolved.static_fields.iter();
    // The others stop the start already.
    let tags = static_fields.filter(|(name, value)| is_valid_tag_name(name) && !value.is_empty());
    for (tag, value) in tags {
        builder = builder.static_tag(tag, value);
    }
    if let Some(policy) = &resolved.redaction.policy {
        builder = builder.redact(Arc::clone(policy));
    }
    if let Some(change) = code.change {
        builder = change(builder);
    }
    let started = builder.build().map_err(|error| match error {
        SentryError::Levels(wrong) => wrong.iter().map(invalid_levels).collect(),
        SentryError::Tag(_) => vec![format!("sentry::SentryBuilder::static_tag: {error}")],
        _ => vec![format!("{}: {error}", SENTRY_DSN.name)],
    })?;
    Ok(Started(Some(started)))
}

fn invalid_levels(wrong: &InvalidLevels) -> String {
    let InvalidLevels {
        setter,
        text,
        error,
    } = wrong;
    let shown = format!("sentry::SentryBuilder::{setter}({})", conceal::shown(text));
    Mistake::error(error).problem(&shown, text)
}

impl Started {
    pub(crate) fn push_layer(self, push: impl FnOnce(SentryLayer)) -> Running {
        let Self(started) = self;
        Running(started.map(|(layer, guard)| {
            push(layer);
            Arc::new(guard)
        }))
    }
}

impl Running {
    pub(crate) fn bind(&self) {
        if let Self(Some(guard)) = self {
            guard.sentry().bind();
        }
    }

    pub(crate) fn stats(&self) -> SentryStats {
        let Self(guard) = self;
        guard
            .as_ref()
            .map(|guard| guard.sentry().stats())
            .unwrap_or_default()
    }

    pub(crate) fn flush(&self, flush: impl FnOnce(&dyn Flush) -> bool) -> bool {
        let Self(guard) = self;
        guard.as_ref().is_none_or(|guard| flush(&guard.sentry()))
    }

    pub(crate) fn end(&self, end: Instant) {
        if let Self(Some(guard)) = self {
            guard.sentry().shutdown_by(end);
        }
    }
}
