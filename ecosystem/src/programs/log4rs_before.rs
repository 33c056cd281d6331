//! `log` and `log4rs`: JSON on stdout, and files of 10 MiB, of which 14 are kept.

use log::{LevelFilter, error, info};
use log4rs::{
    Config,
    append::{
        console::ConsoleAppender,
        rolling_file::{
            RollingFileAppender,
            policy::compound::{
                CompoundPolicy, roll::fixed_window::FixedWindowRoller, trigger::size::SizeTrigger,
            },
        },
    },
    config::{Appender, Logger, Root},
    encode::json::JsonEncoder,
};

pub(crate) fn main() -> anyhow::Result<()> {
    let stdout = ConsoleAppender::builder()
        .encoder(Box::new(JsonEncoder::new()))
        .build();
    let roller = FixedWindowRoller::builder().build("logs/shop.{}.log", 14)?;
    let policy = CompoundPolicy::new(
        Box::new(SizeTrigger::new(10 * 1024 * 1024)),
        Box::new(roller),
    );
    let files = RollingFileAppender::builder()
        .encoder(Box::new(JsonEncoder::new()))
        .build("logs/shop.log", Box::new(policy))?;
    let config = Config::builder()
        .appender(Appender::builder().build("stdout", Box::new(stdout)))
        .appender(Appender::builder().build("files", Box::new(files)))
        .logger(Logger::builder().build("sqlx", LevelFilter::Warn))
        .build(
            Root::builder()
                .appenders(["stdout", "files"])
                .build(LevelFilter::Info),
        )?;
    let _handle = log4rs::init_config(config)?;

    info!(order_id = 42; "order created");
    error!("payment failed: {}", "the card is expired");
    Ok(())
}
