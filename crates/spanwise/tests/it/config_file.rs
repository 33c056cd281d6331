//! The configuration file, and its order beside code, variables and presets.

mod commands;
mod environment;
mod errors;
mod ignored_values;
#[cfg(feature = "pseudonyms")]
mod key_files;
mod merging;
mod misplaced_keys;
mod mutations;
mod origins;
mod pages;

use std::{fs, path::PathBuf};

use crate::config_text;
use spanwise::{__private::from_file_text_and_vars, Builder, InitError};

/// Returns `explain()` of a file with these variables.
#[track_caller]
pub(super) fn explain(file: &str, vars: &[(&str, &str)]) -> String {
    let builder = from_file_text_and_vars(file, vars).unwrap();
    builder.explain().to_string()
}

/// Returns all problems of a file with these variables.
#[track_caller]
pub(super) fn problems(file: &str, vars: &[(&str, &str)]) -> Vec<String> {
    match from_file_text_and_vars(file, vars) {
        Err(InitError::Settings(problems)) => problems,
        Ok(builder) => wrong(&builder),
        other => panic!("{other:?}"),
    }
}

/// Returns the start-up errors that `explain()` shows.
pub(super) fn wrong(builder: &Builder) -> Vec<String> {
    let text = builder.explain().to_string();
    let lines = text.lines();
    let wrong = lines.filter_map(|line| line.strip_prefix("wrong: "));
    wrong.map(str::to_owned).collect()
}

#[track_caller]
pub(super) fn assert_line(text: &str, line: &str) {
    assert!(
        text.lines().any(|other| other == line),
        "{line:?} in:\n{text}"
    );
}

/// A directory with files.
pub(super) struct Files(tempfile::TempDir);

impl Files {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(directory)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the problems of the files that `LOG_CONFIG` names, without the directory.
    pub(super) fn problems(&self, names: &str) -> Vec<String> {
        let problems = match self.builder(names, &[]) {
            Err(InitError::Settings(problems)) => problems,
            Ok(builder) => wrong(&builder),
            other => panic!("{other:?}"),
        };
        problems
            .into_iter()
            .map(|it| self.without_directory(&it))
            .collect()
    }

    /// Returns `explain()` of the files that `LOG_CONFIG` names, without the directory.
    pub(super) fn explain(&self, names: &str, vars: &[(&str, &str)]) -> String {
        let builder = self.builder(names, vars).unwrap();
        self.without_directory(&builder.explain().to_string())
    }

    pub(super) fn builder(&self, names: &str, vars: &[(&str, &str)]) -> Result<Builder, InitError> {
        let paths = names
            .split(',')
            .map(|name| self.path(name).display().to_string());
        let paths = paths.collect::<Vec<_>>().join(",");
        let vars = vars
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Builder::from_vars(vars.chain([("LOG_CONFIG", paths)]))
    }

    pub(super) fn without_directory(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}
