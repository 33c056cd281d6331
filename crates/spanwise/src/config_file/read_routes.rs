//! Reads the tables `[root]` and `[route."TARGET"]`, which send the events of targets to sinks.

use std::collections::BTreeSet;

use spanwise_core::{internal::parse_level, words};

use super::{
    check::joined,
    reader::{FileReader, suggested},
    syntax::{FileValue, Place, Table},
};
use crate::sink_settings::{Route, SinkKind, SinkSettings};

impl FileReader<'_, '_> {
    /// Reads the root. Reports a level that contradicts the bare level of the key `levels`, such as
    /// `info` in `info,hyper=warn`.
    pub(super) fn root(&mut self, sinks: &[SinkSettings], filters: &[&str]) -> Route {
        let merged = self.merged;
        let table = merged.root.table("root");
        let route = self.route(table, "root", "root", sinks, filters);
        self.check_root_level(table);
        route
    }

    fn check_root_level(&mut self, table: &Table) {
        let merged = self.merged;
        let Some(FileValue::Text(levels)) = merged.root.get("levels").map(|node| &node.value)
        else {
            return;
        };
        let Some(FileValue::Text(level)) = table.get("level").map(|node| &node.value) else {
            return;
        };
        let mut bare_levels = words::split(levels).filter_map(|word| parse_level(word.text));
        if let Some(bare_level) = bare_levels.next()
            && let Some(level) = parse_level(level)
            && level != bare_level
            && let Some(entry) = table.entry("level")
        {
            let problem =
                format!("root.level is {level}, and levels has {bare_level}: write the level once");
            self.add_problem(&entry.node.place, problem);
        }
    }

    /// Reads the routes, each with its target.
    pub(super) fn routes(
        &mut self,
        sinks: &[SinkSettings],
        filters: &[&str],
    ) -> Vec<(String, Route)> {
        let merged = self.merged;
        let mut routes: Vec<(String, Route)> = Vec::new();
        for entry in &merged.root.table("route").0 {
            let Some(table) = entry.node.table() else {
                continue;
            };
            let (target, path) = (&entry.key, joined("route", &entry.key));
            let is_target_char = |c: char| c.is_alphanumeric() || "_-:.".contains(c);
            if target.is_empty() || !target.chars().all(is_target_char) {
                let problem = "is not a target: write a module, such as route.\"shop::payments\"";
                self.add_problem(&entry.place, format!("{path} {problem}"));
            }
            if let Some((other, _)) = routes
                .iter()
                .find(|(other, _)| is_same_target(other, target))
            {
                let problem = format!("{path} has the target of the route {other}: remove one");
                self.add_problem(&entry.place, problem);
            }
            let about = format!("the route {target}");
            let mut route = self.route(table, &path, &about, sinks, filters);
            route.exclusive = self.bool(table, "exclusive", &path).unwrap_or(false);
            let names = self.names(table, "sinks");
            if names.is_some_and(|names| names.is_empty()) && !route.exclusive {
                let place = table
                    .entry("sinks")
                    .map_or(&entry.place, |entry| &entry.place);
                let problem = "has no effect: name a sink, or set exclusive = true to drop events";
                self.add_problem(place, format!("{path}.sinks=[] {problem}"));
            }
            routes.push((target.clone(), route));
        }
        routes
    }

    /// Reads a route. `about` is its name in problems, such as `the route shop`.
    fn route(
        &mut self,
        table: &Table,
        path: &str,
        about: &str,
        sinks: &[SinkSettings],
        filters: &[&str],
    ) -> Route {
        let level = self.level(table, "level", path);
        let names = self.names(table, "sinks");
        // A sink that could not be read counts as known, because that problem is reported already.
        let sinks_in_file = &self.merged.root.table("sink").0;
        let known = sinks_in_file.iter().map(|entry| &*entry.key);
        let known = known.chain(sinks.iter().map(|sink| &*sink.name));
        let known: BTreeSet<&str> = known.collect();
        for (name, place) in names.iter().flatten() {
            if !known.contains(&**name) {
                let sinks = suggested(name, known.iter().copied());
                self.add_problem(
                    place,
                    format!("{about} sends to the sink {name:?}: {sinks}"),
                );
            }
        }
        let is_read = |name: &String| sinks.iter().any(|sink| sink.name == *name);
        let names = names.map(|names| names.into_iter().map(|(name, _)| name).filter(is_read));
        Route {
            level,
            sinks: names.map(Iterator::collect),
            filters: self.filter_names(table, about, filters),
            exclusive: false,
        }
    }

    /// Reads the names in a list `filters`. Reports names that are not among `filters`, and omits
    /// them. `about` is the name of the sink or route in problems.
    pub(super) fn filter_names(
        &mut self,
        table: &Table,
        about: &str,
        filters: &[&str],
    ) -> Vec<String> {
        let names = self.names(table, "filters").unwrap_or_default();
        for (name, place) in &names {
            if !filters.contains(&&**name) {
                let filters = suggested(name, filters.iter().copied());
                self.add_problem(place, format!("{about} has the filter {name:?}: {filters}"));
            }
        }
        let names = names.into_iter().map(|(name, _)| name);
        names.filter(|name| filters.contains(&&**name)).collect()
    }

    /// If the root lists its sinks, reports each sink of a file that gets no events. A sink that no
    /// file defines, such as an exporter of a variable, is added to the sinks of the root.
    pub(super) fn check_reached(
        &mut self,
        root: &mut Route,
        routes: &[(String, Route)],
        sinks: &[(SinkSettings, Option<Place>)],
    ) {
        let Some(root_sinks) = &mut root.sinks else {
            return;
        };
        // A reference that could not be replaced may name any sink.
        let merged = self.merged;
        let routes_in_file = merged.root.table("route").0.iter();
        let mut tables = routes_in_file
            .filter_map(|entry| entry.node.table())
            .chain([merged.root.table("root")]);
        let may_be_named = tables.any(|table| {
            let names = table.get("sinks");
            names.is_some_and(|names| merged.has_reference_problem(names))
        });
        for (sink, place) in sinks {
            let name = &sink.name;
            let is_named = |names: &[String]| names.contains(name);
            let mut route_sinks = routes
                .iter()
                .filter_map(|(_, route)| route.sinks.as_deref());
            let is_reached = is_named(root_sinks) || route_sinks.any(is_named);
            if is_reached || !sink.enabled {
                continue;
            }
            match place {
                // Spans and metrics reach an OTLP sink without a route. A sink of the kind `none`
                // writes nothing.
                Some(_) if matches!(sink.kind, SinkKind::Exporter("otlp") | SinkKind::None) => {}
                Some(_) if may_be_named => {}
                Some(place) => self.add_problem(
                    place,
                    format!(
                        "{} gets no events: name it in root.sinks or in a route, or set enabled = \
                         false",
                        joined("sink", name)
                    ),
                ),
                None => root_sinks.push(name.clone()),
            }
        }
    }
}

/// Returns whether two texts are spellings of one target, such as `shop::pay` and `shop.pay`.
fn is_same_target(target: &str, other: &str) -> bool {
    let folded = |target: &str| target.replace("::", ".").replace('-', "_");
    folded(target) == folded(other)
}
