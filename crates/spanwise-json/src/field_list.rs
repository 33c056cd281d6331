//! The value of `LOG_FIELDS`: a list of fields and parts of a line to show, omit, rename or add.

mod word_problems;

use std::{collections::HashSet, fmt, str::FromStr};

use spanwise_core::{ParseError, Problem, internal::TextSetting, words};

use self::word_problems::{
    FIXED_PARTS, JOINED_BY_COMMAS, OTHER_PARTS, OTHER_PRECISIONS, arrow_problem, is_separator,
    missing_name, unknown_name,
};
use crate::{
    Format,
    builder::Options,
    format::{ADDED_PREFIX, FIELDS_PREFIX},
    line_parts::{self, taken_key_problem},
    text_template,
};

/// Changes of the fields and the parts of a line: the value of `LOG_FIELDS`.
///
/// A *part* is what a line has besides the fields of its event and spans, such as its level or the
/// name of the thread. The name of a part is its name in `json`, or its key in the format of the
/// line.
///
/// | word | effect |
/// | --- | --- |
/// | `+location` `+thread` `+thread_id` `+spans` `+host` `+pid` | shows a part |
/// | `+trace_id` `+span_id` | shows an id that lines for people hide |
/// | `-NAME` | omits the field and the part of this name |
/// | `only=a\|b\|c` | shows only these fields; the parts of the line stay |
/// | `old>new` | renames a part, or else a field |
/// | `key=text` | adds a static text |
/// | `@seconds` `@millis` `@micros` `@nanos` | sets the precision of timestamps |
///
/// ```
/// use spanwise_json::{FieldList, Format};
///
/// let fields: FieldList = "+location,-target,level>severity,region=eu,@millis".parse()?;
/// fields.check(&Format::Json)?;
///
/// let error = "+locaton".parse::<FieldList>().unwrap_err();
/// assert!(error.to_string().starts_with("`+locaton` is not a part of a line: did you mean `+location`?"));
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldList(Vec<FieldWord>);

/// A word of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FieldWord {
    Show(ShownPart),
    Omit(String),
    Only(Vec<String>),
    Rename { from: String, to: String },
    Add { key: String, text: String },
    Precision(Precision),
}

/// A part that is shown on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShownPart {
    /// The source file and line of the event.
    Location,
    /// The name of the thread.
    Thread,
    /// The id of the thread.
    ThreadId,
    /// The names of the spans around the event.
    Spans,
    /// The name of the machine.
    Host,
    /// The id of the process.
    Pid,
    /// The id of the trace, which machine formats always show.
    TraceId,
    /// The id of the span in its trace, which machine formats always show.
    SpanId,
}

impl ShownPart {
    const ALL: [Self; 8] = [
        Self::Location,
        Self::Thread,
        Self::ThreadId,
        Self::Spans,
        Self::Host,
        Self::Pid,
        Self::TraceId,
        Self::SpanId,
    ];

    /// Returns the placeholders of a template that show the part. Returns an empty list for the ids
    /// of traces and spans, which a template shows as fields.
    fn placeholders(self) -> &'static [&'static str] {
        match self {
            Self::Location => &["file", "line"],
            Self::Thread => &["thread"],
            Self::ThreadId => &["thread_id"],
            Self::Spans => &["spans"],
            Self::Host => &["host"],
            Self::Pid => &["pid"],
            Self::TraceId | Self::SpanId => &[],
        }
    }

    /// Returns the name in the list, without `+`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::Thread => "thread",
            Self::ThreadId => "thread_id",
            Self::Spans => "spans",
            Self::Host => "host",
            Self::Pid => "pid",
            Self::TraceId => "trace_id",
            Self::SpanId => "span_id",
        }
    }
}

/// The digits of a timestamp after the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

impl Precision {
    const ALL: [Self; 4] = [Self::Seconds, Self::Millis, Self::Micros, Self::Nanos];

    const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Millis => "millis",
            Self::Micros => "micros",
            Self::Nanos => "nanos",
        }
    }

    const fn digits(self) -> usize {
        match self {
            Self::Seconds => 0,
            Self::Millis => 3,
            Self::Micros => 6,
            Self::Nanos => 9,
        }
    }
}

impl FieldList {
    /// The words that a list can have, for the documentation of settings.
    pub const ACCEPTS: &str = "`+location`, `+thread`, `+thread_id`, `+spans`, `+host`, `+pid`, `+trace_id`, `+span_id`, `-NAME`, `only=NAME`, `old>new`, `key=text`, `@seconds`, `@millis`, `@micros`, `@nanos`, joined by commas";

    /// Returns whether the list has no words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the list shows a part.
    #[must_use]
    pub fn shows(&self, part: ShownPart) -> bool {
        self.0.contains(&FieldWord::Show(part))
    }

    /// Returns the names that the list omits.
    pub fn omitted(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|word| match word {
            FieldWord::Omit(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns the keys and texts that the list adds.
    pub fn added(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|word| match word {
            FieldWord::Add { key, text } => Some((key.as_str(), text.as_str())),
            _ => None,
        })
    }

    /// Returns the old and the new names of renamed fields and parts.
    pub fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|word| match word {
            FieldWord::Rename { from, to } => Some((from.as_str(), to.as_str())),
            _ => None,
        })
    }

    /// Returns the list with changed static texts. `change` gets a key and its text, and returns
    /// the new text, or `None` to remove the word.
    #[must_use]
    pub fn map_added(&self, change: impl Fn(&str, &str) -> Option<String>) -> Self {
        let changed = self.0.iter().filter_map(|word| match word {
            FieldWord::Add { key, text } => Some(FieldWord::Add {
                key: key.clone(),
                text: change(key, text)?,
            }),
            word => Some(word.clone()),
        });
        Self(changed.collect())
    }

    /// Checks that a format allows the changes of the list.
    ///
    /// # Errors
    /// * Each word that omits or renames a key that the format requires.
    /// * Each word that gives two members of a line the same key.
    /// * Each static text with a key that the receiver reads, or that a part may have.
    /// * Each precision for a timestamp that the format writes as nanoseconds.
    /// * Each `+` word for a part that a template has no placeholder for.
    /// * For a [human-readable format](Format::is_human_readable), each word that begins with
    ///   neither `+` nor `-`.
    pub fn check(&self, format: &Format) -> Result<(), ParseError> {
        ParseError::check(match format.is_human_readable() {
            true => self.human_format_problems(format),
            false => self.machine_format_problems(format),
        })
    }

    fn human_format_problems(&self, format: &Format) -> Vec<String> {
        let problem = |word: &FieldWord| match word {
            FieldWord::Show(_) => None,
            FieldWord::Omit(name) if matches!(name.as_str(), "level" | "message") => Some(format!(
                "`{word}`: `{format}` requires `{name}`: remove the word"
            )),
            FieldWord::Omit(_) => None,
            _ => Some(format!(
                "{}: `{format}` is for people, and accepts only `+` and `-` words: remove the word, or choose \
                 another format",
                shown_word(word)
            )),
        };
        self.0.iter().filter_map(problem).collect()
    }

    fn machine_format_problems(&self, format: &Format) -> Vec<String> {
        let mut options = Options {
            format: format.clone(),
            ..Options::default()
        };
        self.apply(&mut options);
        let resolved = line_parts::resolve(&options);
        let mut problems = resolved.problems;
        if let Some(precision) = self.precision()
            && !resolved.options.table.time.has_precision()
        {
            let name = precision.name();
            problems.push(match format.decider_of_parts() {
                Some(author) => format!(
                    "`@{name}`: {author} of `{format}` decides about the timestamp: remove the word"
                ),
                None => format!(
                    "`@{name}`: timestamps of `{format}` are in nanoseconds: remove the word"
                ),
            });
        }
        let shown_parts = self.0.iter().filter_map(|word| match word {
            FieldWord::Show(part) => Some(*part),
            _ => None,
        });
        for part in shown_parts {
            let names = part.placeholders();
            if !names.is_empty() && text_template::hides(format, names) {
                let (word, name) = (part.name(), names[0]);
                problems.push(format!(
                    "`+{word}`: the template does not show it: add `{{{name}}}` to the template, or \
                     remove the word"
                ));
            }
        }
        // The keys of the parts after all words have been applied.
        let parts: HashSet<String> = line_parts::shown_keys(&resolved.options).collect();
        let table = resolved.options.table;
        for (from, to) in &resolved.options.rename {
            let is_nested_message = from == "message" && !parts.contains(from);
            // `only` does not hide the message, even in a nested line, where it is a field.
            let is_hidden = |only: &[String]| from != "message" && !only.contains(from);
            if parts.contains(&table.spell(to)) && !is_nested_message {
                problems.push(taken_key_problem(&format!("{from}>{to}"), to));
            } else if resolved.options.include.as_deref().is_some_and(is_hidden) {
                problems.push(format!(
                    "`{from}>{to}`: `only` hides the field `{from}`: add `{from}` to the names of \
                     `only`, or remove the word"
                ));
            }
        }
        for (key, _) in self.added() {
            let spelled = table.spell(key);
            let is_renamed = resolved.options.rename.iter().any(|(_, to)| to == key);
            if parts.contains(&spelled) || is_renamed {
                problems.push(taken_key_problem(&format!("{key}=…"), key));
            } else if table.is_reserved_name(&spelled) {
                problems.push(format!(
                    "`{key}=…`: the receiver of `{format}` reads `{spelled}` itself: choose another name"
                ));
            } else if table.reserves(&spelled) {
                problems.push(format!(
                    "`{key}=…`: `{spelled}` is the key of a part that the line may have: choose another name"
                ));
            }
        }
        problems
    }

    fn precision(&self) -> Option<Precision> {
        self.0.iter().find_map(|word| match word {
            FieldWord::Precision(precision) => Some(*precision),
            _ => None,
        })
    }

    /// Applies the changes of the list to the options of a layer.
    pub(crate) fn apply(&self, options: &mut Options) {
        for word in &self.0 {
            match word {
                FieldWord::Show(part) => match part {
                    ShownPart::Location => options.source_location = true,
                    ShownPart::Thread => options.thread_name = true,
                    ShownPart::ThreadId => options.thread_id = true,
                    ShownPart::Spans => options.span_list = true,
                    ShownPart::Host => options.host = true,
                    ShownPart::Pid => options.pid = true,
                    // Lines for programs always have the ids.
                    ShownPart::TraceId | ShownPart::SpanId => {}
                },
                FieldWord::Omit(name) => options.exclude.push(name.clone()),
                FieldWord::Only(names) => options.include = Some(names.clone()),
                FieldWord::Rename { from, to } => options.rename.push((from.clone(), to.clone())),
                FieldWord::Add { key, text } => options.add(key, text),
                FieldWord::Precision(precision) => options.precision = Some(precision.digits()),
            }
        }
    }
}

/// Returns a word for an error message, without the text that it adds, which may be a secret.
fn shown_word(word: &FieldWord) -> String {
    match word {
        FieldWord::Add { key, .. } => format!("`{key}=…`"),
        word => format!("`{word}`"),
    }
}

impl TextSetting for FieldList {}

impl FromStr for FieldList {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut seen: Vec<FieldWord> = Vec::new();
        // The key of the last word, if it adds a text.
        let mut last_added_key = None;
        // The last word with a sign, if it is `only=…`, and the words without a sign behind it.
        let mut only = String::new();
        words::parse_each(text, |text| {
            let has_sign = text.starts_with(SIGNS) || text.contains(['>', '=']);
            if let Some(key) = last_added_key.filter(|_| !has_sign) {
                // The error omits the word, which may be the rest of a secret with a comma.
                return Err(Problem::new(format!(
                    "the word behind `{key}=…` has no sign: a text ends at the first comma; write \
                     it without commas, or remove the word"
                )));
            }
            last_added_key = added_key(text);
            if has_sign {
                only = if is_only(text) {
                    text.to_owned()
                } else {
                    String::new()
                };
            } else if !only.is_empty() {
                only.extend(["|", text]);
                return Err(Problem::new(format!(
                    "`{text}` has no sign: bars separate the names of `only`: write `{only}`"
                )));
            }
            let word = parse(text)?;
            if let Some(problem) = seen.iter().find_map(|other| conflict(other, &word)) {
                return Err(Problem::new(format!("{}: {problem}", shown_word(&word))));
            }
            seen.push(word.clone());
            Ok(word)
        })
        .map(Self)
    }
}

/// Returns whether a word is `only=…`, which lists the names to show.
fn is_only(word: &str) -> bool {
    let name = word.split_once(['>', '=']).map(|(name, _)| name.trim());
    name == Some("only") && !word.contains('>')
}

/// The signs at the start of words that contain neither `>` nor `=`.
const SIGNS: [char; 3] = ['+', '-', '@'];

/// Returns the key in a word that adds a text. `None` for all other words.
fn added_key(word: &str) -> Option<&str> {
    let (key, _) = word.split_once(['>', '='])?;
    let is_added = word[key.len()..].starts_with('=') && !word.starts_with(SIGNS);
    let key = key.trim();
    (is_added && key != "only").then_some(key)
}

fn parse(text: &str) -> Result<FieldWord, Problem> {
    if let Some(name) = text.strip_prefix('+') {
        let part = ShownPart::ALL.into_iter().find(|part| part.name() == name);
        let names = || ShownPart::ALL.into_iter().map(ShownPart::name);
        let reason = match FIXED_PARTS.contains(&name) {
            true => "is not a part that `+` shows, because the format decides about it",
            false => "is not a part of a line",
        };
        return part
            .map(FieldWord::Show)
            .ok_or_else(|| unknown_name(text, '+', reason, name, &OTHER_PARTS, names()));
    }
    if let Some(name) = text.strip_prefix('@') {
        let found = Precision::ALL
            .into_iter()
            .find(|known| known.name() == name);
        let names = || Precision::ALL.into_iter().map(Precision::name);
        return found.map(FieldWord::Precision).ok_or_else(|| {
            unknown_name(
                text,
                '@',
                "is not a precision",
                name,
                &OTHER_PRECISIONS,
                names(),
            )
        });
    }
    if let Some(name) = text.strip_prefix('-') {
        let names = name.split('|').filter(|name| !name.is_empty());
        let words: Vec<String> = names.map(|name| format!("-{name}")).collect();
        if name.contains('|') && !words.is_empty() {
            let words = words.join(",");
            return Err(Problem::new(format!(
                "`{text}`: a word omits one name: write `{words}`"
            )));
        }
        return Ok(FieldWord::Omit(checked_name(text, name)?));
    }
    let Some(sign) = text.find(['>', '=']) else {
        let is_on_request = ShownPart::ALL.iter().any(|part| part.name() == text);
        let show_hint = match (is_on_request, text.split_once(':')) {
            (true, _) => format!("`+{text}` to show it, "),
            (false, Some((from, to)))
                if !from.is_empty() && !to.is_empty() && !to.starts_with(':') =>
            {
                format!("`{from}>{to}` to rename `{from}`, ")
            }
            (false, _) => String::new(),
        };
        return Err(Problem::new(format!(
            "`{text}` has no sign: write {show_hint}`-{text}` to omit it, `only={text}` to show nothing else, `{text}>name` to rename it, or `{text}=text` to add it"
        )));
    };
    let (name, value) = (text[..sign].trim(), text[sign + 1..].trim());
    if let Some(problem) = arrow_problem(&text[..sign], &text[sign..]) {
        return Err(problem);
    }
    if text[sign..].starts_with('>') {
        return Ok(FieldWord::Rename {
            from: checked_name(text, name)?,
            to: checked_new_name(text, value)?,
        });
    }
    if name == "only" {
        let names = value.split('|').map(|name| checked_name(text, name.trim()));
        return names.collect::<Result<_, _>>().map(FieldWord::Only);
    }
    // Errors do not show the text, because it may be a secret.
    let word = format!("{name}=…");
    let key = checked_new_name(&word, name)?;
    match value.is_empty() {
        true => Err(Problem::new(format!(
            "`{name}=` has no text: write one, or remove it"
        ))),
        false => Ok(FieldWord::Add {
            key,
            text: value.to_owned(),
        }),
    }
}

/// Returns `name`, which is a part of `word`, if it is a valid name.
fn checked_name(word: &str, name: &str) -> Result<String, Problem> {
    if name.contains('*') {
        return Err(Problem::new(format!(
            "`{word}`: `*` is not a wildcard: write each name"
        )));
    }
    if name.is_empty() {
        return Err(missing_name(word));
    }
    let is_allowed = |c: char| c.is_alphanumeric() || "_.-@/:$".contains(c);
    if name.len() > MAX_NAME_LEN || !name.chars().all(is_allowed) {
        let joined = match name.contains(is_separator) {
            true => format!("; {JOINED_BY_COMMAS}"),
            false => String::new(),
        };
        return Err(Problem::new(format!(
            "`{word}`: `{name}` is not a name: write at most {MAX_NAME_LEN} letters, digits, and `_ . - @ / : $`{joined}"
        )));
    }
    Ok(name.to_owned())
}

/// Like [`checked_name`], for a new name, which must not begin with `fields.` or `added.`.
fn checked_new_name(word: &str, name: &str) -> Result<String, Problem> {
    let prefix = [FIELDS_PREFIX, ADDED_PREFIX]
        .into_iter()
        .find(|prefix| name.starts_with(prefix));
    match prefix {
        Some(prefix) => Err(Problem::new(format!(
            "`{word}`: names that begin with `{prefix}` are for fields that were renamed because of \
             a conflict: choose another name"
        ))),
        None => checked_name(word, name),
    }
}

/// The maximum length of a name, in bytes.
const MAX_NAME_LEN: usize = 64;

/// Returns the problem with `second` if the two words contradict or repeat each other.
fn conflict(first: &FieldWord, second: &FieldWord) -> Option<String> {
    use FieldWord::{Add, Omit, Only, Precision, Rename, Show};
    match (first, second) {
        (Only(_), Only(_)) => Some("`only` occurs twice: write one list".to_owned()),
        (Precision(_), Precision(_)) => {
            Some(format!("{} is there too: write one", shown_word(first)))
        }
        (Rename { from: a, .. }, Rename { from: b, .. }) if a == b => {
            Some(format!("`{a}` is renamed twice: write one name"))
        }
        (Rename { to: a, .. }, Rename { to: b, .. })
        | (Rename { to: a, .. }, Add { key: b, .. })
        | (Add { key: a, .. }, Rename { to: b, .. })
        | (Add { key: a, .. }, Add { key: b, .. })
            if a == b =>
        {
            Some(format!(
                "{} has the same key: choose another name",
                shown_word(first)
            ))
        }
        (Omit(name), Rename { from, .. }) | (Rename { from, .. }, Omit(name)) if name == from => {
            Some(format!(
                "`{name}` is both omitted and renamed: write one of the two"
            ))
        }
        (Show(part), Omit(name)) | (Omit(name), Show(part)) if part.name() == name => Some(
            format!("`{name}` is both shown and omitted: write one of the two"),
        ),
        (Only(names), Omit(name)) | (Omit(name), Only(names)) if names.contains(name) => Some(
            format!("`{name}` is both shown and omitted: write one of the two"),
        ),
        _ if first == second => Some("it occurs twice: write it once".to_owned()),
        _ => None,
    }
}

/// Writes the list in the syntax that it is parsed from.
impl fmt::Display for FieldList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{word}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Show(part) => write!(f, "+{}", part.name()),
            Self::Omit(name) => write!(f, "-{name}"),
            Self::Only(names) => write!(f, "only={}", names.join("|")),
            Self::Rename { from, to } => write!(f, "{from}>{to}"),
            Self::Add { key, text } => write!(f, "{key}={text}"),
            Self::Precision(precision) => write!(f, "@{}", precision.name()),
        }
    }
}
