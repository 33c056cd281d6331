//! The syntax tree of a configuration file: each key and each value has its place, which is a file,
//! a line and a column.

use std::{collections::HashSet, fmt, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The path of the file, not canonicalized, or [`TEXT_NAME`](super::TEXT_NAME) for a text that
    /// code passes.
    pub(super) file: Arc<str>,
    /// The line in the file, from 1.
    pub(super) line: usize,
    /// The index of the character in the line, from 1.
    pub(super) column: usize,
    /// The name of the profile that contains the place. `None` outside of profiles.
    pub(super) profile: Option<Arc<str>>,
}

/// Shows `log.toml:20:10`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Place {
    /// Returns the place as `explain()` shows it: `log.toml:9, profile prod`.
    pub(super) fn shown_line(&self) -> String {
        let Self {
            file,
            line,
            profile,
            ..
        } = self;
        match profile {
            Some(profile) => format!("{file}:{line}, profile {profile}"),
            None => format!("{file}:{line}"),
        }
    }
}

/// A value with its place.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: FileValue,
    /// Whether the value contains the content of another file, and is never shown.
    pub(super) is_hidden: bool,
    /// Whether the whole text was one reference, such as `${NAME}`, which is now replaced. Such a
    /// text may be a value of any kind.
    pub(super) is_interpolated: bool,
}

#[derive(Clone)]
pub(super) enum FileValue {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// A date or a time, which no key accepts.
    Date,
    List(Vec<Node>),
    Table(Table),
}

/// The keys of a table.
#[derive(Clone, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

/// A key with its place and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The place of the key.
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub(super) fn entry_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.key == key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Returns the table at `key`, or an empty one.
    pub(super) fn table(&self, key: &str) -> &Self {
        const EMPTY: &Table = &Table(Vec::new());
        self.get(key).and_then(Node::table).unwrap_or(EMPTY)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = self.0.iter().position(|entry| entry.key == key)?;
        Some(self.0.remove(index))
    }

    /// Returns the value at a dotted path, such as `sink.main.format`.
    pub(super) fn at(&self, path: &str) -> Option<&Node> {
        match path.split_once('.') {
            Some((key, path_below)) => self.get(key)?.table()?.at(path_below),
            None => self.get(path),
        }
    }
}

impl Node {
    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            FileValue::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Returns the value as the text of a variable. The elements of a list are joined by commas.
    pub(super) fn text(&self) -> Option<String> {
        match &self.value {
            FileValue::Text(text) => Some(text.clone()),
            FileValue::Integer(number) => Some(number.to_string()),
            FileValue::Float(number) => Some(number.to_string()),
            FileValue::Bool(is_on) => Some(is_on.to_string()),
            FileValue::List(nodes) => {
                let texts: Option<Vec<String>> = nodes.iter().map(Self::text).collect();
                Some(texts?.join(","))
            }
            FileValue::Date | FileValue::Table(_) => None,
        }
    }

    /// Returns whether the value, or a part of it, is never shown.
    pub(super) fn has_hidden(&self) -> bool {
        match &self.value {
            FileValue::List(nodes) => nodes.iter().any(Self::has_hidden),
            _ => self.is_hidden,
        }
    }

    /// Calls `change` for the place of each key and value.
    pub(super) fn for_each_place(&mut self, change: &mut impl FnMut(&mut Place)) {
        change(&mut self.place);
        match &mut self.value {
            FileValue::List(nodes) => {
                for node in nodes {
                    node.for_each_place(change);
                }
            }
            FileValue::Table(table) => {
                for entry in &mut table.0 {
                    change(&mut entry.place);
                    entry.node.for_each_place(change);
                }
            }
            _ => {}
        }
    }
}

/// A syntax error.
pub(super) struct SyntaxError {
    pub(super) place: Place,
    pub(super) message: String,
}

impl SyntaxError {
    fn line(&self) -> usize {
        self.place.line
    }
}

/// A file after its syntax was checked.
pub(super) struct Parsed {
    pub(super) table: Table,
    pub(super) errors: Vec<SyntaxError>,
    /// The lines for which no further problems are reported: those with syntax errors, and those
    /// below a table header that could not be parsed. Lines are counted from 1.
    pub(super) broken_lines: HashSet<usize>,
}

/// The maximum number of syntax errors that are shown for a file.
const MAX_ERRORS: usize = 100;

/// Parses a file. After a syntax error, the rest of the file is still parsed.
pub(super) fn parse(file: &Arc<str>, text: &str) -> Parsed {
    let lines = Lines::new(file, text);
    let (mut table, mut errors) = parse_once(&lines);
    let mut broken_headers: HashSet<usize> = errors.iter().map(SyntaxError::line).collect();
    broken_headers.retain(|line| lines.is_header(*line));
    if let Some(closed) = closed_headers(&lines, &errors) {
        let (closed_table, other_errors) = parse_once(&Lines::new(file, &closed));
        table = closed_table;
        // Now that headers are closed, only one that still has an error could not be parsed.
        let still_broken: HashSet<usize> = other_errors.iter().map(SyntaxError::line).collect();
        let is_in_header = |error: &SyntaxError| broken_headers.contains(&error.line());
        errors.retain(is_in_header);
        errors.extend(other_errors.into_iter().filter(|it| !is_in_header(it)));
        errors.sort_by_key(|error| (error.line(), error.place.column));
        broken_headers.retain(|line| still_broken.contains(line));
    }
    let mut broken_lines: HashSet<usize> = errors.iter().map(SyntaxError::line).collect();
    for header in broken_headers {
        // It is not known to which table the keys below this header belong.
        let below = header + 1..=lines.starts.len();
        broken_lines.extend(below.take_while(|line| !lines.is_header(*line)));
    }
    Parsed {
        table,
        errors: with_advice(&lines, errors),
        broken_lines,
    }
}

/// Parses a text, and returns all syntax errors with the parser's messages.
fn parse_once(lines: &Lines<'_>) -> (Table, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(lines.text);
    let errors = errors.iter().map(|error| SyntaxError {
        place: lines.place(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    });
    (lines.table(table.get_ref()), errors.collect())
}

/// Returns the text with all table headers closed, or `None` if no header was open. The keys below
/// an open header, such as `[sink.main`, would belong to the previous table. Places stay the same,
/// because brackets are added only at the ends of lines.
fn closed_headers(lines: &Lines<'_>, errors: &[SyntaxError]) -> Option<String> {
    let mut closed = String::new();
    let mut start = 0;
    for error in errors {
        // The parser has no error codes, so its message is compared.
        let unclosed_part = error.message.strip_prefix("unclosed ").unwrap_or_default();
        let unclosed_part = unclosed_part
            .strip_prefix("array ")
            .unwrap_or(unclosed_part);
        if !unclosed_part.starts_with("table") {
            continue;
        }
        let end = lines.offset(&error.place);
        let rest_of_line = lines.text[end..].lines().next().unwrap_or_default().trim();
        if end > start && (rest_of_line.is_empty() || rest_of_line.starts_with('#')) {
            closed.push_str(&lines.text[start..end]);
            closed.push_str(if unclosed_part.contains("]]") {
                "]]"
            } else {
                "]"
            });
            start = end;
        }
    }
    closed.push_str(&lines.text[start..]);
    (start > 0).then_some(closed)
}

/// Adds advice to syntax errors, and limits their number.
fn with_advice(lines: &Lines<'_>, mut errors: Vec<SyntaxError>) -> Vec<SyntaxError> {
    let unshown_count = errors.len().saturating_sub(MAX_ERRORS);
    errors.truncate(MAX_ERRORS);
    let mut advised_lines = HashSet::new();
    for error in &mut errors {
        let line = error.line();
        if error.message == "duplicate key" {
            let key = key_at(&lines.text[lines.offset(&error.place)..]);
            error.message = format!("{key} is in this table already: remove one of the two");
            continue;
        }
        // One mistake may cause several errors on a line, so only the first one has the advice.
        if !advised_lines.contains(&line)
            && let Some(advice) = advice(lines.line(line))
        {
            error.message.push_str(": ");
            error.message.push_str(&advice);
            advised_lines.insert(line);
        }
    }
    if unshown_count > 0
        && let Some(last) = errors.last_mut()
    {
        last.message
            .push_str(&format!(" (and {unshown_count} more syntax errors)"));
    }
    errors
}

/// Returns the key at the start of `text`, with its quotes if it has any.
fn key_at(text: &str) -> &str {
    let end = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text[1..].find(quote).map(|end| end + 2),
        _ => text.find(|c: char| !c.is_alphanumeric() && !"_-".contains(c)),
    };
    &text[..end.unwrap_or(text.len())]
}

/// Returns what to write instead of a line with a common mistake. Does not show the value, which
/// may be a secret.
fn advice(line: &str) -> Option<String> {
    let line = line.trim();
    let is_key = |key: &str| {
        let is_key_char = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        !key.is_empty() && key.chars().all(is_key_char)
    };
    if let Some(inside) = line.strip_prefix('[') {
        let (table, name) = inside.trim_end_matches(']').split_once('.')?;
        let is_module = name.contains("::") && is_key(&name.replace(':', ""));
        return is_module.then(|| format!("write [{table}.\"{name}\"]"));
    }
    let Some((key, value)) = line.split_once('=') else {
        let (key, _) = line.split_once(':')?;
        return is_key(key.trim()).then(|| format!("write {} = \"…\"", key.trim()));
    };
    let (key, value) = (key.trim(), value.trim());
    if !is_key(key) {
        return None;
    }
    match value.chars().next()? {
        'T' if value == "True" => Some(format!("write {key} = true")),
        'F' if value == "False" => Some(format!("write {key} = false")),
        '“' | '”' | '„' | '‘' | '’' => Some(format!("write plain quotes: {key} = \"…\"")),
        first if first.is_alphanumeric() || "$/".contains(first) => {
            Some(format!("a text needs quotes: {key} = \"…\""))
        }
        _ => None,
    }
}

/// The lines of a text, with which an offset in bytes becomes a place.
struct Lines<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    /// The offset of the first byte of each line, in bytes.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(file: &'a Arc<str>, text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            file,
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    /// Returns the number of the line that contains this offset. Lines are counted from 1.
    fn line_number(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        self.starts.partition_point(|start| *start <= offset)
    }

    /// Returns the line with this number, with its line break.
    fn line(&self, number: usize) -> &'a str {
        let start = self.starts.get(number - 1).copied();
        let end = self.starts.get(number).copied();
        let end = end.unwrap_or(self.text.len());
        start.map_or("", |start| &self.text[start..end])
    }

    /// Returns whether a line begins like the header of a table.
    fn is_header(&self, number: usize) -> bool {
        self.line(number).trim_start().starts_with('[')
    }

    /// Returns the offset of a place in this text, in bytes.
    fn offset(&self, place: &Place) -> usize {
        let start = self.starts.get(place.line - 1).copied().unwrap_or_default();
        let mut characters = self.text[start..].char_indices();
        let character = characters.nth(place.column - 1);
        character.map_or(self.text.len(), |(offset, _)| start + offset)
    }

    fn place(&self, offset: usize) -> Place {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_number(offset);
        let start = self.starts[line - 1];
        Place {
            file: Arc::clone(self.file),
            line,
            column: self.text[start..offset].chars().count() + 1,
            profile: None,
        }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let entries = table.iter().map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            place: self.place(key.span().start),
            node: self.node(value),
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by_key(|entry| (entry.place.line, entry.place.column));
        Table(entries)
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let file_value = match value.get_ref() {
            DeValue::String(text) => FileValue::Text(text.to_string()),
            // A number that is out of range becomes a text, which a key for numbers refuses.
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| FileValue::Text(number.to_string()), FileValue::Integer),
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => FileValue::Float(number),
                Err(_) => FileValue::Text(number.to_string()),
            },
            DeValue::Boolean(is_on) => FileValue::Bool(*is_on),
            DeValue::Datetime(_) => FileValue::Date,
            DeValue::Array(values) => {
                FileValue::List(values.iter().map(|value| self.node(value)).collect())
            }
            DeValue::Table(table) => FileValue::Table(self.table(table)),
        };
        Node {
            place: self.place(value.span().start),
            value: file_value,
            is_hidden: false,
            is_interpolated: false,
        }
    }
}
