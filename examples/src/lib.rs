//! The examples of spanwise are the files beside this folder; `cargo run --example shop` runs one.

pub mod sentry_server;

/// Tests the code in the READMEs of the crates.
#[cfg(doctest)]
mod readmes {
    #[doc = include_str!("../../crates/spanwise/README.md")]
    struct Spanwise;
    #[doc = include_str!("../../crates/spanwise-appender/README.md")]
    struct Appender;
    #[doc = include_str!("../../crates/spanwise-core/README.md")]
    struct Core;
    #[doc = include_str!("../../crates/spanwise-http/README.md")]
    struct Http;
    #[doc = include_str!("../../crates/spanwise-json/README.md")]
    struct Json;
    #[doc = include_str!("../../crates/spanwise-recorder/README.md")]
    struct Recorder;
    #[doc = include_str!("../../crates/spanwise-redact/README.md")]
    struct Redact;
    #[doc = include_str!("../../crates/spanwise-sample/README.md")]
    struct Sample;
    #[doc = include_str!("../../crates/spanwise-sentry/README.md")]
    struct Sentry;
    #[doc = include_str!("../../crates/spanwise-testing/README.md")]
    struct Testing;
}
