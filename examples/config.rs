//! Configuration by a file, with the command `log check` that a program mounts.
//!
//! ```text
//! cargo run --example config
//! LOG_DIR=/tmp cargo run --example config -- log check docs/log.example.toml
//! LOG_DIR=/tmp LOG_CONFIG=docs/log.example.toml cargo run --example config -- log explain
//! ```

#![expect(clippy::print_stdout, reason = "it shows the result")]

use std::{env, error::Error, fs, process::ExitCode, time::Duration};

use spanwise::Builder;
use tracing::{error, info};

const CONFIG: &str = r#"
preset = "prod"

[sink.app]
kind = "file"
path = "${DIRECTORY}/app.log"

[sink.errors]
kind = "file"
path = "${DIRECTORY}/error.log"
level = "error"

[sink.payments]
kind = "file"
path = "${DIRECTORY}/payments.log"

[route."shop::payments"]
sinks = ["payments"]
"#;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "log") {
        // What the program sets in code counts for the check, too.
        let (text, code) = spanwise::config_file::command(&arguments, |builder| builder);
        print!("{text}");
        return Ok(ExitCode::from(u8::try_from(code)?));
    }

    let directory = env::temp_dir().join(format!("spanwise-config-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let file = directory.join("log.toml");
    fs::write(
        &file,
        CONFIG.replace("${DIRECTORY}", &directory.display().to_string()),
    )?;
    let telemetry = Builder::from_file(&file)?.init()?;

    info!(target: "shop::orders", order_id = 7, "order created");
    info!(target: "shop::payments", order_id = 7, "paid");
    error!(target: "shop::payments", order_id = 8, "payment failed");
    telemetry.shutdown(Duration::from_secs(5));

    for name in ["app.log", "error.log", "payments.log"] {
        let lines = fs::read_to_string(directory.join(name))?.lines().count();
        println!("{name}: {lines} lines");
    }
    fs::remove_dir_all(directory)?;
    Ok(ExitCode::SUCCESS)
}
