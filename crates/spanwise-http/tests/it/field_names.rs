//! In a process of its own: names are added for good.

use std::convert::Infallible;

use crate::support::{alone, the_event};
use http::{Request, Response};
use http_body_util::Empty;
use spanwise_core::{Fault, SelfReport};
use spanwise_http::{record, server};
use spanwise_testing::capture;
use tower::{Layer, ServiceExt};

type Body = Empty<&'static [u8]>;

#[tokio::test]
async fn a_program_has_at_most_128_names_and_is_told_of_more() {
    if alone("field_names::a_program_has_at_most_128_names_and_is_told_of_more") {
        return;
    }
    let logs = capture();
    let service = tower::service_fn(|_: Request<Body>| async {
        for number in 0..200 {
            record(format!("name.{number}").leak(), number);
            record(format!("name.{number}").leak(), number);
        }
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let request = Request::new(Body::new());
    server().layer(service).oneshot(request).await.unwrap();
    let event = the_event(&logs).await;
    event
        .assert_field("name.0", 0)
        .assert_field("name.127", 127)
        .assert_no_field("name.128");
    // However often: else it would drown what else there is to tell.
    let faults = SelfReport::default().stats().faults;
    assert_eq!(faults, [(Fault::Setup, 1)]);

    let service = tower::service_fn(|_: Request<Body>| async {
        for _ in 0..100 {
            record("outcome", "splendid");
            record("error", "none");
        }
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let request = Request::new(Body::new());
    server().layer(service).oneshot(request).await.unwrap();
    let faults = SelfReport::default().stats().faults;
    assert_eq!(faults, [(Fault::Setup, 1 + 2)]);
}
