//! A forked process can add callsites, whatever the threads of its parent did at the fork. The test
//! forks, so it is the only one in its process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use spanwise_core::internal::CallsitePlans;

const FORKS: usize = 200;

/// Adds a plan to each cache, unless it has one.
fn add_plans(caches: &[CallsitePlans<usize>]) {
    let span = tracing::info_span!("added");
    let callsite = span.metadata().unwrap();
    for cache in caches {
        cache.get(callsite, |metadata| metadata.fields().len());
    }
}

/// Runs `work` in a forked process, and returns its status.
#[expect(unsafe_code, reason = "nothing safe forks")]
fn in_child(work: impl FnOnce()) -> i32 {
    // SAFETY: the child runs only `work`, whose code works after a fork, and ends.
    unsafe {
        match libc::fork() {
            0 => {
                // A child that hangs ends, with a status that is not 0.
                libc::alarm(60);
                work();
                libc::_exit(0);
            }
            child => {
                let mut status = -1;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                status
            }
        }
    }
}

#[test]
fn child_adds_callsites_that_the_parent_was_adding() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    add_plans(&[]);
    for _ in 0..FORKS {
        let caches: Vec<CallsitePlans<usize>> =
            (0..1000).map(|_| CallsitePlans::default()).collect();
        let has_begun = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                has_begun.store(true, Ordering::SeqCst);
                add_plans(&caches);
            });
            while !has_begun.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            assert_eq!(in_child(|| add_plans(&caches)), 0, "the child hangs");
        });
    }
}
