//! The writer thread logs through the application's layers. One of these layers has a lock while it
//! waits for room in the buffer.

use std::{
    io::{self, Write},
    sync::Mutex,
    thread,
    time::Duration,
};

use spanwise_appender::{Background, WhenFull};
use spanwise_core::SelfReport;
use spanwise_testing::support::wait_until;

use crate::support::alone;

/// Refuses every second write.
struct EveryOther(bool);

impl Write for EveryOther {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = !self.0;
        if self.0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
#[test]
fn loss_event_waiting_for_a_lock_blocks_no_caller() {
    alone(
        module_path!(),
        "loss_event_waiting_for_a_lock_blocks_no_caller",
        || {
            let (background, guard) = Background::builder(EveryOther(false))
                .capacity(4096)
                .when_full(WhenFull::Block(Duration::from_secs(60)))
                .report(&SelfReport::silent())
                .build()
                .unwrap();
            let log = tracing_subscriber::fmt().with_writer(Mutex::new(background.clone()));
            tracing::subscriber::set_global_default(log.finish()).unwrap();

            let logs = || (0..100).for_each(|_| tracing::info!("{}", "x".repeat(5000)));
            let threads = [thread::spawn(logs), thread::spawn(logs)];
            // A thread that waits without success would need this time.
            wait_until("all is logged", || {
                threads.iter().all(|thread| thread.is_finished())
            });
            guard.shutdown(Duration::from_secs(20));
            assert_eq!(background.stats().lost(), 0);
        },
    );
}
