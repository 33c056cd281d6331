//! Arguments of setters: a value, or its text.

use tracing_core::{Level, LevelFilter};

use crate::{Levels, TargetLevels};

/// The argument of a setter: a `T`, or a text that is parsed as a `T`.
///
/// Values and texts convert with `From`. A builder parses a text with [`read`](Self::read) only in
/// its last step, so that it reports all mistakes together. An empty or blank text leaves the
/// setting unchanged.
///
/// ```
/// use spanwise_core::{Levels, ParseError, SettingValue};
///
/// fn levels(levels: impl Into<SettingValue<Levels>>) -> Result<Option<Levels>, (String, ParseError)> {
///     levels.into().read(str::parse)
/// }
/// assert_eq!(levels(" warn,shop=debug\n"), levels("warn,shop=debug".parse::<Levels>().unwrap()));
/// assert_eq!(levels(" "), Ok(None));
/// let (text, error) = levels("inof").unwrap_err();
/// assert_eq!((&*text, error.problems().len()), ("inof", 1));
/// ```
#[derive(Debug, Clone)]
pub struct SettingValue<T>(Input<T>);

#[derive(Debug, Clone)]
enum Input<T> {
    Value(T),
    Text(String),
}

/// A type that setters also accept as text, through [`SettingValue`].
///
/// A marker trait without methods. Without it, the conversions from a value and from a text would
/// overlap.
pub trait TextSetting {}

impl TextSetting for LevelFilter {}
impl TextSetting for Levels {}
impl TextSetting for TargetLevels {}

impl<T> SettingValue<T> {
    /// Returns the value, or the result of `read` for the trimmed text. Returns `None` for an empty
    /// or blank text.
    ///
    /// # Errors
    /// Returns the text and the error of `read`.
    pub fn read<U: From<T>, E>(
        self,
        read: impl FnOnce(&str) -> Result<U, E>,
    ) -> Result<Option<U>, (String, E)> {
        let text = match self.0 {
            Input::Value(value) => return Ok(Some(value.into())),
            Input::Text(text) => text,
        };
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        read(text)
            .map(Some)
            .map_err(|error| (text.to_owned(), error))
    }
}

impl<T: TextSetting> From<T> for SettingValue<T> {
    fn from(value: T) -> Self {
        Self(Input::Value(value))
    }
}

impl<T: TextSetting> From<&str> for SettingValue<T> {
    fn from(text: &str) -> Self {
        Self(Input::Text(text.to_owned()))
    }
}

impl<T: TextSetting> From<&String> for SettingValue<T> {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl<T: TextSetting> From<String> for SettingValue<T> {
    fn from(text: String) -> Self {
        Self(Input::Text(text))
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
