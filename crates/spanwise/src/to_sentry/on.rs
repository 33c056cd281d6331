//! With the feature `sentry`.

use std::{fmt, sync::Arc, time::Instant};

use spanwise_core::{Flush, SelfReport, Setting, TargetLevels};
use spanwise_sentry::{
    Builder as SentryBuilder, Dsn, Sentry, SentryGuard, SentryLayer, SentryStats,
};

use super::{
    SENTRY_BREADCRUMB_LEVEL, SENTRY_DSN, SENTRY_ENABLE_LOGS, SENTRY_ENVIRONMENT,
    SENTRY_EVENT_LEVEL, SENTRY_RELEASE, SENTRY_SAMPLE_RATE, SENTRY_TRACES_SAMPLE_RATE,
};
use crate::{
    Builder, Preset,
    explain::Origin,
    resolve::{self, Service},
    settings::Vars,
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
    environment: String,
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
            environment: vars.get(&SENTRY_ENVIRONMENT),
            release: vars.get(&SENTRY_RELEASE),
            events: vars.parsed(&SENTRY_EVENT_LEVEL),
            breadcrumbs: vars.parsed(&SENTRY_BREADCRUMB_LEVEL),
            sample_rate: share(vars, &SENTRY_SAMPLE_RATE),
            traces_sample_rate: share(vars, &SENTRY_TRACES_SAMPLE_RATE),
            logs: switch(vars, &SENTRY_ENABLE_LOGS),
        }
    }
}

fn dsn(vars: &mut Vars) -> Option<(Dsn, usize)> {
    let text = vars.get(&SENTRY_DSN)?;
    match text.parse() {
        Ok(dsn) => Some((dsn, text.len())),
        Err(error) => {
            let name = vars.name(&SENTRY_DSN);
            vars.problems.push(format!("{name}={error}"));
            None
        }
    }
}

fn share(vars: &mut Vars, setting: &Setting) -> Option<f64> {
    let text = vars.get(setting)?;
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    if share.is_none() {
        let name = vars.name(setting);
        vars.problems.push(format!(
            "{name}={text:?} is out of range: accepts {}",
            setting.accepts
        ));
    }
    share
}

fn switch(vars: &mut Vars, setting: &Setting) -> Option<bool> {
    let text = vars.get(setting)?;
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let switch = match (
        is(["true", "on", "yes", "1"]),
        is(["false", "off", "no", "0"]),
    ) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    if switch.is_none() {
        let name = vars.name(setting);
        vars.problems.push(format!(
            "{name}={text:?} is unknown: accepts {}",
            setting.accepts
        ));
    }
    switch
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
                Preset::Dev | Preset::Prod => Origin::Unset,
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
        Some(environment) => (environment.clone(), variable(&SENTRY_ENVIRONMENT)),
        None => (service.environment.clone(), Origin::Default),
    };
    explain(&SENTRY_ENVIRONMENT, &environment, &origin);
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
) -> Result<Started, String> {
    let Some(choices) = &resolved.sentry else {
        return Ok(Started(None));
    };
    let env = &choices.env;
    let mut builder = Sentry::builder(choices.dsn.clone())
        .environment(&choices.environment)
        .report(report.clone());
    if let Some(release) = &choices.release {
        builder = builder.release(release);
    }
    if let Some(levels) = &env.events {
        builder = builder.event_levels(levels.clone());
    }
    if let Some(levels) = &env.breadcrumbs {
        builder = builder.breadcrumb_levels(levels.clone());
    }
    if let Some(share) = env.sample_rate {
        builder = builder.sample_rate(share);
    }
    if let Some(share) = env.traces_sample_rate {
        builder = builder.traces_sample_rate(share);
    }
    if env.logs == Some(true) {
        builder = builder.logs(tracing::level_filters::LevelFilter::INFO);
    }
    for key in &resolved.context {
        builder = builder.tag(key);
    }
    if let Some(policy) = &resolved.redaction.policy {
        builder = builder.redact(Arc::clone(policy));
    }
    if let Some(change) = code.change {
        builder = change(builder);
    }
    let started = builder
        .build()
        .map_err(|error| format!("{}: {error}", SENTRY_DSN.name))?;
    Ok(Started(Some(started)))
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
            guard.sentry().end(end);
        }
    }
}
