//! A library: it uses `tracing`, and knows nothing of the program that is built with it.
//!
//! It starts nothing, sets no level and writes no line by itself: its users decide. Messages are
//! constant and values are fields, so that a program can count, sample and hide them.

use tracing::{debug, instrument, warn};

/// The price of `count` pieces, in cents.
///
/// The span gives all lines inside, also those of other libraries, the article.
#[instrument]
pub fn price(article: &str, count: u32) -> Option<u32> {
    let each = match article {
        "book" => 1_999,
        "pen" => 150,
        _ => {
            // Not ERROR: whether this is one, the caller knows.
            warn!("unknown article");
            return None;
        }
    };
    let price = count.checked_mul(each)?;
    debug!(price, "calculated");
    Some(price)
}
