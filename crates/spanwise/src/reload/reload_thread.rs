//! The thread that reloads the configuration at an interval, or at each `SIGHUP`.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use spanwise_core::{
    Fault,
    internal::{forks, panic_safe},
};

use super::Reloader;
#[cfg(all(unix, feature = "sighup"))]
use super::hangup_signal::{self, SighupHandler, Signals};
use crate::config_file::Reload;

/// The running reload thread.
#[derive(Debug)]
pub(crate) struct ReloadThread {
    thread: JoinHandle<()>,
    /// `None` if the thread reloads at an interval.
    #[cfg(all(unix, feature = "sighup"))]
    sighup: Option<SighupHandler>,
}

impl ReloadThread {
    /// Starts the thread, if the key `reload` requests it.
    pub(crate) fn start(reloader: &Arc<Reloader>) -> Option<Self> {
        let started = match reloader.trigger {
            Reload::Off | Reload::Manual => return None,
            Reload::Every(interval) => Self::start_at_interval(Arc::clone(reloader), interval),
            #[cfg(all(unix, feature = "sighup"))]
            Reload::Sighup => Self::start_at_sighup(Arc::clone(reloader)),
        };
        started
            .inspect_err(|error| {
                let why = format_args!(
                    "the configuration is not reloaded, because its thread cannot be started: \
                     {error}; raise the limits of threads and of open files, or call Handle::reload"
                );
                reloader.live.report.fault_unthrottled(Fault::Setup, &why);
            })
            .ok()
    }

    fn start_at_interval(reloader: Arc<Reloader>, interval: Duration) -> io::Result<Self> {
        Ok(Self {
            thread: spawn(move || reloader.run_at_interval(interval))?,
            #[cfg(all(unix, feature = "sighup"))]
            sighup: None,
        })
    }

    #[cfg(all(unix, feature = "sighup"))]
    fn start_at_sighup(reloader: Arc<Reloader>) -> io::Result<Self> {
        let (handler, signals) = hangup_signal::install_handler()?;
        Ok(Self {
            thread: spawn(move || reloader.run_at_signals(signals))?,
            sighup: Some(handler),
        })
    }

    /// Drops the handler of the signal, so that a thread that waits for the signal ends.
    fn wake(&mut self) {
        #[cfg(all(unix, feature = "sighup"))]
        drop(self.sighup.take());
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name("spanwise-reload".to_owned());
    thread.spawn(run)
}

impl Reloader {
    /// Refuses later reloads, and ends the thread. Waits for a reload in progress, for at most half
    /// of the time until `deadline`. The outputs need the other half to write their last lines.
    pub(crate) fn stop_by(&self, mut thread: Option<ReloadThread>, deadline: Instant) {
        if forks::generation() != self.fork_generation {
            // A forked child does not have the thread of its parent, so there is nothing to stop.
            return;
        }
        *self.is_shut_down.lock() = true;
        self.shutdown.notify_all();
        if let Some(thread) = &mut thread {
            thread.wake();
        }
        let now = Instant::now();
        let deadline = now + deadline.saturating_duration_since(now) / 2;
        let mut pause = Duration::from_micros(50);
        let is_reloading = || {
            let is_running = thread.as_ref().is_some_and(|it| !it.thread.is_finished());
            is_running || self.state.try_lock().is_none()
        };
        while is_reloading() && Instant::now() < deadline {
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    fn run_at_interval(&self, interval: Duration) {
        let mut is_shut_down = self.is_shut_down.lock();
        loop {
            let (guard, timeout) =
                self.shutdown
                    .wait_timeout_while(is_shut_down, interval, |is_shut_down| !*is_shut_down);
            if !timeout.timed_out() {
                return;
            }
            drop(guard);
            self.run_and_report_panic(|| self.reload_if_changed());
            is_shut_down = self.is_shut_down.lock();
            if *is_shut_down {
                return;
            }
        }
    }

    #[cfg(all(unix, feature = "sighup"))]
    fn run_at_signals(&self, mut signals: Signals) {
        while signals.wait() && !*self.is_shut_down.lock() {
            self.run_and_report_panic(|| {
                let running = Arc::clone(&self.live.running.read());
                if let Err(error) = running.reopen() {
                    self.live.report.fault_unthrottled(Fault::Setup, &error);
                }
                // `reload` reports problems, so the result is not needed.
                let _ = self.reload();
            });
        }
    }

    /// Runs `reload`. Reports a panic of a layer or a filter in it, so that the thread goes on.
    fn run_and_report_panic(&self, reload: impl FnOnce()) {
        if panic_safe::catch_panic(reload).is_none() {
            let why = "a layer or filter panicked in a reload of the configuration";
            self.live.report.fault(Fault::Setup, &why);
        }
    }
}
