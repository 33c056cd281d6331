//! Levels and targets, as `RUST_LOG` writes them.

use std::{fmt, str::FromStr};

use tracing_core::LevelFilter;
use tracing_subscriber::{EnvFilter, filter};

use crate::{
    ParseError, Problem,
    internal::suggest,
    words::{self, Word},
};

/// The levels of a whole program: `info,sqlx=warn,shop::db=trace`, and span directives such as
/// `[request{tenant_id="acme"}]=debug`.
///
/// The levels are those that [`parse_level`] knows. What [`EnvFilter`] accepts is accepted here,
/// but for mistakes that cost people their logs:
///
/// * A bare word that looks like a level but is none (`inof`, `verbose`, `9`) is an error.
///   `EnvFilter` takes it for a target, and logs nothing at all.
/// * A malformed directive is an error that names it, and so is one that cannot match: `h2:warn`,
///   `info/foo`, `::shop=debug`.
/// * A target with a hyphen (`my-crate=debug`) also means the crate, whose target has an
///   underscore.
/// * A field's value (`tenant_id=acme`) means the value however it was recorded: as it is, with `%`
///   or with `?`. It is a regular expression for all of the value, and may stand in quotes. All
///   operators work but those with braces: `a{2}` and `\p{L}` are errors. `\{` is a brace itself.
///
/// A target matches all targets that start with it; the longest match wins, and of two that are
/// equal the last one.
///
/// ```
/// use spanwise_core::Levels;
///
/// let levels: Levels = "info, my-shop=debug, [request{tenant_id=acme}]=trace".parse()?;
/// assert_eq!(levels.to_string(), "info,my-shop=debug,[request{tenant_id=acme}]=trace");
///
/// let error = "inof,shop=debgu".parse::<Levels>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`inof` is not a level: did you mean `info`? (for a target of that name write `inof=trace`); \
///      `shop=debgu`: `debgu` is not a level: did you mean `debug`?"
/// );
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    pub(crate) targets: TargetLevels,
    pub(crate) spans: Vec<SpanDirective>,
}

/// The levels of one sink, or of spans: as [`Levels`], without span directives, which are for the
/// whole program.
///
/// ```
/// use spanwise_core::TargetLevels;
/// use tracing::level_filters::LevelFilter;
///
/// let levels: TargetLevels = "warn,shop=info,shop::db=error".parse()?;
/// assert_eq!(levels.level("shop::orders"), Some(LevelFilter::INFO));
/// assert_eq!(levels.level("hyper"), Some(LevelFilter::WARN));
/// assert!("[request]=debug".parse::<TargetLevels>().is_err());
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetLevels {
    /// What holds where no target matches.
    bare: Option<LevelFilter>,
    targets: Vec<(String, LevelFilter)>,
}

/// `target[span{field=value}]=level`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpanDirective {
    /// All before the level, as it was written.
    pub(crate) matcher: String,
    /// What [`EnvFilter`] is to match: any of these.
    pub(crate) variants: Vec<String>,
    pub(crate) level: LevelFilter,
}

impl Levels {
    /// These levels, over `defaults` where they have no bare level: the rest of the program keeps
    /// what it had.
    ///
    /// ```
    /// use spanwise_core::Levels;
    ///
    /// let defaults: Levels = "info".parse()?;
    /// assert_eq!("shop=debug".parse::<Levels>()?.or(&defaults).to_string(), "info,shop=debug");
    /// assert_eq!("off,shop=debug".parse::<Levels>()?.or(&defaults).to_string(), "off,shop=debug");
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn or(mut self, defaults: &Self) -> Self {
        if self.targets.bare.is_none() {
            self.targets.bare = defaults.targets.bare;
            let own =
                std::mem::replace(&mut self.targets.targets, defaults.targets.targets.clone());
            own.into_iter()
                .for_each(|(target, level)| self.targets.set(target, level));
        }
        self
    }

    /// Checks that each span directive enables something that the targets do not.
    ///
    /// A span directive adds to what is enabled, and takes nothing away.
    ///
    /// # Errors
    /// [`ParseError`] with every directive that changes nothing.
    ///
    /// ```
    /// use spanwise_core::Levels;
    ///
    /// assert!("info,[request]=debug".parse::<Levels>()?.check_spans().is_ok());
    /// assert!("info,hyper=warn,[request]=info".parse::<Levels>()?.check_spans().is_ok());
    /// let error = "info,[health]=warn".parse::<Levels>()?.check_spans().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`[health]=warn` changes nothing: a span directive enables more than the rest, which is `info` already; \
    ///      to have less of a target write `target=warn`"
    /// );
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    pub fn check_spans(&self) -> Result<(), ParseError> {
        let min_level = self.targets.least_verbose();
        let redundant = self.spans.iter().filter(|span| span.level <= min_level);
        let problems: Vec<String> = redundant
            .map(|SpanDirective { matcher, level, .. }| {
                format!(
                    "`{matcher}={level}` changes nothing: a span directive enables more than the rest, which is `{min_level}` already; \
                     to have less of a target write `target={level}`"
                )
            })
            .collect();
        ParseError::check(problems)
    }

    /// These levels, each moved by `steps`: 1 is one level more verbose. A target that is `off`
    /// stays off.
    ///
    /// ```
    /// use spanwise_core::Levels;
    ///
    /// let levels: Levels = "warn,shop=info,hyper=off".parse()?;
    /// assert_eq!(levels.clone().shifted(1).to_string(), "info,shop=debug,hyper=off");
    /// assert_eq!(levels.shifted(-2).to_string(), "off,shop=error,hyper=off");
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn shifted(mut self, steps: i8) -> Self {
        let targets = self.targets.targets.iter_mut().map(|(_, level)| level);
        let spans = self.spans.iter_mut().map(|span| &mut span.level);
        let named = targets.chain(spans);
        for level in named.filter(|level| **level != LevelFilter::OFF) {
            *level = shifted(*level, steps);
        }
        self.targets.bare = self.targets.bare.map(|level| shifted(level, steps));
        self.without_redundant_spans()
    }

    /// These levels, with the directives of `other` and without its bare level.
    ///
    /// ```
    /// use spanwise_core::Levels;
    ///
    /// let levels: Levels = "info,shop=debug".parse()?;
    /// let other: Levels = "warn,hyper=off,[request]=trace".parse()?;
    /// let both = levels.with_directives_from(&other);
    /// assert_eq!(both.to_string(), "info,shop=debug,hyper=off,[request]=trace");
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn with_directives_from(mut self, other: &Self) -> Self {
        for (target, level) in &other.targets.targets {
            self.targets.set(target.clone(), *level);
        }
        for span in &other.spans {
            self.spans.retain(|this| this.matcher != span.matcher);
            self.spans.push(span.clone());
        }
        self.without_redundant_spans()
    }

    /// Drops span directives that change nothing, as [`check_spans`](Self::check_spans) says.
    fn without_redundant_spans(mut self) -> Self {
        let min_level = self.targets.least_verbose();
        self.spans.retain(|span| span.level > min_level);
        self
    }

    /// The most verbose level that any event may have.
    #[must_use]
    pub fn most_verbose_event(&self) -> LevelFilter {
        let in_spans = self.spans.iter().map(|span| span.level).max();
        let in_spans = in_spans.unwrap_or(LevelFilter::OFF);
        self.targets.most_verbose().max(in_spans)
    }

    /// Returns whether no event is enabled, whatever its target and its span.
    pub(crate) fn disable_everything(&self) -> bool {
        self.most_verbose_event() == LevelFilter::OFF
    }
}

impl TargetLevels {
    /// The level of `target`; `None` if no directive speaks of it.
    #[must_use]
    pub fn level(&self, target: &str) -> Option<LevelFilter> {
        self.directive_level(target).or(self.bare)
    }

    /// The level without a target.
    pub(crate) fn bare(&self) -> Option<LevelFilter> {
        self.bare
    }

    /// The level that a directive with a target gives `target`; `None` if no such directive matches.
    pub(crate) fn directive_level(&self, target: &str) -> Option<LevelFilter> {
        let matching = self
            .targets
            .iter()
            .filter(|(prefix, _)| starts_with(target, prefix));
        matching
            .max_by_key(|(prefix, _)| prefix.len())
            .map(|(_, level)| *level)
    }

    /// Whether an event of these levels may be one that `levels` do not let through. Of a target
    /// that is `off` there none is looked for.
    ///
    /// ```
    /// use spanwise_core::{Levels, TargetLevels};
    ///
    /// let levels: Levels = "info,shop=debug".parse()?;
    /// for (captured, more) in [("debug", true), ("info", false), ("shop=trace", true), ("shop=debug", false)] {
    ///     assert_eq!(captured.parse::<TargetLevels>()?.exceed(&levels), more, "{captured}");
    /// }
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn exceed(&self, levels: &Levels) -> bool {
        let named = self.targets.iter().chain(&levels.targets.targets);
        let named = named.map(|(target, _)| target.as_str());
        // And a target that nobody names.
        named.chain([""]).any(|target| {
            let shown = levels.targets.level(target);
            shown != Some(LevelFilter::OFF) && self.level(target) > shown
        })
    }

    pub(crate) fn most_verbose(&self) -> LevelFilter {
        let levels = self.targets.iter().map(|(_, level)| *level);
        levels.chain(self.bare).max().unwrap_or(LevelFilter::OFF)
    }

    /// The level that every event has at least, whatever its target.
    fn least_verbose(&self) -> LevelFilter {
        let levels = self.targets.iter().map(|(_, level)| *level);
        let bare = self.bare.unwrap_or(LevelFilter::OFF);
        levels.fold(bare, LevelFilter::min)
    }

    fn set(&mut self, target: String, level: LevelFilter) {
        self.targets.retain(|(other, _)| *other != target);
        self.targets.push((target, level));
    }
}

fn shifted(level: LevelFilter, steps: i8) -> LevelFilter {
    const LEVELS: [LevelFilter; 6] = [
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ];
    let at = LEVELS.iter().position(|other| *other == level);
    let at = at.unwrap_or_default();
    let distance = usize::from(steps.unsigned_abs());
    let at = if steps < 0 {
        at.saturating_sub(distance)
    } else {
        LEVELS.len().saturating_sub(1).min(at + distance)
    };
    LEVELS[at]
}

/// As `str::starts_with`, but a hyphen of `prefix` matches an underscore too.
fn starts_with(target: &str, prefix: &str) -> bool {
    target.len() >= prefix.len()
        && target
            .bytes()
            .zip(prefix.bytes())
            .all(|(t, p)| t == p || (p == b'-' && t == b'_'))
}

impl From<LevelFilter> for TargetLevels {
    fn from(level: LevelFilter) -> Self {
        Self {
            bare: Some(level),
            targets: Vec::new(),
        }
    }
}

impl From<LevelFilter> for Levels {
    fn from(level: LevelFilter) -> Self {
        Self {
            targets: level.into(),
            spans: Vec::new(),
        }
    }
}

impl FromStr for Levels {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut levels = Self::default();
        let mut problems = Vec::new();
        for directive in directives(text) {
            match parse(directive.text) {
                Ok(Directive::Bare(level)) => levels.targets.bare = Some(level),
                Ok(Directive::Target(target, level)) => levels.targets.set(target, level),
                Ok(Directive::Span(directive)) => {
                    levels
                        .spans
                        .retain(|other| other.matcher != directive.matcher);
                    levels.spans.push(directive);
                }
                Err(problem) => problems.push(Problem::new(problem).at(directive.range)),
            }
        }
        ParseError::check(problems).map(|()| levels)
    }
}

impl FromStr for TargetLevels {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let levels: Levels = text.parse()?;
        let problems: Vec<String> = levels
            .spans
            .iter()
            .map(|span| {
                format!(
                    "`{}`: no span directive is accepted here; put it in RUST_LOG",
                    span.matcher
                )
            })
            .collect();
        ParseError::check(problems).map(|()| levels.targets)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.targets.fmt(f)?;
        let empty = self.targets == TargetLevels::default();
        for (index, span) in self.spans.iter().enumerate() {
            let comma = if empty && index == 0 { "" } else { "," };
            write!(f, "{comma}{}={}", span.matcher, span.level)?;
        }
        Ok(())
    }
}

impl fmt::Display for TargetLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        if let Some(bare) = self.bare {
            write!(f, "{bare}")?;
            comma = ",";
        }
        for (target, level) in &self.targets {
            write!(f, "{comma}{target}={level}")?;
            comma = ",";
        }
        Ok(())
    }
}

enum Directive {
    Bare(LevelFilter),
    Target(String, LevelFilter),
    Span(SpanDirective),
}

fn directives(text: &str) -> impl Iterator<Item = Word<'_>> {
    words::split(text).filter(|word| !word.text.is_empty())
}

fn parse(directive: &str) -> Result<Directive, String> {
    if directive.contains('[') {
        return parse_span(directive).map(Directive::Span);
    }
    match directive.split_once('=') {
        Some((target, level)) => {
            let level = parse_level(level.trim())
                .ok_or_else(|| format!("`{directive}`: {}", not_a_level(level.trim())))?;
            Ok(Directive::Target(
                parse_target(target.trim(), directive)?,
                level,
            ))
        }
        None => match parse_level(directive) {
            Some(level) => Ok(Directive::Bare(level)),
            None => parse_bare_target(directive),
        },
    }
}

/// A target without a level, at TRACE. Only one that looks as the path of a module does: any other
/// word is a mistake.
fn parse_bare_target(word: &str) -> Result<Directive, String> {
    if looks_like_a_level(word) {
        return Err(format!(
            "{} (for a target of that name write `{word}=trace`)",
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
    if let Some((rest, _)) = word.split_once('/') {
        return Err(format!(
            "`{word}`: text after `/` is not searched for; write `{rest}` (for a target of that name write `{word}=trace`)"
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
            "`{word}` is neither a level nor the path of a module; for a target of that name write `{word}=trace`"
        ));
    }
    Ok(Directive::Target(target, LevelFilter::TRACE))
}

fn parse_span(directive: &str) -> Result<SpanDirective, String> {
    let malformed = || {
        format!("`{directive}` is not a span directive: write `target[span{{field=value}}]=level`")
    };
    let (matcher, rest) = directive.split_at(directive.rfind(']').ok_or_else(malformed)? + 1);
    let level = match rest.trim().strip_prefix('=').map(str::trim) {
        Some(level) => {
            parse_level(level).ok_or_else(|| format!("`{directive}`: {}", not_a_level(level)))?
        }
        None if rest.trim().is_empty() => LevelFilter::TRACE,
        None => return Err(malformed()),
    };
    let (target, span) = matcher.split_once('[').ok_or_else(malformed)?;
    let span = span.strip_suffix(']').ok_or_else(malformed)?;
    let target = target.trim();
    if !target.is_empty() {
        parse_target(target, directive)?;
    }
    let (name, fields) = match span.split_once('{') {
        Some((name, fields)) => (
            name,
            Some(fields.trim_end().strip_suffix('}').ok_or_else(malformed)?),
        ),
        None => (span, None),
    };
    let name = name.trim();
    if name.contains(['[', ']', '{', '}', '"', '=', ',']) || name.is_empty() && fields.is_none() {
        return Err(malformed());
    }
    let fields: Option<Vec<FieldMatch<'_>>> = match fields {
        Some(fields) => directives(fields)
            .map(|field| FieldMatch::parse(field.text))
            .collect(),
        None => Some(Vec::new()),
    };
    let fields = fields.ok_or_else(malformed)?;
    if name.is_empty() && fields.is_empty() {
        return Err(malformed());
    }
    let mut heads = vec![format!("{target}[{name}")];
    if target.contains('-') {
        heads.push(format!("{}[{name}", target.replace('-', "_")));
    }
    let mut forms = Vec::with_capacity(fields.len());
    for field in &fields {
        forms.push(field.forms().ok_or_else(|| {
            format!(
                "`{directive}`: braces do not count or name anything in a value: write out what repeats, \
                 and a brace itself as `\\{{`"
            )
        })?);
    }
    // Counted before they are made: each number doubles them.
    let count = forms.iter().fold(heads.len(), |count, forms| {
        count.saturating_mul(forms.len())
    });
    if count > MAX_VARIANTS {
        return Err(format!(
            "`{directive}` has too many numbers to match: name fewer fields"
        ));
    }
    let mut variants = Vec::new();
    for head in heads {
        let lists = forms.iter().fold(vec![String::new()], |lists, forms| {
            lists
                .iter()
                .flat_map(|list| {
                    let comma = if list.is_empty() { "" } else { "," };
                    forms.iter().map(move |form| format!("{list}{comma}{form}"))
                })
                .collect()
        });
        variants.extend(lists.into_iter().map(|list| match list.as_str() {
            "" => format!("{head}]"),
            list => format!("{head}{{{list}}}]"),
        }));
    }
    if variants
        .iter()
        .any(|variant| span_filter(variant).is_none())
    {
        return Err(malformed());
    }
    Ok(SpanDirective {
        matcher: matcher.to_owned(),
        variants,
        level,
    })
}

/// Each number of a directive doubles what is to be matched.
const MAX_VARIANTS: usize = 16;

/// `field` or `field=value` of a span directive.
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
        let value = match value {
            Some(value) if value.starts_with('"') => {
                let inside = value.strip_prefix('"')?.strip_suffix('"')?;
                Some(inside).filter(|inside| !inside.contains('"'))
            }
            Some(value) if value.is_empty() || value.contains('"') => None,
            value => {
                return Some(Self { name, value })
                    .filter(|_| name.chars().all(is_name) && !name.is_empty());
            }
        };
        let value = Some(value?);
        (name.chars().all(is_name) && !name.is_empty()).then_some(Self { name, value })
    }

    /// Returns what [`EnvFilter`] is to match: a text in quotes or without, and a number as such.
    /// `None` if the value is not [a pattern](pattern).
    fn forms(&self) -> Option<Vec<String>> {
        let Self { name, value } = self;
        let Some(value) = value else {
            return Some(vec![(*name).to_owned()]);
        };
        let mut forms = vec![format!("{name}=^\"?(?:{})\"?$", pattern(value)?)];
        if value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok() {
            forms.push(format!("{name}={value}"));
        }
        Some(forms)
    }
}

/// Returns the regular expression for a value, as [`EnvFilter`] takes it. `None` if it has an
/// operator with braces.
///
/// `EnvFilter` cuts a directive at each of `=,{}`, so they are escaped. A brace is then the
/// character itself. Where it would be an operator, the expression would match nothing.
fn pattern(value: &str) -> Option<String> {
    let mut pattern = String::new();
    let mut rest = value.chars();
    let mut is_after_escape = false;
    while let Some(c) = rest.next() {
        let escaped = (c == '\\').then(|| rest.next()).flatten();
        match (c, escaped) {
            ('{', _) if is_after_escape || is_count(rest.as_str()) => return None,
            ('\\', Some(c)) if !is_cut_at(c) => pattern.extend(['\\', c]),
            (_, Some(c)) | (c, None) if is_cut_at(c) => {
                pattern.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            (c, _) => pattern.push(c),
        }
        is_after_escape = escaped.is_some_and(char::is_alphabetic);
    }
    Some(pattern)
}

/// Returns whether `EnvFilter` cuts a directive at `c`, also inside a value.
fn is_cut_at(c: char) -> bool {
    matches!(c, '=' | ',' | '{' | '}')
}

/// Returns whether `text` is the rest of `{2}`, `{2,}`, `{,2}` or `{2,3}`.
fn is_count(text: &str) -> bool {
    text.split_once('}').is_some_and(|(inside, _)| {
        let is_count = |c: char| c.is_ascii_digit() || matches!(c, ',' | ' ');
        !inside.is_empty() && inside.chars().all(is_count)
    })
}

/// A filter that knows which spans `matcher` means, at any level, and enables nothing else.
pub(crate) fn span_filter(matcher: &str) -> Option<EnvFilter> {
    // `Directive`, not a whole filter, is parsed: the latter splits at commas, also at those inside
    // braces.
    let directive: filter::Directive = format!("{matcher}=trace").parse().ok()?;
    let nothing = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    Some(nothing.parse("").ok()?.add_directive(directive))
}

fn parse_target(target: &str, directive: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '/');
    if target.is_empty() || !target.chars().all(allowed) {
        return Err(format!(
            "`{directive}` is not a directive: write `level` or `target=level`, joined by commas"
        ));
    }
    if target == "RUST_LOG" || target == "LOG_LEVEL" {
        return Err(format!(
            "`{directive}`: the value repeats the name of its variable; leave out `{target}=`"
        ));
    }
    if parse_level(target).is_some() || target.parse::<f64>().is_ok() {
        return Err(format!(
            "`{directive}`: `{target}` is a level and not a target; write `level` or `target=level`"
        ));
    }
    // What stands between `::` is a name.
    let path = target.strip_suffix("::").unwrap_or(target);
    let mut parts = path.split("::");
    let relative = matches!(parts.next(), Some("crate" | "self" | "super"));
    if relative
        || path
            .split("::")
            .any(|part| part.is_empty() || part.contains(':'))
    {
        return Err(format!(
            "`{directive}` matches nothing: `{target}` is not the path of a module; write one such as `shop::db=debug`"
        ));
    }
    if path.ends_with(".rs") {
        return Err(format!(
            "`{directive}` matches nothing: `{target}` is a file; write the path of its module, such as `shop::db=debug`"
        ));
    }
    Ok(target.to_owned())
}

/// Returns the level that `word` names, in any case: off, error, warn, info, debug, trace, or 0 to
/// 5; `warning` for warn, `fatal` and `critical` for error.
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
    // An empty text is a level for `tracing`.
    let named = || word.parse().ok().filter(|_| !word.is_empty());
    alias.map(|(_, level)| *level).or_else(named)
}

fn looks_like_a_level(word: &str) -> bool {
    word.parse::<f64>().is_ok() || suggest::closest_level(word).is_some()
}

fn not_a_level(word: &str) -> String {
    match suggest::closest_level(word) {
        Some(level) => format!("`{word}` is not a level: did you mean `{level}`?"),
        None => format!(
            "`{word}` is not a level: use one of {}",
            suggest::LEVELS.join(", ")
        ),
    }
}
