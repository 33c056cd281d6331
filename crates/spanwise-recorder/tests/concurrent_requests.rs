//! A hundred concurrent requests on several threads, with their own tasks: their lines do not mix.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
};

use spanwise_recorder::Recorder;
use support::stack;
use tracing::{Instrument as _, debug, dispatcher, error, info_span};

const REQUESTS: usize = 100;
const STEPS: usize = 20;

#[test]
fn concurrent_requests_do_not_mix() {
    let (dispatch, lines, recorder, _) = stack(Recorder::builder());
    dispatcher::set_global_default(dispatch).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    runtime.block_on(async {
        let requests: Vec<_> = (0..REQUESTS)
            .map(|request| tokio::spawn(handle(request).instrument(info_span!("request", request))))
            .collect();
        for request in requests {
            request.await.unwrap();
        }
    });
    drop(runtime);

    let mut shown = BTreeMap::<u64, Vec<String>>::new();
    for line in lines.objects() {
        let request = line["request"].as_u64().unwrap();
        let text = match line.get("step") {
            Some(step) => format!("{} {step}", line["message"].as_str().unwrap()),
            None => line["message"].as_str().unwrap().to_owned(),
        };
        shown.entry(request).or_default().push(text);
    }
    let failing: Vec<u64> = (0..REQUESTS as u64).filter(|n| n % 3 == 0).collect();
    assert_eq!(shown.keys().copied().collect::<Vec<_>>(), failing);
    for (request, texts) in shown {
        let header = "flight recorder: buffered events of this request follow".to_owned();
        let own = (0..STEPS).map(|step| format!("own {step}"));
        let expected: Vec<_> = [header].into_iter().chain(own).collect();
        let (spawned, others): (Vec<String>, Vec<String>) = texts
            .into_iter()
            .partition(|text| text.starts_with("spawned"));
        assert_eq!(others[..others.len() - 1], expected, "{request}");
        assert_eq!(others.last().unwrap(), "failed");
        let of_task: Vec<_> = (0..STEPS).map(|step| format!("spawned {step}")).collect();
        assert_eq!(spawned, of_task, "{request}");
    }
    let stats = recorder.stats();
    assert_eq!(stats.captured as usize, 2 * REQUESTS * STEPS);
    assert_eq!(stats.written as usize, 2 * failing.len() * STEPS);
    assert_eq!((stats.held(), stats.memory), (0, 0));

    threads_of_one_unit_lose_nothing(&lines, &recorder);
}

async fn handle(request: usize) {
    let task = async {
        for step in 0..STEPS {
            debug!(step, "spawned");
            tokio::task::yield_now().await;
        }
    };
    let task = tokio::spawn(task.in_current_span());
    for step in 0..STEPS {
        debug!(step, "own");
        tokio::task::yield_now().await;
    }
    task.await.unwrap();
    if request.is_multiple_of(3) {
        error!("failed");
    }
}

/// One thread dumps the unit while others log. No line is lost, and the lines of each thread are in
/// order.
fn threads_of_one_unit_lose_nothing(lines: &support::Lines, recorder: &Recorder) {
    const THREADS: usize = 4;
    // A unit has room for all lines, because the dumping thread may pause until the others are
    // done.
    const EACH: usize = 80;
    for round in 0..30 {
        let before = recorder.stats();
        let unit = info_span!("shared", round);
        let (start, failed) = (
            Arc::new(Barrier::new(THREADS)),
            Arc::new(AtomicUsize::new(0)),
        );
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (unit, start, failed) = (unit.clone(), start.clone(), failed.clone());
                scope.spawn(move || {
                    start.wait();
                    unit.in_scope(|| {
                        for n in 0..EACH {
                            debug!(thread, n, "a step");
                            if n == 30 + thread * 10 && failed.fetch_add(1, Ordering::Relaxed) < 2 {
                                error!("failed");
                            }
                        }
                    });
                });
            }
        });
        drop(unit);
        let mut next = [0; THREADS];
        let objects = lines.objects();
        for line in objects.iter().filter(|line| line["round"] == round) {
            let Some(thread) = line["thread"].as_u64() else {
                continue;
            };
            let next = &mut next[thread as usize];
            assert_eq!(line["n"], *next, "{line}");
            *next += 1;
        }
        assert_eq!(next, [EACH; THREADS]);
        let after = recorder.stats();
        assert_eq!(
            after.captured - before.captured,
            after.written - before.written
        );
    }
}
