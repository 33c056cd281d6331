//! What a reload can change.

use std::fs;

use super::{AUDIT, MAIN, Program};
use spanwise::{Builder, Preset};
use tracing::info;

#[test]
fn changes_of_the_program_need_a_restart() {
    let program = Program::start(&format!(
        "context = ['a']\n{MAIN}[service]\nname = 'shop'\n"
    ));
    let found = program.refused(&format!(
        "time = 'utc'\n{MAIN}{AUDIT}[service]\nname = 'store'\n[panic]\nhook = false\n"
    ));
    assert_eq!(
        found,
        [
            "log.toml:2:8: time needs a restart: undo this change, or restart the program",
            "log.toml:10:8: service.name needs a restart: undo this change, or restart the program",
            "log.toml:12:8: panic.hook needs a restart: undo this change, or restart the program",
            "context (it was at log.toml:2) needs a restart: undo this change, or restart the \
             program",
        ]
    );
    assert!(!program.path("audit.log").exists());
}

#[test]
fn mistakes_do_not_ask_for_a_restart() {
    let program = Program::start(MAIN);
    for (file, advice) in [
        (format!("levles = 'info'\n{MAIN}"), "did you mean levels?"),
        (
            format!("{MAIN}[servise]\nname = 'shop'\n"),
            "did you mean service?",
        ),
    ] {
        let found = program.refused(&file);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(advice), "{found:?}");
    }
}

#[test]
fn overridden_keys_are_marked() {
    let vars = [("RUST_LOG", "info")];
    let file = |level: &str| format!("levels = '{level}'\n{MAIN}");
    let program = Program::start_with_vars(&file("warn"), &vars, |builder| builder);
    let change = program.reload(&file("debug")).unwrap();
    assert_eq!(change.changed.len(), 1);
    assert!(change.changed[0].starts_with("levels ("), "{change}");
    assert!(
        change.changed[0].ends_with("log.toml:2, overridden by RUST_LOG)"),
        "{change}"
    );
    let levels = program.telemetry.handle().levels();
    assert_eq!(levels.to_string(), "info");
}

#[test]
fn key_beside_an_overridden_one_is_not_marked() {
    let vars = [("LOG_FORMAT", "compact")];
    let file = |format: &str, color: &str| {
        format!("sink.main = {{ kind = 'none', format = '{format}', color = '{color}' }}\n{MAIN}")
    };
    let program = Program::start_with_vars(&file("json", "never"), &vars, |builder| builder);
    let change = program.reload(&file("ecs", "always")).unwrap();
    let [color, format] = &change.changed[..] else {
        panic!("{change}")
    };
    assert!(
        color.starts_with("sink.main.color (") && color.ends_with("log.toml:2)"),
        "{color}"
    );
    assert!(format.starts_with("sink.main.format ("), "{format}");
    assert!(
        format.ends_with("log.toml:2, overridden by LOG_FORMAT)"),
        "{format}"
    );
}

#[test]
fn options_of_an_open_file_need_a_restart() {
    let program = Program::start(MAIN);
    let found = program.refused(&format!("{MAIN}rotate = 'daily'\n"));
    let why = "needs a restart while the file is open: undo this change, or restart the program";
    assert_eq!(found, [format!("log.toml:5:10: sink.app.rotate {why}")]);
    program
        .reload(&format!("{AUDIT}keep = '3 files'\n"))
        .unwrap();
    let found = program.refused(AUDIT);
    assert_eq!(
        found,
        [format!("sink.audit.keep (it was at log.toml:5) {why}")]
    );
}

#[test]
fn mistake_in_an_option_of_an_open_file_is_named() {
    let error_file = "[sink.error_file]\npath = 'DIR/error.log'\n";
    let program = Program::start(&format!(
        "{error_file}[sink.file]\npath = 'DIR/main.log'\nkeep = '3 files'\n"
    ));
    // The sink `error_file` also loses its default for `keep`, by the same mistake.
    for (keep, problem) in [
        (
            "kep = '3 files'",
            "log.toml:6:1: sink.file.kep is not a setting: did you mean keep?",
        ),
        (
            "keep = '${NO_SUCH}'",
            "log.toml:6:8: ${NO_SUCH} is not set, and has no default",
        ),
        ("keep = '3 fles'", "log.toml:6:8: sink.file.keep="),
    ] {
        let found = program.refused(&format!(
            "{error_file}[sink.file]\npath = 'DIR/main.log'\n{keep}\n"
        ));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with(problem), "{found:#?}");
    }
}

#[test]
fn empty_tables_are_changes() {
    let program = Program::start(MAIN);
    let keys = |keys: &[String]| -> Vec<String> {
        let path = |key: &String| key.split(' ').next().unwrap().to_owned();
        keys.iter().map(path).collect()
    };
    let names = || -> Vec<String> {
        let stats = program.telemetry.handle().stats();
        stats.sinks.into_iter().map(|sink| sink.name).collect()
    };
    let main = format!("[sink.main]\n{MAIN}");
    let change = program.reload(&main).unwrap();
    assert_eq!(keys(&change.added), ["sink.main"], "{change}");
    assert!(names().contains(&"stdout".to_owned()));
    // A key in the table is the only change.
    let change = program.reload(&format!("[sink.main]\nlevel = 'off'\n{MAIN}"));
    let change = change.unwrap();
    assert_eq!(keys(&change.added), ["sink.main.level"], "{change}");
    assert_eq!(change.removed, [""; 0]);
    let change = program.reload(&main).unwrap();
    assert_eq!(keys(&change.removed), ["sink.main.level"], "{change}");
    assert_eq!(change.added, [""; 0]);
    let change = program.reload(MAIN).unwrap();
    assert_eq!(keys(&change.removed), ["sink.main"], "{change}");
}

#[test]
fn empty_route_hides_events_from_filters_of_root() {
    let root = "[root]\nfilters = ['none']\n[filter]\nnone = { drop = { level = 'trace' } }\n";
    let program = Program::start(&format!("{MAIN}{root}"));
    program.log(|| info!(target: "shop", "one"));
    program
        .reload(&format!("{MAIN}{root}[route.shop]\n"))
        .unwrap();
    program.log(|| info!(target: "shop", "two"));
    assert_eq!(program.messages("main"), ["two"]);
}

#[test]
fn switched_off_sink_is_listed_with_its_line() {
    let program = Program::start(&format!("{MAIN}{AUDIT}enabled = true\n"));
    let change = program.reload(&format!("{MAIN}{AUDIT}enabled = false\n"));
    let change = change.unwrap();
    assert!(change.changed[0].ends_with("log.toml:8)"), "{change}");
    program.reload(&format!("{MAIN}{AUDIT}")).unwrap();
    let profile = "[profile.prod.sink.audit]\nenabled = false\n";
    let change = program.reload(&format!("{MAIN}{AUDIT}{profile}")).unwrap();
    assert!(
        change.added[0].ends_with("log.toml:9, profile prod)"),
        "{change}"
    );
}

#[test]
fn changed_sink_takes_over_its_file() {
    let program = Program::start(MAIN);
    program.log(|| info!("one"));
    program.reload(&format!("{MAIN}buffer = '1MiB'\n")).unwrap();
    program.log(|| info!("two"));
    let renamed = MAIN.replace("sink.app", "sink.other");
    program.reload(&renamed).unwrap();
    program.log(|| info!("three"));
    assert_eq!(program.messages("main"), ["one", "two", "three"]);
}

#[test]
fn open_file_keeps_the_spelling_of_its_path() {
    let program = Program::start(MAIN);
    fs::create_dir(program.path("sub")).unwrap();
    let found = program.refused("[sink.app]\nkind = 'file'\npath = 'DIR/sub/../main.log'\n");
    assert_eq!(
        found,
        [
            "log.toml:4:8: sink.app.path: \"sub/../main.log\" is open under another path, which the \
             sink app had: write that path, or restart the program"
        ]
    );
    program.log(|| info!("still logged"));
    assert_eq!(program.messages("main"), ["still logged"]);
}

#[test]
fn error_hides_the_secret_path_of_an_open_file() {
    let program = Program::start(AUDIT);
    fs::create_dir(program.path("hunter2")).unwrap();
    let path = program.path("hunter2/../main.log");
    fs::write(program.path("secret"), path.to_str().unwrap()).unwrap();
    let secret = MAIN.replace("DIR/main.log", "${file:secret}");
    program.reload(&secret).unwrap();
    let found = program.refused(MAIN);
    assert!(found[0].contains("open under another path"), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");
}

#[cfg(unix)]
#[test]
fn new_file_opens_after_a_link_has_moved() {
    let program = Program::start_with("", |builder| builder);
    let link = |version: &str| {
        let (target, link) = (program.path(version), program.path("current"));
        fs::create_dir(&target).unwrap();
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(target, link).unwrap();
    };
    link("v1");
    let current = MAIN.replace("main.log", "current/app.log");
    program.reload(&current).unwrap();
    link("v2");
    program
        .reload(&MAIN.replace("main.log", "v2/app.log"))
        .unwrap();
    program.log(|| info!("new version"));
    assert!(program.text("v2/app.log").contains("new version"));
}

#[test]
fn no_reload_without_the_key() {
    let builder = Builder::new(Preset::Prod).output(spanwise::Output::None);
    let (_, telemetry) = spanwise::__private::without_installing(builder).unwrap();
    let error = telemetry.handle().reload().unwrap_err().to_string();
    assert!(error.contains("reload = \"manual\""), "{error}");
}

#[test]
fn values_are_not_shown() {
    let program = Program::start(MAIN);
    let filter = "[filter]\nsecret = { drop = { message = 'hunter2' } }\n";
    let change = program.reload(&format!("{MAIN}filters = ['secret']\n{filter}"));
    let change = change.unwrap().to_string();
    assert!(change.contains("added filter.secret.drop"), "{change}");
    assert!(!change.contains("hunter2"), "{change}");
    let lines = format!("{:?}", program.lines());
    assert!(!lines.contains("hunter2"), "{lines}");
}

#[test]
fn all_of_many_sinks_change() {
    let sinks = |format: &str| {
        let sink = |number| {
            format!(
                "[sink.s{number}]\nkind = 'file'\npath = 'DIR/s{number}.log'\n\
                 format = '{format}'\n"
            )
        };
        (0..40).map(sink).collect::<String>()
    };
    let program = Program::start(&sinks("json"));
    program.reload(&sinks("logstash")).unwrap();
    program.log(|| info!("one"));
    for number in [0, 39] {
        assert_eq!(
            program.messages(&format!("s{number}")).last().unwrap(),
            "one"
        );
    }
    let found = program.refused(&sinks("json").replace("sink.s", "sink.t"));
    assert!(found[0].contains("or restart the program"), "{found:?}");
}

#[test]
fn unusable_files_change_nothing() {
    let program = Program::start(MAIN);
    let (file, handle) = (program.path("log.toml"), program.telemetry.handle());
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, "").unwrap();
    let truncated = handle.reload().unwrap_err().to_string();
    assert!(truncated.contains("reload (it was at "), "{truncated}");
    fs::write(&file, &text.as_bytes()[..text.len() - 2]).unwrap();
    let cut = handle.reload().unwrap_err().to_string();
    assert!(cut.contains("log.toml:4:"), "{cut}");
    fs::remove_file(&file).unwrap();
    let deleted = handle.reload().unwrap_err().to_string();
    assert!(deleted.contains("cannot be read: "), "{deleted}");
    fs::create_dir(&file).unwrap();
    let directory = handle.reload().unwrap_err().to_string();
    assert!(directory.contains("log.toml"), "{directory}");
    program.log(|| info!("still logged"));
    fs::remove_dir(&file).unwrap();
    fs::write(&file, text).unwrap();
    assert!(handle.reload().unwrap().is_empty());
    assert_eq!(handle.reload_problems(), [""; 0]);
    program.log(|| info!("logged on"));
    assert_eq!(program.messages("main"), ["still logged", "logged on"]);
}
