//! Breadcrumbs of requests that stay open: together they take what they may, and each keeps its newest.

#![cfg(target_os = "linux")]

use crate::support::{alone, crumbs, sent};
use tracing::{error, info, info_span};

#[test]
fn and_a_request_that_fails_still_has_its_newest_breadcrumbs() {
    if alone("memory::and_a_request_that_fails_still_has_its_newest_breadcrumbs") {
        return;
    }
    // 2,000 requests with 100 breadcrumbs of a kilobyte would take 200 MB.
    let text = "x".repeat(1000);
    let before = resident();
    let (receiver, _) = sent(crate::support::plain, || {
        let requests: Vec<_> = (0..2000)
            .map(|number| info_span!("request", request_id = number))
            .collect();
        for request in &requests {
            request.in_scope(|| (0..100).for_each(|step| info!(text, "step {step}")));
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 100 * 1024 * 1024, "{grown} bytes");
        requests[0].in_scope(|| error!("failed"));
    });
    let event = crate::support::one(&receiver);
    let crumbs = crumbs(&event);
    assert_eq!(crumbs.last(), Some(&"step 99"));
}

/// What the process has in memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
