//! The configuration file: `LOG_CONFIG=log.toml`.
//!
//! At the start and at each reload, each file is read once. All files are merged into one table,
//! and then the profile of the effective preset, which is the table `[profile.PRESET]`. The result
//! is a source of settings that the environment overrides. Keys that have no variable, such as
//! routes, become a `Routing`.
//!
//! The *path* of a key is, for example, `sink.main.level`. A *place* is the file, line and column
//! of a key or value. Problems begin with it. A *reference* is `${NAME}` or `${file:…}` in a text.
//! A text that is one whole reference is *interpolated*.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Preset, choices::Raw, conceal};

mod changes;
mod check;
mod choose_routing;
mod command;
mod interpolation;
mod json_schema;
mod key_row;
mod keys;
mod load;
mod merge;
mod named_formats;
mod read_filters;
mod read_routes;
mod read_sinks;
mod reader;
mod reload_key;
mod sink_checks;
mod sink_texts;
mod syntax;

pub use changes::{ConfigChange, ReloadError};
pub(crate) use changes::{KeyVersions, remove_invalid_lines};
use check::Check;
pub(crate) use choose_routing::choose_routing;
pub use command::{check, command};
pub use json_schema::json_schema;
use load::{Document, Loader};
pub(crate) use merge::Merged;
pub(crate) use named_formats::{NamedFormat, complete_lines, named_formats};
pub(crate) use read_sinks::Program;
pub(crate) use reload_key::Reload;
pub(crate) use sink_checks::reserved_settings;
use syntax::Table;

/// The maximum length of a file, in bytes.
const MAX_FILE_LEN: u64 = 1024 * 1024;

/// The maximum length of a file that a text refers to with `${file:…}`, in bytes.
const MAX_SECRET_LEN: u64 = 64 * 1024;

/// The maximum number of nested includes below a file, or below a text that code passes. A file at
/// this depth cannot include others.
const MAX_INCLUDE_DEPTH: usize = 3;

/// The maximum number of sinks, because the set of sinks of an event is a mask of this many bits.
const MAX_SINKS: usize = 64;

/// The name that errors show for a configuration text that code passes.
const TEXT_NAME: &str = "config";

/// A file that code passes, by its path or as its content.
#[derive(Clone)]
pub(crate) enum CodeFile {
    Path(PathBuf),
    Text(String),
}

/// The parsed files and their problems, before the profile of a preset is merged into them.
#[derive(Default)]
pub(crate) struct ConfigFiles {
    sources: FileSources,
    documents: Vec<Document>,
    /// A hash of the names and texts of all files, and of the problems of loading them. A reload
    /// compares it to find out whether the files have changed.
    pub(crate) fingerprint: u64,
    /// All files, merged into one table. Profiles are still in its table `profile`.
    base: Table,
    /// The problems that do not depend on the preset.
    problems: Vec<String>,
    /// Warnings about keys without an effect, such as a filter that no sink or route uses.
    warnings: Vec<String>,
}

/// The files to read, and the environment variables to which texts in the files may refer.
#[derive(Clone, Default)]
pub(crate) struct FileSources {
    /// The files that code names.
    pub(crate) code: Vec<CodeFile>,
    /// The variable that names files. Its files override the files that code names.
    pub(crate) variable: Option<Raw>,
    /// All variables of the environment.
    pub(crate) vars: HashMap<String, OsString>,
}

impl ConfigFiles {
    /// Reads all files.
    pub(crate) fn read(sources: FileSources) -> Self {
        let mut loader = Loader::new(&sources.vars);
        for file in &sources.code {
            match file {
                CodeFile::Path(path) => loader.load_file(path, "the configuration file"),
                CodeFile::Text(text) => loader.load_code_text(TEXT_NAME, text),
            }
        }
        // A value that is not UTF-8 is skipped, because the setting `LOG_CONFIG` reports it.
        if let Some(Raw { text, name, .. }) = &sources.variable
            && let Some(text) = text.to_str()
        {
            let paths = text.split(',').map(str::trim);
            for path in paths.filter(|path| !path.is_empty()) {
                loader.load_file(Path::new(path), name);
            }
        }
        let fingerprint = loader.fingerprint();
        let mut base = Table::default();
        for document in &loader.documents {
            merge::overlay(&mut base, document.table.clone());
        }
        merge::mark_profiles(&mut base);
        let mut check = Check::new(&base);
        for document in &loader.documents {
            check.check_document(&document.table);
        }
        let is_on_broken_line = |place: &syntax::Place| {
            let broken_lines = loader.broken_lines.get(&place.file);
            broken_lines.is_some_and(|lines| lines.contains(&place.line))
        };
        let key_problems = check.problems.into_iter();
        let key_problems = key_problems.filter(|(place, _)| !is_on_broken_line(place));
        let mut problems = loader.problems;
        problems.extend(key_problems.map(|(place, problem)| format!("{place}: {problem}")));
        let mut warnings = loader.warnings;
        warnings.extend(read_filters::warnings_of_unused(&base));
        Self {
            documents: loader.documents,
            base,
            problems,
            warnings,
            fingerprint,
            sources,
        }
    }

    /// Reads the files of the same sources again.
    pub(crate) fn read_again(&self) -> Self {
        Self::read(self.sources.clone())
    }

    /// Returns whether at least one file was read.
    pub(crate) fn exist(&self) -> bool {
        !self.documents.is_empty()
    }

    /// Returns whether code names a file.
    pub(crate) fn is_in_code(&self) -> bool {
        !self.sources.code.is_empty()
    }

    /// Returns the problems that do not depend on the preset.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Returns the warnings about keys without an effect.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns whether a preset has a profile.
    pub(crate) fn has_profile(&self, preset: Preset) -> bool {
        self.base.table("profile").get(preset.name()).is_some()
    }

    /// Merges all files. If the preset is known, also merges its profile.
    pub(crate) fn merged(&self, preset: Option<Preset>) -> Arc<Merged> {
        let mut used_variables = HashSet::new();
        // Collected from each file, because `base` lacks the values that another file overrides.
        for document in &self.documents {
            interpolation::add_variables(&document.table, &mut used_variables);
        }
        let merged = Merged::new(&self.base, preset, &self.sources.vars, used_variables);
        Arc::new(merged)
    }

    /// Returns the names of the files, in the order in which they were read.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        for document in &self.documents {
            if !names.contains(&document.file) {
                names.push(Arc::clone(&document.file));
            }
        }
        names
    }
}

/// The data about the files with which problems are sorted and secrets are hidden, before users see
/// the problems and `explain()`.
#[derive(Debug, Default)]
pub(crate) struct FileTexts {
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) concealed: Secrets,
    /// The problems of references such as `${NAME}` that could not be replaced.
    pub(crate) reference_problems: Vec<String>,
    /// The problems that do not depend on the preset, such as an unknown key or a wrong kind of
    /// value. [`finish`](Self::finish) removes all other problems at the same places.
    refused: Vec<String>,
}

/// The contents of the files in `${file:…}`, in each form in which an error may quote them, the
/// longest first. `Debug` does not show them.
#[derive(Default)]
pub(crate) struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({} secrets)", self.0.len())
    }
}

impl FileTexts {
    pub(crate) fn new(files: &ConfigFiles, merged: &Merged) -> Self {
        Self {
            names: files.names(),
            concealed: Secrets::new(&merged.concealed),
            reference_problems: merged.problems.clone(),
            refused: files.problems.clone(),
        }
    }

    /// Sorts problems by place, removes those at the place of a refused key or value, and hides
    /// secrets. Problems without a place come last, in their given order.
    pub(crate) fn finish(&self, problems: &mut Vec<String>) {
        let refused: Vec<_> = self.refused.iter().map(|it| self.place(it)).collect();
        problems.retain(|problem| {
            let place = self.place(problem);
            place.is_none() || !refused.contains(&place) || self.refused.contains(problem)
        });
        for problem in problems.iter_mut() {
            self.concealed.hide(problem);
        }
        problems.sort_by_key(|problem| self.place(problem).unwrap_or(NO_PLACE));
    }

    /// Returns the place with which a problem begins: the index of the file in `names`, the line,
    /// and the column.
    fn place(&self, problem: &str) -> Option<(usize, usize, usize)> {
        self.names.iter().enumerate().find_map(|(index, name)| {
            let position = problem.strip_prefix(&**name)?.strip_prefix(':')?;
            let mut parts = position.splitn(3, ':');
            let mut number = || parts.next()?.parse().ok();
            Some((index, number()?, number()?))
        })
    }
}

/// The sort key of a problem without a place, which comes after all others.
const NO_PLACE: (usize, usize, usize) = (usize::MAX, 0, 0);

impl Secrets {
    /// Creates the list from the contents of files. It also has each element of a comma-separated
    /// content and all escaped forms, because errors may quote an element alone or escape a text.
    fn new(contents: &[String]) -> Self {
        let parts = contents.iter().flat_map(|content| {
            let all = std::iter::once(&**content);
            all.chain(content.split(',')).map(str::trim)
        });
        let forms = parts.flat_map(|part| {
            let quoted = format!("{part:?}");
            let escaped = quoted[1..quoted.len() - 1].to_owned();
            [part.to_owned(), escaped]
        });
        let mut forms: Vec<String> = forms.filter(|it| it.len() >= MIN_SECRET_LEN).collect();
        forms.sort_by(|form, other| other.len().cmp(&form.len()).then_with(|| form.cmp(other)));
        forms.dedup();
        Self(forms)
    }

    /// Replaces each secret in a text by its length.
    pub(crate) fn hide(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret) {
                *text = text.replace(secret, &conceal::hidden(secret.len()));
            }
        }
    }
}

/// The minimum length of a hidden text, in bytes. A shorter secret is not hidden, because the same
/// letters may be part of any word.
const MIN_SECRET_LEN: usize = 4;
