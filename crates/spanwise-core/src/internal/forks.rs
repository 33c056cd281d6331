//! Forks of the process: counted, and announced to those who hold locks.
//!
//! A child has a copy of its parent's memory and one of its threads. What belongs to one process
//! alone, such as a stream of random numbers or a thread in the background, remembers the
//! [`generation`] that it was made in. To compare two numbers costs no system call.
//!
//! Nothing safe wraps `pthread_atfork`, so this module is the place of that `unsafe` call. A child
//! that a raw system call makes, past the C library, is not noticed.

use std::sync::{
    Once, OnceLock,
    atomic::{AtomicU32, Ordering},
};

mod per_process;

pub use per_process::{Inheritance, PerProcess, lock};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Returns how many forks lie between this process and the one that first asked.
#[inline]
#[must_use]
pub fn generation() -> u32 {
    static INSTALLED: Once = Once::new();
    if !INSTALLED.is_completed() {
        INSTALLED.call_once(install);
    }
    GENERATION.load(Ordering::Relaxed)
}

/// Has `before` called before each fork from now on, and `in_parent` after it, in the parent.
///
/// Both must not wait for another thread without a bound.
pub fn on_fork(before: fn(), in_parent: fn()) {
    let _ = generation();
    let mut hooks = Box::new(Hooks {
        before,
        in_parent,
        next: OnceLock::new(),
    });
    let mut slot = &FIRST;
    while let Err(refused) = slot.set(hooks) {
        hooks = refused;
        let Some(taken) = slot.get() else { return };
        slot = &taken.next;
    }
}

/// A list that is read without a lock, which a thread that a child does not have might hold.
struct Hooks {
    before: fn(),
    in_parent: fn(),
    next: OnceLock<Box<Self>>,
}

static FIRST: OnceLock<Box<Hooks>> = OnceLock::new();

fn for_each_hook(call: impl Fn(&Hooks)) {
    let mut slot = &FIRST;
    while let Some(hooks) = slot.get() {
        // A panic must not leave through C.
        let _ = crate::internal::panic_safe::catch_panic(|| call(hooks));
        slot = &hooks.next;
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "nothing safe wraps this function of libc")]
fn install() {
    unsafe extern "C" fn before_fork() {
        for_each_hook(|hooks| (hooks.before)());
    }

    unsafe extern "C" fn in_parent() {
        for_each_hook(|hooks| (hooks.in_parent)());
    }

    unsafe extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }

    // SAFETY: it takes functions that live as long as the program, since this code is never
    // unloaded: a Rust library that is loaded at run time and holds thread locals, as std does, is
    // not. The functions do not unwind, for they catch panics. The one that runs in a child of a
    // program with threads, where only async-signal-safe things are allowed, adds to an atomic. An
    // error means that there was no memory for the registration; then forks are not noticed.
    unsafe {
        libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child));
    }
}

/// Nowhere else do processes fork.
#[cfg(not(unix))]
fn install() {
    let _ = for_each_hook as fn(fn(&Hooks));
}
