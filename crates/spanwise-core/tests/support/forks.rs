//! Forked processes. A test that forks is in a file next to the directory `it`.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `child` in a forked process. Panics if `child` panics or hangs.
#[track_caller]
pub(crate) fn in_child(child: impl FnOnce()) {
    // SAFETY: the child process runs only `child`, whose code works after a fork, and ends.
    #[expect(unsafe_code, reason = "nothing safe forks")]
    unsafe {
        match libc::fork() {
            0 => {
                // A child that hangs ends, with a status that is not 0.
                libc::alarm(60);
                let failed = catch_unwind(AssertUnwindSafe(child)).is_err();
                libc::_exit(failed.into());
            }
            pid => {
                let mut status = -1;
                assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
                assert_eq!(status, 0, "the child failed");
            }
        }
    }
}
