//! Span directives, such as `target[span{field=value}]=level`, which enable events inside spans.

use tracing_core::LevelFilter;
use tracing_subscriber::{EnvFilter, filter};

use super::directive::{directives, not_a_level, parse_level, parse_target};

/// A parsed span directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpanDirective {
    /// The text before `=level`, as the user wrote it.
    pub(crate) matcher: String,
    /// The matchers for [`EnvFilter`]. The directive matches if one of these matches.
    pub(crate) variants: Vec<String>,
    /// The fields that a matching span must declare. Empty if the directive has a span name or a
    /// field value, because [`EnvFilter`] then checks the fields itself.
    pub(crate) required_fields: Vec<String>,
    pub(crate) level: LevelFilter,
}

pub(super) fn parse(directive: &str) -> Result<SpanDirective, String> {
    let malformed = || {
        format!("`{directive}` is not a span directive: write `target[span{{field=value}}]=level`")
    };
    let (matcher, level_part) = directive.split_at(directive.rfind(']').ok_or_else(malformed)? + 1);
    let level = match level_part.trim().strip_prefix('=').map(str::trim) {
        Some(level) => {
            parse_level(level).ok_or_else(|| format!("`{directive}`: {}", not_a_level(level)))?
        }
        None if level_part.trim().is_empty() => LevelFilter::TRACE,
        None => return Err(malformed()),
    };
    let (target, span) = matcher.split_once('[').ok_or_else(malformed)?;
    let target = target.trim();
    if !target.is_empty() {
        parse_target(target, directive)?;
    }
    let (name, fields) = parse_span(span).ok_or_else(malformed)?;
    let variants =
        variants(target, name, &fields).map_err(|problem| format!("`{directive}`{problem}"))?;
    if variants
        .iter()
        .any(|variant| span_filter(variant).is_none())
    {
        return Err(malformed());
    }
    let has_only_fields = name.is_empty() && fields.iter().all(|field| field.value.is_none());
    let required_fields = match has_only_fields {
        true => fields.iter().map(|field| field.name.to_owned()).collect(),
        false => Vec::new(),
    };
    Ok(SpanDirective {
        matcher: matcher.to_owned(),
        variants,
        required_fields,
        level,
    })
}

/// Parses `span{field=value}]`, the part of a directive after `[`.
fn parse_span(text: &str) -> Option<(&str, Vec<FieldMatch<'_>>)> {
    let text = text.strip_suffix(']')?;
    let (name, fields) = match text.split_once('{') {
        Some((name, fields)) => (name, fields.trim_end().strip_suffix('}')?),
        None => (text, ""),
    };
    let name = name.trim();
    let fields: Vec<_> = directives(fields)
        .map(|field| FieldMatch::parse(field.text))
        .collect::<Option<_>>()?;
    let is_empty = name.is_empty() && fields.is_empty();
    let is_name = !name.contains(['[', ']', '{', '}', '"', '=', ',']);
    (is_name && !is_empty).then_some((name, fields))
}

/// Returns a matcher for each combination of the forms of the target and of the fields. A form is
/// one of the spellings that `EnvFilter` must match.
fn variants(
    target: &str,
    name: &str,
    fields: &[FieldMatch<'_>],
) -> Result<Vec<String>, &'static str> {
    let mut spans = vec![format!("{target}[{name}")];
    if target.contains('-') {
        spans.push(format!("{}[{name}", target.replace('-', "_")));
    }
    let forms: Option<Vec<_>> = fields.iter().map(FieldMatch::forms).collect();
    let forms = forms.ok_or(
        ": a value cannot have an operator with braces, such as `a{2}`: write out the repetition, \
         and write a literal brace as `\\{`",
    )?;
    // Count before building, because each number or boolean doubles the variants.
    let count = forms.iter().fold(spans.len(), |count, forms| {
        count.saturating_mul(forms.len())
    });
    if count > MAX_VARIANTS {
        return Err(" has too many numbers to match: name fewer fields");
    }
    let field_lists = forms.iter().fold(vec![String::new()], |lists, forms| {
        let extended = lists.iter().flat_map(|list| {
            let comma = if list.is_empty() { "" } else { "," };
            forms.iter().map(move |form| format!("{list}{comma}{form}"))
        });
        extended.collect()
    });
    let matchers = spans.iter().flat_map(|span| {
        field_lists.iter().map(move |list| match list.as_str() {
            "" => format!("{span}]"),
            list => format!("{span}{{{list}}}]"),
        })
    });
    Ok(matchers.collect())
}

/// The maximum number of matchers of a directive. Each number or boolean in the directive doubles
/// them, and so does a hyphen in its target.
const MAX_VARIANTS: usize = 16;

/// A `field` or `field=value` of a span directive.
struct FieldMatch<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl<'a> FieldMatch<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text.trim(), None),
        };
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '#');
        let (value, has_valid_value) = match value.map(|value| (value, value.strip_prefix('"'))) {
            Some((_, Some(inside))) => (Some(inside.strip_suffix('"')?), true),
            Some((value, None)) => (Some(value), !value.is_empty()),
            None => (None, true),
        };
        let is_valid = has_valid_value
            && value.is_none_or(|value| !value.contains('"'))
            && name.chars().all(is_name)
            && !name.is_empty();
        is_valid.then_some(Self { name, value })
    }

    /// Returns the forms in which [`EnvFilter`] can match the field: its value as a text with or
    /// without quotes, and also as a number or boolean if it is one. Returns `None` if
    /// [`value_regex`] rejects the value.
    fn forms(&self) -> Option<Vec<String>> {
        let Self { name, value } = self;
        let Some(value) = value else {
            return Some(vec![(*name).to_owned()]);
        };
        let mut forms = vec![format!("{name}=^\"?(?:{})\"?$", value_regex(value)?)];
        if value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok() {
            forms.push(format!("{name}={value}"));
        }
        Some(forms)
    }
}

/// Returns the regular expression for a value, in the syntax of [`EnvFilter`]. Returns `None` if
/// the value has an operator with braces.
///
/// `EnvFilter` splits a directive at each of the characters `=,{}`, so this function escapes them.
/// An escaped brace matches literally, so an operator with braces would never match.
fn value_regex(value: &str) -> Option<String> {
    let mut pattern = String::new();
    let mut remaining = value.chars();
    let mut is_after_escaped_letter = false;
    while let Some(c) = remaining.next() {
        let escaped = (c == '\\').then(|| remaining.next()).flatten();
        match (c, escaped) {
            ('{', _) if is_after_escaped_letter || is_repetition(remaining.as_str()) => {
                return None;
            }
            ('\\', Some(c)) if !is_separator(c) => pattern.extend(['\\', c]),
            (_, Some(c)) | (c, None) if is_separator(c) => {
                pattern.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            (c, _) => pattern.push(c),
        }
        is_after_escaped_letter = escaped.is_some_and(char::is_alphabetic);
    }
    Some(pattern)
}

/// Returns whether `EnvFilter` splits a directive at `c`, even inside a value.
fn is_separator(c: char) -> bool {
    matches!(c, '=' | ',' | '{' | '}')
}

/// Returns whether `{`, followed by `text`, begins a repetition: `{2}`, `{2,}`, `{,2}` or `{2,3}`.
fn is_repetition(text: &str) -> bool {
    text.split_once('}').is_some_and(|(inside, _)| {
        let is_allowed = |c: char| c.is_ascii_digit() || matches!(c, ',' | ' ');
        !inside.is_empty() && inside.chars().all(is_allowed)
    })
}

/// Creates a filter that enables the spans that `matcher` matches, and everything inside them.
/// Returns `None` if `EnvFilter` rejects the matcher.
pub(crate) fn span_filter(matcher: &str) -> Option<EnvFilter> {
    // Parses a `Directive`, because a whole filter would be split at commas, even inside braces.
    let directive: filter::Directive = format!("{matcher}=trace").parse().ok()?;
    let disabled = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    Some(disabled.parse("").ok()?.add_directive(directive))
}
