//! The source that sets the level of a target, for [`ExplainedEvent`](crate::ExplainedEvent).

use spanwise_core::Levels;
use tracing::level_filters::LevelFilter;

use crate::{
    choices::Chosen, explain::Origin, level_options::LevelOptions, sink_settings::Routing,
};

/// The configured levels, by their sources.
#[derive(Debug, Clone, Default)]
pub(crate) struct LevelSources {
    /// The levels of all sources.
    configured: Levels,
    /// The levels of all sources except `overrides`.
    without_overrides: Levels,
    /// The levels that code or a variable sets over all others, with the name of their source.
    overrides: Option<(Levels, String)>,
    /// The source of the levels that neither `overrides` nor a route sets: a place in a file, a
    /// preset, or code.
    defaults: String,
}

impl LevelSources {
    /// Creates the sources of these levels. `levels.events` already has the levels of the routes.
    pub(crate) fn new(levels: &LevelOptions, routing: &Routing) -> Self {
        let LevelOptions {
            over_file,
            defaults,
            ..
        } = levels;
        Self {
            configured: levels.events.clone(),
            without_overrides: routing.with_route_levels(defaults.value.clone()),
            overrides: over_file
                .as_ref()
                .map(|over| (over.value.clone(), source(over))),
            defaults: source(defaults),
        }
    }

    /// Returns the source of the level of a target. `current` has the effective levels. `by_route`
    /// has the name of the route that sets a level for the target, and that level.
    pub(crate) fn source(
        &self,
        target: &str,
        current: &Levels,
        by_route: Option<(String, LevelFilter)>,
    ) -> String {
        let level = current.level(target);
        if level != self.configured.level(target) {
            return "Handle::set_levels".to_owned();
        }
        // Overrides without a default level only add directives. They have set the level of this
        // target only if it differs from the level without them.
        let overrides = self.overrides.as_ref().filter(|(overrides, _)| {
            let replaces_all = overrides.default_level().is_some();
            replaces_all || self.without_overrides.level(target) != level
        });
        if let Some((_, source)) = overrides {
            return source.clone();
        }
        match by_route {
            Some((route, route_level)) if route_level == level => route,
            _ => self.defaults.clone(),
        }
    }
}

/// Returns the name of the source of levels, without the levels that it overrides.
fn source(levels: &Chosen<Levels>) -> String {
    match &levels.origin {
        Origin::Over(name, _) => name.clone(),
        origin => origin.to_string(),
    }
}
