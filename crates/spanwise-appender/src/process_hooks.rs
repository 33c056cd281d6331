//! What happens to the process as a whole: it forks, and it ends.
//!
//! Nothing safe wraps `atexit`, so this module is the place of that `unsafe` call.

use std::{
    sync::{Arc, Once, Weak},
    thread,
    time::{Duration, Instant},
};

pub(crate) use spanwise_core::internal::forks::generation;
use spanwise_core::internal::{forks, panic_safe, sync::Mutex};

/// What wants to know.
#[cfg_attr(
    not(unix),
    allow(
        dead_code,
        reason = "nowhere else do processes fork, and the guard is what ends them well"
    )
)]
pub(crate) trait ProcessHooks: Send + Sync {
    /// Before a fork: brings what is going on to a point where the child can take over, but waits no longer than `deadline`.
    fn before_fork(&self, _deadline: Instant) {}

    /// After the fork, in the parent: goes on.
    fn after_fork(&self) {}

    /// The process ends: begins to finish, and waits for nothing.
    fn begin_shutdown(&self) {}

    /// Finishes, and waits until `deadline` for it.
    fn finish(&self, deadline: Instant);
}

static ALL: Mutex<Vec<Weak<dyn ProcessHooks>>> = Mutex::new(Vec::new());

/// A fork waits this long for what is being written.
const HOLD_STILL: Duration = Duration::from_millis(50);

/// The end of the process waits this long, for all together.
const FINISH: Duration = Duration::from_secs(5);

/// And of that, so long for what is told before.
const TELL: Duration = Duration::from_secs(1);

/// Has forks counted from now on, and the end noticed.
pub(crate) fn install_once() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install);
}

/// Has `tell` called when the process ends by `exit`, for as long as it lives: before what is held in the background is written, so that what it
/// logs is written too. It is given the time until which it may take, a second, and it runs where thread locals may be gone already: it has to do what it does on a
/// thread of its own. Not in the child of a fork, nor on other systems than Unix.
pub fn before_exit(tell: &Arc<BeforeExit>) {
    install_once();
    let mut tellers = TELLERS.lock();
    tellers.retain(|(_, tell)| tell.strong_count() > 0);
    tellers.push((generation(), Arc::downgrade(tell)));
}

/// What [`before_exit`] calls.
pub type BeforeExit = dyn Fn(Instant) + Send + Sync;

static TELLERS: Mutex<Vec<(u32, Weak<BeforeExit>)>> = Mutex::new(Vec::new());

fn tell_before_exit(deadline: Instant) {
    // Who holds the lock right now, or held it at a fork, is not waited for.
    let Some(tellers) = TELLERS.try_lock().map(|tellers| tellers.clone()) else {
        return;
    };
    let here = tellers.iter().filter(|(of, _)| *of == generation());
    for tell in here.filter_map(|(_, tell)| tell.upgrade()) {
        // A panic must not leave through C.
        let _ = panic_safe::catch_panic(|| tell(deadline));
    }
}

/// Tells `one` of forks and of the end, for as long as it lives.
pub(crate) fn watch(one: Weak<dyn ProcessHooks>) {
    install_once();
    let mut all = ALL.lock();
    all.retain(|one| one.strong_count() > 0);
    all.push(one);
}

fn each(act: impl Fn(&dyn ProcessHooks)) {
    // In a child, whoever held the lock at the fork does not exist: not a lock to wait for, for more than a moment.
    let mut tries = 0;
    let all = loop {
        match ALL.try_lock() {
            Some(all) => break all.clone(),
            None if tries == 100 => return,
            None => thread::sleep(Duration::from_micros(100)),
        }
        tries += 1;
    };
    // What writes to another came after it, and ends before it.
    for one in all.iter().rev().filter_map(Weak::upgrade) {
        // A panic must not leave through C.
        let _ = panic_safe::catch_panic(|| act(&*one));
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "nothing safe wraps this function of libc")]
fn install() {
    fn before_fork() {
        let deadline = Instant::now() + HOLD_STILL;
        each(|one| one.before_fork(deadline));
    }

    fn in_parent() {
        each(|one| one.after_fork());
    }

    extern "C" fn at_exit() {
        let now = Instant::now();
        tell_before_exit(now + TELL);
        let deadline = now + FINISH;
        each(|one| one.begin_shutdown());
        each(|one| one.finish(deadline));
    }

    forks::on_fork(before_fork, in_parent);
    // SAFETY: it takes a function that lives as long as the program, since this code is never
    // unloaded: a Rust library that is loaded at run time and holds thread locals, as std does, is
    // not. The function neither unwinds, for it catches panics, nor touches what the ending program
    // has torn down: it uses statics and heap memory only. An error means that there was no memory
    // for the registration; then the process is not told.
    unsafe {
        libc::atexit(at_exit);
    }
}

/// Nowhere else do processes fork, and the guard is what ends them well.
#[cfg(not(unix))]
fn install() {
    let _ = (
        HOLD_STILL,
        FINISH,
        TELL,
        each as fn(fn(&dyn ProcessHooks)),
        tell_before_exit as fn(Instant),
    );
}
