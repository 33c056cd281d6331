//! The origin of the level of a target, for [`ExplainedEvent`](crate::ExplainedEvent).

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
    /// The levels without `over`.
    beneath: Levels,
    /// The levels that code or a variable lays over all others, with their source.
    over: Option<(Levels, String)>,
    /// The source of the levels that neither `over` nor a route sets: a place in a file, or a
    /// preset.
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
            beneath: routing.with_route_levels(defaults.value.clone()),
            over: over_file
                .as_ref()
                .map(|over| (over.value.clone(), source(over))),
            defaults: source(defaults),
        }
    }

    /// Returns the source of the level of a target while `current` levels are in force. `by_route`
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
        // Without a default level, `over` has set the level of this target only if it differs from
        // the level beneath.
        let over = self.over.as_ref().filter(|(over, _)| {
            let replaces_all = over.default_level().is_some();
            replaces_all || self.beneath.level(target) != level
        });
        if let Some((_, source)) = over {
            return source.clone();
        }
        match by_route {
            Some((route, route_level)) if route_level == level => route,
            _ => self.defaults.clone(),
        }
    }
}

/// Returns the source of levels. Does not name the levels that this source overrides.
fn source(levels: &Chosen<Levels>) -> String {
    match &levels.origin {
        Origin::Over(name, _) => name.clone(),
        origin => origin.to_string(),
    }
}
