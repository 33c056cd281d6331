//! Rolling files.

#[cfg(unix)]
mod batches;
#[cfg(unix)]
mod clock_rotation;
#[cfg(all(unix, feature = "gzip", feature = "zstd"))]
mod compression;
#[cfg(unix)]
mod external_changes;
#[cfg(unix)]
mod opening;
#[cfg(unix)]
mod retention;
#[cfg(all(unix, feature = "sighup"))]
mod sighup;
#[cfg(unix)]
mod size_rotation;
mod support;
#[cfg(unix)]
mod system_limits;
mod text_forms;
#[cfg(unix)]
mod untrusted_files;
