//! A row of the table of settings, and the macro that defines the table.

use spanwise_core::{ParseError, Sensitivity, Setting};

use crate::Preset;

/// A setting with a value of type `T`.
pub(crate) struct SettingRow<T> {
    pub(crate) def: Setting,
    /// The other variables that set the value, by descending priority. `def` overrides them.
    pub(crate) aliases: &'static [Setting],
    pub(crate) parse: fn(&Setting, &str) -> Result<T, ParseError>,
    /// Displays the value for `explain()`.
    pub(crate) show: fn(&T) -> String,
    pub(crate) default: DefaultValue<T>,
    pub(crate) in_tests: InTests,
    pub(crate) errors: ErrorStyle,
    /// Whether other programs use the same variable as a switch. If so, `spanwise` ignores values
    /// such as `true` and `0`, with a warning.
    pub(crate) is_shared: bool,
    /// The optional part of `spanwise` that alone reads the value. `None` if no optional part reads
    /// it.
    pub(crate) feature: Option<Feature>,
}

/// The parts of a [`SettingRow`] that do not depend on the type of its value. Code that needs only
/// these parts is compiled once for all types.
pub(crate) struct RowFacts<'a> {
    pub(crate) def: &'a Setting,
    pub(crate) aliases: &'static [Setting],
    pub(crate) in_tests: InTests,
    pub(crate) errors: ErrorStyle,
    pub(crate) is_shared: bool,
    pub(crate) feature: Option<Feature>,
}

impl<T> SettingRow<T> {
    pub(crate) fn facts(&self) -> RowFacts<'_> {
        RowFacts {
            def: &self.def,
            aliases: self.aliases,
            in_tests: self.in_tests,
            errors: self.errors,
            is_shared: self.is_shared,
            feature: self.feature,
        }
    }
}

/// The effective value if neither code nor a source sets one.
pub(crate) enum DefaultValue<T> {
    /// No value. `explain()` omits the setting.
    Omitted,
    /// No value. `explain()` shows this text as "not set".
    Unset(&'static str),
    /// No value. `explain()` shows this text as the default.
    Text(&'static str),
    Value(fn() -> T),
    ByPreset(fn(Preset) -> T),
}

/// Whether the preset `test` uses a value from the environment or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InTests {
    Used,
    /// Ignored, so that tests lose no lines, and do not write the files of a service that is
    /// configured on the same machine.
    Ignored,
}

/// The parts of an invalid value that an error shows. It always shows the name of the setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorStyle {
    /// The value, or its length if it may be a secret.
    QuotesValue,
    /// The parts that the error of the parser contains, because the parser knows what is secret.
    ParserQuotes,
    /// Nothing. Each mistake in the value is an error of its own.
    NamesSetting,
}

/// An optional part of `spanwise`, behind a cargo feature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// The name of the part in warnings.
    pub(crate) part: &'static str,
    pub(crate) is_built: bool,
}

impl<T> SettingRow<T> {
    /// Sets the default. Without this call, it is [`DefaultValue::Omitted`].
    pub(crate) const fn or(mut self, default: DefaultValue<T>) -> Self {
        self.default = default;
        self
    }

    /// Makes the preset `test` ignore values from the environment and files.
    pub(crate) const fn ignored_in_tests(mut self) -> Self {
        self.in_tests = InTests::Ignored;
        self
    }

    pub(crate) const fn aliases(mut self, aliases: &'static [Setting]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Marks the variable as one that other programs use as a switch.
    pub(crate) const fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// Marks the value as a secret. The parser decides what an error shows.
    pub(crate) const fn secret(mut self) -> Self {
        self.def.sensitivity = Sensitivity::Secret;
        self.errors = ErrorStyle::ParserQuotes;
        self
    }

    pub(crate) const fn without_value_in_errors(mut self) -> Self {
        self.errors = ErrorStyle::NamesSetting;
        self
    }

    /// Sets the optional part that reads the value. `name` is its feature, `part` its name in
    /// warnings, and `is_built` whether this build has the feature.
    pub(crate) const fn needs(
        mut self,
        name: &'static str,
        part: &'static str,
        is_built: bool,
    ) -> Self {
        self.feature = Some(Feature {
            name,
            part,
            is_built,
        });
        self
    }
}

/// Defines a row for each setting, and two lists of all settings: [`SETTINGS`](crate::SETTINGS) and
/// a list with features.
macro_rules! settings {
    ($($name:ident: $type:ty = {
        $(key: $key:literal,)?
        default: $default:expr,
        accepts: $accepts:expr,
        help: $help:expr,
        parse: $parse:expr,
        $(show: $show:expr,)?
    } $(.$method:ident($($argument:expr),*))*;)*) => {
        $(pub(crate) const $name: SettingRow<$type> = SettingRow::<$type> {
            def: Setting {
                name: stringify!($name),
                key: settings!(@optional $($key)?),
                default: $default,
                accepts: $accepts,
                sensitivity: Sensitivity::Public,
                help: $help,
            },
            aliases: &[],
            parse: $parse,
            show: settings!(@show $($show)?),
            default: DefaultValue::Omitted,
            in_tests: InTests::Used,
            errors: ErrorStyle::QuotesValue,
            is_shared: false,
            feature: None,
        }$(.$method($($argument),*))*;)*

        /// The settings, each with its variable, in the order of the documentation. Not in this
        /// list: the other variables of OpenTelemetry, and those of Rust and of the system, such as
        /// `RUST_BACKTRACE` and `TZ`.
        pub const SETTINGS: &[Setting] = &[$($name.def),*];

        /// All settings, each with the optional part that reads it.
        pub(crate) const SETTINGS_WITH_FEATURES: &[(Setting, Option<Feature>)] = &[$(($name.def, $name.feature)),*];
    };
    (@optional) => { None };
    (@optional $value:expr) => { Some($value) };
    (@show) => { |value| value.to_string() };
    (@show $show:expr) => { $show };
}

pub(crate) use settings;
