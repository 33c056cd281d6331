//! In a forked process, a temporary change of levels hides no reload after its time. The test
//! forks, so it is the only one in its process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "support/forks.rs"]
mod forks;

use std::{thread, time::Duration};

use forks::in_child;
use spanwise_core::{LevelLayer, Levels};

#[test]
fn reload_in_a_child_ends_a_temporary_change() {
    let handle = LevelLayer::new("info".parse().unwrap()).handle();
    handle
        .set_levels_for(Duration::from_secs(2), "trace")
        .unwrap();
    in_child(|| {
        assert_eq!(handle.levels().to_string(), "trace");
        let configured: Levels = "warn".parse().unwrap();
        while handle.levels() != configured {
            handle.set_configured(&configured);
            thread::yield_now();
        }
    });
}
