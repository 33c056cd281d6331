//! The guard and the handle of a running stack, and the shutdown.

use std::{
    any::Any,
    fmt, io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

#[cfg(feature = "config")]
use spanwise_appender::FlushGuard;
use spanwise_appender::{Background, BeforeExit, RollingFile, before_exit};
use spanwise_core::{
    Fault, LevelHandle, Levels, ParseError, SelfReport, ShutdownReport, SinkStats, Stats,
    TargetLevels,
    internal::{
        deadline_after,
        sync::{Mutex, RwLock},
    },
};
use spanwise_recorder::{Recorder, RecorderStats};
use spanwise_sample::{Sampler, SamplerStats};
use tracing::Level;

use crate::{
    level_options::LevelOptions,
    level_sources::LevelSources,
    outputs::{OutputGuard, Outputs},
    router::{EventLevels, ExplainedEvent, Router, max_level},
    sink_settings::Routing,
    sinks::RunningSink,
};
#[cfg(feature = "config")]
use crate::{
    outputs::OutputId,
    reload::{ReloadThread, Reloader},
};

/// The guard of the outputs. Keep it in `main`. Dropping it shuts logging down, in at most five
/// seconds. On Unix, `std::process::exit` writes the buffered lines even if the guard still exists.
/// But it does not send what exporters have buffered.
///
/// After the shutdown, no background thread writes lines: each thread writes its own.
#[must_use = "dropping it shuts logging down: bind it with `let _telemetry = …`, not `let _ = …`"]
pub struct Telemetry {
    handle: Handle,
    guards: Arc<Guards>,
    #[cfg(feature = "config")]
    reload_thread: Option<ReloadThread>,
    /// Emits the pending summaries of the samplers, which count suppressed events, if the program
    /// exits before the shutdown.
    at_exit: Option<Arc<BeforeExit>>,
    /// Whether logging was shut down, so that dropping the guard does not do it again.
    is_shut_down: bool,
    #[cfg(feature = "http")]
    http_server: spanwise_http::ServerLayer,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

/// Reads and changes the levels at run time, reads counters, and flushes and reopens the outputs.
/// With the feature `config`, it also reloads the configuration. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) levels: LevelHandle,
    pub(crate) report: SelfReport,
    /// The current outputs. A reload replaces the inner `Arc`.
    pub(crate) running: Arc<RwLock<Arc<RunningOutputs>>>,
    #[cfg(feature = "config")]
    pub(crate) reloader: Option<Arc<Reloader>>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) sinks: Arc<[Arc<dyn RunningSink>]>,
}

/// The outputs of the current configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningOutputs {
    pub(crate) backgrounds: Vec<Background>,
    pub(crate) files: Vec<RollingFile>,
    pub(crate) router: Option<Arc<Router>>,
    /// The name and the levels of each sink.
    pub(crate) sink_levels: Vec<(String, TargetLevels)>,
    /// The sources of the configured levels.
    pub(crate) level_sources: LevelSources,
    /// The sampler of the program.
    pub(crate) sampler: Option<Sampler>,
    /// The counts of the outputs that reloads have closed, one entry for each name of an output.
    pub(crate) closed: Vec<SinkStats>,
    /// The samplers that single sinks have in place of that of the program. After a reload, the
    /// samplers of all layers of lines.
    pub(crate) sink_samplers: Vec<Sampler>,
}

impl RunningOutputs {
    pub(crate) fn new(
        outputs: &Outputs,
        routing: &Routing,
        levels: &LevelOptions,
        router: Option<Arc<Router>>,
        sink_samplers: Vec<Sampler>,
    ) -> Self {
        let opened = || outputs.opened.iter();
        let sinks = routing.sinks.iter();
        Self {
            backgrounds: opened().map(|output| output.background.clone()).collect(),
            files: opened().filter_map(|output| output.file.clone()).collect(),
            router,
            sink_levels: sinks
                .map(|sink| (sink.name.clone(), sink.level.clone()))
                .collect(),
            level_sources: LevelSources::new(levels, routing),
            sampler: None,
            closed: Vec::new(),
            sink_samplers,
        }
    }

    /// Reopens each file, even after an error. Returns the first error.
    pub(crate) fn reopen(&self) -> io::Result<()> {
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
}

/// Adds the counts of a sink to the entry with its name. If there is none, adds an entry.
pub(crate) fn add_stats(all: &mut Vec<SinkStats>, new: &SinkStats) {
    match all.iter_mut().find(|sink| sink.name == new.name) {
        Some(entry) => entry.add(new),
        None => all.push(new.clone()),
    }
}

/// The guards of the open outputs. The guards of files come first, because the reader of a standard
/// stream may delay a shutdown. `None` after the shutdown.
#[derive(Debug)]
pub(crate) struct Guards(Mutex<Option<Vec<OutputGuard>>>);

impl Default for Guards {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

impl Guards {
    /// Adds guards. After the shutdown, drops them instead, which shuts their outputs down.
    pub(crate) fn add(&self, new: Vec<OutputGuard>) {
        if let Some(guards) = &mut *self.0.lock() {
            guards.extend(new);
            guards.sort_by_key(|guard| !guard.is_file);
        }
    }

    /// Removes and returns all guards, so that the caller can shut their outputs down. Later calls
    /// of [`add`](Self::add) drop their guards.
    fn take_all(&self) -> Vec<OutputGuard> {
        self.0.lock().take().unwrap_or_default()
    }

    /// Removes and returns the guard of an output, so that the caller can close the output.
    #[cfg(feature = "config")]
    pub(crate) fn remove(&self, id: OutputId) -> Option<FlushGuard> {
        let mut guards = self.0.lock();
        let guards = guards.as_mut()?;
        let index = guards.iter().position(|guard| guard.id == id)?;
        Some(guards.remove(index).guard)
    }
}

/// The maximum time that the end of the program waits for outputs and exporters.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

impl Telemetry {
    pub(crate) fn new(
        handle: Handle,
        guards: Arc<Guards>,
        #[cfg(feature = "http")] http_server: spanwise_http::ServerLayer,
    ) -> Self {
        #[cfg(feature = "config")]
        let reload_thread = handle.reloader.as_ref().and_then(ReloadThread::start);
        // A reload may add a sampler.
        #[cfg(feature = "config")]
        let may_have_sampler = handle.reloader.is_some();
        #[cfg(not(feature = "config"))]
        let may_have_sampler = false;
        let has_sampler = may_have_sampler || !handle.samplers().is_empty();
        Self {
            #[cfg(feature = "config")]
            reload_thread,
            at_exit: has_sampler.then(|| handle.emit_summaries_at_exit()),
            is_shut_down: false,
            handle,
            guards,
            #[cfg(feature = "http")]
            http_server,
        }
    }

    /// Returns the layer for servers, with the values of `LOG_HTTP_TRUST` and
    /// `LOG_HTTP_CLIENT_ADDRESS`, and with the keys of `LOG_CONTEXT` and
    /// [`Builder::context_key`](crate::Builder::context_key) in its span. With
    /// [`Preset::Dev`](crate::Preset::Dev), the default is to log the full address of a client.
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

    /// Shuts logging down: writes all buffered lines, and sends what exporters have buffered. Takes
    /// at most `timeout`, and returns the counts of lines.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and ask no more"
    )]
    pub fn shutdown(mut self, timeout: Duration) -> ShutdownReport {
        self.shut_down(timeout)
    }

    fn shut_down(&mut self, timeout: Duration) -> ShutdownReport {
        let deadline = deadline_after(timeout);
        self.is_shut_down = true;
        self.at_exit = None;
        #[cfg(feature = "config")]
        if let Some(reloader) = &self.handle.reloader {
            reloader.stop_by(self.reload_thread.take(), deadline);
        }
        self.handle.emit_summaries(deadline);
        for OutputGuard { guard, .. } in self.guards.take_all() {
            guard.shutdown(deadline.saturating_duration_since(Instant::now()));
        }
        // The network sinks have been sending in the background. They get the remaining time.
        self.handle.shut_down_sinks(deadline);
        ShutdownReport::from_stats(&self.handle.stats().sinks)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if !self.is_shut_down {
            self.shut_down(SHUTDOWN_TIMEOUT);
        }
    }
}

impl Handle {
    /// Returns the effective levels of events.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.levels.levels()
    }

    /// Sets the levels of events, in the syntax of `RUST_LOG`, and ends a temporary setting. If
    /// `levels` has no default level, the configured levels remain, and `levels` overrides them for
    /// its targets. The levels of spans do not change.
    ///
    /// # Errors
    /// Returns every malformed or useless directive. In that case nothing is changed.
    pub fn set_levels(&self, levels: &str) -> Result<(), ParseError> {
        self.levels.set_levels(levels)
    }

    /// Sets the levels of events for a limited time, and restores the last permanent levels
    /// afterwards. Setting levels again ends this setting.
    ///
    /// # Errors
    /// Returns every malformed or useless directive, or the error of starting the thread that
    /// restores the levels. In that case nothing is changed.
    pub fn set_levels_for(&self, duration: Duration, levels: &str) -> Result<(), ParseError> {
        self.levels.set_levels_for(duration, levels)
    }

    /// Explains where the events of a target and level go: the route, the effective level and its
    /// origin, the sinks, the flight recorder and the filters. The sinks are those of the
    /// configuration. [Added](crate::Builder::layer) layers are not listed, and receive every event
    /// that the level enables. A sampler may drop an event that a sink gets.
    ///
    /// ```
    /// use spanwise::{Builder, Preset};
    /// use tracing::Level;
    ///
    /// let telemetry = Builder::new(Preset::Prod).levels("warn").init()?;
    /// let explained = telemetry.handle().explain_event("shop::pay", Level::WARN);
    /// assert_eq!(explained.sinks, ["main"]);
    /// assert_eq!(
    ///     explained.to_string(),
    ///     "shop::pay at WARN: route root, level warn (code), sinks main"
    /// );
    /// # Ok::<(), spanwise::InitError>(())
    /// ```
    #[must_use]
    pub fn explain_event(&self, target: &str, level: Level) -> ExplainedEvent {
        let running = self.running();
        let buffered = self.recorder.as_ref().map(Recorder::levels);
        let levels = EventLevels {
            levels: &self.levels(),
            sources: &running.level_sources,
            buffered: buffered.as_ref(),
        };
        match &running.router {
            Some(router) => router.explain(target, level, &levels),
            None => {
                let sinks = running.sink_levels.iter();
                let sinks = sinks.map(|(name, levels)| (&**name, max_level(levels, target)));
                ExplainedEvent::without_routes(target, level, &levels, sinks)
            }
        }
    }

    /// Returns the counters of events and of faults.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.report.stats();
        for closed in &self.running().closed {
            add_stats(&mut stats.sinks, closed);
        }
        stats
    }

    /// Returns the counters of the sampler. Samplers that a configuration file sets for single
    /// sinks are not included. An event that reaches two outputs of different formats counts twice.
    /// All counters are zero without a sampler.
    #[must_use]
    pub fn sampler_stats(&self) -> SamplerStats {
        let running = self.running();
        let sampler = running.sampler.as_ref();
        sampler.map(Sampler::stats).unwrap_or_default()
    }

    /// Returns the counters of the flight recorder. All counters are zero without a recorder.
    #[must_use]
    pub fn recorder_stats(&self) -> RecorderStats {
        let recorder = self.recorder.as_ref();
        recorder.map(Recorder::stats).unwrap_or_default()
    }

    /// Returns the running optional sink of this type.
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

    /// Writes the buffered lines, and sends what exporters have buffered. Waits at most `timeout`.
    /// Returns false if some data could not be written or sent.
    #[expect(clippy::must_use_candidate, reason = "a fault is reported in any case")]
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = deadline_after(timeout);
        let flushed = self.flush_lines(deadline);
        let sinks = self.sinks.iter();
        // `&` does not short-circuit, so each sink is flushed even after a failure.
        sinks.fold(flushed, |flushed, sink| {
            flushed & self.report_flush(&sink.flush_by(deadline))
        })
    }

    /// Like [`flush`](Self::flush), but only for lines, and not for network sinks.
    pub(crate) fn flush_lines(&self, deadline: Instant) -> bool {
        self.emit_summaries(deadline);
        self.flush_each(|output| output.flush(deadline.saturating_duration_since(Instant::now())))
    }

    /// Like [`flush_lines`](Self::flush_lines), for a panic hook. Waits for a stalled output only
    /// once, because the program may catch many panics.
    pub(crate) fn flush_lines_in_panic(&self, timeout: Duration) -> bool {
        let deadline = deadline_after(timeout);
        self.emit_summaries(deadline);
        self.flush_each(|output| {
            output.flush_in_panic(deadline.saturating_duration_since(Instant::now()))
        })
    }

    /// Like [`flush_lines`](Self::flush_lines), for a panic hook after which the program ends. Also
    /// shuts down the network sinks.
    pub(crate) fn shut_down_in_panic(&self, timeout: Duration) -> bool {
        let deadline = deadline_after(timeout);
        let flushed = self.flush_lines(deadline);
        self.shut_down_sinks(deadline);
        flushed
    }

    fn shut_down_sinks(&self, deadline: Instant) {
        self.sinks.iter().for_each(|sink| sink.hurry());
        self.sinks
            .iter()
            .for_each(|sink| sink.shutdown_by(deadline));
    }

    /// Returns the current outputs.
    pub(crate) fn running(&self) -> Arc<RunningOutputs> {
        Arc::clone(&self.running.read())
    }

    fn flush_each(&self, flush: impl Fn(&Background) -> io::Result<()>) -> bool {
        let running = self.running();
        let outputs = running.backgrounds.iter();
        // `&` does not short-circuit, so each output is flushed even after a failure.
        outputs.fold(true, |flushed, output| {
            flushed & self.report_flush(&flush(output))
        })
    }

    /// Returns the number of lines that the outputs have lost. Events for Sentry are not lines.
    pub(crate) fn lost_lines(&self) -> u64 {
        let running = self.running();
        let outputs = running.backgrounds.iter();
        let lost_by_open_outputs: u64 = outputs.map(|output| output.stats().lost()).sum();
        lost_by_open_outputs + running.closed.iter().map(SinkStats::lost).sum::<u64>()
    }

    /// Reopens the files at their paths, after the files were moved. Without this call, each output
    /// detects a move when it writes a line, with at most one check per second.
    ///
    /// # Errors
    /// Returns the error of the first file that cannot be opened. If a file cannot be opened at its
    /// path, its output continues to write to the moved file.
    pub fn reopen(&self) -> io::Result<()> {
        self.running().reopen()
    }

    /// Returns the sampler of the program, and the samplers of single sinks.
    fn samplers(&self) -> Vec<Sampler> {
        let running = self.running();
        let samplers = running.sampler.iter().chain(&running.sink_samplers);
        samplers.cloned().collect()
    }

    /// Emits the pending summaries of the samplers. This may write lines to a stalled output, so it
    /// runs on a separate thread, which is abandoned at `deadline`.
    fn emit_summaries(&self, deadline: Instant) {
        let samplers = self.samplers();
        if samplers.is_empty() {
            return;
        }
        let (done, on_done) = mpsc::channel();
        let emit = move || {
            samplers.iter().for_each(Sampler::emit_summaries);
            let _ = done.send(());
        };
        let is_emitted = thread::Builder::new()
            .name("spanwise-sampler".to_owned())
            .spawn(emit)
            .is_ok_and(|_| {
                on_done
                    .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                    .is_ok()
            });
        if !is_emitted {
            let why = "an output is stalled, and did not get the counts of the suppressed events";
            self.report.fault(Fault::Lost, &why);
        }
    }

    /// Registers a callback that emits the summaries before `exit`. Dropping the returned value
    /// unregisters the callback.
    fn emit_summaries_at_exit(&self) -> Arc<BeforeExit> {
        let handle = self.clone();
        let callback: Arc<BeforeExit> = Arc::new(move |deadline| handle.emit_summaries(deadline));
        before_exit(&callback);
        callback
    }

    /// Reports the error of a flush, if there is one. Returns whether the flush succeeded.
    fn report_flush(&self, result: &io::Result<()>) -> bool {
        if let Err(error) = result {
            self.report.fault(Fault::FlushFailed, error);
        }
        result.is_ok()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("levels", &self.levels)
            .finish_non_exhaustive()
    }
}
