//! The thread that writes logs through the program's layers, one of which holds a lock while it waits for room in the buffer.

use std::{
    io::{self, Write},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_appender::{Background, WhenFull};
use spanwise_core::SelfReport;

use crate::support::alone;

/// Refuses every other write.
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
fn nobody_waits_for_room_while_the_writer_waits_for_them() {
    alone(
        module_path!(),
        "nobody_waits_for_room_while_the_writer_waits_for_them",
        || {
            const PATIENCE: Duration = Duration::from_secs(5);
            let (background, guard) = Background::builder(EveryOther(false))
                .capacity(4096)
                .when_full(WhenFull::Block(PATIENCE))
                .report(&SelfReport::silent())
                .build()
                .unwrap();
            let log = tracing_subscriber::fmt().with_writer(Mutex::new(background));
            tracing::subscriber::set_global_default(log.finish()).unwrap();

            let longest = AtomicU32::new(0);
            let end = Instant::now() + Duration::from_secs(2);
            thread::scope(|threads| {
                for _ in 0..2 {
                    threads.spawn(|| {
                        while Instant::now() < end {
                            let since = Instant::now();
                            tracing::info!("{}", "x".repeat(5000));
                            let took = u32::try_from(since.elapsed().as_millis()).unwrap();
                            longest.fetch_max(took, Ordering::Relaxed);
                        }
                    });
                }
            });
            drop(guard);
            let longest = longest.into_inner();
            assert!(longest < 1000, "a line took {longest} ms");
        },
    );
}
