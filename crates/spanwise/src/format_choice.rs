//! The choice of the format of lines, including formats that the program registers.
//!
//! The environment is read before code can register a format. Therefore a word that names no
//! built-in format is stored first, and looked up among the registered formats at the start.

use spanwise_core::{ParseError, internal::suggest::closest};
use spanwise_json::Format;

use crate::{
    choices::{Choices, Chosen, describe},
    conceal,
    explain::Origin,
    settings::LOG_FORMAT,
};

/// The value of `LOG_FORMAT`, before names of registered formats are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FormatChoice {
    Known(Format),
    /// A word that may be the name of a registered format.
    Word(String),
}

/// A name for `LOG_FORMAT`, and the format of that name.
pub(crate) type RegisteredFormat = (String, Format);

impl From<Format> for FormatChoice {
    fn from(format: Format) -> Self {
        Self::Known(format)
    }
}

impl FormatChoice {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Known(format) => format.name(),
            Self::Word(word) => word,
        }
    }
}

/// Chooses the format of lines. Also returns the name of the format if it was set by a name that is
/// not built in. `in_file` has the formats that a configuration file defines.
pub(crate) fn choose(
    registered: &[RegisteredFormat],
    in_file: &[RegisteredFormat],
    choices: &mut Choices<'_>,
) -> (Format, Option<String>) {
    for problem in problems(registered) {
        choices.add_problem(problem);
    }
    if let Some(explicit) = choices.explicit_value(&LOG_FORMAT) {
        match resolve(&explicit, &[registered, in_file].concat()) {
            Ok(format) => {
                choices.add_explanation(&LOG_FORMAT.def, explicit.value.name(), &explicit.origin);
                let name = match explicit.value {
                    FormatChoice::Known(_) => None,
                    FormatChoice::Word(word) => Some(word),
                };
                return (format, name);
            }
            // If code sets an unknown name, the name is wrong: code had the chance to register it.
            Err(problem) if explicit.origin == Origin::Code => choices.add_problem(problem),
            Err(problem) => choices.add_unregistered(problem),
        }
    }
    let preset = choices.preset;
    let format = preset.format();
    choices.add_explanation(&LOG_FORMAT.def, &format, &Origin::Preset(preset.name()));
    (format, None)
}

/// Looks up the format of a choice. Returns the problem if its name is unknown.
pub(crate) fn resolve(
    choice: &Chosen<FormatChoice>,
    registered: &[RegisteredFormat],
) -> Result<Format, String> {
    let word = match &choice.value {
        FormatChoice::Known(format) => return Ok(format.clone()),
        FormatChoice::Word(word) => word,
    };
    let mut formats = registered.iter();
    if let Some((_, format)) = formats.find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        return Ok(format.clone());
    }
    let registered_names = registered.iter().map(|(name, _)| name.as_str());
    let mut accepts = LOG_FORMAT.def.accepts.to_owned();
    for name in registered_names.clone() {
        accepts.push_str(", ");
        accepts.push_str(name);
    }
    accepts.push_str(", or a template such as `text:{level} {message} {fields}`");
    let names = Format::NAMES.iter().copied().chain(registered_names);
    let is_text = ["text", "txt", "plain", "plaintext"]
        .iter()
        .any(|text| word.eq_ignore_ascii_case(text));
    let hint = match closest(word, names) {
        _ if word.contains('{') => "a template begins with `text:`".to_owned(),
        _ if is_text => format!("did you mean compact, or a template? accepts {accepts}"),
        Some(meant) => format!("did you mean {meant}? accepts {accepts}"),
        None => format!("accepts {accepts}"),
    };
    let quoted = conceal::shown(word);
    let shown = match choice.origin.source_name() {
        Some(name) => format!("{name}={quoted}"),
        None => format!("Builder::format({quoted})"),
    };
    Err(describe(
        &shown,
        word,
        &ParseError::word(word, "is unknown", hint),
    ))
}

/// Returns the problems of the names under which code registers formats.
fn problems(registered: &[RegisteredFormat]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, (name, _)) in registered.iter().enumerate() {
        let shown = format!("Builder::register_format({})", conceal::shown(name));
        let is_name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_repeated = |(other, _): &RegisteredFormat| other.eq_ignore_ascii_case(name);
        if name.is_empty() || !name.chars().all(is_name_char) {
            problems.push(format!(
                "{shown} is not a valid name of a format: write letters, digits, `-` and `_`"
            ));
        } else if name.parse::<Format>().is_ok() {
            problems.push(format!("{shown} is a format already: choose another name"));
        } else if registered[..index].iter().any(is_repeated) {
            problems.push(format!("{shown} is registered twice: choose another name"));
        }
    }
    problems
}
