//! The levels that are in force, with the filters of their span directives.

use std::sync::Arc;

use tracing::Subscriber;
use tracing_core::{LevelFilter, Metadata};
use tracing_subscriber::{EnvFilter, layer::Context};

use crate::{Levels, levels};

/// The current levels, with their span directives.
#[derive(Debug)]
pub(super) struct ActiveLevels {
    pub(super) levels: Levels,
    pub(super) span_directives: Vec<ActiveSpanDirective>,
}

/// One matcher of a span directive. Its filter tracks the open spans that match. The level is a
/// separate field, so that a change of the level keeps the tracked spans.
#[derive(Debug, Clone)]
pub(super) struct ActiveSpanDirective {
    matcher: String,
    pub(super) level: LevelFilter,
    pub(super) filter: Arc<EnvFilter>,
}

impl ActiveLevels {
    /// Creates the active levels. Reuses the filters of the `previous` directives, because they
    /// track open spans.
    pub(super) fn new(levels: Levels, previous: &[ActiveSpanDirective]) -> Self {
        let activate = |level: LevelFilter, matcher: &str| {
            let filter = match previous.iter().find(|old| old.matcher == matcher) {
                Some(old) => Arc::clone(&old.filter),
                None => Arc::new(levels::span_filter(matcher)?),
            };
            Some(ActiveSpanDirective {
                matcher: matcher.to_owned(),
                level,
                filter,
            })
        };
        // A directive can have several matchers: a number in it may be recorded as a number or as a
        // text, and a `-` in its target may be `_`. `filter_map` drops none, because the parser has
        // checked each matcher with `span_filter`.
        let matchers = levels.spans.iter().flat_map(|directive| {
            let variants = directive.variants.iter();
            variants.map(|matcher| (directive.level, matcher))
        });
        let span_directives = matchers
            .filter_map(|(level, matcher)| activate(level, matcher))
            .collect();
        Self {
            levels,
            span_directives,
        }
    }

    /// Returns whether a span directive enables the callsite: as a span that it matches, or inside
    /// such a span that this thread has entered.
    pub(super) fn enabled_by_span<S: Subscriber>(
        &self,
        metadata: &Metadata<'_>,
        ctx: &Context<'_, S>,
    ) -> bool {
        self.span_directives.iter().any(|directive| {
            (metadata.is_span() || *metadata.level() <= directive.level)
                && directive.filter.enabled(metadata, ctx.clone())
        })
    }
}
