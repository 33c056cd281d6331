//! Reads configuration files and the files that they include.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    MAX_FILE_LEN, MAX_INCLUDE_DEPTH,
    interpolation::Interpolation,
    syntax::{self, FileValue, Node, Place, Table},
};
use crate::conceal;

/// A file that was read.
pub(super) struct Document {
    pub(super) file: Arc<str>,
    pub(super) table: Table,
}

/// Reads files, and collects the problems.
pub(super) struct Loader<'a> {
    /// The variables of the environment, to which paths in `include` may refer.
    vars: &'a HashMap<String, OsString>,
    /// The files in the order in which they are merged. Each file overrides the earlier ones.
    pub(super) documents: Vec<Document>,
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// The lines with syntax errors, for which no further problems are reported: see
    /// [`syntax::Parsed::broken_lines`].
    pub(super) broken_lines: HashMap<Arc<str>, HashSet<usize>>,
    /// The hasher of the names and texts of the files.
    hasher: DefaultHasher,
    /// The canonical paths of the current file and of the files that include it, the outermost
    /// first.
    include_stack: Vec<PathBuf>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(vars: &'a HashMap<String, OsString>) -> Self {
        Self {
            vars,
            documents: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            broken_lines: HashMap::new(),
            hasher: DefaultHasher::new(),
            include_stack: Vec::new(),
        }
    }

    /// Reads a file. `path_source` is where its path comes from, such as `LOG_CONFIG`. The error
    /// begins with it if the file cannot be read.
    pub(super) fn load_file(&mut self, path: &Path, path_source: &str) {
        if let Err(problem) = self.try_load_file(path) {
            let shown = shown_path(path);
            self.problems
                .push(format!("{path_source}: {shown} {problem}"));
        }
    }

    /// Reads a text that code has set in place of a file. For the depth of includes, the text
    /// counts as a file.
    pub(super) fn load_code_text(&mut self, name: &str, text: &str) {
        self.include_stack.push(PathBuf::new());
        self.load_text(name, text);
        self.include_stack.pop();
    }

    /// Reads a file. Returns an error only if the file cannot be read. All other problems are
    /// collected.
    fn try_load_file(&mut self, path: &Path) -> Result<(), String> {
        let cannot = |error: io::Error| format!("cannot be read: {error}");
        let canonical = fs::canonicalize(path).map_err(cannot)?;
        let text = read(path)?;
        self.include_stack.push(canonical);
        self.load_text(&path.to_string_lossy(), &text);
        self.include_stack.pop();
        Ok(())
    }

    /// Returns a hash of the names and texts of all files, and of the problems found so far, such
    /// as the reasons why files cannot be read.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = self.hasher.clone();
        self.problems.hash(&mut hasher);
        hasher.finish()
    }

    /// Parses the text of a file, and reads the files that it includes.
    fn load_text(&mut self, file: &str, text: &str) {
        (file, text).hash(&mut self.hasher);
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
        if let Some(include) = include {
            self.load_includes(include);
        }
    }

    /// Reads the files that the key `include` names.
    fn load_includes(&mut self, mut include: Node) {
        let mut interpolation = Interpolation::new(self.vars);
        interpolation.replace_in_node(&mut include);
        self.problems.append(&mut interpolation.problems);
        match &include.value {
            FileValue::List(patterns) => {
                for pattern in patterns {
                    self.load_matching_files(pattern);
                }
            }
            FileValue::Text(_) if include.is_hidden => self.load_matching_files(&include),
            FileValue::Text(paths) if include.is_interpolated => {
                for path in paths.split(',') {
                    self.load_matching_files(&Node {
                        value: FileValue::Text(path.trim().to_owned()),
                        place: include.place.clone(),
                        ..include
                    });
                }
            }
            // The check of the keys reports values of other kinds.
            _ => {}
        }
    }

    /// Reads the files that an element of the list `include` matches.
    fn load_matching_files(&mut self, pattern: &Node) {
        let FileValue::Text(text) = &pattern.value else {
            return;
        };
        let place = &pattern.place;
        if pattern.is_interpolated && text.is_empty() {
            return;
        }
        if pattern.is_hidden {
            let problem = "${file:…} is not a path of an include: write the path".to_owned();
            self.problems.push(format!("{place}: {problem}"));
            return;
        }
        if self.include_stack.len() > MAX_INCLUDE_DEPTH {
            self.add_include_problem(place, text, "is too deep: nest at most 3 includes");
            return;
        }
        let directory = Path::new(&*place.file).parent().unwrap_or(Path::new(""));
        let paths = match matching_paths(directory, text) {
            Ok(paths) => paths,
            Err(problem) => return self.add_include_problem(place, text, &problem),
        };
        if paths.is_empty() {
            let shown = conceal::shown(text);
            self.warnings.push(format!(
                "{place}: include {shown} matches no file: add one, or remove it"
            ));
        }
        for path in paths {
            let is_include_cycle =
                fs::canonicalize(&path).is_ok_and(|path| self.include_stack.contains(&path));
            let result = match is_include_cycle {
                true => Err("includes a file that includes it: remove one of the two".to_owned()),
                false => self.try_load_file(&path),
            };
            if let Err(problem) = result {
                let path = path.strip_prefix(directory).unwrap_or(&path);
                let path = path.to_string_lossy();
                let shown = if is_pattern(text) { &path } else { &**text };
                self.add_include_problem(place, shown, &problem);
            }
        }
    }

    fn add_include_problem(&mut self, place: &Place, path: &str, problem: &str) {
        let path = conceal::shown(path);
        self.problems
            .push(format!("{place}: include {path} {problem}"));
    }
}

/// Returns a path in quotes. If the text may be a secret instead of a path, it returns its length.
fn shown_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    match conceal::may_show_path(&text) {
        true => format!("{text:?}"),
        false => conceal::shown(&text),
    }
}

/// Returns whether a path is a pattern for several files.
fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?'])
}

/// Returns the sorted paths that match a pattern, which is relative to `base`. The name of the file
/// may have `*` and `?`, but no directory may.
fn matching_paths(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = base.join(pattern);
    if !is_pattern(pattern) {
        return Ok(vec![path]);
    }
    let parent = Path::new(pattern).parent();
    if parent.is_some_and(|parent| is_pattern(&parent.to_string_lossy())) {
        return Err(
            "has `*` or `?` in a directory: only the name of a file may have it".to_owned(),
        );
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let directory = path.parent().unwrap_or(Path::new(""));
    let listed_directory = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let entries = match fs::read_dir(listed_directory) {
        Ok(entries) => entries,
        // A missing directory has no files to include.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pattern: Vec<char> = name.chars().collect();
    // As in a shell, a pattern does not match hidden files.
    let is_match = |name: &String| {
        let characters: Vec<char> = name.chars().collect();
        !name.starts_with('.') && matches(&pattern, &characters)
    };
    let mut names: Vec<String> = names.filter(is_match).collect();
    names.sort();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// Returns whether a pattern with `*` and `?` matches a whole name.
fn matches(pattern: &[char], name: &[char]) -> bool {
    // A star first matches nothing. After each mismatch, the last star matches one more character.
    // Longer matches of earlier stars need not be tried.
    let (mut pattern_at, mut name_at) = (0, 0);
    // The index of the last star in the pattern, and the end of its match in the name.
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
    let line_at = |offset: usize| {
        bytes[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    };
    match std::str::from_utf8(&bytes) {
        Err(error) => {
            let line = line_at(error.valid_up_to());
            Err(format!("is not UTF-8 in line {line}: save it as UTF-8"))
        }
        Ok(text) => match text.find('\0') {
            Some(offset) => Err(format!(
                "has a NUL byte in line {}: remove it",
                line_at(offset)
            )),
            None => String::from_utf8(bytes).map_err(|error| error.to_string()),
        },
    }
}
