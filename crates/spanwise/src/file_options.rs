//! The log files besides the output.

use std::path::{Path, PathBuf};

use spanwise_appender::{
    Compression, OpenError, Retention, RollingFile, RollingFileBuilder, Rotation,
};
use spanwise_core::{ParseError, SelfReport};
use tracing::level_filters::LevelFilter;

use crate::{
    choices::{Choices, Chosen, describe},
    conceal,
    explain::Origin,
    file_paths,
    settings::{
        LOG_ERROR_FILE, LOG_FILE, LOG_FILE_COMPRESS, LOG_FILE_KEEP, LOG_FILE_LEVEL,
        LOG_FILE_PER_PROCESS, LOG_FILE_ROTATE, SettingRow, default_compression,
    },
};

/// The paths of the files and their rolling options.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileOptions {
    pub(crate) file: Option<PathBuf>,
    pub(crate) error_file: Option<PathBuf>,
    pub(crate) level: Option<LevelFilter>,
    rotation: Option<Rotation>,
    retention: Option<Retention>,
    compression: Option<Compression>,
    per_process: Option<bool>,
}

impl FileOptions {
    pub(crate) fn choose(choices: &mut Choices<'_>) -> Self {
        let file = choices.choose(&LOG_FILE);
        let error_file = choices.choose(&LOG_ERROR_FILE);
        // If only the path is invalid, the other settings of the file are not reported.
        let has_file = choices.is_set(&LOG_FILE);
        let has_any = has_file || choices.is_set(&LOG_ERROR_FILE);
        let mut files = Self::default();
        choices.listing_if(has_any, |choices| {
            files.level = choose_one(choices, &LOG_FILE_LEVEL, has_file);
            files.rotation = choose_one(choices, &LOG_FILE_ROTATE, has_any);
            files.retention = choose_one(choices, &LOG_FILE_KEEP, has_any);
            files.compression = choose_one(choices, &LOG_FILE_COMPRESS, has_any);
            let per_process = choices.set(&LOG_FILE_PER_PROCESS);
            let is_on = per_process.is_some_and(|per_process| per_process.value);
            files.per_process = choose_one(choices, &LOG_FILE_PER_PROCESS, has_any || !is_on);
        });
        for path in [&file, &error_file] {
            if let Some(Chosen {
                value: path,
                origin: Origin::Variable(name),
            }) = path
                && let Some(problem) = files.path_problem(name, path)
            {
                choices.wrong(problem);
            }
        }
        files.file = file.map(|file| file.value);
        files.error_file = error_file.map(|file| file.value);
        if files.are_same() {
            let (file, error_file) = (&LOG_FILE.def, &LOG_ERROR_FILE.def);
            let (file, error_file) = (choices.name_of(file), choices.name_of(error_file));
            choices.problem(format!(
                "{file} and {error_file} are the same file: give each its own"
            ));
        }
        files
    }

    /// Returns the problem of a path from a variable, if it can be found before the file is opened.
    fn path_problem(&self, name: &str, path: &Path) -> Option<String> {
        let text = path.to_string_lossy();
        let shown = format!("{name}={}", conceal::shown(&text));
        if file_paths::is_to_be_expanded(&text) {
            return Some(format!("{shown}{}", file_paths::NOT_EXPANDED));
        }
        let error = self.check(path).err()?;
        Some(match conceal::is_path(&text) {
            true => format!("{name}: {error}"),
            false => describe(&shown, &text, &ParseError::new(error)),
        })
    }

    /// Returns the builder of the file at `path`.
    fn builder(&self, path: impl Into<PathBuf>) -> RollingFileBuilder {
        let builder = RollingFile::builder(path)
            .rotation(self.rotation.clone().unwrap_or_default())
            .retention(self.retention.clone().unwrap_or_default())
            .compression(self.compression.unwrap_or_else(default_compression));
        match self.per_process {
            Some(true) => builder.per_process(),
            Some(false) | None => builder,
        }
    }

    /// Checks whether a file can be opened at `path`. Does not open it.
    pub(crate) fn check(&self, path: &Path) -> Result<(), String> {
        if let Some(directory) = file_paths::missing_directory(path) {
            return Err(format!(
                "cannot log to {path:?}: there is no directory {directory:?}; create it, or \
                 correct the path: only the last directory of a path is created"
            ));
        }
        let checked = self.builder(path).check();
        checked.map_err(|error| error.to_string())
    }

    /// Returns whether `file` and `error_file` are the same file.
    fn are_same(&self) -> bool {
        match (&self.file, &self.error_file) {
            (Some(file), Some(error_file)) => file_paths::are_same(file, error_file),
            _ => false,
        }
    }

    pub(crate) fn open(
        &self,
        path: &Path,
        report: &SelfReport,
        fallback: bool,
    ) -> Result<RollingFile, OpenError> {
        let builder = self.builder(path).report(report);
        if fallback {
            builder.fallback_to_stderr().build()
        } else {
            builder.build()
        }
    }
}

/// Chooses a setting that needs a file. Without a file, the setting is an error.
fn choose_one<T: Clone + 'static>(
    choices: &mut Choices<'_>,
    entry: &SettingRow<T>,
    has_file: bool,
) -> Option<T> {
    let chosen = choices.choose(entry)?;
    if chosen.is_set() && !has_file {
        let (name, file) = (choices.name_of(&entry.def), choices.name_of(&LOG_FILE.def));
        choices.problem(format!(
            "{name} is set, and there is no file for it: set {file} too, or remove {name}"
        ));
    }
    Some(chosen.value)
}
