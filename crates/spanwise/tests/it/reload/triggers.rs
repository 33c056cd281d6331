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
            "write off, manual, or an interval such as `5s`",
        ),
        ("sighup", "`sighup` is not available yet"),
    ] {
        let found = problems(value);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("config:1:10: reload="), "{found:?}");
        assert!(found[0].contains(advice), "{found:?}");
    }
}
