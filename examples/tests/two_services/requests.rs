//! The requests of customers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinSet;

use crate::GUARD;

/// The number of requests at one time.
const CONCURRENCY: usize = 64;

/// A request for an order.
pub(crate) struct OrderRequest {
    pub(crate) address: String,
    pub(crate) traceparent: Option<String>,
}

/// Sends all requests and reads their responses. The ids of the orders are their indexes.
pub(crate) fn send(requests: Vec<OrderRequest>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let client = reqwest::Client::builder().timeout(GUARD).build().unwrap();
    runtime.block_on(async {
        let mut customers = JoinSet::new();
        for _ in 0..CONCURRENCY {
            let (requests, next, client) =
                (Arc::clone(&requests), Arc::clone(&next), client.clone());
            customers.spawn(async move {
                loop {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    let Some(OrderRequest {
                        address,
                        traceparent,
                    }) = requests.get(id)
                    else {
                        return;
                    };
                    let mut request = client.get(format!("http://{address}/orders/{id}"));
                    if let Some(traceparent) = traceparent {
                        request = request.header("traceparent", traceparent);
                    }
                    let response = request.send().await.unwrap().error_for_status().unwrap();
                    assert_eq!(response.text().await.unwrap(), id.to_string());
                }
            });
        }
        while let Some(done) = customers.join_next().await {
            done.unwrap();
        }
    });
}
