//! Chooses the effective value of each setting: code beats environment beats preset.

use std::{any::Any, collections::HashMap, ffi::OsString, fmt};

use spanwise_core::{ParseError, Setting, SettingValue};

use crate::{
    Explanation, Preset, conceal,
    explain::Origin,
    parse,
    settings::{self, DefaultValue, ErrorStyle, InTests, OPTIONAL, SETTINGS, SettingRow},
    sinks,
    warning::Warning,
};

/// A place that settings are read from, besides code: the environment.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// Returns the text of a setting, with the name of its place.
    fn raw(&self, def: &Setting) -> Option<Raw>;

    /// Returns a warning for each name that is none of `known`, but looks like one of them.
    fn unknown(&self, known: &[Setting]) -> Vec<Warning>;
}

/// The text of a setting as a [`Source`] has it.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) text: OsString,
    /// The place as errors name it: `LOG_FORMAT`.
    pub(crate) name: String,
}

/// A value, and what set it.
#[derive(Debug, Clone)]
pub(crate) struct Chosen<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl<T> Chosen<T> {
    /// Whether code or a source set it.
    pub(crate) fn is_set(&self) -> bool {
        matches!(self.origin, Origin::Code | Origin::Variable(_))
    }
}

/// The choices, while they are made: collects the lines of `explain()` and every problem.
pub(crate) struct Choices<'a> {
    code: &'a CodeValues,
    sources: &'a [Box<dyn Source>],
    prefix: &'a str,
    /// `Prod` until it is chosen.
    pub(crate) preset: Preset,
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
            prefix,
            preset: Preset::Prod,
            is_listing: true,
            findings: Findings {
                problems: code.problems.clone(),
                ..Findings::default()
            },
        }
    }

    /// Returns the effective value and adds its line to `explain()`: code, else the first source
    /// that has it, else the default of the row.
    pub(crate) fn choose<T: Clone + 'static>(
        &mut self,
        entry: &SettingRow<T>,
    ) -> Option<Chosen<T>> {
        if let Some(set) = self.set(entry) {
            return Some(self.listed(entry, set));
        }
        let by_preset = Origin::Preset(self.preset.name());
        let (value, origin) = match &entry.default {
            DefaultValue::Value(value) => (value(), Origin::Default),
            DefaultValue::ByPreset(value) => (value(self.preset), by_preset),
            DefaultValue::Omitted => return None,
            DefaultValue::Text(text) => {
                self.explain(&entry.def, text, Origin::Default);
                return None;
            }
            DefaultValue::Unset(text) => {
                let origin = if self.ignores(entry) {
                    by_preset
                } else {
                    Origin::Unset
                };
                self.explain(&entry.def, text, origin);
                return None;
            }
        };
        Some(self.listed(entry, Chosen { value, origin }))
    }

    /// Returns the effective value as [`choose`](Self::choose) does, with a default that depends on
    /// other settings.
    pub(crate) fn choose_or<T: Clone + 'static>(
        &mut self,
        entry: &SettingRow<T>,
        default: impl FnOnce() -> (T, Origin),
    ) -> T {
        let set = self.set(entry);
        let chosen = set.unwrap_or_else(|| {
            let (value, origin) = default();
            Chosen { value, origin }
        });
        self.listed(entry, chosen).value
    }

    /// Returns the value that code or a source sets. Adds no line to `explain()`.
    pub(crate) fn set<T: Clone + 'static>(&mut self, entry: &SettingRow<T>) -> Option<Chosen<T>> {
        // The source is read in any case, so that its mistakes are reported.
        let sourced = self.sourced(entry);
        let code = self.code.get(entry).map(|value| Chosen {
            value,
            origin: Origin::Code,
        });
        code.or(sourced)
    }

    /// Returns the value that a source sets, even if code sets another.
    pub(crate) fn sourced<T>(&mut self, entry: &SettingRow<T>) -> Option<Chosen<T>> {
        if entry.feature.is_some_and(|feature| !feature.is_built) {
            return None;
        }
        let sources = self.sources;
        let mut first = None;
        for source in sources {
            for def in std::iter::once(&entry.def).chain(entry.aliases) {
                // All of them are read, so that their mistakes are reported.
                let read = source.raw(def).and_then(|raw| self.read(entry, &raw));
                first = first.or(read);
            }
        }
        first.filter(|_| !self.ignores(entry))
    }

    fn read<T>(&mut self, entry: &SettingRow<T>, raw: &Raw) -> Option<Chosen<T>> {
        let text = self.text(&entry.def, raw)?;
        let name = &raw.name;
        if entry.is_shared && parse::is_on(&text).is_some() {
            self.warn(format!(
                "{name}=true and the like have no effect here: write one of {}",
                entry.def.accepts
            ));
            return None;
        }
        match (entry.parse)(&entry.def, &text) {
            Ok(value) => Some(Chosen {
                value,
                origin: Origin::Variable(name.clone()),
            }),
            Err(error) => {
                let problems = match entry.errors {
                    ErrorStyle::QuotesValue => vec![describe(
                        &format!("{name}={}", conceal::shown(&text)),
                        &text,
                        &error,
                    )],
                    ErrorStyle::ParserQuotes => vec![format!("{name}={error}")],
                    ErrorStyle::NamesSetting => {
                        let problems = error.problems().iter();
                        problems
                            .map(|problem| format!("{name}: {problem}"))
                            .collect()
                    }
                };
                problems.into_iter().for_each(|problem| self.wrong(problem));
                None
            }
        }
    }

    /// Returns the trimmed text: a mounted secret ends in a newline. An empty one is unset.
    fn text(&mut self, def: &Setting, raw: &Raw) -> Option<String> {
        let name = &raw.name;
        let Some(text) = raw.text.to_str().map(str::trim) else {
            self.wrong(format!(
                "{name}={} is not UTF-8: accepts {}",
                conceal::hidden(raw.text.len()),
                def.accepts
            ));
            return None;
        };
        if text.is_empty() {
            return None;
        }
        if let Some(mistake) = mistake_around(text) {
            self.wrong(format!("{name}: {mistake}"));
            return None;
        }
        Some(text.to_owned())
    }

    /// Returns the text that a source has for a setting without a row here.
    #[allow(
        dead_code,
        reason = "the part that has such settings may not be built in"
    )]
    pub(crate) fn sourced_text(&mut self, def: &Setting) -> Option<Chosen<String>> {
        let raw = self.sources.iter().find_map(|source| source.raw(def))?;
        let text = self.text(def, &raw)?;
        Some(Chosen {
            value: text,
            origin: Origin::Variable(raw.name),
        })
    }

    /// Returns the trimmed text of a variable that belongs to other programs, which accept any.
    pub(crate) fn foreign_text(&self, def: &Setting) -> Option<String> {
        let raw = self.sources.iter().find_map(|source| source.raw(def))?;
        let text = raw.text.to_string_lossy().trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Whether code or a source sets the setting, to a valid value or not.
    pub(crate) fn is_set<T: Clone + 'static>(&self, entry: &SettingRow<T>) -> bool {
        self.code.get(entry).is_some()
            || !self.ignores(entry) && self.foreign_text(&entry.def).is_some()
    }

    /// Whether the preset test ignores what sources set.
    fn ignores<T>(&self, entry: &SettingRow<T>) -> bool {
        entry.in_tests == InTests::Ignored && self.preset == Preset::Test
    }

    fn listed<T>(&mut self, entry: &SettingRow<T>, chosen: Chosen<T>) -> Chosen<T> {
        if self.is_listing {
            let shown = (entry.show)(&chosen.value);
            self.explain(&entry.def, &shown, chosen.origin.clone());
        }
        chosen
    }

    /// Adds a line to `explain()`.
    pub(crate) fn explain(&mut self, def: &Setting, value: impl fmt::Display, origin: Origin) {
        if self.is_listing {
            let name = self.name_of(def);
            self.findings.explanation.add(name, value, origin);
        }
    }

    /// Makes choices whose lines are in `explain()` only on this condition.
    pub(crate) fn listing_if<R>(
        &mut self,
        condition: bool,
        choose: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let outer = self.is_listing;
        self.is_listing = outer && condition;
        let chosen = choose(self);
        self.is_listing = outer;
        chosen
    }

    /// Returns the name of the variable for `def`.
    pub(crate) fn name_of(&self, def: &Setting) -> String {
        settings::name_of(def, self.prefix)
    }

    /// Adds a value that is wrong by itself, which no code can make right.
    pub(crate) fn wrong(&mut self, problem: String) {
        push_new(&mut self.findings.wrong, problem);
    }

    /// Adds what stops the start, unless code changes it.
    pub(crate) fn problem(&mut self, problem: String) {
        push_new(&mut self.findings.problems, problem);
    }

    pub(crate) fn warn(&mut self, warning: impl Into<Warning>) {
        self.findings.explanation.warn(warning.into());
    }

    /// Ends the choices: adds warnings about parts that are not built in and about unknown names.
    pub(crate) fn finish(mut self) -> Findings {
        for (def, feature) in OPTIONAL {
            let Some(feature) = feature.filter(|feature| !feature.is_built) else {
                continue;
            };
            if self.foreign_text(def).is_some() {
                let name = self.name_of(def);
                self.warn(format!(
                    "{name} does not count: this program is built without {}; add the feature \
                     `{}` of `spanwise`, or remove the variable",
                    feature.part, feature.name
                ));
            }
        }
        let known = [SETTINGS, &sinks::settings()].concat();
        for source in self.sources {
            for warning in source.unknown(&known) {
                self.warn(warning);
            }
        }
        self.findings
    }
}

/// The explanation of the choices, and everything that is wrong.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) explanation: Explanation,
    /// Values that are wrong by themselves.
    pub(crate) wrong: Vec<String>,
    /// Values that are wrong beside others.
    pub(crate) problems: Vec<String>,
}

/// A problem that two consumers find is reported once.
pub(crate) fn push_new(problems: &mut Vec<String>, problem: String) {
    if !problems.contains(&problem) {
        problems.push(problem);
    }
}

/// Returns the sentence about a wrong `text`, which is `shown` so. If the mistake is the whole
/// text, it is not repeated.
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

/// The values that code sets, by setting.
#[derive(Default)]
pub(crate) struct CodeValues {
    values: HashMap<&'static str, Box<dyn Any + Send + Sync>>,
    /// Texts that setters did not understand.
    problems: Vec<String>,
}

impl CodeValues {
    /// Sets the value of a setter. An empty text changes nothing.
    pub(crate) fn set<V, T>(&mut self, setter: &str, entry: &SettingRow<T>, value: SettingValue<V>)
    where
        T: From<V> + Send + Sync + 'static,
    {
        if let Some(value) = self.parse(setter, entry, value) {
            self.put(entry, value);
        }
    }

    /// Parses the value of a setter. Returns `None` if it is empty or wrong.
    pub(crate) fn parse<V, T>(
        &mut self,
        setter: &str,
        entry: &SettingRow<T>,
        value: SettingValue<V>,
    ) -> Option<T>
    where
        T: From<V>,
    {
        match value.read(|text| (entry.parse)(&entry.def, text)) {
            Ok(value) => value,
            Err((text, error)) => {
                // The errors of secret settings do not quote them.
                let shown = match entry.errors {
                    ErrorStyle::QuotesValue => {
                        format!("Builder::{setter}({})", conceal::shown(&text))
                    }
                    ErrorStyle::ParserQuotes | ErrorStyle::NamesSetting => {
                        format!("Builder::{setter}")
                    }
                };
                self.refuse(&shown, &text, &error);
                None
            }
        }
    }

    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Adds the problem of a text that a setter is given.
    pub(crate) fn refuse(&mut self, shown: &str, text: &str, error: &ParseError) {
        self.problems.push(describe(shown, text, error));
    }

    pub(crate) fn put<T: Send + Sync + 'static>(&mut self, entry: &SettingRow<T>, value: T) {
        self.values.insert(entry.def.name, Box::new(value));
    }

    fn get<T: Clone + 'static>(&self, entry: &SettingRow<T>) -> Option<T> {
        let value = self.values.get(entry.def.name)?;
        value.downcast_ref().cloned()
    }
}

/// Returns a mistake around the value of any setting that a shell would have removed: quotes, the
/// name of a variable.
fn mistake_around(value: &str) -> Option<&'static str> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '„');
    if value.starts_with(is_quote) || value.ends_with(is_quote) {
        return Some(
            "the quotes are part of the value, as `docker --env-file` passes them; write it \
             without quotes",
        );
    }
    if value.contains(char::is_control) {
        return Some("the value has a line break or another control character; write one without");
    }
    let repeats = |setting: &Setting| {
        let rest = value.strip_prefix(setting.name);
        rest.is_some_and(|rest| rest.starts_with('='))
    };
    let is_repeated = SETTINGS.iter().any(repeats) || value.starts_with("export ");
    is_repeated.then_some(
        "the value begins with the name of a variable; write what comes after the `=` alone",
    )
}
