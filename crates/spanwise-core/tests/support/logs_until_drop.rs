//! A thread that logs while other threads fork. For the test programs that include this file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A thread that logs until this value is dropped.
pub(crate) struct LogsUntilDrop {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LogsUntilDrop {
    pub(crate) fn start(log: impl Fn() + Send + 'static) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let is_over_in_thread = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !is_over_in_thread.load(Ordering::Relaxed) {
                log();
            }
        });
        Self {
            is_over,
            thread: Some(thread),
        }
    }
}

impl Drop for LogsUntilDrop {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}
