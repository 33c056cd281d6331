//! Rolling files.

#[cfg(unix)]
mod by_clock;
#[cfg(unix)]
mod by_size;
#[cfg(all(unix, feature = "gzip", feature = "zstd"))]
mod compression;
#[cfg(unix)]
mod limits;
#[cfg(unix)]
mod meddling;
#[cfg(unix)]
mod retention;
#[cfg(all(unix, feature = "sighup"))]
mod sighup;
#[cfg(unix)]
mod start;
mod support;
#[cfg(unix)]
mod trust;
