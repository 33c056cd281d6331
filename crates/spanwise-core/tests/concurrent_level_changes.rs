//! Two stacks of one process whose levels change while `tracing` asks the layers about callsites.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use spanwise_core::{LevelHandle, LevelLayer, internal::log_bridge};
use spanwise_testing::support::bounded;
use support::SeenMessages;
use tracing::{Dispatch, Metadata, Subscriber, dispatcher, subscriber::Interest};
use tracing_subscriber::{Layer, Registry, layer::Layered, prelude::*};

/// Lets another thread change its levels while `tracing` asks the layers about their callsites.
#[derive(Clone, Default)]
struct Pause(Arc<Mutex<Option<Signals>>>);

/// The signal that the pause begins, and the signal that the other thread is ready.
type Signals = (Sender<()>, Receiver<()>);

impl<S: Subscriber> Layer<S> for Pause {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        let armed = self.0.lock().unwrap().take();
        if let Some((begun, ready)) = armed {
            begun.send(()).unwrap();
            // Gives up, because the other thread may wait for this one.
            let _ = ready.recv_timeout(Duration::from_millis(200));
        }
        Interest::always()
    }
}

/// Sets the levels of another stack when it is asked about a callsite.
#[derive(Clone, Default)]
struct SetsLevels(Arc<Mutex<Option<LevelHandle>>>);

impl<S: Subscriber> Layer<S> for SetsLevels {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        let armed = self.0.lock().unwrap().take();
        if let Some(levels) = armed {
            levels.set_levels("debug").unwrap();
        }
        Interest::always()
    }
}

/// Only one test at a time, because each asks the layers of all stacks.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn stack<L>(layer: L) -> (Dispatch, LevelHandle)
where
    L: Layer<Layered<LevelLayer, Registry>> + Send + Sync,
{
    let levels = LevelLayer::new("warn".parse().unwrap());
    let handle = levels.handle();
    let stack = tracing_subscriber::registry().with(levels).with(layer);
    (Dispatch::new(stack), handle)
}

#[test]
fn levels_of_two_stacks_change_at_once() {
    let _alone = ONE_AT_A_TIME.lock();
    let (seen, pause) = (SeenMessages::default(), Pause::default());
    let (_other, other_levels) = stack(pause.clone());
    let (stack, levels) = stack(seen.clone());
    log_bridge::install().unwrap();
    let log = || {
        dispatcher::with_default(&stack, || {
            tracing::debug!("event");
            log::debug!("record");
        });
    };
    levels.set_levels("debug").unwrap();
    log();
    assert_eq!(seen.take(), ["event", "record"]);
    levels.set_levels("warn").unwrap();
    log();
    assert_eq!(seen.take(), [""; 0]);

    let (begins, begun) = channel();
    let (is_ready, ready) = channel();
    *pause.0.lock().unwrap() = Some((begins, ready));
    thread::scope(|scope| {
        scope.spawn(|| other_levels.set_levels("error"));
        begun.recv().unwrap();
        levels.set_levels("debug").unwrap();
        // The pause may have ended.
        let _ = is_ready.send(());
    });
    log();
    assert_eq!(seen.take(), ["event", "record"]);
}

#[test]
fn layer_sets_levels_while_it_is_asked() {
    let _alone = ONE_AT_A_TIME.lock();
    let (seen, sets_levels) = (SeenMessages::default(), SetsLevels::default());
    let (_other, other_levels) = stack(sets_levels.clone());
    let (stack, levels) = stack(seen.clone());
    let log = || {
        dispatcher::with_default(&stack, || {
            tracing::warn!("has a callsite from the start");
            tracing::debug!("event");
        });
        seen.take()
    };
    assert_eq!(log(), ["has a callsite from the start"]);
    *sets_levels.0.lock().unwrap() = Some(levels);
    bounded(move || other_levels.set_levels("error").unwrap());
    assert_eq!(log(), ["has a callsite from the start", "event"]);
}
