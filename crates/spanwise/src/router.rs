//! Routes: which sinks get an event, by the target of the event.
//!
//! A [`Router`] makes a [`Plan`] for each callsite, with all that follows from the target and the
//! level. The layer [`Routed`] applies the plan to each event, and runs the filters that test field
//! values. It passes the sinks of the event to the inner layers as a `SinkMask`. A [`RouteGate`]
//! around each layer hides the events that no sink of this layer gets.
//!
//! Each sink has a *router bit*, so that a set of sinks is a `u64`. A sink keeps its bit in a
//! reload, if it can: see `State::kept_bit` in `reload.rs`.

mod condition;
mod explained;
mod filter;
mod filter_event;
mod gate;
mod outcome_table;
mod plan;
mod routed;
mod router_bits;
mod span_outcomes;

#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use spanwise_core::{
    Fault, Levels, SelfReport, TargetLevels, TargetPattern,
    internal::{DispatchedSummary, SinkCounters},
};
use tracing::{Level, Metadata, level_filters::LevelFilter};

use self::{
    condition::FieldTests,
    filter::{Filters, FinalLevel},
    outcome_table::OutcomeTable,
    plan::{LEVELS, Plan, PlanDetails},
};
use crate::{
    outputs::MAIN,
    sink_settings::{Route, Routing, SinkKind, SinkSettings},
};

pub(crate) use explained::EventLevels;
pub use explained::ExplainedEvent;
pub(crate) use filter::CodeFilter;
pub use filter_event::{FilterEvent, Verdict};
pub(crate) use gate::{GateBits, RouteGate};
pub(crate) use routed::Routed;
pub(crate) use router_bits::FreeBits;

/// Decides which sinks get an event.
#[derive(Debug)]
pub(crate) struct Router {
    sinks: Vec<RoutedSink>,
    /// The routes with their targets, the longest target first.
    routes: Vec<(TargetPattern, CompiledRoute)>,
    root: CompiledRoute,
    filters: Filters,
    /// The index of the sink that gets the warnings and errors of a target whose sinks are all
    /// switched off.
    last_resort: Option<usize>,
    report: SelfReport,
    has_reported_last_resort: AtomicBool,
}

/// A sink of a router.
#[derive(Debug)]
pub(crate) struct RoutedSink {
    pub(crate) name: String,
    /// The router bit of the sink.
    bit: u64,
    /// The kind of the exporter. `None` if the sink is not an exporter.
    pub(crate) exporter: Option<&'static str>,
    is_enabled: bool,
    level: TargetLevels,
    /// The indices of the filters of the sink in [`Router::filters`].
    filters: Vec<usize>,
    counters: Option<Arc<SinkCounters>>,
}

/// A route, with names replaced by bits and indices.
#[derive(Debug, Default)]
struct CompiledRoute {
    /// The bits of the sinks that the route names, including sinks that are switched off.
    sinks: u64,
    /// The indices of the filters of the route in [`Router::filters`].
    filters: Vec<usize>,
    /// Whether the routes of shorter targets do not apply.
    is_exclusive: bool,
    /// The level that the route sets, shifted by the verbosity.
    level: Option<LevelFilter>,
}

/// The sinks to which the routes of a target lead.
#[derive(Debug, Clone, Copy)]
struct Reached<'r> {
    /// The route with the longest target that matches, or else the root.
    longest_route: &'r CompiledRoute,
    /// The bits of the named sinks that are not switched off.
    sinks: u64,
    /// The bit of the sink that gets the warnings and errors because all sinks that the routes name
    /// are switched off. 0 in all other cases.
    last_resort: u64,
}

impl Reached<'_> {
    /// Returns the bits of the sinks to which events of a level go.
    fn bits_at(&self, level: Level) -> u64 {
        match level <= Level::WARN {
            true => self.sinks | self.last_resort,
            false => self.sinks,
        }
    }
}

/// The data that a router needs besides the routes.
pub(crate) struct RouterOptions<'a> {
    pub(crate) preset: crate::Preset,
    /// The functions of [`Builder::filter`](crate::Builder::filter), by name.
    pub(crate) code_filters: &'a [(String, CodeFilter)],
    pub(crate) context_keys: &'a [String],
    pub(crate) policy: Option<Arc<dyn spanwise_core::Redact>>,
    pub(crate) report: &'a SelfReport,
}

impl Router {
    /// Creates the router, or returns all problems of the filters. The names of sinks and filters
    /// in the routes must exist: the reader of a file checks them. Each sink must already have its
    /// router bit: see [`Routing::assign_bits`].
    pub(crate) fn new(routing: &Routing, options: RouterOptions<'_>) -> Result<Self, Vec<String>> {
        let report = options.report.clone();
        let filters = Filters::new(&routing.filters, options)?;
        let bits = |names: &[String]| routing.bits(names);
        let levels = routing.levels_of_routes();
        let compile = |route: &Route, level: Option<LevelFilter>| CompiledRoute {
            sinks: bits(route.sinks.as_deref().unwrap_or_default()),
            filters: filters.indices(&route.filters),
            is_exclusive: route.exclusive,
            // The level from `levels` is shifted by the verbosity. It counts only if the route has
            // a level.
            level: route.level.and(level),
        };
        let mut routes: Vec<_> = routing
            .routes
            .iter()
            .map(|(target, route)| {
                let route = compile(route, Some(levels.level(target)));
                (TargetPattern::route(target), route)
            })
            .collect();
        routes.sort_by_key(|(target, _)| std::cmp::Reverse(target.as_str().len()));
        let mut root = compile(&routing.root, levels.default_level());
        if routing.root.sinks.is_none() {
            let named = routes.iter().fold(0, |bits, (_, route)| bits | route.sinks);
            root.sinks = routing.all_bits() & !named;
        }
        let sinks = routing.sinks.iter().map(|sink| RoutedSink {
            name: sink.name.clone(),
            bit: sink.bit,
            exporter: match sink.kind {
                SinkKind::Exporter(kind) => Some(kind),
                _ => None,
            },
            is_enabled: sink.enabled,
            level: sink.level.clone(),
            filters: filters.indices(&sink.filters),
            counters: None,
        });
        Ok(Self {
            sinks: sinks.collect(),
            last_resort: last_resort(&routing.sinks),
            routes,
            root,
            filters,
            report,
            has_reported_last_resort: AtomicBool::new(false),
        })
    }

    /// Sets the counters of the events that filters drop.
    pub(crate) fn count_with(
        &mut self,
        counters: impl Fn(&RoutedSink) -> Option<Arc<SinkCounters>>,
    ) {
        for sink in &mut self.sinks {
            sink.counters = counters(sink);
        }
    }

    /// Returns the bit of a sink, or 0 if there is none of this name.
    pub(crate) fn bit(&self, name: &str) -> u64 {
        self.bit_of(|sink| sink.name == name)
    }

    /// Returns the bit of the exporter of this kind, or 0 if there is no such exporter.
    pub(crate) fn bit_of_exporter(&self, kind: &str) -> u64 {
        self.bit_of(|sink| sink.exporter == Some(kind))
    }

    fn bit_of(&self, is_wanted: impl Fn(&RoutedSink) -> bool) -> u64 {
        let mut sinks = self.sinks.iter();
        sinks
            .find(|sink| is_wanted(sink))
            .map_or(0, |sink| sink.bit)
    }

    /// Plans the events of a callsite with this target: decides all that follows from the level and
    /// the target.
    fn plan(&self, callsite: &Metadata<'_>, target: &str) -> Plan {
        let level = *callsite.level();
        let Reached {
            longest_route,
            sinks: reached_sinks,
            last_resort,
        } = self.reached_sinks(target);
        let accepting_by_level = LEVELS.map(|level| self.accepting_bits(target, level));
        let mut details = PlanDetails {
            reached_sinks,
            last_resort,
            accepting_by_level,
            level,
            route_steps: self
                .filters
                .steps(&longest_route.filters, target, Some(level)),
            sink_steps: Vec::new(),
            tests: 0,
            field_tests: FieldTests::default(),
            may_be_forced: target == DispatchedSummary::TARGET,
            fixed_destination: None,
        };
        let level = match details.route_steps.final_level() {
            FinalLevel::Known(level) => Some(level),
            FinalLevel::Unknown | FinalLevel::Dropped => None,
        };
        // If a filter raises the level of a single event, `Routed` reports the last resort.
        if last_resort != 0
            && details.route_steps.final_level() != FinalLevel::Dropped
            && level.unwrap_or(details.level) <= Level::WARN
        {
            self.report_last_resort(target, last_resort);
        }
        for sink in &self.sinks {
            if (reached_sinks | last_resort) & sink.bit != 0 && !sink.filters.is_empty() {
                let steps = self.filters.steps(&sink.filters, target, level);
                details.sink_steps.push((sink.bit, steps));
            }
        }
        let steps = details.sink_steps.iter().map(|(_, steps)| steps);
        let steps = steps.chain([&details.route_steps]);
        details.tests = steps.fold(0, |bits, steps| bits | steps.tests());
        let fields = callsite.fields();
        details.field_tests = self.filters.tests.field_tests(fields, details.tests);
        details.fixed_destination = details.compute_fixed_destination();
        let fixed = details.fixed_destination.filter(|_| !details.may_be_forced);
        Plan {
            fixed_sinks: fixed.map_or(0, |it| it.only_at(details.level)),
            by_outcome: OutcomeTable::new(&details, &self.filters),
            details: Box::new(details),
        }
    }

    /// Returns the route of a target, and the sinks to which this route and the routes of shorter
    /// targets lead.
    fn reached_sinks(&self, target: &str) -> Reached<'_> {
        let (longest_route, named_sinks) = self.route_and_named_sinks(target);
        let enabled_sinks = named_sinks & self.enabled_bits();
        let are_all_disabled = enabled_sinks == 0 && named_sinks != 0;
        let last_resort = self.last_resort.filter(|_| are_all_disabled);
        Reached {
            longest_route,
            sinks: enabled_sinks,
            last_resort: last_resort.map_or(0, |index| self.sinks[index].bit),
        }
    }

    /// Returns whether the warnings and errors of a target go to the last resort.
    #[cfg(feature = "config")]
    fn has_last_resort(&self, target: &str) -> bool {
        self.reached_sinks(target).last_resort != 0
    }

    /// Reports that warnings and errors of a target go to the last resort, which has this bit. Only
    /// the first call reports.
    #[cold]
    fn report_last_resort(&self, target: &str, bit: u64) {
        if self.has_reported_last_resort.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut sinks = self.sinks.iter();
        let Some(RoutedSink { name, .. }) = sinks.find(|sink| sink.bit == bit) else {
            return;
        };
        let why = format_args!(
            "all sinks of {target} are switched off, so its warnings and errors go to {name}: \
             switch one on, or set the level of its route to off"
        );
        self.report.fault_unthrottled(Fault::Setup, &why);
    }

    /// Returns the route of a target, and the bits of all sinks that this route and the routes of
    /// shorter targets name. An exclusive route ends the search.
    fn route_and_named_sinks(&self, target: &str) -> (&CompiledRoute, u64) {
        let mut routes = self.routes_of(target).map(|(_, route)| route);
        let Some(longest_route) = routes.next() else {
            return (&self.root, self.root.sinks);
        };
        let mut sinks = longest_route.sinks;
        let mut is_exclusive = longest_route.is_exclusive;
        for route in routes {
            if is_exclusive {
                break;
            }
            sinks |= route.sinks;
            is_exclusive = route.is_exclusive;
        }
        (longest_route, sinks)
    }

    /// Returns the routes of a target, the longest first, and the root at the end.
    fn routes_of(
        &self,
        target: &str,
    ) -> impl Iterator<Item = (Option<&TargetPattern>, &CompiledRoute)> {
        let routes = self
            .routes
            .iter()
            .filter(move |(route, _)| route.matches(target));
        let routes = routes.map(|(pattern, route)| (Some(pattern), route));
        routes.chain([(None, &self.root)])
    }

    fn enabled_bits(&self) -> u64 {
        let enabled = self.sinks.iter().filter(|sink| sink.is_enabled);
        enabled.fold(0, |bits, sink| bits | sink.bit)
    }

    /// Returns the bits of the sinks whose own levels accept an event.
    fn accepting_bits(&self, target: &str, level: Level) -> u64 {
        let accepting = self
            .sinks
            .iter()
            .filter(|sink| level <= max_level(&sink.level, target));
        accepting.fold(0, |bits, sink| bits | sink.bit)
    }

    /// Reports an event that keeps its level, because no further callsite can be created for the
    /// level that a filter sets.
    #[cold]
    fn report_unchanged_level(&self) {
        let why = "a filter changes the level of more than 4096 callsites, so other events keep \
                   their level: let it change fewer";
        self.report.fault(Fault::Setup, &why);
    }

    /// Counts a dropped event for the sinks with these bits, whose filters dropped it.
    fn count_filtered(&self, bits: u64) {
        if bits == 0 {
            return;
        }
        for sink in self.sinks.iter().filter(|sink| sink.bit & bits != 0) {
            if let Some(counters) = &sink.counters {
                counters.add_filtered();
            }
        }
    }
}

/// Returns the most verbose level that a sink with these levels accepts from a target.
pub(crate) fn max_level(levels: &TargetLevels, target: &str) -> LevelFilter {
    levels.level(target).unwrap_or(LevelFilter::TRACE)
}

/// Returns the index of the sink for warnings and errors whose own sinks are all switched off. It
/// is `main`, or else the first sink that writes lines.
fn last_resort(sinks: &[SinkSettings]) -> Option<usize> {
    let writes = |sink: &SinkSettings| {
        sink.enabled && !matches!(sink.kind, SinkKind::None | SinkKind::Exporter(_))
    };
    let is_main = |sink: &SinkSettings| writes(sink) && sink.name == MAIN;
    let main = sinks.iter().position(is_main);
    main.or_else(|| sinks.iter().position(writes))
}

impl Routing {
    /// Returns whether all events go to all sinks that accept their level, so that no router is
    /// needed.
    pub(crate) fn is_plain(&self) -> bool {
        let is_plain = |sink: &SinkSettings| {
            // The layer of an output applies the level of the output. Only a router applies the
            // level of an exporter.
            let is_limited = match sink.kind {
                SinkKind::Exporter(_) => sink.level.most_verbose() < LevelFilter::TRACE,
                _ => false,
            };
            sink.enabled && sink.filters.is_empty() && !sink.level.has_directives() && !is_limited
        };
        self.routes.is_empty()
            && self.root.sinks.is_none()
            && self.root.filters.is_empty()
            && self.sinks.iter().all(is_plain)
    }

    /// Returns `events` with the levels of the routes. Levels that code or a variable sets override
    /// the routes. If the overriding levels have a default level, no level of a route applies. If
    /// they have none, their directives are added to the levels of the routes.
    pub(crate) fn levels(&self, events: &Levels) -> Levels {
        let overriding = self.levels_over_routes.as_ref();
        if overriding.is_some_and(|levels| levels.default_level().is_some()) {
            return events.clone();
        }
        let levels = self.with_route_levels(events.clone());
        match overriding {
            Some(overriding) => levels.with_directives_from(overriding),
            None => levels,
        }
    }

    /// Adds the levels of the routes to `levels`.
    pub(crate) fn with_route_levels(&self, levels: Levels) -> Levels {
        let route_levels = self.levels_of_routes();
        let levels = match route_levels.default_level() {
            Some(level) => levels.with_default_level(level),
            None => levels,
        };
        levels.with_directives_from(&route_levels)
    }

    /// Returns the levels of the root and of the routes, shifted by the verbosity.
    pub(crate) fn levels_of_routes(&self) -> Levels {
        let mut levels = Levels::default();
        if let Some(level) = self.root.level {
            levels = levels.with_default_level(level);
        }
        for (target, route) in &self.routes {
            if let Some(level) = route.level {
                levels = levels.with_module(target, level);
            }
        }
        levels.shifted(self.verbosity)
    }

    fn bits(&self, names: &[String]) -> u64 {
        let named = self.sinks.iter().filter(|sink| names.contains(&sink.name));
        named.fold(0, |bits, sink| bits | sink.bit)
    }

    /// Returns the bit of a sink, or 0 if there is none of this name.
    pub(crate) fn bit(&self, name: &str) -> u64 {
        let mut sinks = self.sinks.iter();
        sinks
            .find(|sink| sink.name == name)
            .map_or(0, |sink| sink.bit)
    }

    fn all_bits(&self) -> u64 {
        self.sinks.iter().fold(0, |bits, sink| bits | sink.bit)
    }
}
