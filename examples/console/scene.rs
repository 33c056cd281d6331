//! Two seconds of a shop: 30 events of five requests and a job, whose lines are interleaved.

use std::{error::Error, fmt, io, time::Duration};

use spanwise_core::Clock;
use tracing::{Level, Span, debug, error, event, field::Empty, info, info_span, warn};

/// Logs the scene. `clock` shows the times.
pub(crate) fn play(clock: &Clock) {
    let tick = |millis| clock.advance(Duration::from_millis(millis));
    info!(target: "shop", address = "127.0.0.1:8080", "shop is open");
    tick(83);
    info!(target: "shop::stock", products = 412, duration_ms = 82.7, "catalogue loaded");
    tick(320);

    // Ada looks at the products, while Grace pays an order.
    let list = request("GET", "/products", LIST, "acme");
    tick(1);
    let pay = request("POST", "/orders/{id}/pay", PAY, "globex");
    list.in_scope(|| {
        let query = "SELECT id, name, price\nFROM products\nWHERE tenant = $1";
        debug!(target: "shop::db", query, rows = 25, duration_ms = 1.84, "query executed");
    });
    tick(1);
    pay.in_scope(|| {
        spanwise::context::set("user_id", "grace");
        debug!(target: "shop::auth", "logged in");
    });
    tick(1);
    list.in_scope(|| debug!(target: "shop::products", filter = ?FILTER, "products filtered"));
    let charge = pay.in_scope(|| {
        let charge = info_span!(target: "shop::payments", "charge", order_id = 41, amount = 249.0);
        charge.in_scope(|| info!(target: "shop::payments", gateway = "cards", "payment started"));
        charge
    });
    tick(1);
    served(&list, 200, 4.12, 18_431);
    tick(212);
    charge.in_scope(|| {
        let timeout = io::Error::new(io::ErrorKind::TimedOut, "no answer in 200ms");
        let timeout = &timeout as &dyn Error;
        warn!(target: "shop::payments", attempt = 1, error = timeout, "gateway did not answer");
    });

    // Ada orders a book.
    tick(40);
    let order = request("POST", "/orders", ORDER, "acme");
    order.in_scope(|| {
        spanwise::context::set("user_id", "ada");
        debug!(target: "shop::auth", "logged in");
    });
    tick(2);
    let create = order.in_scope(|| {
        info_span!(target: "shop::orders", "create_order", sku = "book-7", quantity = 2, order_id = Empty)
    });
    create.in_scope(|| info!(target: "shop::stock", left = 11, "stock reserved"));
    tick(1);
    charge.in_scope(|| warn!(target: "shop::payments", attempt = 2, "retrying the payment"));
    tick(3);
    create.record("order_id", 42);
    create.in_scope(|| info!(target: "shop::orders", total = 39.98, "order created"));
    tick(1);
    let mail = info_span!(target: "shop::mail", parent: None, "send_mail", job_id = "mail-118", to = "ada");
    mail.in_scope(|| debug!(target: "shop::mail", template = "confirmation", "mail rendered"));
    tick(2);
    create.in_scope(|| debug!(target: "shop::events", topic = "orders", "event published"));
    served(&order, 201, 9.37, 212);
    tick(5);
    charge.in_scope(|| {
        let declined = Declined(Gateway(io::Error::other("card expired 09/26")));
        let declined = &declined as &dyn Error;
        error!(target: "shop::payments", attempt = 2, error = declined, "payment failed");
    });
    tick(1);
    failed(
        &pay,
        502,
        268.4,
        "the payment could not be taken: the gateway declined the charge",
    );
    tick(12);
    mail.in_scope(|| info!(target: "shop::mail", duration_ms = 14.9, "mail sent"));

    // Somebody looks for a product that does not exist.
    tick(130);
    let search = request("GET", "/products/{id}", SEARCH, "acme");
    search.in_scope(|| debug!(target: "shop::db", rows = 0, duration_ms = 0.61, "query executed"));
    tick(1);
    search.in_scope(|| info!(target: "shop::products", product = "book-8", "product not found"));
    served(&search, 404, 1.28, 34);

    // A report takes long.
    tick(95);
    let report = request("GET", "/reports/sales", REPORT, "globex");
    report.in_scope(|| {
        spanwise::context::set("user_id", "grace");
        info!(target: "shop::reports", month = "2026-10", "report started");
    });
    tick(140);
    warn!(target: "shop::db::pool", waiting = 7, size = 10, "pool is nearly exhausted");
    tick(210);
    report.in_scope(
        || debug!(target: "shop::db", rows = 48_211, duration_ms = 334.1, "query executed"),
    );
    tick(35);
    report.in_scope(|| warn!(target: "shop::reports", skipped = 3, "orders without a currency"));
    tick(61);
    report.in_scope(|| info!(target: "shop::reports", sum_eur = 128_344.5, "report finished"));
    served(&report, 200, 446.9, 92_144);
    tick(160);
    debug!(target: "shop::stock", changed = 2, "catalogue reloaded");
    tick(400);
    info!(target: "shop", signal = "SIGTERM", "shop is closing");
    tick(16);
    info!(target: "shop", uptime_s = 134, requests = 5, "shop is closed");
}

const LIST: [&str; 2] = [
    "019a1fd8-1d90-7f75-a989-14dd55bc1bfe",
    "019a1fd81d907f75a98914dd55bc1bfe",
];
const PAY: [&str; 2] = [
    "019a1fd8-1d91-7a02-b7c4-30c90e2474da",
    "019a1fd81d917a02b7c430c90e2474da",
];
const ORDER: [&str; 2] = [
    "019a1fd8-1e88-7c4e-8f15-6a2b7d90c3e1",
    "019a1fd81e887c4e8f156a2b7d90c3e1",
];
const SEARCH: [&str; 2] = [
    "019a1fd8-1f31-7d58-9b02-c1d8a5f7402b",
    "019a1fd81f317d589b02c1d8a5f7402b",
];
const REPORT: [&str; 2] = [
    "019a1fd8-1f92-7b6a-a3e7-58f04c6d9b17",
    "019a1fd81f927b6aa3e758f04c6d9b17",
];

const FILTER: Filter = Filter {
    category: Some("books"),
    max_price: None,
    sort: "price",
};

#[derive(Debug)]
#[expect(dead_code, reason = "`Debug` shows the fields")]
struct Filter {
    category: Option<&'static str>,
    max_price: Option<u32>,
    sort: &'static str,
}

/// The span of a request, as `spanwise-http` opens it.
fn request(method: &str, route: &str, [id, trace_id]: [&str; 2], tenant: &str) -> Span {
    info_span!(
        target: "spanwise_http::server",
        parent: None,
        "http.request",
        http.request.method = method,
        http.route = route,
        request_id = id,
        tenant_id = tenant,
        user_id = Empty,
        client.address = "203.0.113.7",
        trace_id,
        span_id = &trace_id[16..],
    )
}

/// The event of a request, as `spanwise-http` logs it.
fn served(span: &Span, status: u16, duration: f64, bytes: u64) {
    let outcome = if status < 400 { "ok" } else { "client_error" };
    event!(
        name: "http.access",
        target: "spanwise_http::server",
        parent: span,
        Level::INFO,
        http.response.status_code = status,
        duration_ms = duration,
        ttfb_ms = duration - 0.05,
        response_bytes = bytes,
        outcome,
        "request served"
    );
}

fn failed(span: &Span, status: u16, duration: f64, error: &str) {
    event!(
        name: "http.access",
        target: "spanwise_http::server",
        parent: span,
        Level::ERROR,
        http.response.status_code = status,
        duration_ms = duration,
        ttfb_ms = duration - 0.05,
        response_bytes = 31_u64,
        outcome = "server_error",
        error,
        "request failed"
    );
}

#[derive(Debug)]
struct Declined(Gateway);

#[derive(Debug)]
struct Gateway(io::Error);

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payment could not be taken")
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the gateway declined the charge")
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Gateway {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
