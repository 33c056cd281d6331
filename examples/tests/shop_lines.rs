//! The shop as a user runs it: JSON on stdout without repeated keys, and ids on each line.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

fn shop(vars: &[(&str, &str)]) -> String {
    // Cargo builds the examples of a package along with its tests, into a folder beside theirs.
    let tests = std::env::current_exe().unwrap();
    let shop = tests
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples/shop");
    let mut command = Command::new(shop);
    let output = command
        .env_clear()
        .envs(vars.iter().copied())
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn recorder_writes_debug_lines_of_failures() {
    let stdout = shop(&[("LOG_RECORDER", "debug")]);
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let place = |message: &str| {
        let found = lines.iter().position(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("{message} in {stdout}"))
    };
    let (sent, failed) = (
        place("payment sent to the gateway"),
        place("request failed"),
    );
    assert!(sent < failed);
    let (sent, failed) = (&lines[sent], &lines[failed]);
    assert_eq!(
        (&sent["level"], &sent["buffered"], &sent["request_id"]),
        (&"DEBUG".into(), &true.into(), &failed["request_id"])
    );
    let debug = lines.iter().filter(|line| line["level"] == "DEBUG");
    for line in debug {
        assert_eq!(line["request_id"], failed["request_id"], "{line}");
    }
}

#[test]
fn each_line_has_its_tenant_and_request() {
    let stdout = shop(&[]);
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (line, text) in lines.iter().zip(stdout.lines()) {
        for key in line.as_object().unwrap().keys() {
            assert_eq!(
                text.matches(&format!("\"{key}\":")).count(),
                occurrences(line, key),
                "{key} in {text}"
            );
        }
    }

    let mut requests: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in lines
        .iter()
        .filter(|line| line["message"] != "shop is open")
    {
        requests
            .entry(line["request_id"].as_str().unwrap())
            .or_default()
            .push(line);
    }
    assert_eq!(requests.len(), 6);
    for lines in requests.values() {
        let tenants: BTreeSet<_> = lines
            .iter()
            .map(|line| line["tenant_id"].as_str())
            .collect();
        assert_eq!(tenants.len(), 1, "a request has one tenant: {lines:?}");
        let traces: BTreeSet<_> = lines.iter().map(|line| line["trace_id"].as_str()).collect();
        assert_eq!(traces.len(), 1, "a request is one trace: {lines:?}");
        let served = |service: &str| {
            let by = lines
                .iter()
                .filter(|line| line["service"]["name"] == service);
            by.filter(|line| line["outcome"].is_string()).count()
        };
        let is_asked = lines.iter().any(|line| line["message"] == "order created");
        assert_eq!(
            (served("shop"), served("warehouse")),
            (1, usize::from(is_asked)),
            "{lines:?}"
        );
    }
    let tenants: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line["tenant_id"].as_str())
        .collect();
    assert_eq!(
        tenants,
        BTreeSet::from(["acme", "globex"]),
        "the third is not trusted"
    );

    // A request across its handler, a span inside, and a task that was spawned.
    let of_an_order = requests
        .values()
        .filter(|lines| lines.iter().any(|line| line["message"] == "order created"));
    for lines in of_an_order {
        let spans: BTreeSet<_> = lines
            .iter()
            .filter_map(|line| line["span"].as_str())
            .collect();
        assert_eq!(spans, BTreeSet::from(["create_order", "http.request"]));
        let reserved = lines
            .iter()
            .find(|line| line["message"] == "stock reserved");
        assert_eq!(
            reserved.map(|line| (&line["service"]["name"], &line["tenant_id"])),
            Some((&"warehouse".into(), &lines[0]["tenant_id"])),
            "the other process has the ids of the request: {lines:?}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line["message"] == "confirmation sent"),
            "{lines:?}"
        );
    }
    let users = |message: &str| -> Vec<_> {
        let lines = lines.iter().filter(|line| line["message"] == message);
        let mut users: Vec<_> = lines.map(|line| line["user_id"].as_str()).collect();
        users.sort_unstable();
        users
    };
    // The customer with an account placed one of two orders.
    assert_eq!(users("order created"), [None, Some("ada")]);
    assert_eq!(users("confirmation sent"), [None, Some("ada")]);
    assert_eq!(users("request failed"), [Some("ada")]);
    assert_eq!(users("products listed"), [None, None]);
    let failed = lines
        .iter()
        .find(|line| line["message"] == "request failed")
        .unwrap();
    assert_eq!(
        (
            &failed["level"],
            failed["error"]["chain"].as_array().unwrap().len()
        ),
        (&"ERROR".into(), 2)
    );
}

/// `docs/http.md` has the number of lines and bytes of the shop's requests.
#[test]
fn lines_and_bytes_are_as_documented() {
    let stdout = shop(&[]);
    let mut measured: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for text in stdout.lines() {
        let line: Value = serde_json::from_str(text).unwrap();
        if line["message"] == "shop is open" {
            continue;
        }
        let level = line["level"].as_str().unwrap();
        for row in [level, "all"] {
            let (lines, bytes) = measured.entry(row.to_owned()).or_default();
            *lines += 1;
            *bytes += text.len() + 1;
        }
    }
    let docs = include_str!("../../docs/http.md");
    let (_, section) = docs.split_once("### The number of lines").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let row_of = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, level, lines, bytes, _] = cells[..] else {
            return None;
        };
        let number = |cell: &str| cell.replace(',', "").parse::<usize>().ok();
        Some((level.to_owned(), (number(lines)?, number(bytes)?)))
    };
    let documented: BTreeMap<_, _> = section.lines().filter_map(row_of).collect();
    let levels: BTreeSet<_> = documented.keys().collect();
    assert_eq!(levels, measured.keys().collect(), "{measured:?}");
    for (level, (lines, bytes)) in &documented {
        let (measured_lines, measured_bytes) = measured[level];
        assert_eq!(measured_lines, *lines, "{level}: {measured:?}");
        // Durations have more or fewer digits, and paths of modules on another machine.
        let differs = measured_bytes.abs_diff(*bytes);
        assert!(differs * 10 <= *bytes, "{level}: {measured:?}");
    }
}

/// The number of times that `key` is a key anywhere in `value`.
fn occurrences(value: &Value, key: &str) -> usize {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(k, v)| usize::from(k == key) + occurrences(v, key))
            .sum(),
        Value::Array(items) => items.iter().map(|item| occurrences(item, key)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
