//! Checks and opens the file of a sink.

use std::path::PathBuf;

use spanwise_appender::{OpenError, RollingFile, RollingFileBuilder};
use spanwise_core::SelfReport;

use crate::{file_paths, settings::default_compression, sink_settings::FileSettings};

impl FileSettings {
    fn builder(&self) -> RollingFileBuilder {
        let builder = RollingFile::builder(PathBuf::clone(&self.path))
            .rotation(self.rotation.clone().unwrap_or_default())
            .retention(self.retention.clone().unwrap_or_default())
            .compression(self.compression.unwrap_or_else(default_compression));
        let builder = match self.mode {
            Some(mode) => builder.mode(mode),
            None => builder,
        };
        match self.per_process {
            true => builder.per_process(),
            false => builder,
        }
    }

    /// Checks whether the file can be opened. Does not open it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let path = &self.path;
        if let Some(directory) = file_paths::missing_directory(path) {
            return Err(format!(
                "cannot log to {path:?}: there is no directory {directory:?}; create it, or \
                 correct the path: only the last directory of a path is created"
            ));
        }
        let checked = self.builder().check();
        checked.map_err(|error| error.to_string())
    }

    /// Opens the file. `falls_back_to_stderr` is whether lines go to stderr while the file cannot
    /// be written.
    pub(crate) fn open(
        &self,
        report: &SelfReport,
        falls_back_to_stderr: bool,
    ) -> Result<RollingFile, OpenError> {
        let builder = self.builder().report(report);
        match falls_back_to_stderr {
            true => builder.fallback_to_stderr().build(),
            false => builder.build(),
        }
    }
}
