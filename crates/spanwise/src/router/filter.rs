//! Compiled filters, and the steps of them that remain for the events of a callsite.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use spanwise_core::{Fault, Redact, SelfReport, internal::panic_safe};
use tracing::Level;

use super::{
    FilterEvent, RouterOptions, Verdict,
    condition::{Compiled, Outcomes, ValueTests},
};
use crate::sink_settings::Filter;

/// A filter in code: see [`Builder::filter`](crate::Builder::filter).
pub(crate) type CodeFilter = Arc<dyn Fn(&FilterEvent<'_>) -> Verdict + Send + Sync>;

/// All filters of a configuration, and the tests of field values in them.
pub(super) struct Filters {
    /// The names and the actions of the filters.
    filters: Vec<(String, Action)>,
    pub(super) tests: ValueTests,
    pub(super) context_keys: Vec<String>,
    pub(super) policy: Option<Arc<dyn Redact>>,
    report: SelfReport,
    has_reported_panic: AtomicBool,
}

/// The action of a filter, for all targets and levels.
#[derive(Clone)]
enum Action {
    Keep(Compiled),
    Drop(Compiled),
    Level(Level, Compiled),
    Code(CodeFilter),
}

/// The steps that remain of a list of filters when the target of an event, and perhaps its level,
/// is known. They are in the order of the filters.
#[derive(Debug)]
pub(super) struct Steps {
    steps: Vec<Step>,
    final_level: FinalLevel,
}

/// The level of an event after all steps, if it is known before the event occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FinalLevel {
    /// A step drops every event.
    Dropped,
    /// Each event that no step drops has this level.
    Known(Level),
    /// The level depends on the event.
    Unknown,
}

/// A step: the action of a filter, without the parts of its condition that are decided.
enum Step {
    Keep(Compiled),
    Drop(Compiled),
    Level(Level, Compiled),
    Code(String, CodeFilter),
}

impl Filters {
    /// Compiles the filters, or returns all problems.
    pub(super) fn new(
        filters: &[(String, Filter)],
        options: RouterOptions<'_>,
    ) -> Result<Self, Vec<String>> {
        let mut tests = ValueTests::default();
        let mut problems = Vec::new();
        let mut compiled = Vec::new();
        for (name, filter) in filters {
            let mut compile = |condition| Compiled::new(condition, options.preset, &mut tests);
            let action = match filter {
                Filter::Keep(condition) => compile(condition).map(Action::Keep),
                Filter::Drop(condition) => compile(condition).map(Action::Drop),
                Filter::Level(level, condition) => {
                    compile(condition).map(|condition| Action::Level(*level, condition))
                }
                Filter::Code(function) => {
                    let mut registered = options.code_filters.iter();
                    let Some((_, filter)) = registered.find(|(name, _)| name == function) else {
                        problems.push(format!(
                            "filter.{name} is a function, and the program registers none of this \
                             name: call `Builder::filter({function:?}, …)`, or remove the filter"
                        ));
                        continue;
                    };
                    Some(Action::Code(Arc::clone(filter)))
                }
            };
            match action {
                Some(action) => compiled.push((name.clone(), action)),
                None => {
                    problems.push(format!(
                        "filter.{name}: all filters together test more than 64 values: test fewer"
                    ));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            filters: compiled,
            tests,
            context_keys: options.context_keys.to_vec(),
            policy: options.policy,
            report: options.report.clone(),
            has_reported_panic: AtomicBool::new(false),
        })
    }

    /// Returns the indices of the filters with these names.
    pub(super) fn indices(&self, names: &[String]) -> Vec<usize> {
        let index = |name: &String| self.filters.iter().position(|(other, _)| other == name);
        names.iter().filter_map(index).collect()
    }

    pub(super) fn name(&self, index: usize) -> &str {
        &self.filters[index].0
    }

    /// Returns the steps that remain of `filters` for events with this target and level. The level
    /// is `None` if it depends on the event.
    pub(super) fn steps(&self, filters: &[usize], target: &str, level: Option<Level>) -> Steps {
        let mut steps = Vec::new();
        let mut final_level = level.map_or(FinalLevel::Unknown, FinalLevel::Known);
        for (name, action) in filters.iter().filter_map(|index| self.filters.get(*index)) {
            let level = match final_level {
                FinalLevel::Known(level) => Some(level),
                _ => None,
            };
            match action {
                Action::Keep(condition) => match condition.for_events(target, level) {
                    Compiled::Always(true) => {}
                    Compiled::Always(false) => return Steps::dropped(),
                    condition => steps.push(Step::Keep(condition)),
                },
                Action::Drop(condition) => match condition.for_events(target, level) {
                    Compiled::Always(false) => {}
                    Compiled::Always(true) => return Steps::dropped(),
                    condition => steps.push(Step::Drop(condition)),
                },
                Action::Level(new, condition) => match condition.for_events(target, level) {
                    Compiled::Always(false) => {}
                    condition => {
                        final_level = match condition {
                            Compiled::Always(true) => FinalLevel::Known(*new),
                            _ => FinalLevel::Unknown,
                        };
                        steps.push(Step::Level(*new, condition));
                    }
                },
                Action::Code(filter) => {
                    final_level = FinalLevel::Unknown;
                    steps.push(Step::Code(name.clone(), Arc::clone(filter)));
                }
            }
        }
        Steps { steps, final_level }
    }

    /// Calls a filter in code. If the filter panics, the event is kept.
    fn call(&self, name: &str, filter: &CodeFilter, event: &FilterEvent<'_>) -> Verdict {
        let verdict = panic_safe::catch_panic(|| filter(event));
        if verdict.is_none() && !self.has_reported_panic.swap(true, Ordering::Relaxed) {
            let why = format_args!(
                "the filter {name} panicked, so its events are kept: correct the function of \
                 `Builder::filter`"
            );
            self.report.fault_unthrottled(Fault::Setup, &why);
        }
        verdict.unwrap_or(Verdict::Keep)
    }
}

impl Steps {
    /// Creates steps that drop every event.
    fn dropped() -> Self {
        Self {
            steps: Vec::new(),
            final_level: FinalLevel::Dropped,
        }
    }

    pub(super) fn final_level(&self) -> FinalLevel {
        self.final_level
    }

    /// Returns whether the steps have the same effect on each event.
    pub(super) fn is_fixed(&self) -> bool {
        let is_fixed = |step: &Step| matches!(step, Step::Level(_, Compiled::Always(_)));
        self.steps.iter().all(is_fixed)
    }

    /// Returns whether a step is a filter in code.
    pub(super) fn has_code(&self) -> bool {
        let is_code = |step: &Step| matches!(step, Step::Code(..));
        self.steps.iter().any(is_code)
    }

    /// Returns the bits of the tests in the steps.
    pub(super) fn tests(&self) -> u64 {
        self.steps.iter().fold(0, |bits, step| match step {
            Step::Keep(condition) | Step::Drop(condition) | Step::Level(_, condition) => {
                bits | condition.tests()
            }
            Step::Code(..) => bits,
        })
    }

    /// Runs the steps on an event of this level. Returns the level after all steps, or `None` if a
    /// step drops the event. For a filter in code, calls `with_event` with the current level and a
    /// function. `with_event` then calls this function with the [`FilterEvent`].
    pub(super) fn run(
        &self,
        filters: &Filters,
        outcomes: Outcomes,
        mut level: Level,
        mut with_event: impl FnMut(Level, &dyn Fn(&FilterEvent<'_>) -> Verdict) -> Verdict,
    ) -> Option<Level> {
        for step in &self.steps {
            match step {
                Step::Keep(condition) if !condition.holds(outcomes, level) => return None,
                Step::Drop(condition) if condition.holds(outcomes, level) => return None,
                Step::Level(new, condition) if condition.holds(outcomes, level) => level = *new,
                Step::Keep(_) | Step::Drop(_) | Step::Level(..) => {}
                Step::Code(name, filter) => {
                    match with_event(level, &|event| filters.call(name, filter, event)) {
                        Verdict::Keep => {}
                        Verdict::Drop => return None,
                        Verdict::Level(new) => level = new,
                    }
                }
            }
        }
        (self.final_level != FinalLevel::Dropped).then_some(level)
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.filters.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep(_) => "keep",
            Self::Drop(_) => "drop",
            Self::Level(..) => "level",
            Self::Code(..) => "code",
        })
    }
}
