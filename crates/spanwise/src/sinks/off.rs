//! Without the feature `sentry`: nothing is sent, and whoever asks for it is told why.

use std::{fmt, time::Instant};

use spanwise_core::{Flush, SelfReport, Setting};

use super::SENTRY_DSN;
use crate::{
    Builder, Preset,
    explain::Origin,
    from_env::Vars,
    resolve::{self, Service},
};

#[derive(Debug, Clone, Default)]
pub(crate) struct FromEnv;

#[derive(Default)]
pub(crate) struct InCode {}

/// There is none.
pub(crate) enum Resolved {}

pub(crate) struct Started;

#[derive(Clone)]
pub(crate) struct Running;

impl FromEnv {
    pub(crate) fn read(vars: &mut Vars) -> Self {
        if vars.is_set(&SENTRY_DSN) {
            let name = vars.name(&SENTRY_DSN);
            vars.warn(format!(
                "{name} does not count: this program is built without Sentry; add the feature `sentry` of `spanwise`, or leave the \
                 variable out"
            ));
        }
        Self
    }
}

pub(crate) fn check_tag(_: &str) -> Result<(), String> {
    Ok(())
}

pub(crate) fn problems(_: &resolve::Resolved) -> Vec<String> {
    Vec::new()
}

pub(crate) fn resolve(
    _: &Builder,
    _: Preset,
    _: &Service,
    _: &mut impl FnMut(&Setting, &dyn fmt::Display, &Origin),
) -> Option<Resolved> {
    None
}

pub(crate) fn start(
    _: &resolve::Resolved,
    InCode {}: InCode,
    _: &SelfReport,
) -> Result<Started, Vec<String>> {
    Ok(Started)
}

impl Started {
    pub(crate) fn push_layer(self, _: impl FnOnce(tracing_subscriber::layer::Identity)) -> Running {
        Running
    }
}

impl Running {
    pub(crate) fn bind(&self) {}

    pub(crate) fn flush(&self, _: impl FnOnce(&dyn Flush) -> bool) -> bool {
        true
    }

    pub(crate) fn end(&self, _: Instant) {}
}
