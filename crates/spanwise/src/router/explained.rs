//! The explanation of an event: its route, level, sinks and filters.

use std::fmt;

use spanwise_core::Levels;
use tracing::{Level, level_filters::LevelFilter};

use super::{Reached, Router};
use crate::level_sources::LevelSources;

/// Where the events of a target and level go, from
/// [`Handle::explain_event`](crate::Handle::explain_event).
///
/// Its [`Display`](fmt::Display) is one line: `shop::pay at WARN: route shop, level info
/// (route.shop), sinks console, errors, filters no_probes`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedEvent {
    /// The requested target.
    pub target: String,
    /// The requested level.
    pub level: Level,
    /// The target of the nearest route, or `None` for the root.
    pub route: Option<String>,
    /// The effective level of the target.
    pub max_level: LevelFilter,
    /// The origin of the effective level: `route.shop`, `root`, a variable such as `RUST_LOG`, a
    /// place such as `log.toml:2`, `code`, `preset prod` or `verbosity`. It is `Handle::set_levels`
    /// if the running program has set the level.
    pub level_origin: String,
    /// The sinks that get the event, unless a filter drops it. Empty if the level disables it.
    pub sinks: Vec<String>,
    /// The filters that see the event: those of the route, then those of the sinks as
    /// `sink: filter`.
    pub filters: Vec<String>,
}

impl Router {
    /// Explains the events of a target and level, while `levels` are in force.
    pub(crate) fn explain(
        &self,
        target: &str,
        level: Level,
        levels: &Levels,
        sources: &LevelSources,
    ) -> ExplainedEvent {
        let max_level = levels.level(target);
        let Reached {
            longest_route,
            sinks,
            ..
        } = self.reached(target, level);
        let reached = sinks & self.accepting(target, level);
        let is_enabled = level <= max_level;
        let sinks = || {
            let sinks = self.sinks.iter();
            sinks.filter(move |sink| is_enabled && reached & sink.bit != 0)
        };
        let route_filters = longest_route
            .filters
            .iter()
            .map(|filter| self.filters.name(*filter).to_owned());
        let sink_filters = sinks().flat_map(|sink| {
            let names = sink.filters.iter().map(|filter| self.filters.name(*filter));
            names.map(|name| format!("{}: {name}", sink.name))
        });
        let (own_route, _) = self.chain(target).next().unzip();
        ExplainedEvent {
            target: target.to_owned(),
            level,
            route: own_route.flatten().map(|route| route.as_str().to_owned()),
            max_level,
            level_origin: sources.source(target, levels, self.route_level(target)),
            sinks: sinks().map(|sink| sink.name.clone()).collect(),
            filters: route_filters.chain(sink_filters).collect(),
        }
    }

    /// Returns the nearest route of a target that has a level, with this level.
    fn route_level(&self, target: &str) -> Option<(String, LevelFilter)> {
        self.chain(target).find_map(|(route, compiled)| {
            let name = route.map_or("root".to_owned(), |route| format!("route.{route}"));
            compiled.level.map(|level| (name, level))
        })
    }
}

impl ExplainedEvent {
    /// Explains an event of a stack without routes, whose sinks with their levels are given.
    pub(crate) fn without_routes(
        target: &str,
        level: Level,
        levels: &Levels,
        sources: &LevelSources,
        sinks: impl Iterator<Item = (String, LevelFilter)>,
    ) -> Self {
        let max_level = levels.level(target);
        let sinks = sinks.filter(|(_, sink_level)| level <= max_level && level <= *sink_level);
        Self {
            target: target.to_owned(),
            level,
            route: None,
            max_level,
            level_origin: sources.source(target, levels, None),
            sinks: sinks.map(|(name, _)| name).collect(),
            filters: Vec::new(),
        }
    }
}

impl fmt::Display for ExplainedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = self.route.as_deref().unwrap_or("root");
        let Self {
            target,
            level,
            max_level,
            level_origin,
            ..
        } = self;
        write!(
            f,
            "{target} at {level}: route {route}, level {max_level} ({level_origin}), "
        )?;
        match &self.sinks[..] {
            [] => f.write_str("no sink")?,
            sinks => write!(f, "sinks {}", sinks.join(", "))?,
        }
        match &self.filters[..] {
            [] => Ok(()),
            filters => write!(f, ", filters {}", filters.join(", ")),
        }
    }
}
