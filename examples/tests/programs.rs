//! The examples of `docs/programs.md` behave as described there.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::process::Command;

use serde_json::Value;

/// The exit code, stdout and stderr.
fn run(example: &str, args: &[&str], vars: &[(&str, &str)]) -> (Option<i32>, String, String) {
    // Cargo builds the examples of a package along with its tests, into a folder beside theirs.
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let mut command = Command::new(target.join("examples").join(example));
    let output = command
        .env_clear()
        .envs(vars.iter().copied())
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    (output.status.code(), stdout, stderr)
}

fn objects(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

#[test]
fn tool_leaves_stdout_to_its_result() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    let result = format!("{} {file}\n", include_str!("../src/lib.rs").lines().count());
    for (args, vars, lines) in [
        (&[file][..], &[][..], 0),
        (&["-v", file], &[], 1),
        (&["-vv", file], &[], 2),
        (&["-v", "-v", file], &[("RUST_LOG", "error")], 2),
        (&["-q", file], &[("RUST_LOG", "debug")], 0),
        // The variables of a service in a container.
        (
            &[file],
            &[("APP_ENV", "production"), ("LOG_PRESET", "prod")],
            0,
        ),
    ] {
        let (code, stdout, stderr) = run("command-line", args, vars);
        assert_eq!((code, stdout), (Some(0), result.clone()), "{args:?}");
        assert_eq!(stderr.lines().count(), lines, "{args:?}: {stderr}");
    }
    let (code, stdout, stderr) = run("command-line", &["/no-such-file"], &[]);
    assert_eq!((code, &*stdout), (Some(1), ""));
    assert_eq!(
        stderr,
        "ERROR program failed error=\"cannot read /no-such-file: No such file or directory (os error 2)\"\n"
    );
}

#[test]
fn job_names_each_item_and_its_package() {
    let (code, stdout, stderr) = run("batch-job", &[], &[]);
    assert_eq!((code, &*stderr), (Some(0), ""));
    let lines = objects(&stdout);
    let refused = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert_eq!(refused["invoice_id"], 2);
    for line in lines {
        assert_eq!(line["service"]["name"], "spanwise-examples");
    }
}

#[test]
fn cron_job_mails_only_what_is_wrong() {
    let (code, stdout, stderr) = run("cron", &[], &[]);
    assert_eq!(code, Some(0));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("WARN  a cart as large"), "{stderr}");
    assert_eq!(stdout.lines().count(), 5, "{stdout}");
}

#[test]
fn library_has_the_ids_of_the_program() {
    let (code, stdout, _) = run("library", &[], &[]);
    assert_eq!(code, Some(0));
    let lines = objects(&stdout);
    assert_eq!(lines.len(), 2, "{stdout}");
    assert_eq!(lines[0]["target"], "library::pricing");
    assert!(lines.iter().all(|line| line["request_id"] == "r-1"));
}

#[test]
fn config_checks_files_and_routes_events() {
    let (code, stdout, stderr) = run("config", &[], &[]);
    assert_eq!((code, &*stderr), (Some(0), ""));
    // A route adds its sinks to those of the root.
    assert_eq!(
        stdout,
        "app.log: 3 lines\nerror.log: 1 lines\npayments.log: 2 lines\n"
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/log.example.toml");
    let directory = ("LOG_DIR", "/tmp");
    let (code, stdout, _) = run("config", &["log", "check", example], &[directory]);
    assert_eq!((code, &*stdout), (Some(0), "the configuration is valid\n"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let (code, stdout, _) = run("config", &["log", "check", manifest], &[]);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(
        stdout.contains("Cargo.toml:1:2: package is not a setting"),
        "{stdout}"
    );
    let (code, _, _) = run("config", &["log", "chekc"], &[]);
    assert_eq!(code, Some(2));
}

#[test]
fn otel_says_what_became_of_its_data() {
    let (code, stdout, stderr) = run("otel", &[], &[]);
    assert_eq!(code, Some(0), "{stderr}");
    let hint = "# nothing was exported: set OTEL_EXPORTER_OTLP_ENDPOINT\n";
    assert!(stderr.starts_with(hint), "{stderr}");
    assert_eq!(objects(&stdout).len(), 4, "{stdout}");
    // No collector listens there.
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let (code, stdout, stderr) = run("otel", &[], &[endpoint]);
    assert_eq!(code, Some(0), "{stderr}");
    for count in [
        "# spans: 0 delivered, 5 lost\n",
        "# log records: 0 delivered, 4 lost\n",
    ] {
        assert!(stderr.contains(count), "{stderr}");
    }
    let lines = objects(&stdout);
    let trace_of = |message: &str, order: u64| {
        let is_meant = |line: &&Value| line["message"] == message && line["order_id"] == order;
        lines.iter().find(is_meant).unwrap()["trace_id"].clone()
    };
    assert_eq!(trace_of("shipped", 42), trace_of("order placed", 42));
    assert_ne!(trace_of("shipped", 42), trace_of("order placed", 17));
    assert!(!stdout.contains("4111"), "{stdout}");
}
