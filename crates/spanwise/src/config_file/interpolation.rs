//! Replaces `${NAME}`, `${NAME:-default}`, `${file:/path}` and `$$` in the texts of a file.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::File,
    io::Read as _,
    path::Path,
};

use super::{
    MAX_SECRET_LEN,
    syntax::{FileValue, Node, Place, Table},
};
use crate::conceal;

/// Returns whether a text is one whole reference. Only such a text is accepted where a key needs a
/// value of another kind, such as a number.
pub(super) fn is_single_reference(text: &str) -> bool {
    let inside = text
        .strip_prefix("${")
        .and_then(|text| text.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains('}'))
}

/// Adds the names of the variables to which the texts of a table refer.
pub(super) fn add_variables(table: &Table, names: &mut HashSet<String>) {
    table
        .0
        .iter()
        .for_each(|entry| add_node_variables(&entry.node, names));
}

fn add_node_variables(node: &Node, names: &mut HashSet<String>) {
    match &node.value {
        FileValue::Text(text) => {
            let inside = text.split("${").skip(1);
            let name = |inside: &str| {
                let end = inside.find(|c: char| !is_name_char(c));
                inside[..end.unwrap_or(inside.len())].to_owned()
            };
            names.extend(inside.map(name));
        }
        FileValue::List(nodes) => nodes
            .iter()
            .for_each(|node| add_node_variables(node, names)),
        FileValue::Table(table) => add_variables(table, names),
        _ => {}
    }
}

/// Returns whether the name of a variable may have this character.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Replaces the references in texts, and collects the problems.
pub(super) struct Interpolation<'a> {
    pub(super) vars: &'a HashMap<String, OsString>,
    pub(super) problems: Vec<String>,
    /// The contents of the files in `${file:…}`, which are never shown.
    pub(super) concealed: Vec<String>,
}

impl<'a> Interpolation<'a> {
    pub(super) fn new(vars: &'a HashMap<String, OsString>) -> Self {
        Self {
            vars,
            problems: Vec::new(),
            concealed: Vec::new(),
        }
    }

    pub(super) fn replace_in_table(&mut self, table: &mut Table) {
        for entry in &mut table.0 {
            self.replace_in_node(&mut entry.node);
        }
    }

    pub(super) fn replace_in_node(&mut self, node: &mut Node) {
        match &mut node.value {
            // The value of a reference may itself contain `$`, and is not interpolated again.
            FileValue::Text(text) if text.contains('$') && !node.is_interpolated => {
                let is_interpolated = is_single_reference(text);
                match self.replaced(text, &node.place) {
                    Ok(replaced) => {
                        *text = replaced.text;
                        node.is_hidden = replaced.is_hidden;
                        node.is_interpolated = is_interpolated;
                    }
                    Err(problem) => {
                        self.problems.push(format!("{}: {problem}", node.place));
                        // An empty text counts as unset, so the value has no second problem.
                        text.clear();
                        node.is_interpolated = true;
                    }
                }
            }
            FileValue::List(nodes) => nodes.iter_mut().for_each(|node| self.replace_in_node(node)),
            FileValue::Table(table) => self.replace_in_table(table),
            _ => {}
        }
    }

    /// Returns a text with its references replaced.
    fn replaced(&mut self, text: &str, place: &Place) -> Result<Replaced, String> {
        let mut out = Replaced::default();
        let mut unread = text;
        while let Some(dollar_at) = unread.find('$') {
            out.text.push_str(&unread[..dollar_at]);
            let after_dollar = &unread[dollar_at + 1..];
            if let Some(after_both) = after_dollar.strip_prefix('$') {
                out.text.push('$');
                unread = after_both;
                continue;
            }
            let Some(after_brace) = after_dollar.strip_prefix('{') else {
                out.text.push('$');
                unread = after_dollar;
                continue;
            };
            let Some((inside, after_reference)) = after_brace.split_once('}') else {
                return Err("`${` has no `}`: write `${NAME}`, or `$$` for a dollar sign".into());
            };
            if let Some(path) = inside.strip_prefix("file:") {
                let secret = read_secret(path, place)?;
                out.text.push_str(&secret);
                out.is_hidden = true;
                self.concealed.push(secret);
            } else {
                out.text.push_str(&self.variable(inside)?);
            }
            unread = after_reference;
        }
        out.text.push_str(unread);
        Ok(out)
    }

    /// Returns the value for a reference to a variable. `inside` is the text between its braces.
    fn variable(&self, inside: &str) -> Result<String, String> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if name.is_empty() || !name.chars().all(is_name_char) {
            let shown = conceal::shown_unquoted(inside);
            return Err(format!(
                "${{{shown}}} is not a reference: write `${{NAME}}`, `${{NAME:-default}}`, \
                 `${{file:/path}}`, or `$$` for a dollar sign"
            ));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return Err(format!(
                "${{{name}:-…}} has a reference in its default: write a text without one"
            ));
        }
        // As everywhere, an empty variable counts as unset.
        match (
            self.vars.get(name).filter(|value| !value.is_empty()),
            default,
        ) {
            (Some(value), _) => match value.to_str() {
                Some(value) => Ok(value.to_owned()),
                None => Err(format!("${{{name}}} is not UTF-8")),
            },
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(format!(
                "${{{name}}} is not set, and has no default: set it, or write `${{{name}:-default}}`"
            )),
        }
    }
}

/// A text whose references are replaced.
#[derive(Default)]
struct Replaced {
    text: String,
    /// Whether the text contains the content of a file, which is never shown.
    is_hidden: bool,
}

/// Reads the file of a reference `${file:…}`. A relative path begins at the directory of the
/// configuration file.
fn read_secret(path: &str, place: &Place) -> Result<String, String> {
    let directory = Path::new(&*place.file).parent();
    let full_path = directory.map_or_else(|| path.into(), |directory| directory.join(path));
    let failed = |problem: String| format!("${{file:{path}}} cannot be read: {problem}");
    let mut bytes = Vec::new();
    let opened = File::open(&full_path).map_err(|error| failed(error.to_string()))?;
    let read = opened.take(MAX_SECRET_LEN + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > MAX_SECRET_LEN {
        return Err(failed("it has more than 64 KiB".to_owned()));
    }
    let Ok(mut text) = String::from_utf8(bytes) else {
        return Err(failed("it is not UTF-8".to_owned()));
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    // Like an empty variable, an empty file counts as unset. A file has no default, so this fails.
    if text.trim().is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    Ok(text)
}
