//! Chooses all sinks, routes and filters, from configuration files, variables and code.

use super::{
    check::joined,
    merge::{self, Merged},
    read_sinks::{Program, SinkReader},
    reader::FileReader,
    syntax::{Node, Table},
};
use crate::{
    Preset,
    choices::Choices,
    explain::Origin,
    settings::{LOG_COLOR, LOG_FIELDS, LOG_FORMAT, LOG_MAX_LINE, LOG_OUTPUT_LEVEL},
    sink_settings::{Routing, SinkKind, SinkSettings},
};

/// Reads the sinks, routes and filters of the files. Returns `None` if the settings alone decide
/// where events go. This is so if the files have no routes, no filters and no sinks except
/// exporters, or if the preset `test` ignores files that the environment names.
pub(crate) fn choose_routing(
    merged: &Merged,
    program: &Program<'_>,
    choices: &mut Choices<'_>,
) -> Option<Routing> {
    let mut sink_reader = SinkReader {
        reader: FileReader { merged, choices },
        program,
    };
    sink_reader.check_reserved_variables();
    let reader = &mut sink_reader.reader;
    reader.check_interpolated();
    reader.check_reload();
    reader.check_recorder();
    let filters = reader.filters(program.code_filters);
    let filter_names: Vec<&str> = filters.iter().map(|(name, _)| &**name).collect();
    let sinks = sink_reader.sinks(&filter_names);
    let settings: Vec<SinkSettings> = sinks.iter().map(|(sink, _)| sink.clone()).collect();
    let reader = &mut sink_reader.reader;
    let mut root = reader.root(&settings, &filter_names);
    let routes = reader.routes(&settings, &filter_names);
    reader.check_reached(&mut root, &routes, &sinks);
    reader.explain_reload();
    reader.explain_sinks();
    for table in ["filter", "format", "root", "route"] {
        reader.explain(merged.root.table(table), table);
    }
    // Tests ignore files of the environment, so that tests on a machine with a configured service
    // do not write to the files of that service.
    let is_ignored = reader.choices.preset == Preset::Test && !program.is_in_code;
    let has_routing = merged.defines_line_sinks()
        || ["root", "route", "filter"]
            .iter()
            .any(|table| merged.root.get(table).is_some());
    if !has_routing || is_ignored {
        return None;
    }
    let routing = Routing {
        sinks: settings,
        filters,
        root,
        routes,
        levels_over_routes: program
            .levels
            .over_file
            .as_ref()
            .map(|set| set.value.clone()),
        verbosity: program.verbosity,
    };
    explain_levels(&routing, merged, program, choices);
    if !routing.has_main() {
        warn_of_unused_variables(&routing, merged, choices);
    }
    Some(routing)
}

/// Corrects `explain()` for each level of the root or a route that has no effect as it is in the
/// file: shows the effective level, with the source that overrides or shifts the level.
fn explain_levels(
    routing: &Routing,
    merged: &Merged,
    program: &Program<'_>,
    choices: &mut Choices<'_>,
) {
    let effective = routing.levels(&program.levels.events);
    let shifted_levels = routing.levels_of_routes();
    let overriding = program.levels.over_file.as_ref();
    let overriding = overriding.map(|set| set.origin.source_name().unwrap_or("code"));
    // `shifted` is `level` after the verbosity has shifted it.
    let mut explain = |path: String, table: &Table, level, shifted, effective| {
        let (Some(level), Some(node)) = (level, table.get("level")) else {
            return;
        };
        let origin = match overriding {
            _ if effective == Some(level) => return,
            Some(name) if effective != shifted => {
                Origin::Over(name.to_owned(), merge::file_place(node, &path))
            }
            _ => Origin::Verbosity,
        };
        if let Some(effective) = effective {
            choices.explain_instead(&path, effective, &origin);
        }
    };
    explain(
        joined("root", "level"),
        merged.root.table("root"),
        routing.root.level,
        shifted_levels.default_level(),
        effective.default_level(),
    );
    for (target, route) in &routing.routes {
        explain(
            joined(&joined("route", target), "level"),
            merged.root.table("route").table(target),
            route.level,
            Some(shifted_levels.level(target)),
            Some(effective.level(target)),
        );
    }
}

/// Warns of each variable that has no effect because the sink `main` does not exist. A variable
/// that another sink inherits, such as the format, still has an effect.
fn warn_of_unused_variables(routing: &Routing, merged: &Merged, choices: &mut Choices<'_>) {
    let writes_lines = |sink: &&SinkSettings| {
        let kind = &sink.kind;
        sink.enabled && !matches!(kind, SinkKind::None | SinkKind::Exporter(_))
    };
    let inherits = |key: &str| {
        let tables = merged.root.table("sink");
        let mut sinks = routing.sinks.iter().filter(writes_lines);
        sinks.any(|sink| {
            let table = tables.table(&sink.name);
            let is_set = |key: &str| {
                let text = table.get(key).and_then(Node::text);
                text.is_some_and(|text| !text.trim().is_empty())
            };
            !is_set("format") && !is_set(key)
        })
    };
    // Each variable, and whether no sink except `main` uses it.
    let variables = [
        (&LOG_OUTPUT_LEVEL.def, true),
        (&LOG_COLOR.def, true),
        (&LOG_FORMAT.def, !inherits("format")),
        (&LOG_FIELDS.def, !inherits("fields")),
        (&LOG_MAX_LINE.def, !inherits("max_line")),
    ];
    for (def, is_only_for_main) in variables {
        let is_variable = matches!(
            choices.sourced_origin(def),
            Some(Origin::Variable(_) | Origin::Over(..))
        );
        if is_only_for_main && is_variable && choices.unchecked_text(def).is_some() {
            let name = choices.name_of(def);
            choices.warn(format!(
                "{name} has no effect: it is for the sink main, which does not exist; add \
                 [sink.main], or remove the variable"
            ));
        }
    }
}
