//! Logging while it runs, and its end.

use std::{
    any::Any,
    fmt, io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use spanwise_appender::{Background, BeforeExit, FlushGuard, RollingFile, before_exit};
use spanwise_core::{Fault, LevelHandle, Levels, ParseError, SelfReport, ShutdownReport, Stats};

use spanwise_recorder::{Recorder, RecorderStats};
use spanwise_sample::{Sampler, SamplerStats};

#[cfg(feature = "http")]
use crate::http_options::HttpOptions;
use crate::{config::Config, outputs::Outputs, sinks::RunningSink};

/// Keeps logging whole until the program ends: hold it in `main`. Dropping it shuts down, in at
/// most five seconds. A program that ends by `std::process::exit` while it is held shuts down as
/// well.
///
/// Events after the shutdown are still written, by the thread that logs.
#[derive(Debug)]
#[must_use = "dropping it shuts logging down: bind it with `let _telemetry = …`, not `let _ = …`"]
pub struct Telemetry {
    handle: Handle,
    guards: Vec<FlushGuard>,
    at_exit: Option<AtExit>,
    #[cfg(feature = "http")]
    http: HttpOptions,
    #[cfg(feature = "http")]
    context_keys: Vec<String>,
}

/// Tells what a sampler held back, if the program exits before the shutdown.
struct AtExit(
    #[expect(dead_code, reason = "it is there for as long as it is held")] Arc<BeforeExit>,
);

impl AtExit {
    fn new(handle: &Handle) -> Self {
        let handle = handle.clone();
        let tell: Arc<BeforeExit> = Arc::new(move |end| handle.flush_sampler(end));
        before_exit(&tell);
        Self(tell)
    }
}

impl fmt::Debug for AtExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtExit")
    }
}

/// Reads and changes what is logged while the program runs. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    levels: LevelHandle,
    report: SelfReport,
    outputs: Arc<OpenOutputs>,
    sampler: Option<Sampler>,
    recorder: Option<Recorder>,
    sinks: Arc<[Arc<dyn RunningSink>]>,
}

/// What a start hands over.
pub(crate) struct Running {
    pub(crate) levels: LevelHandle,
    pub(crate) report: SelfReport,
    pub(crate) outputs: Outputs,
    pub(crate) sinks: Vec<Arc<dyn RunningSink>>,
}

struct OpenOutputs {
    backgrounds: Vec<Background>,
    files: Vec<RollingFile>,
}

/// How long a program that ends waits for its outputs.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

impl Telemetry {
    pub(crate) fn new(running: Running, config: &Config) -> Self {
        let Outputs {
            backgrounds,
            guards,
            files,
            ..
        } = running.outputs;
        let handle = Handle {
            levels: running.levels,
            report: running.report,
            outputs: Arc::new(OpenOutputs { backgrounds, files }),
            sampler: config.sampler.clone(),
            recorder: config.recorder.clone(),
            sinks: running.sinks.into(),
        };
        let at_exit = handle.sampler.is_some().then(|| AtExit::new(&handle));
        Self {
            handle,
            guards,
            at_exit,
            #[cfg(feature = "http")]
            http: config.http.clone(),
            #[cfg(feature = "http")]
            context_keys: config.context.clone(),
        }
    }

    /// The layer for servers, with what `LOG_HTTP_TRUST` and `LOG_HTTP_CLIENT_ADDRESS` say, and
    /// with the keys of `LOG_CONTEXT` in its span. A client's address is shown whole under
    /// [`Preset::Dev`](crate::Preset::Dev).
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
        self.http.layer(&self.context_keys)
    }

    /// The layer for clients, which sends the ids of the request on: for `tower`, and with the
    /// feature `reqwest` for `reqwest`.
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

    /// The handle by which logging is read and changed while the program runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Hands on all that is held, waiting at most `deadline` for it, and says what became of all
    /// lines.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and ask no more"
    )]
    pub fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Duration) -> ShutdownReport {
        let end = deadline_after(deadline);
        self.at_exit = None;
        self.handle.flush_sampler(end);
        for guard in self.guards.drain(..) {
            guard.shutdown(end.saturating_duration_since(Instant::now()));
        }
        // It sends all the while; what it has not sent when the lines are out it has time for until
        // the end.
        self.handle
            .sinks
            .iter()
            .for_each(|sink| sink.shutdown_by(end));
        ShutdownReport::from_stats(&self.handle.stats().sinks)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.end(SHUTDOWN_TIMEOUT);
    }
}

impl Handle {
    /// The levels in force.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.levels.levels()
    }

    /// Sets the levels of events, as `RUST_LOG` writes them, and ends a temporary setting. Without
    /// a bare level the one from the start remains for the rest. Spans stay as `LOG_SPANS` has them.
    ///
    /// # Errors
    /// Every directive that is malformed; nothing is changed then.
    pub fn set_levels(&self, levels: &str) -> Result<(), ParseError> {
        self.levels.set_levels(levels)
    }

    /// Sets the levels for a while; then those last set for good come back by themselves. Setting
    /// levels again, for a while or for good, ends this setting.
    ///
    /// # Errors
    /// Every directive that is malformed; nothing is changed then.
    pub fn set_levels_for(&self, duration: Duration, levels: &str) -> Result<(), ParseError> {
        self.levels.set_levels_for(duration, levels)
    }

    pub(crate) fn report(&self) -> &SelfReport {
        &self.report
    }

    /// What became of the events so far, and what went wrong.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.report.stats()
    }

    /// What became of the events that reached the outputs' sampler: one that reached two outputs of
    /// different formats counts twice. All zero without one.
    #[must_use]
    pub fn sampler_stats(&self) -> SamplerStats {
        let sampler = self.sampler.as_ref();
        sampler.map(Sampler::stats).unwrap_or_default()
    }

    /// What became of the lines that the flight recorder kept. All zero without one.
    #[must_use]
    pub fn recorder_stats(&self) -> RecorderStats {
        let recorder = self.recorder.as_ref();
        recorder.map(Recorder::stats).unwrap_or_default()
    }

    /// Returns the running sink of this type.
    #[cfg_attr(
        not(feature = "sentry"),
        expect(dead_code, reason = "there may be no sink")
    )]
    pub(crate) fn sink<S: RunningSink>(&self) -> Option<&S> {
        self.sinks.iter().find_map(|sink| {
            let sink: &dyn Any = &**sink;
            sink.downcast_ref()
        })
    }

    /// Hands on all that is held, waiting at most `deadline` for it; false if something could not
    /// be handed on.
    #[expect(clippy::must_use_candidate, reason = "a fault is reported in any case")]
    pub fn flush(&self, deadline: Duration) -> bool {
        let end = deadline_after(deadline);
        let flushed = self.flush_lines(end);
        let sinks = self.sinks.iter();
        sinks.fold(flushed, |flushed, sink| {
            flushed & self.settle(&sink.flush_by(end))
        })
    }

    /// [`flush`](Self::flush), but for what goes over a network.
    pub(crate) fn flush_lines(&self, end: Instant) -> bool {
        self.flush_sampler(end);
        self.each_output(|output| output.flush(end.saturating_duration_since(Instant::now())))
    }

    /// [`flush_lines`](Self::flush_lines), for a panic hook: a program that survives its panics does
    /// not wait in each of them for an output that is stalled.
    pub(crate) fn flush_lines_in_panic(&self, at_most: Duration) -> bool {
        let end = deadline_after(at_most);
        self.flush_sampler(end);
        self.each_output(|output| {
            output.flush_in_panic(end.saturating_duration_since(Instant::now()))
        })
    }

    fn each_output(&self, flush: impl Fn(&Background) -> io::Result<()>) -> bool {
        let outputs = self.outputs.backgrounds.iter();
        outputs.fold(true, |flushed, output| {
            flushed & self.settle(&flush(output))
        })
    }

    /// Lines that some output lost so far. Sentry's events are no lines.
    pub(crate) fn lost_lines(&self) -> u64 {
        let outputs = self.outputs.backgrounds.iter();
        outputs.map(|output| output.stats().lost()).sum()
    }

    /// Opens the files again at their paths, for whoever has moved them away. They notice by
    /// themselves within a second, too.
    ///
    /// # Errors
    /// What the system says about the first that cannot be opened; it stays as it is.
    pub fn reopen(&self) -> io::Result<()> {
        let reopened = self.outputs.files.iter().map(|file| {
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

    /// Tells what was held back and not told. An output may be stalled, and its lines are written
    /// on the thread that logs: so on a thread that is left behind at `end`.
    fn flush_sampler(&self, end: Instant) {
        let Some(sampler) = self.sampler.clone() else {
            return;
        };
        let (done, told) = mpsc::channel();
        let tell = move || {
            sampler.emit_summaries();
            let _ = done.send(());
        };
        let is_told = thread::Builder::new()
            .name("spanwise-sampler".to_owned())
            .spawn(tell)
            .is_ok_and(|_| {
                told.recv_timeout(end.saturating_duration_since(Instant::now()))
                    .is_ok()
            });
        if !is_told {
            let why = "an output is stalled, and was not told how much was left out";
            self.report.fault(Fault::Lost, &why);
        }
    }

    fn settle(&self, flushed: &io::Result<()>) -> bool {
        if let Err(error) = flushed {
            self.report.fault(Fault::FlushFailed, error);
        }
        flushed.is_ok()
    }
}

fn deadline_after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or(now + SHUTDOWN_TIMEOUT)
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("levels", &self.levels)
            .finish_non_exhaustive()
    }
}
