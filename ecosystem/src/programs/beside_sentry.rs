//! `sentry::init` and the layers of `sentry-tracing`, which stay: behind the policy, and with the
//! context as tags.

use sentry::{
    ClientOptions,
    integrations::tracing::{BreadcrumbLayer, ErrorLayer},
    protocol::{Event, User},
};
use spanwise::layer::LayerExt as _;
use tracing::{error, info, info_span};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = ClientOptions::new()
        .dsn(&std::env::var("SHOP_SENTRY_DSN")?)
        .before_send(|event| Some(with_context(event)));
    let _sentry = sentry::init(options);
    let _telemetry = spanwise::builder!()?
        .layer(BreadcrumbLayer::new().with_levels("info".parse()?))
        .layer(ErrorLayer::new().with_levels("error".parse()?))
        .init()?;

    let request = info_span!("http.request", request_id = "r-1", tenant_id = "acme");
    request.in_scope(|| {
        spanwise::context::set("user_id", "ada");
        info!("asking the gateway");
        error!(
            password = "hunter2",
            "payment failed: card 4111 1111 1111 1111"
        );
    });
    let _ = std::thread::spawn(|| panic!("no connection to postgres://shop:hunter2@db")).join();
    Ok(())
}

/// Adds the context: the request and the tenant as tags, the user as the user.
fn with_context(mut event: Event<'static>) -> Event<'static> {
    for (key, value) in spanwise::context::Context::current().iter() {
        if key == "user_id" {
            event.user.get_or_insert_with(User::default).id = Some(value.to_owned());
        } else {
            event.tags.insert(key.to_owned(), value.to_owned());
        }
    }
    event
}
