//! Redaction: a service that logs secrets, the lines that it writes, and a rule of its own.
//!
//! ```text
//! cargo run --example redaction
//! LOG_PRESET=dev cargo run --example redaction
//! ```
//!
//! Redaction is on by default: `spanwise::init_from_env()` is enough. The shop adds one rule.

#![expect(clippy::print_stderr, reason = "it explains the output")]

use std::{collections::BTreeMap, error::Error, fmt};

use spanwise::{
    Builder, Preset, as_json,
    redact::{Action, Classified},
};
use tracing::{error, info, info_span};

fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = Builder::from_env()?
        .default_preset(Preset::Prod)
        .redact_with(|policy| policy.hide_with("loyalty_no", Action::KeepLast(3)))
        .init()?;

    let request = info_span!(
        "http.request",
        request_id = "r-1",
        user.email = "ada@example.org"
    );
    request.in_scope(|| {
        eprintln!("# by the name of a field, a header, or a key in JSON:");
        let headers = BTreeMap::from([("accept", "*/*"), ("authorization", "Bearer abc123abc123")]);
        info!(password = "hunter2", ?headers, order_id = 42, "login");
        let order = BTreeMap::from([("sku", "book"), ("apiKey", "k-123")]);
        info!(order = %as_json(&order), body = r#"{"card_number":"4242"}"#, "order created");

        eprintln!("# by the format of a text, anywhere:");
        info!(
            url = "postgres://shop:s3cr3t@db.example/shop",
            "paid with 4111 1111 1111 1111"
        );
        error!(error = spanwise::err(&Declined), "payment failed");

        eprintln!("# by its type, under any subscriber:");
        let pin = Classified::new("1234");
        info!(%pin, "a value that cannot be logged");

        eprintln!("# by a rule of this shop; harmless values stay:");
        info!(
            loyalty_no = "9001234567",
            tokens_used = 512,
            trace = "0af7651916cd43dd8448eb211c80319c",
            "points"
        );
    });

    eprintln!(
        "# the matches of each rule (a field redacted by its name counts once per callsite):"
    );
    for (rule, count) in telemetry.handle().stats().redacted {
        eprintln!("#   {rule}: {count}");
    }
    Ok(())
}

#[derive(Debug)]
struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bank refused token=tok_1MqLiJ2eZvKYlo2C")
    }
}

impl Error for Declined {}
