//! A forked process can change levels, even if a thread of its parent was changing them. The test
//! forks, so it is the only one in its process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "support/forks.rs"]
mod forks;

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use forks::in_child;
use spanwise_core::LevelLayer;
use tracing::{Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{Layer, prelude::*};

/// Stops the thread that asks the layer about a callsite, until the test continues it.
struct Stop(Arc<Mutex<Option<Signals>>>);

/// The signal that the thread has stopped, and the signal to continue.
type Signals = (Sender<()>, Receiver<()>);

impl<S: Subscriber> Layer<S> for Stop {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        let armed = self.0.lock().unwrap().take();
        if let Some((stopped, continued)) = armed {
            stopped.send(()).unwrap();
            continued.recv().unwrap();
        }
        Interest::always()
    }
}

#[test]
fn child_changes_levels_that_its_parent_changed() {
    let levels = LevelLayer::new("info".parse().unwrap());
    let (handle, stop) = (levels.handle(), Arc::default());
    let stack = tracing_subscriber::registry().with(levels);
    tracing::subscriber::set_global_default(stack.with(Stop(Arc::clone(&stop)))).unwrap();
    tracing::info!("registers its callsite");

    let (stopped, is_stopped) = channel();
    let (continues, is_continued) = channel();
    *stop.lock().unwrap() = Some((stopped, is_continued));
    thread::scope(|scope| {
        scope.spawn(|| handle.set_levels("warn").unwrap());
        is_stopped.recv().unwrap();
        in_child(|| {
            handle.set_levels("debug").unwrap();
            assert!(tracing::enabled!(tracing::Level::DEBUG));
        });
        continues.send(()).unwrap();
    });
}
