//! The programs of `docs/recipes.md`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use serde_json::{Value, json};

use crate::program::{Done, Program, ask};

#[test]
fn login_is_on_all_later_lines() {
    let mut service = Program::new("login").start();
    let address = service.address();
    let answer = ask(
        &address,
        "GET /orders/42 HTTP/1.1\r\nauthorization: Bearer ada-token",
        "",
    );
    assert!(answer.ends_with("order 42"), "{answer}");
    service.line_with("mail sent");
    let refused = ask(&address, "GET /orders/42 HTTP/1.1", "");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    ask(&address, "GET /health HTTP/1.1", "");
    let done = service.terminate();

    assert!(done.status.success(), "{}", done.stderr);
    let lines = done.lines();
    let served: Vec<_> = lines
        .iter()
        .filter(|line| line["target"] == "spanwise_http::server")
        .collect();
    let [ok, refused] = &served[..] else {
        panic!("{served:#?}")
    };
    assert_eq!(ok["user_id"], "ada");
    assert_eq!(refused["http.response.status_code"], 401);
    assert_eq!(refused.get("user_id"), None);
    for message in ["order loaded", "mail sent"] {
        let line = done.line(message);
        assert_eq!(line["user_id"], "ada");
        assert_eq!(line["request_id"], ok["request_id"]);
    }
}

#[test]
fn refused_body_has_its_reason_on_the_event() {
    let mut service = Program::new("refused_body").start();
    let address = service.address();
    let body = r#"{"quantity":-1}"#;
    let answer = ask(
        &address,
        "POST /orders HTTP/1.1\r\ncontent-type: application/json",
        body,
    );
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    let done = service.terminate();

    let line = done.line("request served");
    assert_eq!(line["outcome"], "client_error");
    let chain = line["error"]["chain"].to_string();
    assert!(
        chain.contains("quantity: invalid value: integer `-1`, expected u32"),
        "{line}"
    );
}

#[test]
fn calls_of_tonic_are_events() {
    let mut service = Program::new("tonic_service").start();
    let address = service.address();
    let code = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = channel.connect().await.unwrap();
        let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
        let service = "shop.Orders".to_owned();
        let request = tonic_health::pb::HealthCheckRequest { service };
        client.check(request).await.unwrap_err().code()
    });
    assert_eq!(code, tonic::Code::NotFound);
    let done = service.terminate();
    assert!(done.status.success(), "{}", done.stderr);
    let calls = done.lines();
    let call = calls
        .iter()
        .find(|line| line["target"] == "spanwise_http::server");
    let call = call.unwrap();
    assert_eq!(call["rpc.grpc.status_code"], 5);
    assert_eq!(call["outcome"], "client_error");
}

#[test]
fn each_message_of_a_queue_is_a_unit() {
    let messages = [("j-1", "r-1", 5), ("j-2", "r-2", -5)].map(|(id, request, amount)| {
        json!({ "id": id, "request_id": request, "tenant_id": "acme", "amount": amount })
    });
    let [first, second] = messages;
    let input = format!("{first}\nno message\n{second}\n");
    let worker = Program::new("queue_worker").env("LOG_RECORDER", "debug");
    let done = worker.start().input(&input).end();
    assert!(done.status.success(), "{}", done.stderr);

    let fine = done.line("job done");
    assert_eq!(
        (&fine["job_id"], &fine["request_id"]),
        (&json!("j-1"), &json!("r-1"))
    );
    let failed = done.line("job failed");
    assert_eq!(
        (&failed["job_id"], &failed["request_id"]),
        (&json!("j-2"), &json!("r-2"))
    );
    assert_eq!(failed["error"]["message"], "the amount is negative");
    let refused = done.line("message refused");
    assert_eq!(refused["offset"], 1);
    assert_eq!(
        refused["error"]["message"],
        "expected ident at line 1 column 2"
    );
    // The recorder shows what the failed one did, and nothing of the other.
    for line in done.lines() {
        if line["level"] == "DEBUG" {
            assert_eq!(line["job_id"], "j-2", "{line}");
        }
    }
}

/// The job of cron, with what its crontab sets.
fn cron(sessions: &str) -> Done {
    let job = Program::new("cron")
        .env("LOG_PRESET", "cli")
        .env("RUST_LOG", "info")
        .env("LOG_OUTPUT_LEVEL", "warn")
        .env("LOG_FILE", "logs/expire-sessions.log");
    std::fs::write(job.path().join("sessions"), "a\nb\n").unwrap();
    job.env("SESSIONS", sessions).run()
}

#[test]
fn job_of_cron_prints_what_is_wrong() {
    let fine = cron("sessions");
    assert_eq!(fine.status.code(), Some(0));
    assert_eq!((fine.stdout.as_str(), fine.stderr.as_str()), ("", ""));
    let line = fine.file("expire-sessions.log");
    assert!(line.contains("job done expired=2"), "{line}");

    let failed = cron("none");
    assert_eq!(
        (failed.status.code(), failed.stdout.as_str()),
        (Some(1), "")
    );
    assert!(
        failed.stderr.contains("cannot read none: No such file"),
        "{}",
        failed.stderr
    );
    assert!(
        failed.stderr.contains("job=expire-sessions"),
        "{}",
        failed.stderr
    );
    let line = failed.file("expire-sessions.log");
    assert!(line.contains("cannot read none: No such file"), "{line}");

    let cluster = Program::new("cron").run();
    assert_eq!(cluster.status.code(), Some(1));
    let line = cluster.line("job failed");
    assert_eq!(line["error"]["message"], "SESSIONS is not set");
    assert_eq!(line["job"], "expire-sessions");
}

#[test]
fn lambda_has_its_line_before_it_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (answers, answered) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answers = answers.clone();
            thread::spawn(move || runtime_api(stream.unwrap(), &answers));
        }
    });
    let function = Program::new("lambda")
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "shop")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "shop")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "shop")
        .start();
    let answer = answered.recv_timeout(crate::program::TIMEOUT).unwrap();
    assert_eq!(answer, r#"{"created":true}"#);
    // It ends here, like one that is frozen for good.
    let done = function.terminate();
    assert!(!done.status.success());
    let line = done.line("order created");
    assert_eq!(
        (&line["order_id"], &line["request_id"]),
        (&json!(42), &json!("i-1"))
    );
}

/// What Lambda is to a function: one invocation, whose answer it takes. Then none comes.
fn runtime_api(mut stream: TcpStream, answers: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let header = line.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.is_empty() {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        if head.starts_with("GET") {
            // The second one waits for as long as there is nothing to do.
            static ASKED: std::sync::Once = std::sync::Once::new();
            if ASKED.is_completed() {
                loop {
                    thread::park();
                }
            }
            ASKED.call_once(|| {});
            let event: Value = json!({ "id": 42 });
            let event = event.to_string();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                lambda-runtime-aws-request-id: i-1\r\nlambda-runtime-deadline-ms: 4102444800000\r\n\
                lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:1:function:shop\r\n\
                content-length: {}\r\n\r\n{event}",
                event.len()
            )
            .unwrap();
        } else {
            answers.send(String::from_utf8(body).unwrap()).unwrap();
            stream
                .write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        }
    }
}
