//! Errors in Sentry: what the environment says about them, and the part that sends them where it is
//! compiled in.

use spanwise_core::{Sensitivity, Setting};

use crate::settings::{SWITCH, setting};

#[cfg(not(feature = "sentry"))]
mod off;
#[cfg(feature = "sentry")]
mod sentry;

#[cfg(not(feature = "sentry"))]
pub(crate) use off::{
    FromEnv, InCode, Resolved, Running, Started, check_tag, problems, resolve, start,
};
#[cfg(feature = "sentry")]
pub(crate) use sentry::{
    FromEnv, InCode, Resolved, Running, Started, check_tag, problems, resolve, start,
};

pub(crate) const SENTRY_DSN: Setting = Setting {
    sensitivity: Sensitivity::Secret,
    ..setting(
        "SENTRY_DSN",
        "none",
        "the DSN of a project, `https://<key>@<host>/<number>`; in programs built with the feature `sentry`",
        "Errors go to this project of Sentry's as well; not under the preset test.",
    )
};
pub(crate) const SENTRY_ENVIRONMENT: Setting = setting(
    "SENTRY_ENVIRONMENT",
    "that of the service, APP_ENV, else none, which Sentry takes for `production`",
    "text",
    "The environment that Sentry shows.",
);
pub(crate) const SENTRY_RELEASE: Setting = setting(
    "SENTRY_RELEASE",
    "SERVICE_NAME@SERVICE_VERSION, none without a version",
    "text",
    "The release that Sentry shows.",
);
pub(crate) const SENTRY_EVENT_LEVEL: Setting = setting(
    "SENTRY_EVENT_LEVEL",
    "error",
    "a level, or directives such as `error,shop::probe=off`",
    "Which events Sentry gets as errors; what is logged at all is said by RUST_LOG.",
);
pub(crate) const SENTRY_BREADCRUMB_LEVEL: Setting = setting(
    "SENTRY_BREADCRUMB_LEVEL",
    "info",
    "a level, or directives such as `info,sqlx=off`",
    "Which events go with an error of the same request as breadcrumbs.",
);
pub(crate) const SENTRY_SAMPLE_RATE: Setting = setting(
    "SENTRY_SAMPLE_RATE",
    "1",
    "a number from 0 to 1",
    "The share of errors that is sent.",
);
pub(crate) const SENTRY_TRACES_SAMPLE_RATE: Setting = setting(
    "SENTRY_TRACES_SAMPLE_RATE",
    "0",
    "a number from 0 to 1",
    "The share of requests that is sent as transactions; by their trace, as LOG_SAMPLE decides.",
);
pub(crate) const SENTRY_GROUPING: Setting = setting(
    "SENTRY_GROUPING",
    "on",
    SWITCH,
    "Whether errors are one issue that say the same, but for numbers, ids, addresses and paths; otherwise Sentry's own rules decide.",
);
pub(crate) const SENTRY_ENABLE_LOGS: Setting = setting(
    "SENTRY_ENABLE_LOGS",
    "false",
    SWITCH,
    "Whether events from INFO on are sent as logs, too.",
);
