//! Ids in forked children differ from those of the parent and of other children.

#![cfg(unix)]

use std::{collections::HashSet, convert::Infallible, fs, path::Path, pin::pin, task};

use http::{Request, Response};
use http_body_util::Empty;
use spanwise_http::{client, server};
use tower::{Layer as _, Service as _};

use crate::support::alone;

type Body = Empty<&'static [u8]>;

/// Returns the output of a future that is ready at once.
fn now<F: Future>(future: F) -> F::Output {
    let mut context = task::Context::from_waker(task::Waker::noop());
    match pin!(future).poll(&mut context) {
        task::Poll::Ready(output) => output,
        task::Poll::Pending => panic!("it waits"),
    }
}

/// Generates ids of requests, traces and spans.
fn draw() -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..20 {
        let service = tower::service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(Response::new(Body::new()))
        });
        let response = now(server().layer(service).call(Request::new(Body::new()))).unwrap();
        // The random bits, without the time.
        let id = response.headers()["x-request-id"].to_str().unwrap();
        ids.push(id[19..].to_owned());
        let network = tower::service_fn(async |request: Request<Body>| {
            Ok::<_, Infallible>(Response::new(request))
        });
        let sent = now(client().layer(network).call(Request::new(Body::new()))).unwrap();
        let traceparent = sent.into_body().headers()["traceparent"].clone();
        let traceparent = traceparent.to_str().unwrap();
        ids.push(traceparent[19..35].to_owned());
        ids.push(traceparent[36..52].to_owned());
    }
    ids
}

fn write(to: &Path) {
    fs::write(to, draw().join("\n")).unwrap();
}

#[test]
fn forked_children_draw_different_ids() {
    if alone("forks::forked_children_draw_different_ids") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("spanwise-forks-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut ids = draw();
    for child in 0..3 {
        let file = folder.join(child.to_string());
        in_child(|| write(&file));
        ids.extend(
            fs::read_to_string(&file)
                .unwrap()
                .lines()
                .map(str::to_owned),
        );
    }
    ids.extend(draw());
    fs::remove_dir_all(&folder).unwrap();
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), 5 * 60);
    assert_eq!(distinct.len(), ids.len());
}

#[expect(unsafe_code, reason = "nothing safe forks")]
fn in_child(work: impl FnOnce()) {
    // SAFETY: the child runs `work` and exits. `work` takes no lock that another thread of the
    // parent may hold.
    unsafe {
        match libc::fork() {
            -1 => panic!("cannot fork"),
            0 => {
                // A child that hangs ends, with a status that is not 0.
                libc::alarm(60);
                work();
                libc::_exit(0);
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                assert_eq!(status, 0);
            }
        }
    }
}
