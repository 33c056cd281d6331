//! A library: it depends only on `tracing`.
//!
//! It does not start logging, set levels or print: its users decide. Messages are constant and
//! values are fields, so that applications can count, sample and redact them.

use tracing::{debug, instrument, warn};

/// The price of `count` pieces, in cents.
///
/// The span adds the article to all lines inside, also those of other libraries.
#[instrument]
pub fn price(article: &str, count: u32) -> Option<u32> {
    let each = match article {
        "book" => 1_999,
        "pen" => 150,
        _ => {
            // Not ERROR: only the caller knows whether this is one.
            warn!("unknown article");
            return None;
        }
    };
    let price = count.checked_mul(each)?;
    debug!(price, "calculated");
    Some(price)
}
