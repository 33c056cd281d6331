//! The programs before and after of `docs/migrate.md`, and what its tables say of them.

use serde_json::{Value, json};

use crate::program::{Done, Program, Running, ask, objects, only};

/// A service that has answered a request, and ended.
fn served(program: Program, requests: impl FnOnce(&str)) -> Done {
    let mut running: Running = program.start();
    let address = running.address();
    requests(&address);
    let done = running.terminate();
    assert!(done.status.success(), "{}", done.stderr);
    done
}

fn order(address: &str) {
    let answer = ask(address, "GET /orders/42 HTTP/1.1", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("order 42"), "{answer}");
}

#[test]
fn files_of_fmt_have_new_names() {
    let before = served(Program::new("fmt_before"), order);
    let files = before.files();
    assert_eq!(files.len(), 1, "{files:?}");
    let day = files[0].strip_prefix("shop.log.").unwrap();
    assert_eq!(day.len(), "2026-11-28".len());

    let after = Program::new("fmt_after").env("LOG_FILE", "logs/shop.log");
    let after = served(after, order);
    assert_eq!(after.files(), ["shop.log"]);
    assert_eq!(sorted(&after.file("shop.log")), sorted(&after.stdout));
}

#[test]
fn fields_of_fmt_have_new_places() {
    let before = served(Program::new("fmt_before"), order).line("order loaded");
    assert_eq!(
        without_time(before.clone()),
        json!({
            "level": "INFO",
            "fields": { "message": "order loaded" },
            "target": "ecosystem::programs::fmt_before",
            "span": { "id": "42", "name": "order" },
            "spans": [{ "id": "42", "name": "order" }],
        })
    );

    let after = served(Program::new("fmt_after"), order).line("order loaded");
    assert_eq!(after["message"], before["fields"]["message"]);
    assert_eq!(after["span"], before["span"]["name"]);
    assert_eq!(after["id"], before["span"]["id"]);
    assert_eq!(after["http.route"], "/orders/{id}");
    let id = after["request_id"].as_str().unwrap();
    assert_eq!(id.len(), 36, "{id}");

    // As the page shows them.
    let page = include_str!("../../../docs/migrate.md");
    let (_, shown) = page.split_once("```json\n").unwrap();
    let shown = objects(shown.split_once("```").unwrap().0);
    for (line, shown) in [&before, &after].into_iter().zip(&shown) {
        assert_eq!(keys(line), keys(shown));
        assert_eq!(keys(&line["service"]), keys(&shown["service"]));
    }

    // The old layout, of the new program.
    let nested = Program::new("fmt_after").env("LOG_FORMAT", "json-nested");
    let nested = served(nested, order).line("order loaded");
    assert_eq!(nested["fields"], before["fields"]);
    assert_eq!(nested["span"], before["span"]);
    assert_eq!(nested["spans"][0]["name"], "http.request");
    assert_eq!(nested["spans"][1], before["spans"][0]);
}

#[test]
fn directives_silence_what_they_name() {
    let messages = |name: &str, levels: &str| {
        let program = Program::new(name).env("RUST_LOG", levels);
        let lines = served(program, order).lines().into_iter();
        let messages = lines.map(|line| {
            let message = line.get("message").unwrap_or(&line["fields"]["message"]);
            message.as_str().unwrap().to_owned()
        });
        messages.collect::<Vec<_>>()
    };
    let own = ["listening", "order loaded"];
    let all = ["listening", "order loaded", "request served"];
    let fmt = "finished processing request";

    assert_eq!(messages("fmt_before", "ecosystem=info"), own);
    assert_eq!(messages("fmt_after", "ecosystem=info"), all);
    assert_eq!(messages("fmt_after", "off,ecosystem=info"), own);
    assert!(messages("fmt_before", "info,tower_http=debug").contains(&fmt.to_owned()));
    assert_eq!(messages("fmt_after", "info,tower_http=debug"), all);
    assert_eq!(messages("fmt_after", "info,spanwise_http=warn"), own);

    let wrong = Program::new("fmt_after").env("RUST_LOG", "inof").run();
    assert!(!wrong.status.success());
    assert!(wrong.stderr.contains("did you mean"), "{}", wrong.stderr);
}

#[test]
fn records_of_log_keep_their_macros() {
    let before = Program::new("log_before").run();
    assert!(
        before
            .stderr
            .contains("payment failed: the card is expired")
    );
    // The time may have a 42, but no field has a name.
    assert!(!before.stderr.contains("order_id"), "{}", before.stderr);

    let after = Program::new("log_after").run();
    let created = after.line("order created");
    assert_eq!(created["order_id"], 42);
    assert_eq!(created["target"], "ecosystem::programs::log_after");
    let failed = after.line("payment failed: the card is expired");
    assert_eq!(failed["level"], "ERROR");
}

#[test]
fn lines_of_log4rs_have_new_fields() {
    let before = Program::new("log4rs_before").run();
    assert_eq!(before.files(), ["shop.log"]);
    let line = before.line("order created");
    let expected = "file level line mdc message module_path target thread thread_id time";
    assert_eq!(keys(&line), expected.split(' ').collect::<Vec<_>>());

    let after = Program::new("log_after")
        .env("RUST_LOG", "info,sqlx=warn")
        .env("LOG_FILE", "logs/shop.log")
        .env("LOG_FILE_ROTATE", "10MiB")
        .env("LOG_FILE_KEEP", "14 files")
        .run();
    assert_eq!(after.files(), ["shop.log"]);
    let lines = objects(&after.file("shop.log"));
    assert_eq!(only(&lines, "order created")["level"], line["level"]);
}

#[test]
fn loggers_of_slog_become_spans() {
    let before = Program::new("slog_before").run();
    let before = objects(&before.stdout);
    let after = Program::new("slog_after").env("SERVICE_NAME", "shop").run();
    let after = after.lines();
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before["msg"], after["message"]);
        for key in ["request_id", "tenant_id", "order_id"] {
            assert_eq!(before.get(key), after.get(key));
        }
        assert_eq!(before["service"], after["service"]["name"]);
    }
    assert_eq!(
        (&before[1]["level"], &after[1]["level"]),
        (&json!("ERRO"), &json!("ERROR"))
    );
    assert_eq!(before[1]["error"], after[1]["error"]["message"]);
}

/// What somebody does at the service of tickets.
fn tickets(address: &str) {
    let created = ask(
        address,
        "POST /tickets HTTP/1.1\r\nauthorization: Bearer ada-token\r\ncontent-type: application/json",
        r#"{"title":"the printer is on fire"}"#,
    );
    assert!(created.starts_with("HTTP/1.1 200"), "{created}");
    assert!(created.contains("x-request-id: "), "{created}");
    let failed = ask(
        address,
        "GET /tickets/7 HTTP/1.1\r\nauthorization: Bearer ada-token",
        "",
    );
    assert!(failed.starts_with("HTTP/1.1 500"), "{failed}");
    let refused = ask(address, "GET /tickets/1 HTTP/1.1", "");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(ask(address, "GET /health HTTP/1.1", "").ends_with("fine"));
}

#[test]
fn service_is_the_same_after_migration() {
    let before = Program::new("service_before").env("ADDRESS", "127.0.0.1:0");
    let before = served(before, tickets);
    let after = Program::new("service_after")
        .env("ADDRESS", "127.0.0.1:0")
        .env("LOG_FILE", "logs/tickets.log")
        .env("LOG_ERROR_FILE", "logs/tickets.error.log");
    let after = served(after, tickets);

    assert_eq!(before.files().len(), 2, "{:?}", before.files());
    assert_eq!(after.files(), ["tickets.error.log", "tickets.log"]);
    assert_eq!(sorted(&after.file("tickets.log")), sorted(&after.stdout));

    let created = before.line("ticket created");
    assert_eq!(created["ticket_id"], 1);
    assert_eq!(created["spans"][0]["user_id"], "ada");
    for message in ["ticket created", "mail sent"] {
        let line = after.line(message);
        assert_eq!(line["ticket_id"], created["ticket_id"]);
        assert_eq!(line["user_id"], created["spans"][0]["user_id"]);
        assert!(line["request_id"].is_string(), "{line}");
    }
    assert_eq!(
        after.line("mail sent")["to"],
        before.line("mail sent")["to"]
    );
    assert_eq!(after.line("terminating")["level"], "INFO");

    // What failed: several lines, and one.
    let errors = |done: &Done| {
        let lines = done.lines().into_iter();
        lines
            .filter(|line| line["level"] == "ERROR")
            .collect::<Vec<_>>()
    };
    assert_eq!(errors(&before).len(), 2);
    let [failed] = &errors(&after)[..] else {
        panic!("{:#?}", errors(&after))
    };
    assert_eq!(failed["message"], "request failed");
    assert_eq!(
        failed["error"],
        json!({ "message": "cannot load the ticket", "chain": ["there is no row 7"] })
    );
    assert_eq!(failed["user_id"], "ada");
    assert_eq!(failed["http.response.status_code"], 500);
    assert_eq!(
        &objects(&after.file("tickets.error.log"))[..],
        std::slice::from_ref(failed)
    );

    // Quiet, as it was below DEBUG.
    assert!(!after.stdout.contains("/health"), "{}", after.stdout);
    let refused = after.lines().into_iter();
    let refused = refused.filter(|line| line["http.response.status_code"] == 401);
    assert_eq!(refused.count(), 1);
}

/// Lines without their order: what threads log at once may come to two outputs in two orders.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// The keys of an object, in order of the alphabet.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    keys.sort_unstable();
    keys
}

fn without_time(mut line: Value) -> Value {
    line.as_object_mut().unwrap().remove("timestamp");
    line
}
