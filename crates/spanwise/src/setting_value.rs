//! What a setter of the [`Builder`](crate::Builder) is given: a value, or a text that stands for it.

use spanwise_appender::{Compression, Retention, Rotation};
use spanwise_core::{Levels, TargetLevels};
use spanwise_json::Format;
use spanwise_sample::{Recorder, Sampler};
use tracing::{Level, level_filters::LevelFilter};

use crate::{Color, Output, PanicBacktrace, Preset, TimeZone};

/// The value of a setting, as a [`Builder`](crate::Builder) is given it: a `T`, or a text in the
/// grammar of the variable of that setting.
///
/// It is made by `From`; there is nothing else to do with it. A text is trimmed, and an empty one
/// leaves the setting as it is. A text that is wrong stops [`init`](crate::Builder::init), whose
/// error lists all of them.
///
/// ```
/// use spanwise::{Builder, InitError, Rotation};
///
/// let builder = Builder::prod()
///     .levels("info,sqlx=warn")
///     .file_rotation(Rotation::default())
///     .sample("cache=first:10/100")
///     .recorder("debug,slow=1x");
/// let Err(InitError::Settings(problems)) = builder.init() else { panic!("it started") };
/// assert!(problems[0].starts_with("Builder::recorder(\"debug,slow=1x\"): "), "{problems:?}");
/// ```
#[derive(Debug, Clone)]
pub struct SettingValue<T>(pub(crate) Kind<T>);

#[derive(Debug, Clone)]
pub(crate) enum Kind<T> {
    Value(T),
    Text(String),
}

/// A type with a grammar.
///
/// Only for such types there is a [`SettingValue`]: that keeps its conversions apart.
#[expect(unnameable_types, reason = "no other crate is to implement it")]
pub trait Grammar {}

macro_rules! grammars {
    ($($(#[$attribute:meta])* $ty:ty,)*) => {
        $(
            $(#[$attribute])*
            impl Grammar for $ty {}
        )*
    };
}

grammars! {
    Color,
    Compression,
    Format,
    LevelFilter,
    Levels,
    Output,
    PanicBacktrace,
    Preset,
    Recorder,
    Retention,
    Rotation,
    Sampler,
    TargetLevels,
    TimeZone,
    #[cfg(feature = "http")]
    spanwise_http::ClientAddress,
    #[cfg(feature = "http")]
    spanwise_http::Trust,
    #[cfg(feature = "sentry")]
    spanwise_sentry::Dsn,
}

impl<T: Grammar> From<T> for SettingValue<T> {
    fn from(value: T) -> Self {
        Self(Kind::Value(value))
    }
}

impl<T: Grammar> From<&str> for SettingValue<T> {
    fn from(text: &str) -> Self {
        Self(Kind::Text(text.to_owned()))
    }
}

impl<T: Grammar> From<&String> for SettingValue<T> {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl<T: Grammar> From<String> for SettingValue<T> {
    fn from(text: String) -> Self {
        Self(Kind::Text(text))
    }
}

impl From<LevelFilter> for SettingValue<Levels> {
    fn from(level: LevelFilter) -> Self {
        Levels::from(level).into()
    }
}

impl From<LevelFilter> for SettingValue<TargetLevels> {
    fn from(level: LevelFilter) -> Self {
        TargetLevels::from(level).into()
    }
}

impl From<Level> for SettingValue<LevelFilter> {
    fn from(level: Level) -> Self {
        LevelFilter::from_level(level).into()
    }
}
