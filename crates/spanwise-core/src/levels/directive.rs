//! The grammar of levels and of directives without a span: `level`, `target`, `target=level`.

use tracing_core::LevelFilter;

use crate::{
    TargetPattern,
    internal::suggest,
    words::{self, Word},
};

pub(super) enum Directive {
    /// A level without a target.
    Default(LevelFilter),
    Target(TargetPattern, LevelFilter),
}

/// Splits `text` into directives.
pub(super) fn directives(text: &str) -> impl Iterator<Item = Word<'_>> {
    words::split(text).filter(|word| !word.text.is_empty())
}

pub(super) fn parse(directive: &str) -> Result<Directive, String> {
    match directive.split_once('=') {
        Some((target, level)) => {
            let level = parse_level(level.trim())
                .ok_or_else(|| format!("`{directive}`: {}", not_a_level(level.trim())))?;
            let target = parse_target(target.trim(), directive)?;
            Ok(Directive::Target(TargetPattern::prefix(target), level))
        }
        None => match parse_level(directive) {
            Some(level) => Ok(Directive::Default(level)),
            None => parse_target_without_level(directive),
        },
    }
}

/// Parses a directive without `=level`: a target, which then has the level TRACE. The target must
/// look like a module path, because any other word is more likely a mistake.
fn parse_target_without_level(word: &str) -> Result<Directive, String> {
    if looks_like_a_level(word) {
        return Err(format!(
            "{} (if `{word}` is a target, write `{word}=trace`)",
            not_a_level(word)
        ));
    }
    if let Some((target, level)) = word.rsplit_once(':')
        && parse_level(level).is_some()
    {
        let target = target.trim_end_matches(':');
        return Err(format!(
            "`{word}` is not a directive: write `{target}={level}`"
        ));
    }
    if let Some((before_slash, _)) = word.split_once('/') {
        return Err(format!(
            "`{word}`: text after `/` is not searched for; write `{before_slash}` \
             (if `{word}` is a target, write `{word}=trace`)"
        ));
    }
    let target = parse_target(word, word)?;
    let is_module = |part: &str| {
        !part.starts_with(|c: char| c.is_numeric())
            && part
                .chars()
                .all(|c| c.is_lowercase() || c.is_numeric() || matches!(c, '_' | '-'))
    };
    if !target.trim_end_matches("::").split("::").all(is_module) {
        return Err(format!(
            "`{word}` is neither a level nor the path of a module; \
             if `{word}` is a target, write `{word}=trace`"
        ));
    }
    Ok(Directive::Target(
        TargetPattern::prefix(target),
        LevelFilter::TRACE,
    ))
}

/// Returns `target` if a directive with it can match: if it is a module path, and not a level, a
/// file or the name of a variable. `directive` is the whole directive, for the error.
pub(super) fn parse_target<'t>(target: &'t str, directive: &str) -> Result<&'t str, String> {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '/');
    if target.is_empty() || !target.chars().all(is_allowed) {
        return Err(format!(
            "`{directive}` is not a directive: write `level` or `target=level`, joined by commas"
        ));
    }
    if target == "RUST_LOG" || target == "LOG_LEVEL" {
        return Err(format!(
            "`{directive}`: the value repeats the name of its variable; remove `{target}=`"
        ));
    }
    if parse_level(target).is_some() || is_number(target) {
        return Err(format!(
            "`{directive}`: `{target}` is a level and not a target; \
             write `level` or `target=level`"
        ));
    }
    let path = target.strip_suffix("::").unwrap_or(target);
    let mut parts = path.split("::");
    let is_relative = matches!(parts.next(), Some("crate" | "self" | "super"));
    if is_relative
        || path
            .split("::")
            .any(|part| part.is_empty() || part.contains(':'))
    {
        return Err(format!(
            "`{directive}` matches nothing: `{target}` is not the path of a module; \
             write one such as `shop::db=debug`"
        ));
    }
    if path.ends_with(".rs") {
        return Err(format!(
            "`{directive}` matches nothing: `{target}` is a file; \
             write the path of its module, such as `shop::db=debug`"
        ));
    }
    Ok(target)
}

/// Returns the level that `word` names, ignoring case: off, error, warn, info, debug, trace, or a
/// number from 0 to 5. `warning` means warn; `fatal` and `critical` mean error.
///
/// ```
/// use spanwise_core::internal::parse_level;
/// use tracing::level_filters::LevelFilter;
///
/// assert_eq!(parse_level("WARNING"), Some(LevelFilter::WARN));
/// assert_eq!(parse_level("fatal"), Some(LevelFilter::ERROR));
/// assert_eq!(parse_level("inof"), None);
/// ```
#[must_use]
pub fn parse_level(word: &str) -> Option<LevelFilter> {
    const ALIASES: [(&str, LevelFilter); 3] = [
        ("warning", LevelFilter::WARN),
        ("fatal", LevelFilter::ERROR),
        ("critical", LevelFilter::ERROR),
    ];
    let alias = ALIASES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word));
    // `tracing` parses an empty text as ERROR.
    let standard = || word.parse().ok().filter(|_| !word.is_empty());
    alias.map(|(_, level)| *level).or_else(standard)
}

fn looks_like_a_level(word: &str) -> bool {
    is_number(word) || suggest::closest_level(word).is_some()
}

/// Returns whether `word` is a number with digits. `inf` and `nan` are names of targets.
fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok() && word.contains(|c: char| c.is_ascii_digit())
}

/// Returns the error text for a word that is not a level.
pub(super) fn not_a_level(word: &str) -> String {
    match suggest::closest_level(word) {
        Some(level) => format!("`{word}` is not a level: did you mean `{level}`?"),
        None => format!(
            "`{word}` is not a level: use one of {}",
            suggest::LEVELS.join(", ")
        ),
    }
}
