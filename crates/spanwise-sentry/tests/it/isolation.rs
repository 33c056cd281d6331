//! Concurrent requests on several threads, with awaits and spawned tasks.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::support::{Receiver, alone, breadcrumbs, builder};
use tokio::{sync::Barrier, task};
use tracing::{Instrument, error, info, info_span};
use tracing_subscriber::prelude::*;

const REQUESTS: usize = 40;

#[test]
fn concurrent_requests_do_not_mix() {
    if alone("isolation::concurrent_requests_do_not_mix") {
        return;
    }
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver).build().unwrap();
    tracing_subscriber::registry().with(layer).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    runtime.block_on(async {
        // All requests reach the same place at the same time.
        let barrier = Arc::new(Barrier::new(REQUESTS));
        let requests = (0..REQUESTS).map(|number| {
            let span = info_span!(
                "request",
                request_id = format!("r-{number}"),
                tenant_id = format!("t-{}", number % 2),
                user_id = number,
            );
            tokio::spawn(request(number, Arc::clone(&barrier)).instrument(span))
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
    });
    guard.shutdown(Duration::from_secs(60));

    let events = receiver.events();
    let mut traces = HashMap::new();
    for event in &events {
        let (number, from) = event["message"].as_str().unwrap().split_once(' ').unwrap();
        let number: usize = number.parse().unwrap();
        assert_eq!(
            event["tags"]["request_id"],
            format!("r-{number}"),
            "{event:#}"
        );
        assert_eq!(event["tags"]["tenant_id"], format!("t-{}", number % 2));
        assert_eq!(event["user"]["id"], number.to_string());
        let breadcrumbs = breadcrumbs(event);
        assert!(
            breadcrumbs.contains(&&*format!("{number} begins")),
            "{breadcrumbs:?}"
        );
        assert!(
            breadcrumbs.contains(&&*format!("{number} goes on in a task")),
            "{from}: {breadcrumbs:?}"
        );
        let own = format!("{number} ");
        assert!(
            breadcrumbs.iter().all(|crumb| crumb.starts_with(&own)),
            "{number}: {breadcrumbs:?}"
        );
        // Both errors of a request have the same trace.
        let trace = &event["contexts"]["trace"]["trace_id"];
        assert_eq!(traces.entry(number).or_insert_with(|| trace.clone()), trace);
    }
    assert_eq!((events.len(), traces.len()), (2 * REQUESTS, REQUESTS));
}

async fn request(number: usize, barrier: Arc<Barrier>) {
    info!("{number} begins");
    barrier.wait().await;
    task::yield_now().await;
    let task = async move {
        info!("{number} goes on in a task");
        task::yield_now().await;
        error!("{number} in a task");
    };
    tokio::spawn(task.instrument(info_span!("task")))
        .await
        .unwrap();
    barrier.wait().await;
    error!("{number} at the end");
}
