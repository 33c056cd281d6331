//! `console-subscriber`: tokio-console sees the tasks, and the lines of the service stay as they
//! are.
#![cfg_attr(not(tokio_unstable), allow(unused, reason = "there is no console"))]

#[cfg(not(tokio_unstable))]
fn main() {}

#[cfg(tokio_unstable)]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use tokio::io::AsyncReadExt as _;
    use tracing::{Instrument as _, info, info_span};

    let console = console_subscriber::ConsoleLayer::builder()
        .with_default_env() // TOKIO_CONSOLE_BIND
        .spawn();
    let _telemetry = spanwise::builder!()?.layer(console).init()?;

    let request = info_span!("http.request", request_id = "r-1");
    tokio::task::Builder::new()
        .name("mailer")
        .spawn(
            async {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                info!("mail sent");
            }
            .instrument(request),
        )?
        .await?;
    tokio::spawn(async { info_span!("job", request_id = "r-2").in_scope(|| info!("job done")) })
        .await?;

    // Until its standard input ends.
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}
