//! A cron job: it logs to a file, and prints nothing on success, because cron mails all output.
//!
//! ```text
//! cargo run --example cron
//! ```
//!
//! The same in a crontab, without the code:
//!
//! ```text
//! 7 3 * * *  LOG_PRESET=cli RUST_LOG=info LOG_OUTPUT_LEVEL=warn LOG_FILE=/var/log/shop/cleanup.log /opt/shop/cleanup
//! ```

#![expect(clippy::print_stdout, reason = "it shows the result")]

use std::{env, error::Error, fs, process::ExitCode};

use spanwise::{Preset, Telemetry};
use tracing::{info, level_filters::LevelFilter, warn};

fn main() -> ExitCode {
    let directory = env::temp_dir().join(format!("spanwise-cron-{}", std::process::id()));
    let file = directory.join("cleanup.log");
    let telemetry = spanwise::builder!().and_then(|builder| {
        builder
            .preset(Preset::Cli)
            .levels(LevelFilter::INFO)
            .output_level(LevelFilter::WARN) // these are worth a mail
            .file(&file) // rolls daily and at 100 MiB, and retains 14 files
            .init()
    });
    let code = spanwise::run(telemetry, clean_up);

    // Only to show the file here.
    print!("{}", fs::read_to_string(&file).unwrap_or_default());
    let _ = fs::remove_dir_all(directory);
    code
}

fn clean_up(_: &Telemetry) -> Result<(), Box<dyn Error>> {
    let carts = [("c-1", 3), ("c-2", 9_000), ("c-3", 0)];
    for (cart_id, items) in carts {
        if items > 1_000 {
            warn!(cart_id, items, "a cart as large as this is suspicious");
        }
        info!(cart_id, items, "removed");
    }
    info!(carts = carts.len(), "cleaned up");
    Ok(())
}
