//! Log files that roll.

mod process;
mod rolling;
mod sink;
mod size;

pub use rolling::{
    Compression, Interval, OpenError, OpenErrorKind, Retention, RollingFile, RollingFileBuilder,
    Rotation, SettingError,
};
pub use size::Bytes;
