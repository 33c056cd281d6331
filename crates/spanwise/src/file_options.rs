//! The files that lines go to besides the output.

use std::path::{Path, PathBuf};

use spanwise_appender::{
    Compression, OpenError, Retention, RollingFile, RollingFileBuilder, Rotation,
};
use spanwise_core::SelfReport;
use tracing::level_filters::LevelFilter;

use crate::file_paths;

/// What was said about files, in code or in the environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileOptions {
    pub(crate) file: Option<PathBuf>,
    pub(crate) error_file: Option<PathBuf>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) retention: Option<Retention>,
    pub(crate) compression: Option<Compression>,
    pub(crate) level: Option<LevelFilter>,
    pub(crate) per_process: Option<bool>,
}

impl FileOptions {
    /// This, and where it says nothing the other.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let (this, other) = (self.clone(), other.clone());
        Self {
            file: this.file.or(other.file),
            error_file: this.error_file.or(other.error_file),
            rotation: this.rotation.or(other.rotation),
            retention: this.retention.or(other.retention),
            compression: this.compression.or(other.compression),
            level: this.level.or(other.level),
            per_process: this.per_process.or(other.per_process),
        }
    }

    pub(crate) fn has_any(&self) -> bool {
        self.file.is_some() || self.error_file.is_some()
    }

    /// The file at `path` as it is to be opened.
    pub(crate) fn builder(&self, path: impl Into<PathBuf>) -> RollingFileBuilder {
        let builder = RollingFile::builder(path)
            .rotation(self.rotation.clone().unwrap_or_default())
            .retention(self.retention.clone().unwrap_or_default())
            .compression(self.compression());
        match self.per_process {
            Some(true) => builder.per_process(),
            Some(false) | None => builder,
        }
    }

    /// Says whether a file can be opened at `path`, as far as looking at it tells.
    pub(crate) fn check(&self, path: &Path) -> Result<(), String> {
        if let Some(directory) = file_paths::missing_directory(path) {
            return Err(format!(
                "cannot log to {path:?}: there is no directory {directory:?}; make it, or correct \
                 the path: of a path only the last directory is made"
            ));
        }
        let checked = self.builder(path).check();
        checked.map_err(|error| error.to_string())
    }

    /// Whether `file` and `error_file` are one file.
    pub(crate) fn are_same(&self) -> bool {
        match (&self.file, &self.error_file) {
            (Some(file), Some(error_file)) => file_paths::are_same(file, error_file),
            _ => false,
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        let default = if cfg!(feature = "gzip") {
            Compression::Gzip
        } else {
            Compression::None
        };
        self.compression.unwrap_or(default)
    }

    pub(crate) fn open(
        &self,
        path: &PathBuf,
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
