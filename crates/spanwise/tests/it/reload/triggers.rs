//! When a reload happens.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use spanwise::{__private::without_installing, Builder};

/// Waits until a file exists, which a sink opens.
#[track_caller]
fn wait_for(path: &Path) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(std::time::Instant::now() < end, "there is no {path:?}");
        std::thread::yield_now();
    }
}

#[test]
fn changed_files_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let sink = |name: &str| {
        let file = path(&format!("{name}.log"));
        format!("[sink.{name}]\nkind = 'file'\npath = {file:?}\n")
    };
    // As Kubernetes mounts a ConfigMap.
    for (version, text) in [("v1", sink("a")), ("v2", sink("b"))] {
        fs::create_dir(path(version)).unwrap();
        let text = format!("reload = '1s'\ninclude = ['parts/*.toml']\n{text}");
        fs::write(path(version).join("log.toml"), text).unwrap();
    }
    symlink("v1", path("data")).unwrap();
    let file = path("data").join("log.toml");
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_CONFIG", file.to_str().unwrap()),
    ];
    let (_, telemetry) = without_installing(Builder::from_vars(vars).unwrap()).unwrap();
    assert!(path("a.log").exists());
    symlink("v2", path("new")).unwrap();
    fs::rename(path("new"), path("data")).unwrap();
    wait_for(&path("b.log"));
    // A new file that a pattern includes.
    fs::create_dir(path("v2/parts")).unwrap();
    fs::write(path("new.toml"), sink("c")).unwrap();
    fs::rename(path("new.toml"), path("v2/parts/c.toml")).unwrap();
    wait_for(&path("c.log"));
    // A file that is replaced, of the same length.
    let text = fs::read_to_string(&file).unwrap().replace("b.log", "d.log");
    fs::write(path("next"), text).unwrap();
    fs::rename(path("next"), &file).unwrap();
    wait_for(&path("d.log"));
    drop(telemetry);
}

#[cfg(feature = "sighup")]
#[test]
fn sighup_reloads_and_reopens() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let write = |sinks: &[&str]| {
        let sinks = sinks.iter().map(|name| {
            let file = path(&format!("{name}.log"));
            format!("[sink.{name}]\nkind = 'file'\npath = {file:?}\n")
        });
        let text = format!("reload = 'sighup'\n{}", sinks.collect::<String>());
        fs::write(path("log.toml"), text).unwrap();
    };
    let hang_up = || {
        let process = rustix::process::getpid();
        rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    };
    write(&["a"]);
    let file = path("log.toml");
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_CONFIG", file.to_str().unwrap()),
    ];
    let telemetry = Builder::from_vars(vars).unwrap().init().unwrap();
    // As `logrotate` does. No event is logged, so only the signal creates the file again.
    fs::rename(path("a.log"), path("a.log.1")).unwrap();
    hang_up();
    wait_for(&path("a.log"));
    for sinks in [&["a", "b"][..], &["a", "b", "c"]] {
        write(sinks);
        hang_up();
        let last = sinks.last().unwrap();
        wait_for(&path(&format!("{last}.log")));
    }
    drop(telemetry);
    // The program does not end even after the shutdown.
    hang_up();
}

#[cfg(not(feature = "sighup"))]
#[test]
fn sighup_needs_its_feature() {
    let file = "reload = 'sighup'\n";
    let found = super::super::config_file::problems(file, &[("LOG_PRESET", "prod")]);
    let problem = "config:1:10: reload=\"sighup\": `sighup` needs the feature `sighup` of";
    assert!(
        found.len() == 1 && found[0].starts_with(problem),
        "{found:?}"
    );
}

#[test]
fn wrong_intervals_are_mistakes() {
    let problems = |value: &str| {
        let file = format!("reload = '{value}'\n");
        super::super::config_file::problems(&file, &[("LOG_PRESET", "prod")])
    };
    for value in ["off", "manual", "1s", "5m"] {
        assert_eq!(problems(value), [""; 0], "{value}");
    }
    for (value, advice) in [
        ("10ms", "the shortest interval is `1s`"),
        (
            "sometimes",
            "write off, manual, sighup, or an interval such as `5s`",
        ),
    ] {
        let found = problems(value);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("config:1:10: reload="), "{found:?}");
        assert!(found[0].contains(advice), "{found:?}");
    }
}
