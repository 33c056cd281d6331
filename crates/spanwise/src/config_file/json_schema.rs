//! The JSON Schema of a configuration file, generated from the rows of [`KEYS`].

use std::fmt::Write as _;

use super::{
    key_row::{Key, KeyKind},
    keys::{CONDITIONS, KEYS, NOT_IN_PROFILES, PROFILES, otel_key, otel_settings},
};

/// Returns the JSON Schema of a configuration file, draft 2020-12, for editors and validators. A
/// file names it in its first line: `#:schema log.schema.json`.
///
/// The schema covers the names of keys, the kinds of values, and texts with a fixed list of words.
/// [`check`](super::check) also checks the syntax of all other texts, and values that contradict
/// each other.
#[must_use]
pub fn json_schema() -> String {
    let top = keys_below("");
    let is_in_profiles = |key: &&Key| !NOT_IN_PROFILES.contains(&key.path);
    let profile = object(
        top.iter()
            .copied()
            .filter(is_in_profiles)
            .map(top_level_member),
        None,
    );
    let profiles = PROFILES.map(|name| (name.to_owned(), to_definition("profile")));
    let definitions = top
        .iter()
        .filter(|key| is_table(key) && key.path != "profile");
    let definitions = definitions.map(|key| (key.path.to_owned(), schema(key)));
    let conditions = CONDITIONS.iter().map(|(name, accepts, help)| {
        let described = described(condition(name), help, accepts);
        ((*name).to_owned(), described)
    });
    let conditions: Vec<(String, Json)> = conditions.collect();
    let as_level = described(text(&[]), "The new level.", "a level");
    let with_level = conditions
        .iter()
        .cloned()
        .chain([("as".to_owned(), as_level)]);
    let definitions_without_key = [
        (
            "condition".to_owned(),
            object(conditions.iter().cloned(), None),
        ),
        ("level_condition".to_owned(), object(with_level, None)),
        ("profile".to_owned(), profile),
    ];
    let properties = top.iter().map(|key| match key.path {
        "profile" => (
            "profile".to_owned(),
            object(profiles.clone(), Some(key.help)),
        ),
        _ => top_level_member(key),
    });
    let Json::Object(mut members) = object(properties, None) else {
        unreachable!("`object` returns an object");
    };
    let draft = "https://json-schema.org/draft/2020-12/schema";
    members.insert(0, ("$schema".to_owned(), Json::text(draft)));
    members.insert(
        1,
        (
            "title".to_owned(),
            Json::text("The configuration file of spanwise"),
        ),
    );
    members.push((
        "$defs".to_owned(),
        Json::Object(definitions.chain(definitions_without_key).collect()),
    ));
    let mut out = String::new();
    Json::Object(members).write(&mut out, 0);
    out.push('\n');
    out
}

/// Returns the keys directly in the table at `pattern`.
fn keys_below(pattern: &str) -> Vec<&'static Key> {
    let is_below = |key: &&Key| match key.path.rsplit_once('.') {
        Some((above, _)) => above == pattern,
        None => pattern.is_empty(),
    };
    KEYS.iter().filter(is_below).collect()
}

fn is_table(key: &Key) -> bool {
    matches!(key.kind, KeyKind::Table | KeyKind::NamedTables)
}

/// Returns the member for a top-level key. For a table, its schema refers to a definition, because
/// the schema of a profile refers to the same definition.
fn top_level_member(key: &Key) -> (String, Json) {
    match is_table(key) {
        true => (key.path.to_owned(), to_definition(key.path)),
        false => (key.path.to_owned(), schema(key)),
    }
}

/// Returns a schema that refers to the definition of this name in `$defs`.
fn to_definition(name: &str) -> Json {
    Json::object([("$ref", Json::Text(format!("#/$defs/{name}")))])
}

/// Returns the schema of the value of a key.
fn schema(key: &Key) -> Json {
    let plain = match key.kind {
        KeyKind::Text => text(key.words),
        KeyKind::Integer if key.path == "version" => Json::object([("const", Json::Raw("1"))]),
        KeyKind::Integer => or_interpolated(of_type("integer")),
        KeyKind::Number => or_interpolated(of_type("number")),
        KeyKind::Bool => or_interpolated(of_type("boolean")),
        KeyKind::List => or_interpolated(list_of(of_type("string"))),
        KeyKind::Condition if key.path == "filter.*.level" => to_definition("level_condition"),
        KeyKind::Condition => to_definition("condition"),
        KeyKind::NamedTables => {
            let value_schema = keys_below(key.path).into_iter().map(schema).next();
            let members = [
                ("type", Json::text("object")),
                (
                    "additionalProperties",
                    value_schema.unwrap_or(Json::Raw("true")),
                ),
            ];
            Json::object(members)
        }
        KeyKind::Table => {
            let keys = keys_below(key.path).into_iter();
            let members = keys.map(|key| (key.name().to_owned(), schema(key)));
            // Most keys of OTLP sinks have no rows in `KEYS`.
            let otel = otel_settings().into_iter().filter(|_| key.path == "sink.*");
            let otel = otel.filter_map(|def| {
                let name = otel_key(def.name)?;
                let has_row = KEYS.iter().any(|key| key.path == format!("sink.*.{name}"));
                let any_value = Json::object([(
                    "type",
                    Json::List(
                        ["string", "number", "boolean", "array"]
                            .map(Json::text)
                            .into(),
                    ),
                )]);
                (!has_row).then(|| (name, described(any_value, def.help, def.accepts)))
            });
            object(members.chain(otel), None)
        }
    };
    described(plain, key.help, key.accepts)
}

/// Returns the schema of the value of a key of a condition.
fn condition(name: &str) -> Json {
    let scalar = || {
        Json::object([(
            "type",
            Json::List(["string", "number", "boolean"].map(Json::text).into()),
        )])
    };
    let values = || [scalar(), list_of(scalar())];
    match name {
        "above" | "below" => or_interpolated(of_type("number")),
        "exists" => or_interpolated(of_type("boolean")),
        "any" => list_of(to_definition("condition")),
        "is" => any_of(values()),
        "not" => any_of(values().into_iter().chain([to_definition("condition")])),
        "preset" => any_of([of_type("string"), list_of(of_type("string"))]),
        _ => of_type("string"),
    }
}

/// Returns the schema of a text. Without words, it accepts any text.
fn text(words: &[&'static str]) -> Json {
    if words.is_empty() {
        return of_type("string");
    }
    let words = words.iter().copied().map(Json::text).collect();
    or_interpolated(Json::object([("enum", Json::List(words))]))
}

fn of_type(name: &'static str) -> Json {
    Json::object([("type", Json::text(name))])
}

fn list_of(each: Json) -> Json {
    Json::object([("type", Json::text("array")), ("items", each)])
}

fn any_of(schemas: impl IntoIterator<Item = Json>) -> Json {
    Json::object([("anyOf", Json::List(schemas.into_iter().collect()))])
}

/// Returns a schema that also accepts a text that is a single reference, such as `${NAME:-true}`.
fn or_interpolated(schema: Json) -> Json {
    let reference = Json::object([
        ("type", Json::text("string")),
        ("pattern", Json::text(r"^\$\{.*\}$")),
    ]);
    any_of([schema, reference])
}

fn described(schema: Json, help: &str, accepts: &str) -> Json {
    let Json::Object(mut members) = schema else {
        return schema;
    };
    let text = format!("{help} Accepts {accepts}.");
    members.insert(0, ("description".to_owned(), Json::Text(text)));
    Json::Object(members)
}

/// Returns the schema of a table that has only these keys.
fn object(members: impl IntoIterator<Item = (String, Json)>, help: Option<&str>) -> Json {
    let object = Json::object([
        ("type", Json::text("object")),
        ("properties", Json::Object(members.into_iter().collect())),
        ("additionalProperties", Json::Raw("false")),
    ]);
    match (help, object) {
        (Some(help), Json::Object(mut members)) => {
            members.insert(0, ("description".to_owned(), Json::Text(help.to_owned())));
            Json::Object(members)
        }
        (_, object) => object,
    }
}

/// A JSON value. An object is written in the order of its members.
#[derive(Clone)]
enum Json {
    Text(String),
    /// JSON that is written unchanged, such as `true`.
    Raw(&'static str),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.map(|(key, value)| (key.to_owned(), value)).into())
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Text(text) => quote(text, out),
            Self::Raw(text) => out.push_str(text),
            Self::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    value.write(out, depth);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "\n" } else { ",\n" });
                    out.push_str(&"  ".repeat(depth + 1));
                    quote(key, out);
                    out.push_str(": ");
                    value.write(out, depth + 1);
                }
                out.push('\n');
                out.push_str(&"  ".repeat(depth));
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
