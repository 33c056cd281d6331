//! Reloads the configuration files while the program runs.
//!
//! A reload reads the files and chooses all settings as the start did, with the `Builder` calls and
//! the environment of the start. If there is no problem, it does these steps:
//!
//! 1. It opens the new outputs.
//! 2. It sends new events through a new [`Generation`]: the router and the layers of one
//!    configuration.
//! 3. It waits until the events in the old generation are handled.
//! 4. It closes the outputs that the new configuration does not have.

#[cfg(all(unix, feature = "sighup"))]
mod hangup_signal;
mod reload_thread;
mod reports;

use std::{
    fmt,
    sync::Arc,
    thread::{self, ThreadId},
    time::Duration,
};

use spanwise_core::{
    Fault, LevelHandle, Levels, SelfReport, SinkStats,
    internal::{
        forks, reentrancy,
        sync::{Condvar, Mutex, MutexGuard, RwLock},
    },
};
use tracing::dispatcher;

use crate::{
    Builder, Handle,
    config::Config,
    config_file::{ConfigChange, KeyVersions, Merged, Reload, ReloadError, remove_invalid_lines},
    level_sources::LevelSources,
    live::{Generation, LineGroup, LiveCell, LiveLayers, LiveShared, SharedLayer},
    outputs::{OpenOptions, OpenOutput, Outputs},
    rendering::Rendering,
    router::{FreeBits, Router},
    sink_settings::{Routing, SinkKind, SinkSettings},
    stack::Wrappers,
    start::new_router,
    telemetry::{Guards, RunningOutputs, add_stats},
};

pub(crate) use reload_thread::ReloadThread;

/// Reads the configuration files again, and replaces the running configuration.
pub(crate) struct Reloader {
    state: Mutex<State>,
    /// The thread that is reloading, and therefore has the lock of `state`.
    reloading_thread: Mutex<Option<ThreadId>>,
    /// The problems of the newest files, if they were refused.
    problems: Mutex<Vec<String>>,
    /// The number of forks when logging started: see [`forks::generation`]. A process with another
    /// number is a forked child. It has no reload thread. It can never get the lock of `state` if a
    /// thread of the parent held the lock at the fork.
    fork_generation: u32,
    /// The current generation.
    current: Arc<LiveCell>,
    live: Live,
    /// When the files are read again. The value in the files at the start counts.
    trigger: Reload,
    /// Whether logging is shut down.
    is_shut_down: Mutex<bool>,
    /// Notified when `is_shut_down` is set.
    shutdown: Condvar,
}

/// The parts of the running stack that a reload changes or needs.
pub(crate) struct Live {
    pub(crate) shared: Arc<LiveShared>,
    pub(crate) wrappers: Wrappers,
    pub(crate) levels: LevelHandle,
    pub(crate) running: Arc<RwLock<Arc<RunningOutputs>>>,
    pub(crate) guards: Arc<Guards>,
    pub(crate) report: SelfReport,
    /// The layers that every generation has. They are those of exporters, of the writer set with
    /// `Builder` or the output of tests, and the layer by which callers find the flight recorder.
    pub(crate) fixed: SharedLayer,
    /// The kinds of the exporters.
    pub(crate) exporters: Vec<&'static str>,
}

/// The current configuration, and the files that the last attempt to reload has read.
struct State {
    /// The builder of the start. Its `files` are those of the last attempt, even if they were
    /// refused.
    builder: Builder,
    /// The merged files of the current configuration.
    file: Arc<Merged>,
    /// The hash of the files of the last attempt.
    last_fingerprint: u64,
    outputs: Vec<OpenOutput>,
    groups: Vec<LineGroup>,
    sinks: Vec<SinkSettings>,
    /// The router bits that no sink has: see [`FreeBits`].
    free_bits: FreeBits,
    levels: Levels,
    /// The rendering for the writer set with `Builder` or for the output of tests, if there is one.
    writer: Option<Rendering>,
    /// The warnings of the current configuration. All of them have been shown.
    warnings: Vec<String>,
}

/// The right to reload, which only one thread has at a time.
struct Reloading<'a> {
    reloader: &'a Reloader,
    state: MutexGuard<'a, State>,
}

/// The maximum time for which a reload waits for the events in progress, and for each output that
/// it closes.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

impl Handle {
    /// Reads the configuration files again, and applies them. Requires the key `reload` in the
    /// files at the start: see `docs/config-file.md` in the repository.
    ///
    /// Returns the keys that have changed. Before the call returns, it waits for the events in
    /// progress, and flushes and closes the removed outputs. It waits at most five seconds for the
    /// events, and at most five seconds for each output.
    ///
    /// # Errors
    /// [`ReloadError`] with every problem, such as a change that needs a restart. In that case
    /// nothing has changed. Each refused configuration also emits one event at WARN.
    ///
    /// The call also fails in these cases, without an event:
    /// - The files at the start had no key `reload`, or it was `off`.
    /// - The thread is handling an event or a span: a layer or the `Debug` of a field calls it.
    /// - The process was forked during a reload.
    /// - Logging is shut down.
    pub fn reload(&self) -> Result<ConfigChange, ReloadError> {
        match &self.reloader {
            Some(reloader) => reloader.reload(),
            None => Err(cannot_begin(
                "start with a configuration file that has reload = \"manual\", or an interval such \
                 as reload = \"5s\"",
            )),
        }
    }

    /// Returns the problems of the last reload. Empty if it succeeded, or if there was no reload.
    #[must_use]
    pub fn reload_problems(&self) -> Vec<String> {
        let reloader = self.reloader.as_ref();
        let problems = reloader.map(|reloader| reloader.problems.lock().clone());
        problems.unwrap_or_default()
    }
}

/// Returns the error of a reload that cannot begin.
fn cannot_begin(why: &str) -> ReloadError {
    ReloadError::new(vec![why.to_owned()])
}

impl Reloader {
    /// Creates the layer for the sinks of the first configuration, and its reloader.
    pub(crate) fn start(
        live: Live,
        builder: Builder,
        config: &Config,
        outputs: Outputs,
        routing: Routing,
        router: Arc<Router>,
    ) -> (LiveLayers, Self) {
        let groups = outputs.groups(config, None, &live.levels, &live.wrappers);
        for (group, outputs) in &groups {
            group.set_outputs(outputs);
        }
        let groups: Vec<LineGroup> = groups.into_iter().map(|(group, _)| group).collect();
        let writer = config
            .has_writer()
            .then(|| Rendering::for_writer(&config.main_sink(), config));
        let group_samplers = groups.iter().filter_map(LineGroup::sampler);
        let mut samplers = group_samplers.chain(writer.as_ref().and_then(Rendering::sampler));
        let has_samplers = samplers.next().is_some() || live.wrappers.sampler().is_some();
        live.shared.set_has_samplers(has_samplers);
        // Makes the counts of reloads, which are all 0, part of the statistics.
        live.report.count_reload(|_| ());
        let current = Arc::new(LiveCell::new(live.generation(&groups, router)));
        let layers = LiveLayers {
            current: Arc::clone(&current),
            shared: Arc::clone(&live.shared),
            fixed: Arc::clone(&live.fixed),
        };
        let warnings = config.findings.explanation.warnings.iter();
        let state = State {
            file: Arc::clone(&config.file),
            last_fingerprint: builder.files.fingerprint,
            outputs: outputs.opened,
            groups,
            free_bits: FreeBits::without(&routing.sinks),
            sinks: routing.sinks,
            levels: config.levels.events.clone(),
            writer,
            warnings: warnings.map(ToString::to_string).collect(),
            builder,
        };
        let reloader = Self {
            state: Mutex::new(state),
            reloading_thread: Mutex::new(None),
            problems: Mutex::default(),
            fork_generation: forks::generation(),
            current,
            trigger: config.file.reload(),
            live,
            is_shut_down: Mutex::new(false),
            shutdown: Condvar::new(),
        };
        (layers, reloader)
    }

    /// Reads the files of the start again, and applies them.
    fn reload(&self) -> Result<ConfigChange, ReloadError> {
        let mut reloading = self.begin()?;
        let state = &mut *reloading.state;
        state.builder.files = state.builder.files.read_again();
        self.apply(state)
    }

    /// Waits until no other thread reloads, and then takes the right to reload. Fails if this
    /// thread is reloading or logging, in a child that was forked during a reload, and after the
    /// shutdown.
    fn begin(&self) -> Result<Reloading<'_>, ReloadError> {
        let this = thread::current().id();
        if *self.reloading_thread.lock() == Some(this) {
            return Err(cannot_begin(
                "this thread is already reloading the configuration, and one of its layers called \
                 `Handle::reload`",
            ));
        }
        // A reload waits for the events in progress, so an event that starts a reload would wait
        // for itself. Under a scoped subscriber, `tracing-core` would also panic when the reload
        // makes it evaluate callsites again.
        if reentrancy::is_logging() {
            return Err(cannot_begin(
                "`Handle::reload` was called from inside an event or a span; call it on another \
                 thread, or after the event",
            ));
        }
        let Some(state) = forks::lock(&self.state, self.fork_generation) else {
            return Err(cannot_begin(
                "a reload was in progress when this process was forked",
            ));
        };
        if *self.is_shut_down.lock() {
            return Err(cannot_begin("logging is shut down"));
        }
        *self.reloading_thread.lock() = Some(this);
        let reloader = self;
        Ok(Reloading { reloader, state })
    }

    /// Reports a reload in which no value in the files has changed.
    fn report_unchanged(&self) {
        let was_refused = !std::mem::take(&mut *self.problems.lock()).is_empty();
        self.live.report.count_reload(|counts| counts.problems = 0);
        self.live.in_stack(|| {
            if was_refused {
                tracing::info!(target: "spanwise", "configuration unchanged, and valid again");
            } else {
                tracing::debug!(target: "spanwise", "configuration unchanged");
            }
        });
    }

    /// Reloads if the files have changed since the last attempt.
    fn reload_if_changed(&self) {
        let Ok(mut reloading) = self.begin() else {
            return;
        };
        let state = &mut *reloading.state;
        let files = state.builder.files.read_again();
        if files.fingerprint != state.last_fingerprint {
            state.builder.files = files;
            // `apply` reports problems, so the result is not needed.
            let _ = self.apply(state);
        }
    }

    /// Applies the files of the builder, and reports the outcome.
    fn apply(&self, state: &mut State) -> Result<ConfigChange, ReloadError> {
        state.last_fingerprint = state.builder.files.fingerprint;
        let result = self.try_apply(state);
        if let Err(error) = &result {
            *self.problems.lock() = error.problems().to_vec();
            self.live.report.count_reload(|counts| {
                counts.refused += 1;
                counts.problems = error.problems().len() as u64;
            });
            self.live.report_refused(error.problems());
        }
        result
    }

    /// Applies the files of the builder. After an error, nothing has changed.
    fn try_apply(&self, state: &mut State) -> Result<ConfigChange, ReloadError> {
        let live = &self.live;
        let mut config = Config::choose(&state.builder);
        live.keep_sampler(&mut config);
        let mut problems = config.problems();
        let files = &state.builder.files;
        let keys = KeyVersions::new(files, &config.file, &state.file, &problems);
        let change = keys.changes().with_overrides(&config.findings.explanation);
        let set_in_code = state
            .outputs
            .iter()
            .filter(|output| output.is_set_in_code());
        let names = set_in_code.map(|output| &*output.sink.name);
        let mut routing = config.sinks_and_routes(names, live.exporters.iter().copied());
        config.levels.events = routing.levels(&config.levels.events);
        if change.is_empty() && problems.is_empty() {
            // No value has changed, but keys may have moved to other lines, which are shown.
            state.file = Arc::clone(&config.file);
            live.set_level_sources(LevelSources::new(&config.levels, &routing));
            self.report_unchanged();
            return Ok(change);
        }
        let mut restarts = keys.restarts();
        restarts.extend(state.changed_writer(&config));
        restarts.extend(state.changed_file_options(&routing, &keys));
        remove_invalid_lines(&mut restarts, &problems);
        problems.extend(restarts);
        // Checks the filters, and the number of sinks, before anything is opened.
        if let Err(routing_problems) = routing
            .assign_bits(&mut FreeBits::default(), |_| None)
            .map_err(|problem| vec![problem])
            .and_then(|()| new_router(&state.builder, &config, &routing, &live.report).map(drop))
        {
            problems.extend(routing_problems);
        }
        let options = OpenOptions {
            has_routes: true,
            is_reloadable: true,
            previous: &state.outputs,
            has_start_failed: false,
            report: &live.report,
        };
        let opened = Outputs::open(&config, &routing.sinks, Vec::new(), problems, options);
        let refused = |mut problems: Vec<String>| {
            config.finish_problems(&mut problems);
            ReloadError::new(problems)
        };
        let mut outputs = opened.map_err(refused)?;
        let mut free_bits = state.free_bits.clone();
        routing
            .assign_bits(&mut free_bits, |sink| state.kept_bit(sink, &outputs))
            .map_err(|problem| refused(vec![problem]))?;
        outputs.copy_bits_from(&routing);
        let router = new_router(&state.builder, &config, &routing, &live.report);
        let mut router = router.map_err(refused)?;
        outputs.count_with(&mut router, &live.report);
        let router = Arc::new(router);
        let groups = outputs.groups(&config, Some(&state.groups), &live.levels, &live.wrappers);
        // From here on, nothing fails.
        let group_samplers = groups.iter().filter_map(|(group, _)| group.sampler());
        let writer_sampler = state.writer.as_ref().and_then(Rendering::sampler);
        let samplers: Vec<_> = group_samplers.chain(writer_sampler).collect();
        // `Handle::sampler_stats` must read the sampler that runs. It is the sampler of a group or
        // of the writer with the same text as the configured sampler.
        let sampler = config.sampler.clone().map(|new| {
            let text = new.to_string();
            let mut samplers = samplers.iter();
            let running = samplers.find(|sampler| sampler.to_string() == text);
            running.cloned().unwrap_or(new)
        });
        live.shared.set_has_samplers(!samplers.is_empty());
        let dispatch = live.shared.dispatch();
        for (group, outputs) in &groups {
            if let Some(dispatch) = &dispatch
                && !state.groups.iter().any(|old| old.has_same_layer(group))
            {
                group.register(dispatch);
            }
            group.add_outputs(outputs);
        }
        live.guards.add(std::mem::take(&mut outputs.guards));
        outputs.set_fallbacks();
        let router_for_explain = Some(Arc::clone(&router));
        let running = RunningOutputs {
            sampler,
            closed: live.running.read().closed.clone(),
            ..RunningOutputs::new(
                &outputs,
                &routing,
                &config.levels,
                router_for_explain,
                samplers,
            )
        };
        // Until the old outputs are closed, a flush waits for the old and the new outputs.
        let backgrounds = running
            .backgrounds
            .iter()
            .chain(state.outputs.iter().map(|output| &output.background));
        *live.running.write() = Arc::new(RunningOutputs {
            backgrounds: backgrounds.cloned().collect(),
            ..running.clone()
        });
        let (groups, outputs_by_group): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        live.emit_summaries(&state.groups, &groups);
        let generation = live.generation(&groups, router);
        generation.plan_callsites_of(&self.current.load());
        let replaced = self.current.replace(generation);
        live.report_changed(&change);
        let is_drained = replaced.wait_until_unused(DRAIN_TIMEOUT);
        if config.levels.events == state.levels {
            live.levels.rebuild_interests();
        } else {
            live.levels.set_configured(&config.levels.events);
        }
        for (group, outputs) in groups.iter().zip(&outputs_by_group) {
            group.set_outputs(outputs);
        }
        let old_outputs = std::mem::replace(&mut state.outputs, outputs.opened);
        state.groups = groups;
        let removed_outputs = old_outputs
            .iter()
            .filter(|old| state.outputs.iter().all(|new| new.id != old.id));
        let mut removed_outputs = removed_outputs.peekable();
        if !is_drained && removed_outputs.peek().is_some() {
            let why = "events that take longer than 5 seconds do not reach the sinks that a reload \
                       of the configuration has closed";
            live.report.fault(Fault::Lost, &why);
        }
        let closed = removed_outputs.filter_map(|output| live.close(output));
        let closed: Vec<SinkStats> = closed.collect();
        let mut running = running;
        for counts in &closed {
            add_stats(&mut running.closed, counts);
        }
        drop(old_outputs);
        *live.running.write() = Arc::new(running);
        free_bits.add_removed(&state.sinks, &routing.sinks);
        state.free_bits = free_bits;
        state.sinks = routing.sinks;
        state.levels = config.levels.events.clone();
        state.file = Arc::clone(&config.file);
        self.problems.lock().clear();
        live.report.count_reload(|counts| {
            counts.applied += 1;
            counts.problems = 0;
        });
        live.report_closed(&closed);
        live.report_warnings(&config, &mut state.warnings);
        Ok(change)
    }
}

impl State {
    /// Returns the problems of changed options of open files, which need a restart.
    fn changed_file_options(&self, routing: &Routing, keys: &KeyVersions<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        for sink in routing.sinks.iter().filter(|sink| sink.enabled) {
            let SinkKind::File(new) = &sink.kind else {
                continue;
            };
            for output in &self.outputs {
                if let SinkKind::File(open) = &output.sink.kind
                    && open.path == new.path
                {
                    let options = new.differences(open);
                    problems.extend(
                        options.filter_map(|option| keys.open_file_problem(&sink.name, option)),
                    );
                }
            }
        }
        problems
    }

    /// Returns a problem if the sink `main` has changed while the program uses its settings for a
    /// writer in code. This change needs a restart.
    fn changed_writer(&self, config: &Config) -> Option<String> {
        let rendering = Rendering::for_writer(&config.main_sink(), config);
        let is_same = self.writer.as_ref()?.is_same(&rendering);
        (!is_same).then(|| {
            "the sink main has changed; the writer that the program sets in code uses its \
             settings, and cannot change while the program runs: undo the change, or restart the \
             program"
                .to_owned()
        })
    }

    /// Returns the router bit that a sink keeps in a reload, because the lines that the flight
    /// recorder has buffered for the sink have this bit. It is the bit of the old output that the
    /// new output of the sink [continues](OpenOutput::predecessor). A renamed sink keeps the bit
    /// only if its rendering is the same.
    ///
    /// A sink whose rendering changes moves from one layer to another. It cannot keep its bit if
    /// one of these two layers belongs to both generations. During the switch, such a layer
    /// receives the events of both generations. With the same bit, an event would reach the sink
    /// twice: once through each layer.
    fn kept_bit(&self, sink: &SinkSettings, outputs: &Outputs) -> Option<u64> {
        let mut opened = outputs.opened.iter();
        let new = opened.find(|output| output.sink.name == sink.name);
        let old = new.and_then(|new| {
            let mut old_outputs = self.outputs.iter();
            old_outputs.find(|output| Some(output.id) == new.predecessor)
        });
        if let (Some(old), Some(new)) = (old, new) {
            if old.rendering.is_same(&new.rendering) {
                return Some(old.sink.bit);
            }
            let mut groups = self.groups.iter();
            let is_new_layer_in_both = groups.any(|group| group.has_rendering(&new.rendering));
            let mut others = outputs.opened.iter();
            let is_old_layer_in_both = others.any(|other| other.rendering.is_same(&old.rendering));
            if is_new_layer_in_both || is_old_layer_in_both {
                return None;
            }
        }
        let old = self.sinks.iter().find(|old| old.name == sink.name);
        old.map(|old| old.bit)
    }
}

impl Live {
    /// Creates a generation from the layers of these groups and the fixed layers.
    fn generation(&self, groups: &[LineGroup], router: Arc<Router>) -> Generation {
        let layers = groups.iter().map(|group| &group.layer);
        let layers = layers.chain([&self.fixed]).map(Arc::clone);
        Generation::new(layers.collect(), router, self.wrappers.shown_filter())
    }

    /// Replaces the new sampler of the program by the running one if both have the same text, so
    /// that new layers share it with the layers that stay.
    fn keep_sampler(&self, config: &mut Config) {
        let running = self.running.read().sampler.clone();
        if let (Some(new), Some(running)) = (&mut config.sampler, running)
            && new.to_string() == running.to_string()
        {
            *new = running;
        }
    }

    /// Emits the pending summaries of the samplers of removed layers. If a layer is removed, also
    /// emits the summaries of the sampler of the program, because they may be about lines of that
    /// layer.
    fn emit_summaries(&self, old: &[LineGroup], new: &[LineGroup]) {
        let mut removed = old
            .iter()
            .filter(|old| new.iter().all(|new| !new.has_same_layer(old)))
            .peekable();
        let program_sampler = self.wrappers.sampler().filter(|_| removed.peek().is_some());
        let samplers = removed.filter_map(LineGroup::sampler);
        let samplers = samplers.chain(program_sampler.cloned());
        samplers.for_each(|sampler| sampler.emit_summaries());
    }

    /// Writes the buffered lines of a removed output, and closes the output. Returns its final
    /// counts, or `None` if it was closed before.
    fn close(&self, output: &OpenOutput) -> Option<SinkStats> {
        let guard = self.guards.remove(output.id)?;
        guard.shutdown(DRAIN_TIMEOUT);
        // The caller adds the counts of the output to `RunningOutputs::closed`.
        self.report.remove_sink(&output.background.counters());
        Some(output.background.stats())
    }

    /// Sets the origins of levels that `Handle::explain_event` shows.
    fn set_level_sources(&self, level_sources: LevelSources) {
        let mut running = self.running.write();
        *running = Arc::new(RunningOutputs {
            level_sources,
            ..RunningOutputs::clone(&running)
        });
    }

    /// Calls `f` with the stack as the default subscriber of this thread.
    fn in_stack(&self, f: impl FnOnce()) {
        match self.shared.dispatch() {
            Some(dispatch) => dispatcher::with_default(&dispatch, f),
            None => f(),
        }
    }
}

impl Drop for Reloading<'_> {
    fn drop(&mut self) {
        *self.reloader.reloading_thread.lock() = None;
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("trigger", &self.trigger)
            .finish_non_exhaustive()
    }
}
