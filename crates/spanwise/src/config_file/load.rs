//! Reads configuration files and the files that they include.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    MAX_FILE_LEN, MAX_INCLUDE_DEPTH,
    syntax::{self, FileValue, Node, Place, Table},
};
use crate::conceal;

/// A file that was read.
pub(super) struct Document {
    pub(super) file: Arc<str>,
    pub(super) table: Table,
}

/// Reads files, and collects the problems.
#[derive(Default)]
pub(super) struct Loader {
    /// The files in the order in which they are merged: each overrides the earlier ones.
    pub(super) documents: Vec<Document>,
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// The lines with a syntax error. Values from these lines have no further problems.
    pub(super) broken_lines: HashMap<Arc<str>, HashSet<usize>>,
    /// A hash of the names and texts of the files.
    texts: DefaultHasher,
    /// The canonical paths of the current file and of the files that include it, the outermost
    /// first.
    including: Vec<PathBuf>,
}

impl Loader {
    /// Reads a file. `shown` is the source of its path, such as `LOG_CONFIG`, and begins the error
    /// if the file cannot be read.
    pub(super) fn file(&mut self, path: &Path, shown: &str) {
        if let Err(problem) = self.try_file(path) {
            let path = shown_path(path);
            self.problems.push(format!("{shown}: {path} {problem}"));
        }
    }

    /// Reads a text that code has set in place of a file. It counts as a file in the depth of
    /// includes.
    pub(super) fn text_of_code(&mut self, name: &str, text: &str) {
        self.including.push(PathBuf::new());
        self.text(name, text);
        self.including.pop();
    }

    /// Reads a file. Returns why the file cannot be read. All other problems are collected.
    fn try_file(&mut self, path: &Path) -> Result<(), String> {
        let cannot = |error: io::Error| format!("cannot be read: {error}");
        let canonical = fs::canonicalize(path).map_err(cannot)?;
        let text = read(path)?;
        self.including.push(canonical);
        self.text(&path.to_string_lossy(), &text);
        self.including.pop();
        Ok(())
    }

    /// Returns a hash of the names and texts of all files, and of the problems found so far, such
    /// as the reasons why files cannot be read.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = self.texts.clone();
        self.problems.hash(&mut hasher);
        hasher.finish()
    }

    /// Parses the text of a file, and reads the files that it includes.
    fn text(&mut self, file: &str, text: &str) {
        (file, text).hash(&mut self.texts);
        let file: Arc<str> = file.into();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let parsed = syntax::parse(&file, text);
        for error in parsed.errors {
            self.problems
                .push(format!("{}: {}", error.place, error.message));
        }
        self.broken_lines
            .entry(Arc::clone(&file))
            .or_default()
            .extend(parsed.broken_lines);
        let table = parsed.table;
        let include = table.get("include").cloned();
        self.documents.push(Document { file, table });
        // The check of the keys reports a value that is not a list.
        if let Some(FileValue::List(patterns)) = include.map(|node| node.value) {
            for pattern in patterns {
                self.include(&pattern);
            }
        }
    }

    /// Reads the files that an element of the list `include` matches.
    fn include(&mut self, pattern: &Node) {
        let FileValue::Text(text) = &pattern.value else {
            return;
        };
        let place = &pattern.place;
        if self.including.len() > MAX_INCLUDE_DEPTH {
            self.problem(place, text, "is too deep: nest at most 3 includes");
            return;
        }
        let directory = Path::new(&*place.file).parent().unwrap_or(Path::new(""));
        let path = directory.join(text);
        let paths = match matching(&path) {
            Ok(paths) => paths,
            Err(problem) => return self.problem(place, text, &problem),
        };
        if paths.is_empty() {
            let shown = conceal::shown(text);
            self.warnings.push(format!(
                "{place}: include {shown} matches no file: add one, or remove it"
            ));
        }
        for path in paths {
            let is_cycle = fs::canonicalize(&path).is_ok_and(|path| self.including.contains(&path));
            let result = match is_cycle {
                true => Err("includes a file that includes it: remove one of the two".to_owned()),
                false => self.try_file(&path),
            };
            if let Err(problem) = result {
                let path = path.strip_prefix(directory).unwrap_or(&path);
                let path = path.to_string_lossy();
                let shown = if text.contains('*') { &path } else { &**text };
                self.problem(place, shown, &problem);
            }
        }
    }

    fn problem(&mut self, place: &Place, path: &str, problem: &str) {
        let path = conceal::shown(path);
        self.problems
            .push(format!("{place}: include {path} {problem}"));
    }
}

/// Returns a path in quotes, or its length if it may be a secret instead.
fn shown_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    match conceal::is_path(&text) {
        true => format!("{text:?}"),
        false => conceal::shown(&text),
    }
}

/// Returns the sorted paths that a pattern matches. Only the name of the file, and no directory,
/// may have `*` and `?`.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let is_pattern = |text: &str| text.contains(['*', '?']);
    let name = pattern
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let directory = pattern.parent().unwrap_or(Path::new(""));
    if is_pattern(&directory.to_string_lossy()) {
        return Err("has `*` in a directory: only the name of a file may have it".to_owned());
    }
    if !is_pattern(&name) {
        return Ok(vec![pattern.to_owned()]);
    }
    let listed = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let entries = match fs::read_dir(listed) {
        Ok(entries) => entries,
        // A missing directory has no files to include.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pattern: Vec<char> = name.chars().collect();
    // As in a shell, a pattern does not match hidden files.
    let is_match = |name: &String| {
        let letters: Vec<char> = name.chars().collect();
        !name.starts_with('.') && matches(&pattern, &letters)
    };
    let mut names: Vec<String> = names.filter(is_match).collect();
    names.sort();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// Returns whether a pattern with `*` and `?` matches a whole name.
fn matches(pattern: &[char], name: &[char]) -> bool {
    // A star first matches nothing. After each mismatch, the last star matches one more character.
    // Earlier stars need not be tried again.
    let (mut pattern_at, mut name_at) = (0, 0);
    // The last star, and the end of its match in the name.
    let mut star = None;
    while name_at < name.len() {
        match pattern.get(pattern_at) {
            Some('*') => {
                star = Some((pattern_at, name_at));
                pattern_at += 1;
            }
            Some(c) if *c == '?' || *c == name[name_at] => {
                pattern_at += 1;
                name_at += 1;
            }
            _ => match star {
                Some((star_at, match_end)) => {
                    star = Some((star_at, match_end + 1));
                    pattern_at = star_at + 1;
                    name_at = match_end + 1;
                }
                None => return false,
            },
        }
    }
    pattern[pattern_at..].iter().all(|c| *c == '*')
}

fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(MAX_FILE_LEN + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err("has more than 1 MiB: write less".to_owned());
    }
    let line = |at: usize| bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    match std::str::from_utf8(&bytes) {
        Err(error) => {
            let line = line(error.valid_up_to());
            Err(format!("is not UTF-8 in line {line}: save it as UTF-8"))
        }
        Ok(text) => match text.find('\0') {
            Some(at) => Err(format!("has a NUL byte in line {}: remove it", line(at))),
            None => String::from_utf8(bytes).map_err(|error| error.to_string()),
        },
    }
}
