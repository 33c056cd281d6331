//! The files that lines go to besides the output.

use std::path::PathBuf;

use spanwise_appender::{
    Compression, OpenError, Retention, RollingFile, RollingFileBuilder, Rotation,
};
use spanwise_core::SelfReport;
use tracing::level_filters::LevelFilter;

/// What was said about files, in code or in the environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    pub(crate) file: Option<PathBuf>,
    pub(crate) error_file: Option<PathBuf>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) retention: Option<Retention>,
    pub(crate) compression: Option<Compression>,
    pub(crate) level: Option<LevelFilter>,
    pub(crate) per_process: Option<bool>,
}

impl Files {
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
