//! Captures through the public API, in parallel in one process, as in a service's own tests.

mod failures;
mod log_records;
mod patterns;
mod printed;
mod routing;
mod secrets;
mod support;
mod values;
