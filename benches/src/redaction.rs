//! The cost of redaction.
//!
//! ```text
//! cargo bench -p benches --bench redaction                       all of it, in interleaved rounds; some minutes
//! cargo bench -p benches --bench redaction -- --instructions     layers only: instructions under callgrind, repeatable on a busy machine
//! cargo bench -p benches --bench redaction -- --texts            texts only
//! cargo bench -p benches --bench redaction -- --contender spanwise --contender spanwise-policy --workload flat
//! ```
//!
//! The policy is `Policy::secrets_and_pii()`, with all detectors. Each layer is measured with the
//! policy and without. A layer that is `redacted` receives each event twice: first in
//! `event_enabled`, then in `on_event`. A layer that is `unasked` receives it only in `on_event`.
//!
//! # Workloads
//! In `numbers`, the policy only scans the message, and in `numbers-only` nothing. In `keys` and
//! `keys-only`, the names of the fields decide about three of four texts. The policy finds nothing
//! in the texts of `flat` and `request`. In `flat-hidden` and `request-hidden` one text is an
//! e-mail address, which the policy hides.
//!
//! # Texts
//! The texts of the first table are like those in logs. The texts of the second table are made to
//! be slow to scan: the time per byte must not grow with their length. The policy scans 64 KiB of a
//! longer text, and hides the rest.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use spanwise_core::Redact;
use spanwise_redact::Policy;

use crate::{
    options::Options,
    suite::REDACTION,
    table::{self, number},
};

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    Options::parse(&REDACTION, arguments)?.run()
}

/// Prints the cost of the scan of texts.
pub(crate) fn texts() -> Result<(), Box<dyn Error>> {
    let policy = Policy::secrets_and_pii();
    let rows = TEXTS.iter().map(|(name, text)| {
        let nanos = nanos(&policy, text);
        let (length, is_hidden) = (text.len(), policy.text(text).len() != text.len());
        let hidden = if is_hidden { "yes" } else { "no" };
        let cells = [number(length as f64), hidden.to_owned(), number(nanos)];
        (*name, cells.into_iter().map(Some).collect())
    });
    let columns = ["bytes", "hidden", "ns"];
    table::print("Texts as they are logged", "text", &columns, rows)?;

    // With a rule about paths, the policy also parses JSON.
    let policy = policy.hide("**.a.b.ssn")?;
    let sizes = SIZES.map(|size| format!("{} KiB", size / KIB));
    let columns: Vec<&str> = sizes
        .iter()
        .map(String::as_str)
        .chain(["60 / 1", "1024 / 1"])
        .collect();
    let rows = SLOW.iter().map(|(name, part)| {
        let nanos = SIZES.map(|size| {
            let text = part.repeat(size / part.len());
            nanos(&policy, &text) / text.len() as f64
        });
        let ratio = |at: usize| format!("{:.2}", nanos[at] / nanos[0]);
        let cells = nanos.iter().map(|nanos| format!("{nanos:.2}"));
        let cells = cells.chain([ratio(2), ratio(4)]).map(Some).collect();
        (*name, cells)
    });
    let title = "Texts that are made to be slow to read: nanoseconds per byte";
    table::print(title, "text", &columns, rows)
}

/// Returns the nanoseconds of one scan: the minimum of many tries, in which other processes disturb
/// the least.
fn nanos(policy: &Policy, text: &str) -> f64 {
    const TRIES: usize = 25;
    const MIN_DURATION: Duration = Duration::from_micros(400);
    let time = |times: u32| {
        let start = Instant::now();
        for _ in 0..times {
            black_box(policy.text(black_box(text)));
        }
        start.elapsed()
    };
    let mut times = 1;
    while time(times) < MIN_DURATION {
        times *= 2;
    }
    let least = (0..TRIES).map(|_| time(times)).min().unwrap_or_default();
    least.as_nanos() as f64 / f64::from(times)
}

static TEXTS: &[(&str, &str)] = &[
    ("word", "accepted"),
    ("message", "request finished"),
    ("id", "customer-0042-of-example"),
    ("sentence", "could not reach the queue, trying again "),
    ("uuid", "0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f506"),
    ("path", "/v1/orders/184467/items?page=2&sort=name"),
    ("time", "2026-11-20T10:46:12.123456Z"),
    (
        "json",
        r#"{"order":184467,"items":[{"sku":"A-113","count":2}],"note":"leave it at the door"}"#,
    ),
    (
        "debug",
        r#"Order { number: 184467, state: Placed, items: ["A-113"], total: 149.95 }"#,
    ),
    ("e-mail", "customer-0042@example.io"),
    ("password", "login with password=hunter2 failed"),
];

const KIB: usize = 1024;

/// The third size is the longest that the policy scans as a whole.
const SIZES: [usize; 5] = [KIB, 8 * KIB, 60 * KIB, 256 * KIB, 1024 * KIB];

static SLOW: &[(&str, &str)] = &[
    ("`a `", "a "),
    ("`eyJ.`", "eyJ."),
    ("`eyJeyJeyJ`", "eyJ"),
    ("`ghp_`", "ghp_"),
    ("`sk-`", "sk-"),
    ("`token `", "token "),
    ("`a@`", "a@"),
    ("`a@b.`", "a@b."),
    ("`1`", "1"),
    ("`4111 `", "4111 "),
    ("`1.`", "1."),
    ("`1-`", "1-"),
    ("`:`", ":"),
    ("`a:`", "a:"),
    ("`\"`", "\""),
    ("`\\`", "\\"),
    ("`\\\"`", "\\\""),
    ("`-----BEGIN `", "-----BEGIN "),
    (
        "`-----BEGIN PRIVATE KEY-----`",
        "-----BEGIN PRIVATE KEY-----",
    ),
    ("`key=`", "key="),
    ("`password=`", "password="),
    ("`password=(`", "password=("),
    ("`\"password\":\"`", "\"password\":\""),
    ("`\"token\":{`", "\"token\":{"),
    ("`authorization: `", "authorization: "),
    ("`{\"a\":`", "{\"a\":"),
    ("`[`", "["),
    ("`a://`", "a://"),
    ("`a://b:`", "a://b:"),
    ("`DE02`", "DE02"),
    ("`GB29 NWBK `", "GB29 NWBK "),
    ("`fe80:`", "fe80:"),
    ("`::1 `", "::1 "),
    ("`é`", "é"),
];
