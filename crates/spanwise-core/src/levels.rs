//! Levels and targets in the syntax of `RUST_LOG`.

mod directive;
mod span_directive;

use std::{fmt, mem, str::FromStr};

use tracing_core::LevelFilter;

use self::directive::Directive;
use crate::{ParseError, Problem, TargetPattern, words::Word};

pub use directive::parse_level;
pub(crate) use span_directive::{SpanDirective, span_filter};

/// The levels of a whole application: `info,sqlx=warn,shop::db=trace`, and span directives such as
/// `[request{tenant_id="acme"}]=debug`.
///
/// A level is `off`, `error`, `warn`, `info`, `debug` or `trace` in any case, or 0 to 5. `warning`
/// means `warn`; `fatal` and `critical` mean `error`. The syntax is that of
/// [`EnvFilter`](tracing_subscriber::EnvFilter), with these differences, which prevent common
/// mistakes:
///
/// * A single word that looks like a level but is not a level (`inof`, `verbose`, `9`) is an error.
///   `EnvFilter` interprets it as a target, and disables all other logs.
/// * The error names every malformed directive, and every directive that cannot match: `h2:warn`,
///   `info/foo`, `::shop=debug`.
/// * A target with a hyphen (`my-crate=debug`) also matches the crate, whose target has an
///   underscore.
/// * The value of a field (`tenant_id=acme`) matches whether the field was recorded plainly, with
///   `%` or with `?`. The value is a regular expression for the whole text of the field. Quotes
///   around the value in the directive, and around the text of the field, do not count. Operators
///   with braces, such as `a{2}` and `\p{L}`, are errors. `\{` is a literal brace.
///
/// A directive applies to all targets that start with its target. The longest match wins. If a
/// target occurs twice, the last directive wins.
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
///     "`inof` is not a level: did you mean `info`? (if `inof` is a target, \
///      write `inof=trace`); `shop=debgu`: `debgu` is not a level: did you mean `debug`?"
/// );
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    pub(crate) targets: TargetLevels,
    pub(crate) spans: Vec<SpanDirective>,
}

/// Levels by target, without span directives. For example, the levels of one sink, or the levels at
/// which spans are enabled.
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
    /// The level of targets that no directive names.
    default_level: Option<LevelFilter>,
    targets: Vec<(TargetPattern, LevelFilter)>,
}

impl Levels {
    /// If these levels have no default level, adds the default level and the targets of `defaults`.
    /// Does not add its span directives. The directives of these levels override those of
    /// `defaults`.
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
        if self.targets.default_level.is_none() {
            let overrides = mem::replace(&mut self.targets, defaults.targets.clone());
            for (target, level) in overrides.targets {
                self.targets.set(target, level);
            }
        }
        self
    }

    /// Checks that each span directive enables something that the levels of targets do not. A span
    /// directive cannot disable anything.
    ///
    /// # Errors
    /// [`ParseError`] with every span directive that has no effect.
    ///
    /// ```
    /// use spanwise_core::Levels;
    ///
    /// assert!("info,[request]=debug".parse::<Levels>()?.check_spans().is_ok());
    /// assert!("info,hyper=warn,[request]=info".parse::<Levels>()?.check_spans().is_ok());
    /// let error = "info,[health]=warn".parse::<Levels>()?.check_spans().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`[health]=warn` changes nothing: a span directive can only enable more, and `info` is \
    ///      enabled everywhere already; to show less of a target, write `target=warn`"
    /// );
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    pub fn check_spans(&self) -> Result<(), ParseError> {
        let level_everywhere = self.targets.level_everywhere();
        let redundant = self
            .spans
            .iter()
            .filter(|span| span.level <= level_everywhere);
        let enabled = match level_everywhere {
            LevelFilter::OFF => String::new(),
            level => format!(", and `{level}` is enabled everywhere already"),
        };
        let problems = redundant.map(|SpanDirective { matcher, level, .. }| {
            format!(
                "`{matcher}={level}` changes nothing: a span directive can only enable \
                 more{enabled}; to show less of a target, write `target={level}`"
            )
        });
        ParseError::check(problems)
    }

    /// Makes each level more verbose by `steps` levels, or less verbose if `steps` is negative. A
    /// directive with `off` stays off, but a default level of `off` changes. Removes the span
    /// directives that then have no effect.
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
        let directive_levels = targets.chain(spans);
        for level in directive_levels.filter(|level| **level != LevelFilter::OFF) {
            *level = shifted(*level, steps);
        }
        self.targets.default_level = self
            .targets
            .default_level
            .map(|level| shifted(level, steps));
        self.without_redundant_spans()
    }

    /// Adds the directives of `other`, but not its default level. Removes the span directives that
    /// then have no effect.
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
            self.set_span(span.clone());
        }
        self.without_redundant_spans()
    }

    /// Sets the level of the module `path` and its submodules, where `.` separates modules as `::`
    /// does. In contrast, a directive in the text of `Levels` matches every target that starts with
    /// its target. Removes the span directives that then have no effect.
    ///
    /// The longest match wins, whether it is a module or a prefix. If two are equally long, the
    /// last wins.
    ///
    /// `Display` shows the module like a directive, with `::` between modules. If that text is
    /// parsed, the result is a directive, which matches more targets than the module.
    ///
    /// ```
    /// use spanwise_core::Levels;
    /// use tracing::level_filters::LevelFilter;
    ///
    /// let levels = "info".parse::<Levels>()?.with_module("shop", LevelFilter::DEBUG);
    /// assert_eq!(levels.level("shop::orders").to_string(), "debug");
    /// assert_eq!(levels.level("shopping").to_string(), "info");
    ///
    /// assert_eq!(levels.to_string(), "info,shop=debug");
    /// let parsed = levels.to_string().parse::<Levels>()?;
    /// assert_eq!(parsed.level("shopping").to_string(), "debug");
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn with_module(mut self, path: &str, level: LevelFilter) -> Self {
        self.targets.set(TargetPattern::route(path), level);
        self.without_redundant_spans()
    }

    /// Sets the level of targets that no directive names. Removes the span directives that then
    /// have no effect.
    #[must_use]
    pub fn with_default_level(mut self, level: LevelFilter) -> Self {
        self.targets.default_level = Some(level);
        self.without_redundant_spans()
    }

    /// Returns the level of targets that no directive names.
    #[must_use]
    pub fn default_level(&self) -> Option<LevelFilter> {
        self.targets.default_level
    }

    /// Returns the level of the events of `target`, without span directives.
    #[must_use]
    pub fn level(&self, target: &str) -> LevelFilter {
        self.targets.level(target).unwrap_or(LevelFilter::OFF)
    }

    fn set_span(&mut self, directive: SpanDirective) {
        self.spans
            .retain(|other| other.matcher != directive.matcher);
        self.spans.push(directive);
    }

    /// Removes the span directives that [`check_spans`](Self::check_spans) rejects.
    fn without_redundant_spans(mut self) -> Self {
        let level_everywhere = self.targets.level_everywhere();
        self.spans.retain(|span| span.level > level_everywhere);
        self
    }

    /// Returns the most verbose level that any event may have.
    #[must_use]
    pub fn max_event_level(&self) -> LevelFilter {
        let in_spans = self.spans.iter().map(|span| span.level).max();
        let in_spans = in_spans.unwrap_or(LevelFilter::OFF);
        self.targets.most_verbose().max(in_spans)
    }

    /// Returns whether no event is enabled in any target or span.
    pub(crate) fn disable_everything(&self) -> bool {
        self.max_event_level() == LevelFilter::OFF
    }
}

impl TargetLevels {
    /// Returns the level of `target`, or `None` if no directive matches and there is no default
    /// level.
    #[must_use]
    pub fn level(&self, target: &str) -> Option<LevelFilter> {
        self.directive_level(target).or(self.default_level)
    }

    /// Returns whether there are levels for single targets, besides the default level.
    #[must_use]
    pub fn has_directives(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Returns the level of targets that no directive names.
    pub(crate) fn default_level(&self) -> Option<LevelFilter> {
        self.default_level
    }

    /// Returns the level that a directive gives `target`, or `None` if no directive matches.
    pub(crate) fn directive_level(&self, target: &str) -> Option<LevelFilter> {
        let matching = self
            .targets
            .iter()
            .filter(|(pattern, _)| pattern.matches(target));
        matching
            .max_by_key(|(pattern, _)| pattern.as_str().len())
            .map(|(_, level)| *level)
    }

    /// Returns whether these levels enable an event that `levels` do not enable. A recorder whose
    /// levels do not exceed those of the lines captures nothing. Compares the targets of all
    /// directives. Ignores targets that are `off` in `levels`, and the span directives of `levels`.
    ///
    /// ```
    /// use spanwise_core::{Levels, TargetLevels};
    ///
    /// let levels: Levels = "info,shop=debug".parse()?;
    /// for (own, exceed) in [
    ///     ("debug", true),
    ///     ("info", false),
    ///     ("shop=trace", true),
    ///     ("shop=debug", false),
    /// ] {
    ///     assert_eq!(own.parse::<TargetLevels>()?.exceed(&levels), exceed, "{own}");
    /// }
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn exceed(&self, levels: &Levels) -> bool {
        self.exceed_at(levels, LevelFilter::TRACE)
    }

    /// Like [`exceed`](Self::exceed), for events of this level and more severe ones.
    #[doc(hidden)]
    #[must_use]
    pub fn exceed_at(&self, levels: &Levels, max_level: LevelFilter) -> bool {
        let directives = self.targets.iter().chain(&levels.targets.targets);
        let targets = directives.map(|(target, _)| target.as_str());
        // The empty target represents all targets that no directive names.
        targets.chain([""]).any(|target| {
            let own = self.level(target).unwrap_or(LevelFilter::OFF);
            let other = levels.targets.level(target);
            other != Some(LevelFilter::OFF)
                && own.min(max_level) > other.unwrap_or(LevelFilter::OFF)
        })
    }

    /// Returns the most verbose of these levels, or `OFF` if there is none.
    #[must_use]
    pub fn most_verbose(&self) -> LevelFilter {
        let levels = self.targets.iter().map(|(_, level)| *level);
        levels
            .chain(self.default_level)
            .max()
            .unwrap_or(LevelFilter::OFF)
    }

    /// Returns the most verbose level that is enabled for every target.
    fn level_everywhere(&self) -> LevelFilter {
        let levels = self.targets.iter().map(|(_, level)| *level);
        let default_level = self.default_level.unwrap_or(LevelFilter::OFF);
        levels.fold(default_level, LevelFilter::min)
    }

    fn set(&mut self, target: TargetPattern, level: LevelFilter) {
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
    let index = LEVELS.iter().position(|other| *other == level);
    let index = index.unwrap_or_default();
    let index = index.saturating_add_signed(steps.into());
    LEVELS[index.min(LEVELS.len() - 1)]
}

impl From<LevelFilter> for TargetLevels {
    fn from(level: LevelFilter) -> Self {
        Self {
            default_level: Some(level),
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
        for Word { text, range } in directive::directives(text) {
            let parsed = if text.contains('[') {
                span_directive::parse(text).map(|span| levels.set_span(span))
            } else {
                directive::parse(text).map(|directive| match directive {
                    Directive::Default(level) => levels.targets.default_level = Some(level),
                    Directive::Target(target, level) => levels.targets.set(target, level),
                })
            };
            problems.extend(parsed.err().map(|problem| Problem::new(problem).at(range)));
        }
        ParseError::check(problems).map(|()| levels)
    }
}

impl FromStr for TargetLevels {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let levels: Levels = text.parse()?;
        let problems = levels.spans.iter().map(|span| {
            format!(
                "`{}`: no span directive is accepted here; put it in RUST_LOG",
                span.matcher
            )
        });
        ParseError::check(problems).map(|()| levels.targets)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.targets.fmt(f)?;
        let has_no_levels = self.targets == TargetLevels::default();
        for (index, span) in self.spans.iter().enumerate() {
            let comma = if has_no_levels && index == 0 { "" } else { "," };
            write!(f, "{comma}{}={}", span.matcher, span.level)?;
        }
        Ok(())
    }
}

impl fmt::Display for TargetLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        if let Some(level) = self.default_level {
            write!(f, "{level}")?;
            comma = ",";
        }
        for (target, level) in &self.targets {
            write!(f, "{comma}{target}={level}")?;
            comma = ",";
        }
        Ok(())
    }
}
