//! The guard of running logging, its handle, and the shutdown.

use std::{
    any::Any,
    fmt, io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use spanwise_appender::{Background, BeforeExit, FlushGuard, RollingFile, before_exit};
use spanwise_core::{
    Fault, LevelHandle, Levels, ParseError, SelfReport, ShutdownReport, Stats,
    internal::deadline_after,
};

use spanwise_recorder::{Recorder, RecorderStats};
use spanwise_sample::{Sampler, SamplerStats};

use crate::sinks::RunningSink;

/// The guard of the outputs. Keep it in `main`. Dropping it shuts logging down, in at most five
/// seconds. `std::process::exit` also shuts logging down, if the guard still exists.
///
/// After the shutdown, each thread writes its own lines.
#[must_use = "dropping it shuts logging down: bind it with `let _telemetry = …`, not `let _ = …`"]
pub struct Telemetry {
    handle: Handle,
    guards: Vec<FlushGuard>,
    /// Emits the pending summaries of the sampler if the program exits before the shutdown.
    at_exit: Option<Arc<BeforeExit>>,
    #[cfg(feature = "http")]
    http_server: spanwise_http::ServerLayer,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("handle", &self.handle)
            .field("guards", &self.guards)
            .finish_non_exhaustive()
    }
}

/// Reads and changes the levels at run time, and reads counters. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) levels: LevelHandle,
    pub(crate) report: SelfReport,
    pub(crate) backgrounds: Arc<[Background]>,
    pub(crate) files: Arc<[RollingFile]>,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) sinks: Arc<[Arc<dyn RunningSink>]>,
}

/// The longest wait of an ending program for its outputs.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

impl Telemetry {
    pub(crate) fn new(
        handle: Handle,
        guards: Vec<FlushGuard>,
        #[cfg(feature = "http")] http_server: spanwise_http::ServerLayer,
    ) -> Self {
        Self {
            at_exit: handle
                .sampler
                .is_some()
                .then(|| handle.flush_sampler_at_exit()),
            handle,
            guards,
            #[cfg(feature = "http")]
            http_server,
        }
    }

    /// Returns the layer for servers, with the values of `LOG_HTTP_TRUST` and
    /// `LOG_HTTP_CLIENT_ADDRESS`, and with the keys of `LOG_CONTEXT` in its span. With
    /// [`Preset::Dev`](crate::Preset::Dev) it logs the full address of a client.
    ///
    /// ```
    /// # fn routes() -> axum::Router { axum::Router::new() }
    /// let telemetry = spanwise::Builder::new(spanwise::Preset::Prod).output(spanwise::Output::None).init()?;
    /// let app = routes().layer(telemetry.http_server());
    /// # let _: axum::Router = app;
    /// # Ok::<(), spanwise::InitError>(())
    /// ```
    #[cfg(feature = "http")]
    pub fn http_server(&self) -> spanwise_http::ServerLayer {
        self.http_server.clone()
    }

    /// Returns the layer for clients, which propagates the ids of the request. It is for `tower`,
    /// and with the feature `reqwest` also for `reqwest`.
    ///
    /// ```
    /// let telemetry = spanwise::Builder::new(spanwise::Preset::Prod).output(spanwise::Output::None).init()?;
    /// let propagation = telemetry.http_client().baggage(["tenant_id"]);
    /// # let _ = propagation;
    /// # Ok::<(), spanwise::InitError>(())
    /// ```
    #[cfg(feature = "http")]
    pub fn http_client(&self) -> spanwise_http::ClientLayer {
        spanwise_http::client()
    }

    pub(crate) fn on_installed(&self) {
        self.handle
            .sinks
            .iter()
            .for_each(|sink| sink.on_installed());
    }

    /// Returns the handle that reads and changes logging at run time.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Writes all buffered lines, for at most `timeout`, and returns the counts of lines.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and ask no more"
    )]
    pub fn shutdown(mut self, timeout: Duration) -> ShutdownReport {
        self.end(timeout)
    }

    fn end(&mut self, timeout: Duration) -> ShutdownReport {
        let end = deadline_after(timeout);
        self.at_exit = None;
        self.handle.flush_sampler(end);
        for guard in self.guards.drain(..) {
            guard.shutdown(end.saturating_duration_since(Instant::now()));
        }
        // Network sinks send meanwhile, and wait for the remaining time.
        self.handle.shut_down_sinks(end);
        ShutdownReport::from_stats(&self.handle.stats().sinks)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.end(SHUTDOWN_TIMEOUT);
    }
}

impl Handle {
    /// Returns the effective levels of events.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.levels.levels()
    }

    /// Sets the levels of events, in the syntax of `RUST_LOG`, and ends a temporary setting. If
    /// `levels` has no default level, the default level of the start applies. The levels of spans
    /// do not change.
    ///
    /// # Errors
    /// Returns every malformed directive. In that case nothing is changed.
    pub fn set_levels(&self, levels: &str) -> Result<(), ParseError> {
        self.levels.set_levels(levels)
    }

    /// Sets the levels of events for a limited time, and restores the last permanent levels
    /// afterwards. Setting levels again ends this setting.
    ///
    /// # Errors
    /// Returns every malformed directive. In that case nothing is changed.
    pub fn set_levels_for(&self, duration: Duration, levels: &str) -> Result<(), ParseError> {
        self.levels.set_levels_for(duration, levels)
    }

    /// Returns the counters of events and of faults.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.report.stats()
    }

    /// Returns the counters of the sampler. An event that reaches two outputs of different formats
    /// counts twice. All zero without a sampler.
    #[must_use]
    pub fn sampler_stats(&self) -> SamplerStats {
        let sampler = self.sampler.as_ref();
        sampler.map(Sampler::stats).unwrap_or_default()
    }

    /// Returns the counters of the flight recorder. All zero without one.
    #[must_use]
    pub fn recorder_stats(&self) -> RecorderStats {
        let recorder = self.recorder.as_ref();
        recorder.map(Recorder::stats).unwrap_or_default()
    }

    /// Returns the running sink of this type.
    #[cfg_attr(
        not(any(feature = "otel", feature = "sentry")),
        expect(dead_code, reason = "there may be no sink")
    )]
    pub(crate) fn sink<S: RunningSink>(&self) -> Option<&S> {
        self.sinks.iter().find_map(|sink| {
            let sink: &dyn Any = &**sink;
            sink.downcast_ref()
        })
    }

    /// Writes all buffered data, for at most `timeout`. Returns false if some data could not be
    /// written.
    #[expect(clippy::must_use_candidate, reason = "a fault is reported in any case")]
    pub fn flush(&self, timeout: Duration) -> bool {
        let end = deadline_after(timeout);
        let flushed = self.flush_lines(end);
        let sinks = self.sinks.iter();
        sinks.fold(flushed, |flushed, sink| {
            flushed & self.report_result(&sink.flush_by(end))
        })
    }

    /// Like [`flush`](Self::flush), without network sinks.
    pub(crate) fn flush_lines(&self, end: Instant) -> bool {
        self.flush_sampler(end);
        self.flush_each(|output| output.flush(end.saturating_duration_since(Instant::now())))
    }

    /// Like [`flush_lines`](Self::flush_lines), for a panic hook. A program that catches its panics
    /// does not wait for a stalled output at each panic.
    pub(crate) fn flush_lines_in_panic(&self, at_most: Duration) -> bool {
        let end = deadline_after(at_most);
        self.flush_sampler(end);
        self.flush_each(|output| {
            output.flush_in_panic(end.saturating_duration_since(Instant::now()))
        })
    }

    /// Like [`flush_lines`](Self::flush_lines), and also shuts down the network sinks, because the
    /// program ends after the panic hook.
    pub(crate) fn shut_down_in_panic(&self, at_most: Duration) -> bool {
        let end = deadline_after(at_most);
        let flushed = self.flush_lines(end);
        self.shut_down_sinks(end);
        flushed
    }

    fn shut_down_sinks(&self, end: Instant) {
        self.sinks.iter().for_each(|sink| sink.hurry());
        self.sinks.iter().for_each(|sink| sink.shutdown_by(end));
    }

    fn flush_each(&self, flush: impl Fn(&Background) -> io::Result<()>) -> bool {
        let outputs = self.backgrounds.iter();
        outputs.fold(true, |flushed, output| {
            flushed & self.report_result(&flush(output))
        })
    }

    /// Returns the number of lines that an output lost. Events for Sentry are not lines.
    pub(crate) fn lost_lines(&self) -> u64 {
        let outputs = self.backgrounds.iter();
        outputs.map(|output| output.stats().lost()).sum()
    }

    /// Reopens the files at their paths, after they were moved. Without this call, a move is
    /// detected within a second.
    ///
    /// # Errors
    /// Returns the error of the first file that cannot be opened. In that case the old file stays
    /// in use.
    pub fn reopen(&self) -> io::Result<()> {
        let reopened = self.files.iter().map(|file| {
            file.reopen().map_err(|error| {
                let path = file.path().display();
                io::Error::new(
                    error.kind(),
                    format!("cannot reopen log file {path}: {error}"),
                )
            })
        });
        reopened.fold(Ok(()), io::Result::and)
    }

    /// Emits the pending summaries of the sampler. This may write lines to a stalled output, so it
    /// runs on a separate thread, which is abandoned at `end`.
    fn flush_sampler(&self, end: Instant) {
        let Some(sampler) = self.sampler.clone() else {
            return;
        };
        let (done, emitted) = mpsc::channel();
        let emit = move || {
            sampler.emit_summaries();
            let _ = done.send(());
        };
        let is_emitted = thread::Builder::new()
            .name("spanwise-sampler".to_owned())
            .spawn(emit)
            .is_ok_and(|_| {
                emitted
                    .recv_timeout(end.saturating_duration_since(Instant::now()))
                    .is_ok()
            });
        if !is_emitted {
            let why = "an output is stalled, and did not get the counts of the suppressed events";
            self.report.fault(Fault::Lost, &why);
        }
    }

    /// Registers a callback that emits the summaries before `exit`. Dropping it unregisters it.
    fn flush_sampler_at_exit(&self) -> Arc<BeforeExit> {
        let handle = self.clone();
        let callback: Arc<BeforeExit> = Arc::new(move |end| handle.flush_sampler(end));
        before_exit(&callback);
        callback
    }

    fn report_result(&self, flushed: &io::Result<()>) -> bool {
        if let Err(error) = flushed {
            self.report.fault(Fault::FlushFailed, error);
        }
        flushed.is_ok()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("levels", &self.levels)
            .finish_non_exhaustive()
    }
}
