//! Files that roll, at a small size so that the example shows it.
//!
//! ```text
//! cargo run --example files
//! ```
//!
//! The same from the environment, for `spanwise::init_from_env()`:
//!
//! ```text
//! LOG_PRESET=prod LOG_OUTPUT=none LOG_FILE=/var/log/shop/shop.log LOG_ERROR_FILE=/var/log/shop/error.log \
//!     LOG_FILE_ROTATE=daily,16KiB LOG_FILE_KEEP='5 files' LOG_FILE_COMPRESS=none
//! ```

#![expect(clippy::print_stdout, reason = "it shows the result")]

use std::{error::Error, fs, time::Duration};

use spanwise::{Builder, Output, Preset, file::Compression};
use tracing::{error, info, info_span};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("spanwise-files-{}", std::process::id()));
    let telemetry = Builder::new(Preset::Prod)
        .service("shop", env!("CARGO_PKG_VERSION"))
        .output(Output::None) // only to keep this example's own output readable
        .file(directory.join("shop.log"))
        .error_file(directory.join("error.log"))
        .file_rotation("daily,16KiB")
        .file_retention("5 files")
        .file_compression(Compression::None) // only to count their lines below
        .init()?;

    for order_id in 0..500 {
        let request = info_span!("http.request", request_id = format!("r-{order_id}"));
        let _entered = request.enter();
        info!(order_id, "order created");
        if order_id % 100 == 99 {
            error!(order_id, "payment failed");
        }
    }

    // Dropping `telemetry` does this too, without a report.
    let report = telemetry.shutdown(Duration::from_secs(5));
    println!("{} lines delivered, {} lost", report.delivered, report.lost);
    let mut names: Vec<_> = fs::read_dir(&directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    for name in names {
        let lines = fs::read_to_string(directory.join(&name)).map(|text| text.lines().count());
        println!("{name}: {} lines", lines.unwrap_or(0));
    }
    fs::remove_dir_all(directory)?;
    Ok(())
}
