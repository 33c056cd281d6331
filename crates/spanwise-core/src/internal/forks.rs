//! Detection of forks, and callbacks before and after them.
//!
//! A forked child has a copy of its parent's memory, but only one thread. State that a child must
//! not use, such as a random stream or the handle of a thread, is stored with the [`generation`] of
//! the process that created it. Comparing two generations costs no system call.
//!
//! No safe function wraps `pthread_atfork`, so this module makes that `unsafe` call. A fork by a
//! raw system call, without the C library, is not detected.

use std::sync::{
    Once, OnceLock,
    atomic::{AtomicU32, Ordering},
};

mod deferral;
mod fork_aware_mutex;
mod per_process;

pub use deferral::{Deferral, defer};
pub use fork_aware_mutex::ForkAwareMutex;
pub use per_process::{Inheritance, PerProcess, lock};

/// The result of [`generation`] in this process. The child increments it after each fork.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Returns the number of forks between the first process that called this function and this
/// process.
#[inline]
#[must_use]
pub fn generation() -> u32 {
    static INSTALLED: Once = Once::new();
    if !INSTALLED.is_completed() {
        INSTALLED.call_once(install);
    }
    GENERATION.load(Ordering::Relaxed)
}

/// Registers callbacks for later forks: `before` runs before each fork, and `in_parent` after it,
/// in the parent.
///
/// Neither callback may wait for another thread without a time limit.
pub fn on_fork(before: fn(), in_parent: fn()) {
    let _ = generation();
    let mut hooks = Box::new(Hooks {
        before,
        in_parent,
        next: OnceLock::new(),
    });
    let mut slot = &FIRST_HOOKS;
    while let Err(not_stored) = slot.set(hooks) {
        hooks = not_stored;
        let Some(earlier) = slot.get() else { return };
        slot = &earlier.next;
    }
}

/// The callbacks of one call of [`on_fork`], in a linked list without a lock. A child could inherit
/// a lock that another thread of the parent holds. The child's own forks would wait for that lock.
#[cfg_attr(
    not(unix),
    expect(
        dead_code,
        reason = "processes fork only on Unix, so nothing calls the hooks"
    )
)]
struct Hooks {
    before: fn(),
    in_parent: fn(),
    next: OnceLock<Box<Self>>,
}

static FIRST_HOOKS: OnceLock<Box<Hooks>> = OnceLock::new();

#[cfg(unix)]
fn for_each_hook(call: impl Fn(&Hooks)) {
    let mut slot = &FIRST_HOOKS;
    while let Some(hooks) = slot.get() {
        // A panic must not unwind through C.
        let _ = crate::internal::panic_safe::catch_panic(|| call(hooks));
        slot = &hooks.next;
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "nothing safe wraps this function of libc")]
fn install() {
    unsafe extern "C" fn before_fork() {
        for_each_hook(|hooks| (hooks.before)());
        deferral::before_fork();
    }

    unsafe extern "C" fn in_parent() {
        deferral::in_parent();
        for_each_hook(|hooks| (hooks.in_parent)());
    }

    unsafe extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        deferral::in_child();
    }

    // SAFETY: the functions exist until the process ends, because this code is never unloaded. (A
    // Rust library with thread-locals, as std has them, cannot be unloaded.) The functions do not
    // unwind, because they catch panics. In the child of a program with threads, only
    // async-signal-safe operations are allowed: `in_child` only changes atomics. The call fails
    // only if there is no memory for the registration. Forks are then not detected.
    unsafe {
        libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child));
    }
}

/// Processes fork only on Unix.
#[cfg(not(unix))]
fn install() {}
