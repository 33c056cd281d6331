//! Constant fields of every line, such as the region of a service.
//!
//! JSON lines have them as fields, Sentry events as tags, and OpenTelemetry exports as attributes
//! of the resource. Human-readable lines omit them, and also the name of the service. An output
//! encodes them once, when it starts.

use std::{collections::HashSet, fmt, sync::Arc};

use spanwise_core::{CONTEXT_KEYS, ParseError, Redact, Redaction, Setting};
use spanwise_json::{FieldList, Format};

use crate::{conceal, parse};

/// Names and values, in the order of the line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StaticFields(Vec<(String, String)>);

/// The key of the service in JSON lines. A static field cannot have this name.
pub(crate) const SERVICE: &str = "service";

// The limits of the fields, because every line contains all of them. Lengths are in bytes.
const MAX_FIELDS: usize = 64;
const MAX_NAME_LEN: usize = 64;
const MAX_VALUE_LEN: usize = 1024;

impl StaticFields {
    /// Parses a list of `name=value`. An error shows no value, because it may be a secret.
    pub(crate) fn parse(setting: &Setting, text: &str) -> Result<Self, ParseError> {
        let mut fields = Self::default();
        let mut problems: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for (index, part) in text.split(',').map(str::trim).enumerate() {
            let Some((name, value)) = part.split_once('=') else {
                if !part.is_empty() {
                    let number = index + 1;
                    problems.push(format!(
                        "part {number} has no `=`: accepts {}; a value cannot have a comma",
                        setting.accepts
                    ));
                }
                continue;
            };
            let (name, value) = (name.trim(), trimmed(value));
            if let Err(problem) = check(name, value) {
                problems.push(problem);
            } else if !seen.insert(name) {
                problems.push(format!("`{name}` is set twice: remove one"));
            } else {
                fields.set(name, value);
            }
        }
        ParseError::check(problems).map(|()| fields)
    }

    /// Sets a field, or replaces its value. Trims white space and control characters at both ends
    /// of the value, because Sentry refuses a tag with white space there.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let value = trimmed(value).to_owned();
        let Self(fields) = self;
        match fields.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value,
            None => fields.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns these fields and the fields that code sets. A field of `code` replaces a field with
    /// the same name.
    pub(crate) fn changed_by(&self, code: &Self) -> Self {
        let mut fields = self.clone();
        for (name, value) in &code.0 {
            fields.set(name, value);
        }
        fields
    }

    /// Returns the mistakes in these fields, which code sets. Each mistake names the setter.
    pub(crate) fn problems_in_code(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|(name, value)| {
            let problem = check(name, value).err()?;
            Some(format!("{}: {problem}", setter(name)))
        })
    }

    /// Returns the constant texts that `LOG_FIELDS` adds to lines, as static fields.
    pub(crate) fn from_list(list: &FieldList) -> Self {
        let mut fields = Self::default();
        list.added().for_each(|(key, text)| fields.set(key, text));
        fields
    }

    /// Returns the mistakes in these fields, which `LOG_FIELDS` adds, each with the name of its
    /// field. `static_fields` has the fields of `LOG_STATIC_FIELDS` and of code.
    pub(crate) fn problems_in_list(
        &self,
        static_fields: &Self,
        context_keys: &[String],
    ) -> impl Iterator<Item = (&str, String)> {
        let problem = move |name: &str, value: &str| match check(name, value) {
            // The text is not shown, because it may be a secret.
            Err(problem) if Format::is_reserved(name) => {
                Some(format!("{problem}, or write `{name}>name` to rename it"))
            }
            Err(problem) => Some(problem),
            Ok(()) if static_fields.has(name) => Some(format!(
                "`{name}` is a static field already: choose another name"
            )),
            Ok(()) => context_keys
                .iter()
                .any(|key| key == name)
                .then(|| context_key_problem(name)),
        };
        self.iter()
            .filter_map(move |(name, value)| Some((name, problem(name, value)?)))
    }

    /// Returns the mistakes that a check of one field cannot find: too many fields, and names that
    /// are also context keys. `code` has the fields that code sets. All other fields come from the
    /// setting `variable`.
    pub(crate) fn problems(
        &self,
        code: &Self,
        context_keys: &[String],
        variable: &str,
    ) -> Vec<String> {
        let Self(fields) = self;
        let is_context_key = |name: &&String| context_keys.contains(name);
        let names = fields.iter().map(|(name, _)| name);
        let mut problems: Vec<String> = names
            .filter(is_context_key)
            .map(|name| {
                let setting = match code.has(name) {
                    true => setter(name),
                    false => variable.to_owned(),
                };
                format!("{setting}: {}", context_key_problem(name))
            })
            .collect();
        if fields.len() > MAX_FIELDS {
            let settings = match (
                code.is_empty(),
                fields.iter().all(|(name, _)| code.has(name)),
            ) {
                (true, _) => variable.to_owned(),
                (false, true) => "Builder::field".to_owned(),
                (false, false) => format!("{variable} and Builder::field"),
            };
            problems.push(format!(
                "{settings}: there are {} static fields, and every line has them: at most \
                 {MAX_FIELDS} are accepted",
                fields.len()
            ));
        }
        problems
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.iter();
        fields
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)
    }

    /// Returns the redacted fields.
    pub(crate) fn redacted(&self, policy: Option<&Arc<dyn Redact>>) -> Self {
        let Some(policy) = policy else {
            return self.clone();
        };
        let shown = self.0.iter().filter_map(|(name, value)| {
            let verdict = policy.verdicts(name).text;
            let value = match policy.apply(verdict, name, || value.into()) {
                Redaction::Keep => value.clone(),
                Redaction::Replace(text) => text.into_owned(),
                Redaction::Remove => return None,
            };
            Some((name.clone(), value))
        });
        Self(shown.collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn context_key_problem(name: &str) -> String {
    format!("`{name}` is a key of the context, whose values change: choose another name")
}

/// Returns the call of the setter of a field, as errors show it.
fn setter(name: &str) -> String {
    format!("Builder::field({}, …)", conceal::shown(name))
}

/// Returns a value without white space and control characters at both ends.
fn trimmed(value: &str) -> &str {
    value.trim_matches(|c: char| c.is_whitespace() || c.is_control())
}

/// Checks whether a line and a Sentry event can have this field. The check for Sentry also applies
/// without a DSN, so that a start in development finds the errors of production.
fn check(name: &str, value: &str) -> Result<(), String> {
    let shown = conceal::shown(name);
    if !parse::is_field_name(name) || name.len() > MAX_NAME_LEN {
        return Err(format!(
            "{shown} is not a field name: write at most {MAX_NAME_LEN} letters, digits, `_`, `.` \
             and `-`"
        ));
    }
    if Format::is_reserved(name) || name == SERVICE {
        return Err(format!(
            "`{name}` is a key of the line itself: choose another name"
        ));
    }
    if CONTEXT_KEYS.contains(&name) {
        return Err(context_key_problem(name));
    }
    #[cfg(feature = "sentry")]
    if !spanwise_sentry::is_valid_tag_name(name) {
        let error = spanwise_sentry::SentryError::Tag(name.to_owned()).to_string();
        // A secret key may be written in place of a name.
        return Err(conceal::message(&error, name));
    }
    if value.is_empty() {
        return Err(format!("{shown} has no value: write one, or remove it"));
    }
    if value.len() > MAX_VALUE_LEN {
        return Err(format!(
            "the value of {shown} has {} bytes, and every line has it: at most {MAX_VALUE_LEN} are \
             accepted",
            value.len()
        ));
    }
    Ok(())
}

impl fmt::Display for StaticFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}
