//! Reloads of the configuration file.

mod calls;
mod fallback;
mod load;
mod recorder;
mod samplers;
mod scope;
mod spans;
mod triggers;
mod writer;

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use serde_json::Value;
use spanwise::{
    __private::without_installing,
    Builder, Telemetry,
    config_file::{ConfigChange, ReloadError},
};
use tracing::{Dispatch, Level, dispatcher, info, info_span, warn};

/// A program whose configuration file changes. `DIR` in the file is its directory.
pub(super) struct Program {
    directory: tempfile::TempDir,
    pub(super) dispatch: Dispatch,
    pub(super) telemetry: Telemetry,
}

impl Program {
    pub(super) fn start(file: &str) -> Self {
        Self::start_with(file, |builder| builder)
    }

    pub(super) fn start_with(file: &str, change: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start_with_vars(file, &[], change)
    }

    pub(super) fn start_with_vars(
        file: &str,
        vars: &[(&str, &str)],
        change: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.toml");
        let text = format!("reload = 'manual'\n{file}");
        let text = text.replace("DIR", directory.path().to_str().unwrap());
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let vars = [&[("LOG_PRESET", "prod"), ("LOG_CONFIG", path)], vars].concat();
        let builder = change(Builder::from_vars(vars).unwrap());
        let (dispatch, telemetry) = without_installing(builder).unwrap();
        Self {
            directory,
            dispatch,
            telemetry,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn write(&self, file: &str) {
        let text = format!("reload = 'manual'\n{file}");
        let text = text.replace("DIR", self.directory.path().to_str().unwrap());
        fs::write(self.path("log.toml"), text).unwrap();
    }

    pub(super) fn reload(&self, file: &str) -> Result<ConfigChange, ReloadError> {
        self.write(file);
        self.telemetry.handle().reload()
    }

    #[track_caller]
    pub(super) fn refused(&self, file: &str) -> Vec<String> {
        let directory = format!("{}/", self.directory.path().display());
        match self.reload(file) {
            Err(error) => {
                let problems = error.problems().iter();
                problems.map(|it| it.replace(&directory, "")).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn log(&self, log: impl FnOnce()) {
        dispatcher::with_default(&self.dispatch, log);
    }

    /// Returns the text of a file.
    pub(super) fn text(&self, name: &str) -> String {
        assert!(self.telemetry.handle().flush(Duration::from_secs(60)));
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the number of lines that a sink has written.
    pub(super) fn delivered(&self, sink: &str) -> u64 {
        let handle = self.telemetry.handle();
        assert!(handle.flush(Duration::from_secs(60)));
        let stats = handle.stats();
        let of_name = stats.sinks.iter().filter(|it| it.name == sink);
        of_name.map(|it| it.delivered).sum()
    }

    /// Returns the lines of each file whose name ends with `.log`.
    pub(super) fn lines(&self) -> BTreeMap<String, Vec<Value>> {
        assert!(self.telemetry.handle().flush(Duration::from_secs(60)));
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let files = entries.filter_map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let name = name.strip_suffix(".log")?.to_owned();
            let text = fs::read_to_string(entry.path()).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            Some((name, lines.collect()))
        });
        files.collect()
    }

    /// Returns the messages of a file, without those about the configuration.
    pub(super) fn messages(&self, sink: &str) -> Vec<String> {
        let lines = self.lines();
        let own = |line: &&Value| line["target"] != "spanwise";
        let lines = lines.get(sink).into_iter().flatten().filter(own);
        lines
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Returns the lines of a file about the configuration.
    pub(super) fn own_lines(&self, sink: &str) -> Vec<Value> {
        let mut lines = self.lines();
        let mut lines = lines.remove(sink).unwrap_or_default();
        lines.retain(|line| line["target"] == "spanwise");
        lines
    }
}

const MAIN: &str = "[sink.app]\nkind = 'file'\npath = 'DIR/main.log'\n";
const AUDIT: &str = "[sink.audit]\nkind = 'file'\npath = 'DIR/audit.log'\n";

#[test]
fn sinks_are_added_and_removed() {
    // The counters are those of the process.
    alone!();
    let program = Program::start(MAIN);
    program.log(|| info!("one"));
    let change = program.reload(&format!("{MAIN}{AUDIT}")).unwrap();
    let added = change
        .added
        .iter()
        .map(|key| key.split(' ').next().unwrap());
    assert!(added.eq(["sink.audit.kind", "sink.audit.path"]), "{change}");
    program.log(|| info!("two"));
    program.reload(MAIN).unwrap();
    program.log(|| info!("three"));
    assert_eq!(program.messages("main"), ["one", "two", "three"]);
    assert_eq!(program.messages("audit"), ["two"]);
    let own = program.own_lines("main");
    let messages: Vec<_> = own.iter().map(|line| &line["message"]).collect();
    assert_eq!(
        messages,
        [
            "configuration changed",
            "configuration changed",
            "sink closed"
        ]
    );
    assert_eq!(own[2]["sink"], "audit");
    assert_eq!(own[2]["delivered"], 2);
    assert_eq!(own[1]["removed"].as_array().unwrap().len(), 2);
    // It can be opened again.
    program.reload(&format!("{MAIN}{AUDIT}")).unwrap();
    program.log(|| info!("four"));
    assert_eq!(program.messages("audit"), ["two", "four"]);
    // The counts of the closed output are not gone.
    let stats = program.telemetry.handle().stats();
    let audit = stats.sinks.iter().filter(|sink| sink.name == "audit");
    let delivered: Vec<_> = audit.map(|sink| sink.delivered).collect();
    assert_eq!(delivered, [4]);
    program.reload(MAIN).unwrap();
    let main = program.lines()["main"].len();
    let report = program.telemetry.shutdown(Duration::from_secs(60));
    assert_eq!(report.delivered, main as u64 + 4);
}

#[test]
fn levels_routes_and_filters_change() {
    let program = Program::start(&format!("{MAIN}{AUDIT}"));
    let log = || {
        info!(target: "shop", step = 1, "shop");
        info!(target: "noise", step = 2, "noise");
    };
    program.log(log);
    program
        .reload(&format!("{MAIN}level = 'warn'\n{AUDIT}"))
        .unwrap();
    program.log(log);
    assert_eq!(program.messages("main"), ["shop", "noise"]);
    program
        .reload(&format!(
            "{MAIN}{AUDIT}[root]\nsinks = ['app']\n[route.shop]\nsinks = ['audit']\nexclusive = true\n\
             [route.noise]\nlevel = 'error'\n"
        ))
        .unwrap();
    program.log(log);
    assert_eq!(program.messages("main"), ["shop", "noise"]);
    assert_eq!(program.messages("audit").len(), 5);
    let levels = program.telemetry.handle().levels();
    assert_eq!(levels.level("noise").to_string(), "error");
    program
        .reload(&format!(
            "{MAIN}filters = ['two']\n{AUDIT}[filter]\ntwo = {{ keep = {{ field = 'step', is = 2 }} }}\n"
        ))
        .unwrap();
    program.log(log);
    assert_eq!(program.messages("main"), ["shop", "noise", "noise"]);
    assert_eq!(program.messages("audit").len(), 7);
}

#[test]
fn temporary_levels_stay_until_their_end() {
    let program = Program::start(&format!("levels = 'info'\n{MAIN}"));
    let handle = program.telemetry.handle();
    handle
        .set_levels_for(Duration::from_secs(3600), "trace")
        .unwrap();
    program.reload(&format!("levels = 'warn'\n{MAIN}")).unwrap();
    assert_eq!(handle.levels().to_string(), "trace");
    handle.set_levels_for(Duration::ZERO, "trace").unwrap();
    while handle.levels().to_string() != "warn" {
        std::thread::yield_now();
    }
}

#[test]
fn set_levels_completes_the_reloaded_levels() {
    let program = Program::start(&format!("levels = 'info'\n{MAIN}"));
    let handle = program.telemetry.handle();
    program.reload(&format!("levels = 'warn'\n{MAIN}")).unwrap();
    handle.set_levels("shop=debug").unwrap();
    assert_eq!(handle.levels().to_string(), "warn,shop=debug");
}

#[test]
fn open_spans_keep_their_fields_in_same_lines() {
    let program = Program::start(MAIN);
    program.log(|| {
        let span = info_span!("request", request_id = "r-1", step = 1);
        let _entered = span.enter();
        let inner = info_span!("inner", part = "a");
        info!("before");
        program
            .reload(&format!("{MAIN}{AUDIT}format = 'logfmt'\n"))
            .unwrap();
        info!("after");
        inner.in_scope(|| info!("inside"));
    });
    let text = fs::read_to_string(program.path("audit.log"));
    assert!(program.telemetry.handle().flush(Duration::from_secs(60)));
    drop(text);
    let main = fs::read_to_string(program.path("main.log")).unwrap();
    let lines: Vec<Value> = main
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["target"] != "spanwise")
        .collect();
    let fields = |line: &Value| (line["step"].clone(), line["part"].clone());
    let lines: Vec<_> = lines.iter().map(fields).collect();
    assert_eq!(lines[0], (1.into(), Value::Null));
    assert_eq!(lines[1], (1.into(), Value::Null));
    assert_eq!(lines[2], (1.into(), "a".into()));
    // A new kind of lines has at least the context of older spans.
    let audit = fs::read_to_string(program.path("audit.log")).unwrap();
    let after = audit.lines().find(|line| line.contains("after")).unwrap();
    assert!(after.contains("request_id=r-1"), "{audit}");
}

#[test]
fn formats_change() {
    let program = Program::start(MAIN);
    program.log(|| info!("one"));
    program
        .reload(&format!("{MAIN}format = 'logfmt'\n"))
        .unwrap();
    program.log(|| info!("two"));
    assert!(program.telemetry.handle().flush(Duration::from_secs(60)));
    let text = fs::read_to_string(program.path("main.log")).unwrap();
    assert!(text.lines().next().unwrap().starts_with('{'), "{text}");
    assert!(
        text.contains("msg=two") && !text.contains("\"two\""),
        "{text}"
    );
    assert_eq!(text.matches("two").count(), 1, "{text}");
}

#[test]
fn refused_file_changes_nothing() {
    let program = Program::start(MAIN);
    let found = program.refused(&format!("{MAIN}{AUDIT}levle = 'info'\nformat = 'jsn'\n"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("log.toml:8:1: sink.audit.levle"),
        "{found:?}"
    );
    let problems = program.telemetry.handle().reload_problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    program.log(|| warn!("still"));
    assert_eq!(program.messages("main"), ["still"]);
    assert!(!program.path("audit.log").exists());
    let own = program.own_lines("main");
    assert_eq!(own[0]["message"], "configuration refused");
    assert!(own[0]["problems"].to_string().contains("levle"), "{own:?}");
    for broken in ["[sink", "\0", ""] {
        fs::write(program.path("log.toml"), broken).unwrap();
        assert!(program.telemetry.handle().reload().is_err(), "{broken:?}");
    }
    fs::remove_file(program.path("log.toml")).unwrap();
    assert!(program.telemetry.handle().reload().is_err());
    program.log(|| warn!("and still"));
    assert_eq!(program.messages("main"), ["still", "and still"]);
    assert!(program.reload(MAIN).unwrap().is_empty());
    let own = program.own_lines("main");
    let message = &own.last().unwrap()["message"];
    assert_eq!(message, "configuration unchanged, and valid again");
    assert_eq!(program.telemetry.handle().reload_problems(), [""; 0]);
}

#[test]
fn routes_are_explained_after_a_reload() {
    let program = Program::start(MAIN);
    program
        .reload(&format!(
            "{MAIN}{AUDIT}[root]\nsinks = ['app']\n[route.shop]\nsinks = ['audit']\n"
        ))
        .unwrap();
    let explained = program
        .telemetry
        .handle()
        .explain_event("shop::pay", Level::INFO);
    assert_eq!(explained.sinks, ["app", "audit"]);
}

#[test]
fn source_of_a_level_follows_its_line() {
    let program = Program::start(&format!("levels = 'info'\n{MAIN}"));
    let origin = || {
        let handle = program.telemetry.handle();
        let origin = handle.explain_event("shop", Level::INFO).level_origin;
        origin.rsplit_once('/').unwrap().1.to_owned()
    };
    assert_eq!(origin(), "log.toml:2");
    let change = program.reload(&format!("\n\nlevels = 'info'\n{MAIN}"));
    assert!(change.unwrap().is_empty());
    assert_eq!(origin(), "log.toml:4");
}
