//! Tasks and threads that keep the context of the request that starts them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use crate::support::Lines;
use axum::{Router, extract::State, routing::get};
use serde_json::Value;
use spanwise::{
    Builder, Preset, Telemetry,
    context::{self, Context},
    record::Recorder,
    task::{self, JoinSet},
};
use spanwise_core::Clock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tracing::{Instrument, debug, error, info, info_span, instrument};
use tracing_subscriber::prelude::*;

/// Starts logging, and `app` behind the layer for servers. Returns its address.
async fn start(builder: Builder, app: Router) -> (Lines, Telemetry, SocketAddr) {
    let output = Lines::default();
    let builder = builder.context_key("order_id");
    let telemetry = builder.with_writer(output.clone()).init().unwrap();
    let app = app.layer(telemetry.http_server().trust(spanwise::http::Trust::Always));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    (output, telemetry, address)
}

/// Sends one request over a new connection, and reads the complete response.
async fn request(address: SocketAddr) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = "GET / HTTP/1.1\r\nhost: shop\r\nx-request-id: r-1\r\nconnection: close\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}

/// Returns the message of each line with its request context.
fn context_of(lines: &[Value]) -> Vec<[&str; 4]> {
    lines
        .iter()
        .map(|line| {
            ["message", "request_id", "user_id", "order_id"]
                .map(|key| line[key].as_str().unwrap_or("-"))
        })
        .collect()
}

/// Starts work in each way, then authenticates the user, then lets the work continue.
#[instrument(skip_all)]
async fn handler(State(user): State<watch::Sender<bool>>) -> &'static str {
    let of_task = |name: &'static str| {
        let mut is_known = user.subscribe();
        async move {
            is_known.wait_for(|is_known| *is_known).await.unwrap();
            info!("{name}");
        }
    };
    let task = task::spawn(of_task("task"));
    let mut set = JoinSet::new();
    set.spawn(of_task("in a set"));
    let more: JoinSet<()> = [of_task("collected")].into_iter().collect();
    let (go_on, waits) = mpsc::channel::<()>();
    let blocking = task::spawn_blocking(move || {
        let _ = waits.recv();
        info!("blocking");
        context::set("order_id", 42);
    });
    let (go_on_too, waits_too) = mpsc::channel::<()>();
    let thread = thread::spawn(task::in_current(move || {
        let _ = waits_too.recv();
        info!("thread");
    }));

    context::set("user_id", "ada");
    user.send_replace(true);
    task.await.unwrap();
    set.join_next().await.unwrap().unwrap();
    assert_eq!(more.join_all().await, [()]);
    drop(go_on_too);
    task::spawn_blocking(|| thread.join().unwrap())
        .await
        .unwrap();
    drop(go_on);
    blocking.await.unwrap();
    info!("done");
    "ok"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_work_has_what_is_set_after_the_spawn() {
    alone!();
    let (user, _) = watch::channel(false);
    let app = Router::new().route("/", get(handler)).with_state(user);
    let (output, _telemetry, address) = start(Builder::new(Preset::Prod), app).await;
    request(address).await;
    let mut lines = output.objects();
    // All but the last two are logged at the same time.
    lines[..5].sort_by_key(|line| line["message"].to_string());
    assert_eq!(
        context_of(&lines),
        [
            ["blocking", "r-1", "ada", "-"],
            ["collected", "r-1", "ada", "-"],
            ["in a set", "r-1", "ada", "-"],
            ["task", "r-1", "ada", "-"],
            ["thread", "r-1", "ada", "-"],
            ["done", "r-1", "ada", "42"],
            ["request served", "r-1", "ada", "42"],
        ]
    );
    for line in &lines[..5] {
        assert_eq!(line["span"], "handler", "{line}");
    }
}

/// The task that a handler starts. It waits until the test decides how it ends.
#[derive(Clone)]
struct Detached {
    ends: Arc<Mutex<Option<oneshot::Receiver<bool>>>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

async fn detaching(State(detached): State<Detached>) -> &'static str {
    debug!("reading the order");
    info!("order read");
    let ends = detached.ends.lock().unwrap().take().unwrap();
    let task = task::spawn(async {
        match ends.await.unwrap() {
            true => error!("the mail was refused"),
            false => info!("the mail was sent"),
        }
    });
    *detached.task.lock().unwrap() = Some(task);
    "ok"
}

/// Serves one request whose task ends later. Returns the lines before the end of the task, and all
/// lines.
async fn serve_detaching(
    builder: Builder,
    after_the_response: impl FnOnce(),
    fails: bool,
) -> [Vec<String>; 2] {
    let (ends, waits) = oneshot::channel();
    let detached = Detached {
        ends: Arc::new(Mutex::new(Some(waits))),
        task: Arc::default(),
    };
    let app = Router::new()
        .route("/", get(detaching))
        .with_state(detached.clone());
    let (output, _telemetry, address) = start(builder, app).await;
    request(address).await;
    let messages = || {
        let lines = output.objects();
        let message = |line: &Value| {
            assert_eq!(line["request_id"], "r-1", "{line}");
            line["message"].as_str().unwrap().to_owned()
        };
        lines.iter().map(message).collect()
    };
    let before = messages();
    let task = detached.task.lock().unwrap().take().unwrap();
    after_the_response();
    ends.send(fails).unwrap();
    task.await.unwrap();
    [before, messages()]
}

fn recording(recorder: &str) -> Builder {
    Builder::new(Preset::Prod).recorder(recorder)
}

const HEADER: &str = "flight recorder: buffered events of this request follow";

#[tokio::test]
async fn event_of_the_request_does_not_wait_for_a_task() {
    alone!();
    let [before, after] = serve_detaching(Builder::new(Preset::Prod), || (), false).await;
    assert_eq!(before, ["order read", "request served"]);
    assert_eq!(after, ["order read", "request served", "the mail was sent"]);
}

#[tokio::test]
async fn recorder_writes_request_of_failed_task() {
    alone!();
    let [before, after] = serve_detaching(recording("debug"), || (), true).await;
    assert_eq!(before, ["order read", "request served"]);
    let more = [HEADER, "reading the order", "the mail was refused"];
    assert_eq!(after[2..], more);
}

#[tokio::test]
async fn tail_sampling_waits_for_the_task() {
    alone!();
    let [before, after] = serve_detaching(recording("debug,tail=0"), || (), true).await;
    assert_eq!(before, [""; 0]);
    let held = ["reading the order", "order read", "request served"];
    assert_eq!(after[1..4], held);
    assert_eq!([&after[0], &after[4]], [HEADER, "the mail was refused"]);
}

#[tokio::test]
async fn request_is_as_slow_as_its_task() {
    alone!();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let recorder = Recorder::builder()
        .slow(Duration::from_secs(1))
        .clock(clock.clone());
    let builder = Builder::new(Preset::Prod).recorder(recorder.build());
    let task_takes_long = || clock.advance(Duration::from_secs(1));
    let [before, after] = serve_detaching(builder, task_takes_long, false).await;
    assert_eq!(before, ["order read", "request served"]);
    let more = [HEADER, "reading the order", "the mail was sent"];
    assert_eq!(after[2..], more);
}

#[test]
fn subscriber_set_by_scope_goes_with_the_task() {
    struct LogsAtItsEnd;
    impl Drop for LogsAtItsEnd {
        fn drop(&mut self) {
            info!("dropped");
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let output = Lines::default();
    let stack = tracing_subscriber::registry()
        .with(context::ContextLayer::default())
        .with(spanwise::layer::JsonLayer::new().with_writer(output.clone()));
    tracing::subscriber::with_default(stack, || {
        let _inside = runtime.enter();
        let request = info_span!("request", request_id = "r-1").entered();
        let tasks = [
            task::spawn(async { info!("task") }),
            task::spawn_blocking(|| info!("blocking")),
        ];
        // The future owns the value, even if the task is aborted before it is polled.
        let logs = LogsAtItsEnd;
        let aborted = task::spawn(async move {
            let _logs = logs;
            std::future::pending::<()>().await;
        });
        let _left = request.exit();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
        });
    });
    let mut lines = output.objects();
    lines.sort_by_key(|line| line["message"].to_string());
    let messages = lines.iter().map(|line| &line["message"]);
    assert!(messages.eq(["blocking", "dropped", "task"]), "{lines:?}");
    for line in lines {
        assert_eq!(line["request_id"], "r-1", "{line}");
    }
}

/// Logs when it is formatted. With a scoped subscriber, `tracing` drops this event.
struct Logs;

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        info!("inner");
        f.write_str("logs")
    }
}

#[test]
fn global_subscriber_is_not_set_by_scope() {
    alone!();
    let output = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(output.clone())
        .init()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    runtime.block_on(async {
        task::spawn(async { info!(value = ?Logs, "task") })
            .await
            .unwrap();
        task::spawn_blocking(|| info!(value = ?Logs, "blocking"))
            .await
            .unwrap();
    });
    let lines = output.objects();
    let messages = lines.iter().map(|line| &line["message"]);
    assert!(
        messages.eq(["inner", "task", "inner", "blocking"]),
        "{lines:?}"
    );
}

#[test]
fn spawn_without_a_runtime_names_its_caller() {
    alone!();
    let place = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&place);
    std::panic::set_hook(Box::new(move |info| {
        let location = info.location().unwrap();
        *seen.lock().unwrap() = Some((location.file().to_owned(), location.line()));
    }));
    let calls: [(fn(), u32); 3] = [
        (|| drop(task::spawn(async {})), line!()),
        (|| drop(task::spawn_blocking(|| ())), line!()),
        (|| drop(JoinSet::new().spawn(async {})), line!()),
    ];
    for (call, line) in calls {
        assert!(std::panic::catch_unwind(call).is_err());
        assert_eq!(
            place.lock().unwrap().take(),
            Some((file!().to_owned(), line))
        );
    }
}

#[tokio::test]
async fn span_of_the_spawn_counts_and_not_that_of_the_poll() {
    let stack = tracing_subscriber::registry().with(context::ContextLayer::default());
    let _default = tracing::subscriber::set_default(stack);
    let request_id = || Context::current().get("request_id").map(str::to_owned);
    let first = info_span!("request", request_id = "r-1");
    let task = first.in_scope(|| task::spawn(async move { request_id() }));
    let second = info_span!("request", request_id = "r-2");
    assert_eq!(
        task.instrument(second).await.unwrap().as_deref(),
        Some("r-1")
    );
    let outside = task::spawn(async move { request_id() });
    assert_eq!(outside.await.unwrap(), None);
    let local = tokio::task::LocalSet::new();
    let mut set = JoinSet::new();
    first.in_scope(|| {
        set.spawn_local_on(async move { request_id() }, &local);
        set.spawn_on(
            async move { request_id() },
            &tokio::runtime::Handle::current(),
        );
        set.spawn_blocking_on(request_id, &tokio::runtime::Handle::current());
        set.spawn_blocking(request_id);
    });
    assert_eq!(set.len(), 4);
    let all = local.run_until(async {
        first.in_scope(|| set.spawn_local(async move { request_id() }));
        set.join_all().await
    });
    assert_eq!(all.await, vec![Some("r-1".to_owned()); 5]);
}
