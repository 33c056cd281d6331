//! Reads the tables `[filter.NAME]`. A filter drops events, or gives them another level.

use std::collections::HashSet;

use tracing::{Level, level_filters::LevelFilter};

use super::{
    check::joined,
    keys::{BUILT_IN_FILTERS, CONDITIONS, PROFILES},
    reader::{FileReader, Name, listed},
    syntax::{Entry, FileValue, Node, Place, Table},
};
use crate::{
    Preset,
    named::Named as _,
    sink_settings::{Condition, FieldTest, FieldValue, Filter},
};

impl FileReader<'_, '_> {
    /// Reads all filters. `code_filters` has the names of the filters that the program registers.
    pub(super) fn filters(&mut self, code_filters: &[String]) -> Vec<(String, Filter)> {
        let mut filters = built_in_filters();
        let merged = self.merged;
        for entry in &merged.root.table("filter").0 {
            let path = joined("filter", &entry.key);
            if BUILT_IN_FILTERS.contains(&&*entry.key) {
                let problem = format!("{path} is a filter already: choose another name");
                self.add_problem(&entry.place, problem);
                continue;
            }
            if let Some(table) = entry.node.table()
                && let Some(filter) = self.filter(entry, table, &path, code_filters)
            {
                filters.push((entry.key.clone(), filter));
            }
        }
        filters
    }

    fn filter(
        &mut self,
        entry: &Entry,
        table: &Table,
        path: &str,
        code_filters: &[String],
    ) -> Option<Filter> {
        const ACTIONS: [&str; 4] = ["keep", "drop", "level", "code"];
        let mut actions = table
            .0
            .iter()
            .filter(|entry| ACTIONS.contains(&&*entry.key));
        let (Some(action), None) = (actions.next(), actions.next()) else {
            let problem = format!("{path} needs exactly one of keep, drop, level, code");
            self.add_problem(&entry.place, problem);
            return None;
        };
        let code = (action.key == "code").then(|| self.bool(table, "code", path));
        let path = joined(path, &action.key);
        if let Some(code) = code {
            return match code {
                Some(true) if code_filters.contains(&entry.key) => {
                    Some(Filter::Code(entry.key.clone()))
                }
                Some(true) => {
                    let (place, name) = (&entry.place, &entry.key);
                    self.choices.add_unregistered(format!(
                        "{place}: {path} needs a function that the program does not register: call \
                         `Builder::filter({name:?}, …)`, or remove the filter"
                    ));
                    // A filter that keeps all events takes its place, so that routes and sinks
                    // that name it have no further problem.
                    Some(Filter::Keep(Condition::All(Vec::new())))
                }
                Some(false) => {
                    self.add_problem(&action.node.place, format!("{path}=false: write true"));
                    None
                }
                None => None,
            };
        }
        let conditions = action.node.table()?;
        let as_level = match &*action.key {
            "level" => self.as_level(conditions, &action.place, &path),
            _ => None,
        };
        let condition = self.condition(conditions, &action.place, &path)?;
        match &*action.key {
            "keep" => Some(Filter::Keep(condition)),
            "drop" => Some(Filter::Drop(condition)),
            _ => Some(Filter::Level(as_level?, condition)),
        }
    }

    /// Reads the level that a filter sets. `place` is that of the condition, for a missing level.
    fn as_level(&mut self, table: &Table, place: &Place, path: &str) -> Option<Level> {
        if table.get("as").is_none() {
            self.add_problem(place, format!("{path} has no level: add as = \"warn\""));
        }
        let level = self.level(table, "as", path)?;
        if level == LevelFilter::OFF {
            let place = table.get("as").map_or(place, |node| &node.place).clone();
            self.add_problem(
                &place,
                format!("{path}.as=\"off\": write a level, or use drop"),
            );
        }
        level.into_level()
    }

    /// Reads a condition. Reports an empty table, and returns `None` for it. Returns a condition
    /// that no event meets if all values in the table are invalid.
    fn condition(&mut self, table: &Table, place: &Place, path: &str) -> Option<Condition> {
        self.check_empty(table, path);
        let mut all = Vec::new();
        if let Some(level) = self.level(table, "level", path) {
            all.push(Condition::Level(level));
        }
        if let Some(target) = self.parsed(table, "target", path, |text| Ok(text.to_owned())) {
            all.push(Condition::Target(target));
        }
        if let Some(message) = text(table, "message") {
            all.push(Condition::Message(message));
        }
        if let Some(presets) = self.presets(table, path) {
            all.push(Condition::Preset(presets));
        }
        self.field_tests(table, place, path, &mut all);
        if let Some(node) = table.get("not")
            && let Some(not) = node.table()
            && let Some(condition) = self.condition(not, &node.place, &joined(path, "not"))
        {
            all.push(Condition::Not(Box::new(condition)));
        }
        if let Some(FileValue::List(nodes)) = table.get("any").map(|node| &node.value) {
            let mut any = Vec::new();
            for (index, node) in nodes.iter().enumerate() {
                let path = format!("{path}.any[{index}]");
                any.extend(
                    node.table()
                        .and_then(|it| self.condition(it, &node.place, &path)),
                );
            }
            if nodes.is_empty() {
                self.add_problem(place, format!("{path}.any has no condition: write one"));
            }
            all.push(Condition::Any(any));
        }
        let is_test = |entry: &&Entry| entry.key != "as";
        if table.0.iter().filter(is_test).count() == 0 {
            let problem = format!("{path} has no condition: add one, such as target = \"shop\"");
            self.add_problem(place, problem);
            return None;
        }
        match all.len() {
            // Every event would meet `All` without conditions.
            0 => Some(NEVER),
            1 => all.pop(),
            _ => Some(Condition::All(all)),
        }
    }

    /// Reports empty texts, which all events would match. Only `is` and `not` accept them, because
    /// the text of a field may be empty.
    fn check_empty(&mut self, table: &Table, path: &str) {
        for entry in &table.0 {
            let FileValue::Text(text) = &entry.node.value else {
                continue;
            };
            let is_empty = match &*entry.key {
                "is" | "not" => false,
                // A text of blanks is valid, because messages and fields may contain blanks.
                "message" | "starts" | "contains" => text.is_empty(),
                _ => text.trim().is_empty(),
            };
            if is_empty && !self.merged.has_reference_problem(&entry.node) {
                let problem = "is empty: write a value";
                self.add_problem(&entry.node.place, format!("{path}.{} {problem}", entry.key));
            }
        }
    }

    /// Reads the tests of a field, and adds them to `all`.
    fn field_tests(&mut self, table: &Table, place: &Place, path: &str, all: &mut Vec<Condition>) {
        let name = self.parsed(table, "field", path, |text| Ok(text.to_owned()));
        let mut tests = Vec::new();
        for entry in &table.0 {
            let node = &entry.node;
            let test = match &*entry.key {
                "is" => field_values(node).map(FieldTest::Is),
                "not" if node.table().is_none() => field_values(node).map(FieldTest::Not),
                "starts" => text(table, "starts").map(FieldTest::Starts),
                "contains" => text(table, "contains").map(FieldTest::Contains),
                "above" => self.number(node, path, "above").map(FieldTest::Above),
                "below" => self.number(node, path, "below").map(FieldTest::Below),
                "exists" => self.bool(table, "exists", path).map(FieldTest::Exists),
                _ => continue,
            };
            tests.push((entry, test));
        }
        match (name, tests.first()) {
            // The check of the keys has reported an unknown key, which may be a misspelled test.
            (Some(_), None) if table.0.iter().any(|entry| !is_condition_key(&entry.key)) => {}
            (Some(name), Some(_)) => {
                let tests = tests.into_iter().filter_map(|(_, test)| test);
                all.extend(tests.map(|test| Condition::Field(name.clone(), test)));
            }
            (Some(_), None) => {
                let problem = "has no test: add is, not, starts, contains, above, below or exists";
                self.add_problem(place, format!("{path}.field {problem}"));
            }
            (None, Some((entry, _))) if table.get("field").is_none() => {
                let problem = format!("{path}.{} needs a field: add field = \"…\"", entry.key);
                self.add_problem(&entry.place, problem);
            }
            (None, _) => {}
        }
    }

    fn number(&mut self, node: &Node, path: &str, key: &str) -> Option<f64> {
        match &node.value {
            // The numbers in events are also compared as floats.
            #[expect(clippy::cast_precision_loss, reason = "a limit needs no more digits")]
            FileValue::Integer(number) => Some(*number as f64),
            FileValue::Float(number) => Some(*number),
            FileValue::Text(text) if node.is_interpolated => {
                let number = text.trim().parse().ok();
                if number.is_none() && !text.is_empty() {
                    self.add_problem(
                        &node.place,
                        format!("{path}.{key} is a text: write a number"),
                    );
                }
                number
            }
            _ => None,
        }
    }

    fn presets(&mut self, table: &Table, path: &str) -> Option<Vec<Preset>> {
        let node = table.get("preset")?;
        if self.merged.has_reference_problem(node) {
            return None;
        }
        let names: Vec<Name> = match &node.value {
            // `check_empty` reports an empty text.
            FileValue::Text(text) if text.trim().is_empty() => return None,
            FileValue::Text(text) => vec![(text.clone(), node.place.clone())],
            FileValue::List(_) => self.names(table, "preset").unwrap_or_default(),
            _ => return None,
        };
        if names.is_empty() {
            let problem = format!("{path}.preset is empty: write a value");
            self.add_problem(&node.place, problem);
        }
        let mut presets = Vec::new();
        for (name, place) in names {
            match Preset::NAMED.iter().find(|(other, _)| *other == name) {
                Some((_, preset)) => presets.push(*preset),
                None => {
                    let presets = listed(PROFILES);
                    self.add_problem(&place, format!("{path}.preset={name:?}: {presets}"));
                }
            }
        }
        Some(presets)
    }
}

/// Returns a warning for each filter of the files that no list `filters` names. `base` has all
/// files with their profiles, because a filter may be only for one preset. Returns no warnings if a
/// list contains a reference or an unknown name, which may mean any of the filters.
pub(super) fn warnings_of_unused(base: &Table) -> Vec<String> {
    let profiles = base.table("profile").0.iter();
    let profiles = profiles.filter_map(|entry| entry.node.table());
    let documents: Vec<&Table> = profiles.chain([base]).collect();
    let filters = documents
        .iter()
        .flat_map(|document| &document.table("filter").0);
    let defined: HashSet<&str> = filters.clone().map(|entry| &*entry.key).collect();
    let tables = documents.iter().flat_map(|document| {
        let entries = ["sink", "route"].into_iter();
        let entries = entries.flat_map(|name| &document.table(name).0);
        let named_tables = entries.filter_map(|entry| entry.node.table());
        named_tables.chain([document.table("root")])
    });
    let mut used = HashSet::new();
    for node in tables.filter_map(|table| table.get("filters")) {
        let FileValue::List(names) = &node.value else {
            return Vec::new();
        };
        for name in names {
            match &name.value {
                FileValue::Text(name) if defined.contains(&**name) => used.insert(&**name),
                FileValue::Text(name) if BUILT_IN_FILTERS.contains(&&**name) => continue,
                _ => return Vec::new(),
            };
        }
    }
    // A filter without exactly one key is reported as a problem instead.
    let has_one_key = |entry: &&Entry| entry.node.table().is_some_and(|it| it.0.len() == 1);
    let unused = filters.filter(|entry| !used.contains(&*entry.key));
    let warnings = unused.filter(has_one_key).map(|entry| {
        let (place, path) = (&entry.place, joined("filter", &entry.key));
        format!("{place}: {path} has no effect: name it in the filters of root, a route or a sink")
    });
    warnings.collect()
}

/// The condition that no event meets.
const NEVER: Condition = Condition::Any(Vec::new());

fn built_in_filters() -> Vec<(String, Filter)> {
    let is_dev = || Condition::Preset(vec![Preset::Dev]);
    let [debug_only, not_debug, prod_only] = BUILT_IN_FILTERS.map(str::to_owned);
    vec![
        (debug_only, Filter::Keep(is_dev())),
        (not_debug, Filter::Drop(is_dev())),
        (
            prod_only,
            Filter::Keep(Condition::Preset(vec![Preset::Prod])),
        ),
    ]
}

/// Returns whether the table of a condition can have this key.
fn is_condition_key(key: &str) -> bool {
    key == "as" || CONDITIONS.iter().any(|(condition, ..)| *condition == key)
}

/// Returns the text of a key, unless it is empty.
fn text(table: &Table, key: &str) -> Option<String> {
    match &table.get(key)?.value {
        FileValue::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// Returns a value, or the values of a list. Returns `None` if a value is not a scalar.
fn field_values(node: &Node) -> Option<Vec<FieldValue>> {
    let value = |node: &Node| match &node.value {
        FileValue::Text(text) => Some(FieldValue::Text(text.clone())),
        FileValue::Integer(number) => Some(FieldValue::Integer(*number)),
        FileValue::Float(number) => Some(FieldValue::Float(*number)),
        FileValue::Bool(is_on) => Some(FieldValue::Bool(*is_on)),
        FileValue::Date | FileValue::List(_) | FileValue::Table(_) => None,
    };
    match &node.value {
        FileValue::List(nodes) => nodes.iter().map(value).collect(),
        _ => Some(vec![value(node)?]),
    }
}
