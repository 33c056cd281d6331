//! Chooses the effective value of each setting, and records its origin for `explain()`.
//!
//! Code, which means the setters of [`Builder`](crate::Builder), overrides the environment. The
//! environment overrides the configuration file, and the file overrides the preset. All mistakes
//! are collected, so that one failed start reports them all.

use std::{ffi::OsString, fmt, sync::Arc};

use spanwise_core::{ParseError, Problem, Setting};

#[cfg(feature = "config")]
use crate::settings::LOG_OUTPUT;
use crate::{
    Explanation, Preset,
    code_values::CodeValues,
    conceal,
    explain::Origin,
    leftover_syntax::leftover_syntax,
    parse,
    setting_row::{DefaultValue, ErrorStyle, InTests, RowFacts, SettingRow},
    settings::{self, SETTINGS, SETTINGS_WITH_FEATURES},
    sinks,
    warning::Warning,
};

/// A source of texts of settings: the environment or a configuration file. Code is not a source.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// Returns the text of a setting, with the name that the setting has in this source.
    fn raw(&self, def: &Setting) -> Option<Raw>;

    /// Returns warnings about names in the source that are not in `known`, but look like settings.
    /// Omits each name for which `is_used` returns true.
    fn unknown(&self, known: &[Setting], is_used: &dyn Fn(&str) -> bool) -> Vec<Warning>;

    /// Returns whether a text in this source refers to the variable, as `${SHOP_REGION}` does.
    fn uses(&self, _variable: &str) -> bool {
        false
    }
}

/// The text of a setting in a [`Source`].
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) text: OsString,
    /// The name that errors show: `LOG_FORMAT` or `log.toml:20:10: sink.main.format`.
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

/// Parses a text, and stores the value.
type Parse<'a> = dyn FnMut(&str) -> Result<(), ParseError> + 'a;

/// A value with its origin.
#[derive(Debug, Clone)]
pub(crate) struct Chosen<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl<T> Chosen<T> {
    pub(crate) fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// Returns whether the value comes from a configuration file.
    pub(crate) fn is_from_file(&self) -> bool {
        matches!(self.origin, Origin::File(_))
    }

    /// Returns whether code or a source set the value.
    pub(crate) fn is_set(&self) -> bool {
        self.origin == Origin::Code || self.origin.source_name().is_some()
    }
}

/// Chooses one setting after the other, and collects the lines of `explain()` and all problems.
pub(crate) struct Choices<'a> {
    code: &'a CodeValues,
    sources: &'a [Box<dyn Source>],
    /// The configuration file. All other sources override it.
    file: Option<Arc<dyn Source>>,
    prefix: &'a str,
    /// The preset. `Prod` until it is chosen.
    pub(crate) preset: Preset,
    /// Whether a choice adds a line to `explain()`.
    is_listing: bool,
    findings: Findings,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(
        code: &'a CodeValues,
        sources: &'a [Box<dyn Source>],
        prefix: &'a str,
    ) -> Self {
        Self {
            code,
            sources,
            file: None,
            prefix,
            preset: Preset::Prod,
            is_listing: true,
            findings: Findings {
                problems: code.problems.clone(),
                ..Findings::default()
            },
        }
    }

    /// Sets the configuration file. Replaces an earlier one.
    #[cfg(feature = "config")]
    pub(crate) fn set_file(&mut self, file: Arc<dyn Source>) {
        self.file = Some(file);
    }

    /// Returns the texts of a setting in all sources, the source with the highest priority first.
    /// Omits empty texts, which count as unset.
    fn raws(&self, def: &Setting, aliases: &[Setting]) -> Vec<Raw> {
        // A text that is not UTF-8 is reported later.
        let is_set = |raw: &Raw| raw.text.to_str().is_none_or(|text| !text.trim().is_empty());
        let file = self.file.as_deref();
        let sources = self.sources.iter().map(|source| &**source).chain(file);
        let raws_in = |source: &dyn Source| -> Vec<Raw> {
            let defs = std::iter::once(def).chain(aliases);
            let raws = defs.filter_map(|def| source.raw(def));
            raws.filter(is_set).collect()
        };
        sources.flat_map(raws_in).collect()
    }

    /// Returns the effective value and adds its line to `explain()`. The value comes from code, or
    /// else from the first source that has it, or else from the default of the row. Returns `None`
    /// if the row has no default value.
    pub(crate) fn choose<T: Clone + 'static>(&mut self, row: &SettingRow<T>) -> Option<Chosen<T>> {
        if let Some(explicit) = self.explicit_value(row) {
            return Some(self.listed(row, explicit));
        }
        let preset_origin = Origin::Preset(self.preset.name());
        let (value, origin) = match &row.default {
            DefaultValue::Value(value) => (value(), Origin::Default),
            DefaultValue::ByPreset(value) => (value(self.preset), preset_origin),
            DefaultValue::Omitted => return None,
            DefaultValue::Text(text) => {
                self.add_explanation(&row.def, text, &Origin::Default);
                return None;
            }
            DefaultValue::Unset(text) => {
                let origin = if self.ignores(row.in_tests) {
                    preset_origin
                } else {
                    Origin::Unset
                };
                self.add_explanation(&row.def, text, &origin);
                return None;
            }
        };
        Some(self.listed(row, Chosen::new(value, origin)))
    }

    /// Like [`choose`](Self::choose), but with a default that depends on other settings.
    pub(crate) fn choose_or<T: Clone + 'static>(
        &mut self,
        row: &SettingRow<T>,
        default: impl FnOnce() -> Chosen<T>,
    ) -> T {
        let chosen = self.explicit_value(row).unwrap_or_else(default);
        self.listed(row, chosen).value
    }

    /// Returns the value that [`choose`](Self::choose) returns, without the origin of the value.
    pub(crate) fn value<T: Clone + 'static>(&mut self, row: &SettingRow<T>) -> Option<T> {
        self.choose(row).map(|chosen| chosen.value)
    }

    /// Returns the value that code or a source sets. Adds no line to `explain()`.
    pub(crate) fn explicit_value<T: Clone + 'static>(
        &mut self,
        row: &SettingRow<T>,
    ) -> Option<Chosen<T>> {
        // The sources are read even if code sets a value, so that their mistakes are reported.
        let sourced = self.sourced(row);
        let code = self.code.get(row);
        code.map(|value| Chosen::new(value, Origin::Code))
            .or(sourced)
    }

    /// Returns the value of the first source that has a valid one, even if code overrides it.
    pub(crate) fn sourced<T>(&mut self, row: &SettingRow<T>) -> Option<Chosen<T>> {
        let mut first = None;
        let origin = self.read_sources(&row.facts(), &mut |text| {
            let value = (row.parse)(&row.def, text)?;
            first.get_or_insert(value);
            Ok(())
        })?;
        Some(Chosen::new(first?, origin))
    }

    /// Passes the text of each source to `parse`, and returns the origin of the first valid text.
    /// Returns `None` if the value is ignored, or the part that needs it is not built in.
    fn read_sources(&mut self, facts: &RowFacts<'_>, parse: &mut Parse<'_>) -> Option<Origin> {
        if facts.feature.is_some_and(|feature| !feature.is_built) {
            return None;
        }
        let mut first: Option<Origin> = None;
        for raw in self.raws(facts.def, facts.aliases) {
            // All sources are read, so that their mistakes are reported.
            if !self.parse(facts, &raw, parse) {
                continue;
            }
            first = Some(match first {
                None => raw.origin,
                Some(origin) => origin.over(&raw.origin),
            });
        }
        first.filter(|_| !self.ignores(facts.in_tests))
    }

    /// Returns the value in the configuration file, even if code or another source overrides it.
    pub(crate) fn value_in_file<T>(&mut self, row: &SettingRow<T>) -> Option<Chosen<T>> {
        let raw = self.file.as_ref()?.raw(&row.def)?;
        let read = self.read(row, &raw);
        read.filter(|_| !self.ignores(row.in_tests))
    }

    /// Parses one text of a setting, and reports its mistakes.
    pub(crate) fn read<T>(&mut self, row: &SettingRow<T>, raw: &Raw) -> Option<Chosen<T>> {
        let mut value = None;
        self.parse(&row.facts(), raw, &mut |text| {
            value = Some((row.parse)(&row.def, text)?);
            Ok(())
        });
        Some(Chosen::new(value?, raw.origin.clone()))
    }

    /// Passes one text of a setting to `parse`, and reports its mistakes. Returns whether the text
    /// is valid.
    fn parse(&mut self, facts: &RowFacts<'_>, raw: &Raw, parse: &mut Parse<'_>) -> bool {
        let Some(text) = self.checked_text(facts.def, raw) else {
            return false;
        };
        let name = &raw.name;
        if facts.is_shared && parse::is_on(&text).is_some() {
            self.warn(format!(
                "{name}={text:?} has no effect: write one of {}",
                facts.def.accepts
            ));
            return false;
        }
        let Err(error) = parse(&text) else {
            return true;
        };
        if raw.origin.is_hidden() {
            self.add_invalid_value(format!(
                "{name}={} is not valid: accepts {}",
                conceal::hidden(text.len()),
                facts.def.accepts
            ));
            return false;
        }
        let problems = match facts.errors {
            ErrorStyle::QuotesValue => vec![describe(
                &format!("{name}={}", conceal::shown(&text)),
                &text,
                &error,
            )],
            ErrorStyle::ParserQuotes => vec![format!("{name}={error}")],
            ErrorStyle::NamesSetting => {
                let problems = error.problems().iter();
                let concealed = |problem: &Problem| conceal::message(&problem.to_string(), &text);
                problems
                    .map(|problem| format!("{name}: {}", concealed(problem)))
                    .collect()
            }
        };
        problems
            .into_iter()
            .for_each(|problem| self.add_invalid_value(problem));
        false
    }

    /// Returns the text of a setting, trimmed, because a mounted secret ends in a newline. Returns
    /// `None` for an empty text. Also reports a text that no setting accepts, and returns `None`.
    fn checked_text(&mut self, def: &Setting, raw: &Raw) -> Option<String> {
        let name = &raw.name;
        let Some(text) = raw.text.to_str().map(str::trim) else {
            self.add_invalid_value(format!(
                "{name}={} is not UTF-8: accepts {}",
                conceal::hidden(raw.text.len()),
                def.accepts
            ));
            return None;
        };
        if text.is_empty() {
            return None;
        }
        if let Some(mistake) = leftover_syntax(name, text) {
            self.add_invalid_value(format!("{name}: {mistake}"));
            return None;
        }
        Some(text.to_owned())
    }

    /// Returns the origin of the value that a source sets, if any does.
    pub(crate) fn sourced_origin(&self, def: &Setting) -> Option<Origin> {
        let raw = self.raws(def, &[]).into_iter().next()?;
        Some(raw.origin)
    }

    /// Returns the name of a setting in the source that sets it, or else the name of its variable.
    pub(crate) fn shown_name(&self, def: &Setting) -> String {
        let origin = self.sourced_origin(def);
        let name = origin.as_ref().and_then(Origin::source_name);
        name.map_or_else(|| self.name_of(def), str::to_owned)
    }

    /// Returns the text of a setting that has no row, and therefore no parser, in [`settings`].
    #[allow(
        dead_code,
        reason = "the part that has such settings may not be built in"
    )]
    pub(crate) fn sourced_text(&mut self, def: &Setting) -> Option<Chosen<String>> {
        let mut raws = self.raws(def, &[]).into_iter();
        let raw = raws.next()?;
        let text = self.checked_text(def, &raw)?;
        let origin = match raws.next() {
            Some(other) => raw.origin.over(&other.origin),
            None => raw.origin,
        };
        Some(Chosen::new(text, origin))
    }

    /// Returns the trimmed text of a setting, even if it is invalid. For variables that other
    /// programs define, and to find out whether a setting is set.
    pub(crate) fn unchecked_text(&self, def: &Setting) -> Option<String> {
        let raw = self.raws(def, &[]).into_iter().next()?;
        Some(raw.text.to_string_lossy().trim().to_owned())
    }

    /// Returns whether code or a source sets the setting, even to an invalid value.
    pub(crate) fn is_set<T: Clone + 'static>(&self, row: &SettingRow<T>) -> bool {
        let mut names = std::iter::once(&row.def).chain(row.aliases);
        self.code.get(row).is_some()
            || !self.ignores(row.in_tests) && names.any(|def| self.unchecked_text(def).is_some())
    }

    /// Returns whether values from sources are ignored, because the preset is test.
    fn ignores(&self, in_tests: InTests) -> bool {
        in_tests == InTests::Ignored && self.preset == Preset::Test
    }

    /// Adds the line of `chosen` to `explain()`, and returns `chosen`.
    fn listed<T>(&mut self, row: &SettingRow<T>, chosen: Chosen<T>) -> Chosen<T> {
        if self.is_listing {
            let shown = (row.show)(&chosen.value);
            self.add_explanation(&row.def, &shown, &chosen.origin);
        }
        chosen
    }

    /// Adds a line to `explain()`.
    pub(crate) fn add_explanation(
        &mut self,
        def: &Setting,
        value: impl fmt::Display,
        origin: &Origin,
    ) {
        if self.is_listing {
            let name = self.name_of(def);
            self.findings.explanation.add(name, &value, origin);
        }
    }

    /// Adds a line to `explain()` for a key of a configuration file. Does nothing if the key
    /// belongs to a setting, because the setting has a line of its own.
    #[cfg(feature = "config")]
    pub(crate) fn explain_path(&mut self, path: &str, value: &str, origin: &Origin) {
        let is_setting = SETTINGS.iter().any(|def| def.key == Some(path));
        if !is_setting {
            self.findings
                .explanation
                .add(path.to_owned(), &value, origin);
        }
    }

    /// In `explain()`, replaces the value of a key of a configuration file with the value that
    /// overrides it.
    #[cfg(feature = "config")]
    pub(crate) fn explain_instead(
        &mut self,
        path: &str,
        value: impl fmt::Display,
        origin: &Origin,
    ) {
        let explanation = &mut self.findings.explanation;
        explanation.replace_value(path, &value, origin);
    }

    /// In `explain()`, replaces the output with a note that the configuration file has the sinks.
    #[cfg(feature = "config")]
    pub(crate) fn explain_sinks_in_file(&mut self) {
        let name = self.name_of(&LOG_OUTPUT.def);
        self.findings
            .explanation
            .replace(&name, "the sinks of the file");
    }

    /// Calls `choose`. Its choices add their lines to `explain()` only if `is_listed` is true.
    pub(crate) fn listing_if<R>(
        &mut self,
        is_listed: bool,
        choose: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let outer = self.is_listing;
        self.is_listing = outer && is_listed;
        let chosen = choose(self);
        self.is_listing = outer;
        chosen
    }

    /// Returns the name of the variable for `def`.
    pub(crate) fn name_of(&self, def: &Setting) -> String {
        settings::name_of(def, self.prefix)
    }

    /// Adds the problem of a value in a source. The value is invalid whatever code sets.
    pub(crate) fn add_invalid_value(&mut self, problem: String) {
        push_new(&mut self.findings.invalid_values, problem);
    }

    /// Adds a problem that code may still solve, by registering a name or by choosing another
    /// preset.
    pub(crate) fn add_unregistered(&mut self, problem: String) {
        push_new(&mut self.findings.unregistered, problem);
    }

    /// Returns whether there is a problem that code may still solve.
    pub(crate) fn has_unregistered(&self) -> bool {
        !self.findings.unregistered.is_empty()
    }

    /// Adds any other problem that stops the start. Code may still remove it by changing a setting.
    pub(crate) fn add_problem(&mut self, problem: String) {
        push_new(&mut self.findings.problems, problem);
    }

    pub(crate) fn warn(&mut self, warning: impl Into<Warning>) {
        self.findings.explanation.warn(warning.into());
    }

    /// Returns the findings. Adds warnings about settings of parts that are not built in, and about
    /// unknown names.
    pub(crate) fn finish(mut self) -> Findings {
        // The loop over the settings must not see the file. A key in the file that needs a missing
        // feature is an error, which `Merged::unbuilt` returns.
        let file = self.file.take();
        for (def, feature) in SETTINGS_WITH_FEATURES {
            let Some(feature) = feature.filter(|feature| !feature.is_built) else {
                continue;
            };
            if self.unchecked_text(def).is_some() {
                let name = self.name_of(def);
                self.warn(format!(
                    "{name} has no effect: this program is built without {}; add the feature \
                     `{}` of `spanwise`, or remove the variable",
                    feature.part, feature.name
                ));
            }
        }
        let known = [SETTINGS, &sinks::settings()].concat();
        for source in self.sources {
            let is_used = |name: &str| {
                self.is_reserved(name) || file.as_deref().is_some_and(|file| file.uses(name))
            };
            for warning in source.unknown(&known, &is_used) {
                self.warn(warning);
            }
        }
        self.findings
    }

    /// Returns whether a name is the variable of a sink that a later release will have. Setting the
    /// variable is an error, so it needs no warning.
    #[cfg_attr(
        not(feature = "config"),
        expect(clippy::unused_self, reason = "only the feature has reserved names")
    )]
    fn is_reserved(&self, variable: &str) -> bool {
        #[cfg(feature = "config")]
        return crate::config_file::reserved_settings().any(|def| self.name_of(&def) == variable);
        #[cfg(not(feature = "config"))]
        {
            let _ = variable;
            false
        }
    }
}

/// The explanation of the choices, and everything that stops the start.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) explanation: Explanation,
    /// Problems of values in sources. The values are invalid whatever code sets.
    pub(crate) invalid_values: Vec<String>,
    /// Problems that code may still solve, by registering a name or by choosing another preset.
    pub(crate) unregistered: Vec<String>,
    /// All other problems that stop the start: invalid values in code, and settings that contradict
    /// each other.
    pub(crate) problems: Vec<String>,
}

/// Adds a problem, unless it was already added. Several choices may read the same invalid text.
pub(crate) fn push_new(problems: &mut Vec<String>, problem: String) {
    if !problems.contains(&problem) {
        problems.push(problem);
    }
}

/// Returns the problem of an invalid `text` as a sentence. The sentence begins with `shown`, which
/// names the setting and may quote the text. If the whole text is the mistake, the sentence does
/// not quote it again.
pub(crate) fn describe(shown: &str, text: &str, error: &ParseError) -> String {
    match error.problems() {
        [problem] if problem.word.as_deref() == Some(text) => {
            let hint = conceal::message(problem.hint.as_deref().unwrap_or_default(), text);
            let colon = if hint.is_empty() { "" } else { ": " };
            format!("{shown} {}{colon}{hint}", problem.reason)
        }
        _ => format!("{shown}: {}", conceal::message(&error.to_string(), text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{environment::Environment, settings::SERVICE_NAME};

    #[test]
    fn alias_sets_the_setting() {
        let code = CodeValues::default();
        let vars = [("OTEL_SERVICE_NAME".into(), "shop".into())];
        let sources: [Box<dyn Source>; 1] = [Box::new(Environment::new("LOG", vars))];
        let choices = Choices::new(&code, &sources, "LOG");
        assert!(choices.is_set(&SERVICE_NAME));
    }
}
