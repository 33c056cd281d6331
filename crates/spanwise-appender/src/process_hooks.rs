//! Hooks for forks and for the end of the process, so that no buffered line is lost or written
//! twice.
//!
//! No safe wrapper of `atexit` exists, so this module contains that `unsafe` call.

use std::{
    cell::Cell,
    mem::ManuallyDrop,
    sync::{Arc, Once, Weak},
    thread,
    time::{Duration, Instant},
};

use spanwise_core::internal::{forks, forks::generation, panic_safe, sync::Mutex};

/// Actions of an output when the process forks or ends.
pub(crate) trait ProcessHooks: Send + Sync {
    /// Before a fork: completes work in progress by `deadline`, so that the child inherits a
    /// consistent state. Returns whether [`after_fork`](Self::after_fork) must be called.
    fn before_fork(&self, _deadline: Instant) -> bool {
        false
    }

    /// After a fork: resumes work in the parent. Called once for each call of
    /// [`before_fork`](Self::before_fork) that returned true.
    fn after_fork(&self) {}

    /// Starts the shutdown. Does not wait.
    fn begin_shutdown(&self) {}

    /// Completes the shutdown by `deadline`.
    fn shutdown(&self, deadline: Instant);
}

/// The hooks of all outputs, in the order of their registration.
static HOOKS: Mutex<Vec<Weak<dyn ProcessHooks>>> = Mutex::new(Vec::new());

/// The [`generation`] of the process that collected the hooks, and the hooks to call after a fork.
type Prepared = (u32, ManuallyDrop<Vec<Weak<dyn ProcessHooks>>>);

thread_local! {
    /// The hooks that this thread prepared for its current fork. The same thread calls them after
    /// the fork, even if [`HOOKS`] is locked or has changed since.
    ///
    /// It has no destructor, so it can be used until the thread ends. Outside of a fork, the
    /// list is empty, so nothing leaks.
    static PREPARED: Cell<Prepared> = const { Cell::new((0, ManuallyDrop::new(Vec::new()))) };
}

/// A callback for [`before_exit`].
pub type BeforeExit = dyn Fn(Instant) + Send + Sync;

/// Callbacks, each with the [`generation`] of the process that registered it.
static EXIT_CALLBACKS: Mutex<Vec<(u32, Weak<BeforeExit>)>> = Mutex::new(Vec::new());

/// The longest wait of a fork for buffered lines and writes in progress, for all outputs together.
/// On a busy machine the writer thread may not run for tens of milliseconds.
const FORK_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest wait at the end of the process, for all outputs together.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The part of [`SHUTDOWN_TIMEOUT`] for the callbacks of [`before_exit`].
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(1);

/// Installs the process-wide hooks for forks and for `exit`, once.
pub(crate) fn install_once() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install);
}

/// Registers a callback for `exit`, on Unix. It is not called in a forked child.
///
/// The callback runs before background writers are flushed, so events that it logs are written. It
/// must return by the deadline that it receives, which is one second later. It must not use
/// thread-locals, because they may have been destroyed. It may start another thread that uses them.
/// Dropping the `Arc` unregisters the callback.
pub fn before_exit(callback: &Arc<BeforeExit>) {
    install_once();
    let mut callbacks = EXIT_CALLBACKS.lock();
    callbacks.retain(|(_, callback)| callback.strong_count() > 0);
    callbacks.push((generation(), Arc::downgrade(callback)));
}

/// Registers the hooks of an output. Dropping the output unregisters them.
pub(crate) fn register(hooks: Weak<dyn ProcessHooks>) {
    install_once();
    let mut all = HOOKS.lock();
    all.retain(|hooks| hooks.strong_count() > 0);
    all.push(hooks);
}

fn run_exit_callbacks(deadline: Instant) {
    // Does not wait for the lock, because in a forked child the thread that locked it may not
    // exist.
    let Some(callbacks) = EXIT_CALLBACKS.try_lock().map(|all| all.clone()) else {
        return;
    };
    let of_this_process = callbacks
        .iter()
        .filter(|(registered_in, _)| *registered_in == generation());
    for callback in of_this_process.filter_map(|(_, callback)| callback.upgrade()) {
        // A panic must not unwind into C.
        let _ = panic_safe::catch_panic(|| callback(deadline));
    }
}

fn for_each_hook(mut act: impl FnMut(&Arc<dyn ProcessHooks>)) {
    // Waits about 10 ms at most, because in a forked child the thread that locked `HOOKS` may not
    // exist.
    let mut failed_tries = 0;
    let all = loop {
        match HOOKS.try_lock() {
            Some(all) => break all.clone(),
            None if failed_tries == 100 => return,
            None => thread::sleep(Duration::from_micros(100)),
        }
        failed_tries += 1;
    };
    // In reverse order: an output that writes to another output was registered after it, and must
    // be shut down before it.
    for hooks in all.iter().rev().filter_map(Weak::upgrade) {
        // A panic must not unwind into C.
        let _ = panic_safe::catch_panic(|| act(&hooks));
    }
}

fn install() {
    forks::on_fork(before_fork, after_fork);
    #[cfg(unix)]
    install_exit_hook();
}

fn before_fork() {
    let deadline = Instant::now() + FORK_TIMEOUT;
    let Ok((collected_in, mut prepared)) = PREPARED.try_with(Cell::take) else {
        return;
    };
    if collected_in != generation() {
        // This is a child, which inherited the list of the parent's thread.
        prepared.clear();
    }
    for_each_hook(|hooks| {
        if hooks.before_fork(deadline) {
            prepared.push(Arc::downgrade(hooks));
        }
    });
    PREPARED.set((generation(), prepared));
}

fn after_fork() {
    let Ok((_, prepared)) = PREPARED.try_with(Cell::take) else {
        return;
    };
    let prepared = ManuallyDrop::into_inner(prepared);
    for hooks in prepared.iter().filter_map(Weak::upgrade) {
        // A panic must not unwind into C.
        let _ = panic_safe::catch_panic(|| hooks.after_fork());
    }
}

#[cfg_attr(
    not(unix),
    allow(
        dead_code,
        reason = "on other systems, only the guard shuts outputs down"
    )
)]
fn run_exit_hooks() {
    let now = Instant::now();
    run_exit_callbacks(now + CALLBACK_TIMEOUT);
    let deadline = now + SHUTDOWN_TIMEOUT;
    for_each_hook(|hooks| hooks.begin_shutdown());
    for_each_hook(|hooks| hooks.shutdown(deadline));
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "nothing safe wraps this function of libc")]
fn install_exit_hook() {
    extern "C" fn at_exit() {
        run_exit_hooks();
    }

    // SAFETY: The function exists as long as the program, because this code is never unloaded. (A
    // Rust library that is loaded at run time and has thread-locals, as std does, cannot be
    // unloaded.) The function does not unwind, because it catches panics. It uses only statics and
    // heap memory, and `exit` has not destroyed these. An error means that there is no memory for
    // the registration. In that case the hooks do not run.
    unsafe {
        libc::atexit(at_exit);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI32, Ordering};

    use super::*;

    /// Counts the forks for which `before_fork` was called, and `after_fork` not yet.
    #[derive(Default)]
    struct OpenForks(AtomicI32);

    impl ProcessHooks for OpenForks {
        fn before_fork(&self, _: Instant) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            true
        }

        fn after_fork(&self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }

        fn shutdown(&self, _: Instant) {}
    }

    fn register_open_forks() -> Arc<OpenForks> {
        let open_forks = Arc::new(OpenForks::default());
        let hooks: Weak<dyn ProcessHooks> = Arc::<OpenForks>::downgrade(&open_forks);
        register(hooks);
        open_forks
    }

    #[test]
    fn fork_ends_for_exactly_the_prepared_hooks() {
        let early = register_open_forks();
        before_fork();
        let late = register_open_forks();
        assert_eq!(early.0.load(Ordering::Relaxed), 1);
        // As if another thread held the lock, in order to register an output.
        let locked_hooks = HOOKS.lock();
        after_fork();
        drop(locked_hooks);
        assert_eq!(early.0.load(Ordering::Relaxed), 0);
        assert_eq!(late.0.load(Ordering::Relaxed), 0);
    }
}
