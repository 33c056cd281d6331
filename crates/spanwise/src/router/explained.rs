//! The explanation of where an event goes: its route, level, sinks and filters.

use std::fmt;

use spanwise_core::{Levels, TargetLevels};
use tracing::{Level, level_filters::LevelFilter};

use super::{Router, max_level};
use crate::level_sources::LevelSources;

/// Where the events of a target and level go, from
/// [`Handle::explain_event`](crate::Handle::explain_event).
///
/// Its [`Display`](fmt::Display) is one line: `shop::pay at WARN: route shop, level info
/// (route.shop), sinks console, app, not errors (error), filters no_probes`.
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
    /// The sinks to which the routes lead, but whose own level excludes the event, as
    /// `sink (level)`. Empty if the effective level disables the event.
    pub excluded_sinks: Vec<String>,
    /// Whether the effective level disables the event, but the flight recorder buffers it inside a
    /// unit of work. The sinks get it if that unit fails.
    pub is_buffered: bool,
    /// The filters that see the event: those of the route, then those of the sinks as
    /// `sink: filter`.
    pub filters: Vec<String>,
}

/// The levels that decide about an event besides the routes, and their origins.
pub(crate) struct EventLevels<'a> {
    /// The levels in force.
    pub(crate) levels: &'a Levels,
    pub(crate) sources: &'a LevelSources,
    /// The levels that the flight recorder buffers, if there is one.
    pub(crate) buffered: Option<&'a TargetLevels>,
}

impl EventLevels<'_> {
    /// Explains the level of an event. `by_route` is the name and the level of the nearest route
    /// that has a level.
    fn explain(
        &self,
        target: &str,
        level: Level,
        by_route: Option<(String, LevelFilter)>,
    ) -> ExplainedEvent {
        let max_level = self.levels.level(target);
        // As in `LevelLayer::capture`, a target that is off is not captured.
        let is_captured = |levels: &TargetLevels| {
            max_level != LevelFilter::OFF && levels.level(target).is_some_and(|max| level <= max)
        };
        ExplainedEvent {
            target: target.to_owned(),
            level,
            route: None,
            max_level,
            level_origin: self.sources.source(target, self.levels, by_route),
            sinks: Vec::new(),
            excluded_sinks: Vec::new(),
            is_buffered: level > max_level && self.buffered.is_some_and(is_captured),
            filters: Vec::new(),
        }
    }
}

impl Router {
    /// Explains the events of a target and level.
    pub(crate) fn explain(
        &self,
        target: &str,
        level: Level,
        levels: &EventLevels<'_>,
    ) -> ExplainedEvent {
        let reached = self.reached_sinks(target);
        let mut explained = levels.explain(target, level, self.route_level(target));
        let (longest_route, _) = self.routes_of(target).next().unzip();
        explained.route = longest_route
            .flatten()
            .map(|route| route.as_str().to_owned());
        let route_filters = reached.longest_route.filters.iter();
        explained.filters = route_filters
            .map(|filter| self.filters.name(*filter).to_owned())
            .collect();
        let sinks = reached.bits_at(level);
        for sink in self.sinks.iter().filter(|sink| sink.bit & sinks != 0) {
            if explained.add_sink(&sink.name, max_level(&sink.level, target)) {
                let names = sink.filters.iter().map(|filter| self.filters.name(*filter));
                let filters = names.map(|name| format!("{}: {name}", sink.name));
                explained.filters.extend(filters);
            }
        }
        explained
    }

    /// Returns the name of the nearest route of a target that has a level, with this level.
    fn route_level(&self, target: &str) -> Option<(String, LevelFilter)> {
        self.routes_of(target).find_map(|(route, compiled)| {
            let name = route.map_or("root".to_owned(), |route| format!("route.{route}"));
            compiled.level.map(|level| (name, level))
        })
    }
}

impl ExplainedEvent {
    /// Explains an event of a stack without routes. `sinks` are all sinks with their levels.
    pub(crate) fn without_routes<'s>(
        target: &str,
        level: Level,
        levels: &EventLevels<'_>,
        sinks: impl Iterator<Item = (&'s str, LevelFilter)>,
    ) -> Self {
        let mut explained = levels.explain(target, level, None);
        for (name, max_level) in sinks {
            explained.add_sink(name, max_level);
        }
        explained
    }

    /// Adds a sink to which the routes lead. Returns whether it gets the event.
    fn add_sink(&mut self, name: &str, max_level: LevelFilter) -> bool {
        let is_enabled = self.level <= self.max_level;
        let is_accepted = self.level <= max_level;
        match is_accepted {
            _ if !is_enabled => {}
            true => self.sinks.push(name.to_owned()),
            false => self.excluded_sinks.push(format!("{name} ({max_level})")),
        }
        is_enabled && is_accepted
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
        if !self.excluded_sinks.is_empty() {
            write!(f, ", not {}", self.excluded_sinks.join(", "))?;
        }
        if self.is_buffered {
            f.write_str(", buffered by the recorder")?;
        }
        match &self.filters[..] {
            [] => Ok(()),
            filters => write!(f, ", filters {}", filters.join(", ")),
        }
    }
}
