//! The levels that are in force, with an `EnvFilter` for each span directive.

use std::{collections::HashSet, sync::Arc};

use tracing::Subscriber;
use tracing_core::{Interest, LevelFilter, Metadata, callsite::Identifier};
use tracing_subscriber::{EnvFilter, Layer, layer::Context};

use crate::{
    Levels,
    internal::sync::RwLock,
    levels::{self, SpanDirective},
};

/// The levels that are in force.
#[derive(Debug)]
pub(super) struct ActiveLevels {
    pub(super) levels: Levels,
    pub(super) span_directives: Vec<ActiveSpanDirective>,
}

/// A span directive in force, for one of its matchers: the part before `=level`. The filter of the
/// directive tracks the open spans that match, and enables all events and spans inside them. The
/// level is a separate field, so that a change of the level keeps the tracked spans.
#[derive(Debug, Clone)]
pub(super) struct ActiveSpanDirective {
    matcher: String,
    /// The fields that a matching span must declare: see [`SpanDirective::required_fields`].
    required_fields: Vec<String>,
    pub(super) level: LevelFilter,
    pub(super) filter: Arc<EnvFilter>,
    /// The callsites of the spans that the matcher names. The filter must receive these spans at
    /// every level, to track them.
    named_spans: Arc<RwLock<HashSet<Identifier>>>,
}

impl ActiveLevels {
    /// Activates `levels`. Reuses the filters of the `previous` directives, because they track the
    /// spans that are open.
    pub(super) fn new(levels: Levels, previous: &[ActiveSpanDirective]) -> Self {
        let activate = |directive: &SpanDirective, matcher: &str| match previous
            .iter()
            .find(|old| old.matcher == matcher)
        {
            Some(old) => Some(ActiveSpanDirective {
                level: directive.level,
                ..old.clone()
            }),
            None => Some(ActiveSpanDirective {
                matcher: matcher.to_owned(),
                required_fields: directive.required_fields.clone(),
                level: directive.level,
                filter: Arc::new(levels::span_filter(matcher)?),
                named_spans: Arc::default(),
            }),
        };
        // A directive can have several matchers: a number in it may be recorded as a number or as a
        // text, and a `-` in its target may be `_`. `filter_map` drops none of them, because the
        // parser has checked each with `span_filter`.
        let matchers = levels.spans.iter().flat_map(|directive| {
            let variants = directive.variants.iter();
            variants.map(move |matcher| (directive, matcher))
        });
        let span_directives = matchers
            .filter_map(|(directive, matcher)| activate(directive, matcher))
            .collect();
        Self {
            levels,
            span_directives,
        }
    }

    /// Returns whether a span directive enables the callsite: because the directive matches spans
    /// of the callsite, or because this thread has entered a span that it matches.
    pub(super) fn enabled_by_span<S: Subscriber>(
        &self,
        metadata: &Metadata<'_>,
        ctx: &Context<'_, S>,
    ) -> bool {
        self.span_directives.iter().any(|directive| {
            (*metadata.level() <= directive.level || directive.names(metadata))
                && !directive.excludes(metadata)
                && directive.filter.enabled(metadata, ctx.clone())
        })
    }
}

impl ActiveSpanDirective {
    /// Registers a callsite. Returns whether the directive may enable its events or spans.
    pub(super) fn register<S: Subscriber>(&self, callsite: &'static Metadata<'static>) -> bool {
        let interest: Interest = Layer::<S>::register_callsite(&*self.filter, callsite);
        if self.excludes(callsite) {
            return false;
        }
        if callsite.is_span() && interest.is_always() {
            self.named_spans.write().insert(callsite.callsite());
            return true;
        }
        !interest.is_never() && *callsite.level() <= self.level
    }

    /// Returns whether this is a span that lacks a required field.
    fn excludes(&self, metadata: &Metadata<'_>) -> bool {
        let lacks = |name: &String| metadata.fields().field(name).is_none();
        metadata.is_span() && self.required_fields.iter().any(lacks)
    }

    /// Returns whether the matcher names spans of this callsite.
    fn names(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && self.named_spans.read().contains(&metadata.callsite())
    }
}
