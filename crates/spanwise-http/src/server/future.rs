//! The response future of the server layer. It runs the service in the span of the request, and
//! ends the request if the service fails or panics.

use std::{
    any::Any,
    fmt::Display,
    panic::resume_unwind,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use spanwise_core::internal::panic_safe;

use super::{
    body::ResponseBody,
    request_guard::{Completion, RequestGuard},
};
use crate::error_text::{catch_panic, error_text, panic_text};

/// The payload of a panic.
pub(crate) type Panic = Box<dyn Any + Send>;

pin_project! {
    /// The response future of a [`ServerService`](crate::ServerService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ServerFuture<F> {
        // `None` if the service panicked before it returned a future, and after completion.
        #[pin]
        inner: Option<F>,
        // The panic of the service's `call`, until the first poll handles it.
        panic: Option<Panic>,
        // `None` after completion, when the response body has the guard or the request has ended.
        guard: Option<RequestGuard>,
    }

    impl<F> PinnedDrop for ServerFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(guard) = this.guard {
                guard.record_if_cancelled();
                guard.in_span_on_drop(|| this.inner.set(None));
            }
        }
    }
}

impl<F> ServerFuture<F> {
    /// `inner_call` is the result of the service's `call`: its future or its panic.
    pub(crate) fn new(inner_call: Result<F, Panic>, guard: RequestGuard) -> Self {
        let (inner, panic) = match inner_call {
            Ok(inner) => (Some(inner), None),
            Err(panic) => (None, Some(panic)),
        };
        Self {
            inner,
            panic,
            guard: Some(guard),
        }
    }
}

impl<F, R, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    R::Error: Display,
    E: Display,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let inner = &mut this.inner;
        let Some(guard) = this.guard.as_mut() else {
            // An async block also panics in this case.
            panic!("`ServerFuture` polled after completion");
        };
        let polled = match this.panic.take() {
            Some(panic) => Err(panic),
            None => guard.in_span(|| {
                catch_panic(|| {
                    let Some(future) = inner.as_mut().as_pin_mut() else {
                        // Unreachable, because the future exists until it is ready or panics.
                        return Poll::Pending;
                    };
                    let polled = future.poll(cx);
                    if polled.is_ready() {
                        // Dropped here, while the span of the request is entered.
                        inner.set(None);
                    }
                    polled
                })
            }),
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(mut response))) => {
                guard.begin_response(&mut response);
                let guard = this.guard.take();
                Poll::Ready(Ok(response.map(|inner| ResponseBody::new(inner, guard))))
            }
            Ok(Poll::Ready(Err(error))) => {
                guard.end(Completion::ServiceError(&error_text(&error)));
                *this.guard = None;
                Poll::Ready(Err(error))
            }
            Err(panic) => {
                let text = panic_text(&*panic).into_owned();
                // The destructor of the future may panic too. That panic is ignored, because the
                // first panic is the reason of the failure.
                let _ = guard.in_span(|| panic_safe::catch_panic(|| inner.set(None)));
                let error_response = guard.options.answers_panics.then(|| {
                    let mut response = Response::new(ResponseBody::default());
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    guard.begin_response(&mut response);
                    response
                });
                guard.end(Completion::Panic(&text));
                *this.guard = None;
                match error_response {
                    Some(response) => Poll::Ready(Ok(response)),
                    None => resume_unwind(panic),
                }
            }
        }
    }
}
