//! The choice of the log files that are written in addition to the output: `LOG_FILE`,
//! `LOG_ERROR_FILE` and how they roll.

use std::path::{Path, PathBuf};

use spanwise_appender::{Compression, Retention, Rotation};
use spanwise_core::ParseError;
use tracing::level_filters::LevelFilter;

use crate::{
    choices::{Choices, Chosen, describe},
    conceal,
    explain::Origin,
    file_paths,
    setting_row::SettingRow,
    settings::{
        LOG_ERROR_FILE, LOG_FILE, LOG_FILE_COMPRESS, LOG_FILE_KEEP, LOG_FILE_LEVEL,
        LOG_FILE_PER_PROCESS, LOG_FILE_ROTATE,
    },
    sink_settings::FileSettings,
};

/// The paths of the files and their rolling options.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileOptions {
    pub(crate) file: Option<PathBuf>,
    pub(crate) error_file: Option<PathBuf>,
    /// The level of `file`. The level of `error_file` is always ERROR.
    pub(crate) level: Option<LevelFilter>,
    rotation: Option<Rotation>,
    retention: Option<Retention>,
    compression: Option<Compression>,
    per_process: Option<bool>,
}

#[cfg(feature = "config")]
impl FileOptions {
    /// Creates the rolling options of the file of a sink in a configuration file.
    pub(crate) fn for_sink(
        rotation: Option<Rotation>,
        retention: Option<Retention>,
        compression: Option<Compression>,
        per_process: Option<bool>,
    ) -> Self {
        Self {
            rotation,
            retention,
            compression,
            per_process,
            ..Self::default()
        }
    }

    /// Returns these rolling options. An option that is not set takes the value from `defaults`.
    pub(crate) fn or(&self, defaults: &Self) -> Self {
        Self::for_sink(
            self.rotation.clone().or_else(|| defaults.rotation.clone()),
            self.retention
                .clone()
                .or_else(|| defaults.retention.clone()),
            self.compression.or(defaults.compression),
            self.per_process.or(defaults.per_process),
        )
    }
}

impl FileOptions {
    pub(crate) fn choose(choices: &mut Choices<'_>) -> Self {
        let file = choices.choose(&LOG_FILE);
        let error_file = choices.choose(&LOG_ERROR_FILE);
        // An invalid path counts as set, so that the other settings of the file are not reported as
        // settings without a file.
        let has_file = choices.is_set(&LOG_FILE);
        let has_any = has_file || choices.is_set(&LOG_ERROR_FILE);
        let mut files = Self::default();
        choices.listing_if(has_any, |choices| {
            files.level = choose_for_file(choices, &LOG_FILE_LEVEL, has_file);
            files.rotation = choose_for_file(choices, &LOG_FILE_ROTATE, has_any);
            files.retention = choose_for_file(choices, &LOG_FILE_KEEP, has_any);
            files.compression = choose_for_file(choices, &LOG_FILE_COMPRESS, has_any);
            // Without a file, `LOG_FILE_PER_PROCESS=0` is not an error.
            let per_process = choices.explicit_value(&LOG_FILE_PER_PROCESS);
            let is_on = per_process.is_some_and(|per_process| per_process.value);
            files.per_process = choose_for_file(choices, &LOG_FILE_PER_PROCESS, has_any || !is_on);
        });
        for path in [&file, &error_file] {
            if let Some(Chosen {
                value: path,
                origin,
            }) = path
                && let Some(name) = origin.source_name()
                && let Some(problem) = files.path_problem(name, path)
            {
                choices.add_invalid_value(problem);
            }
        }
        files.file = file.map(|file| file.value);
        files.error_file = error_file.map(|file| file.value);
        if files.are_same() {
            let (file, error_file) = (&LOG_FILE.def, &LOG_ERROR_FILE.def);
            let (file, error_file) = (choices.shown_name(file), choices.shown_name(error_file));
            choices.add_problem(format!(
                "{file} and {error_file} are the same file: give each its own"
            ));
        }
        files
    }

    /// Returns the problem of a path from a variable or a configuration file, if the problem can be
    /// found before the file is opened.
    pub(crate) fn path_problem(&self, name: &str, path: &Path) -> Option<String> {
        let text = path.to_string_lossy();
        let shown = format!("{name}={}", conceal::shown(&text));
        if file_paths::is_to_be_expanded(&text) {
            return Some(format!("{shown}{}", file_paths::NOT_EXPANDED));
        }
        let error = self.check(path).err()?;
        Some(match conceal::may_show_path(&text) {
            true => format!("{name}: {error}"),
            false => describe(&shown, &text, &ParseError::new(error)),
        })
    }

    /// Returns the settings of the file at `path`.
    pub(crate) fn into_settings(self, path: PathBuf, mode: Option<u32>) -> FileSettings {
        FileSettings {
            path,
            rotation: self.rotation,
            retention: self.retention,
            compression: self.compression,
            mode,
            per_process: self.per_process.unwrap_or(false),
        }
    }

    /// Checks whether a file can be opened at `path`. Does not open it.
    fn check(&self, path: &Path) -> Result<(), String> {
        self.clone().into_settings(path.to_owned(), None).check()
    }

    /// Returns whether `file` and `error_file` are the same file.
    fn are_same(&self) -> bool {
        match (&self.file, &self.error_file) {
            (Some(file), Some(error_file)) => file_paths::are_same(file, error_file),
            _ => false,
        }
    }
}

/// Chooses a setting of a file. Setting it without a file is an error.
fn choose_for_file<T: Clone + 'static>(
    choices: &mut Choices<'_>,
    row: &SettingRow<T>,
    has_file: bool,
) -> Option<T> {
    let chosen = choices.choose(row)?;
    // If the setting is a key of a configuration file, the reader of the configuration file reports
    // that the sink has no path.
    if chosen.is_set() && !has_file && !matches!(chosen.origin, Origin::File(_)) {
        let (name, file) = (choices.name_of(&row.def), choices.name_of(&LOG_FILE.def));
        choices.add_problem(format!(
            "{name} is set, and there is no file for it: set {file} too, or remove {name}"
        ));
    }
    Some(chosen.value)
}
