//! The response body. Its end is the end of the request.

use std::{
    fmt::Display,
    panic::resume_unwind,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::request_guard::{Completion, RequestGuard};
use crate::error_text::{catch_panic, error_text, panic_text};

pin_project! {
    /// The response body of a [`ServerService`](crate::ServerService): the body of the inner
    /// service, polled in the span of the request.
    #[derive(Debug)]
    pub struct ResponseBody<R> {
        // `None` after the inner body has ended, and in an empty body.
        #[pin]
        inner: Option<R>,
        // Whether the inner body has reported its end or an error.
        has_ended: bool,
        // `None` after the access event was logged, and in a body without a request.
        guard: Option<RequestGuard>,
    }

    impl<R> PinnedDrop for ResponseBody<R> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(guard) = this.guard else { return };
            if !*this.has_ended {
                guard.record_if_cancelled();
            }
            guard.in_span_on_drop(|| this.inner.set(None));
            if *this.has_ended {
                guard.end(Completion::BodyEnd);
            }
        }
    }
}

impl<R: Body> ResponseBody<R> {
    pub(crate) fn new(inner: R, guard: Option<RequestGuard>) -> Self {
        Self {
            has_ended: inner.is_end_stream(),
            inner: Some(inner),
            guard,
        }
    }
}

/// An empty body that belongs to no request. Layers that respond without calling the inner service,
/// such as a timeout or CORS, need such a body.
impl<R> Default for ResponseBody<R> {
    fn default() -> Self {
        Self {
            inner: None,
            has_ended: true,
            guard: None,
        }
    }
}

impl<R> Body for ResponseBody<R>
where
    R: Body,
    R::Error: Display,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let mut this = self.project();
        let inner = &mut this.inner;
        let mut poll = || match inner.as_mut().as_pin_mut() {
            Some(mut body) => {
                let polled = body.as_mut().poll_frame(cx);
                let has_ended = body.is_end_stream();
                if has_ended || matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    // Dropped here, while the span of the request is entered.
                    inner.set(None);
                }
                (polled, has_ended)
            }
            None => (Poll::Ready(None), true),
        };
        let Some(guard) = this.guard else {
            return poll().0;
        };
        let polled = guard.in_span(|| catch_panic(poll));
        let (polled, has_ended) = match polled {
            Ok(polled) => polled,
            Err(panic) => {
                guard.end(Completion::Panic(&panic_text(&*panic)));
                *this.guard = None;
                resume_unwind(panic);
            }
        };
        match &polled {
            Poll::Pending => return polled,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    guard.add_body_bytes(data.remaining());
                } else if let Some(trailers) = frame.trailers_ref() {
                    guard.read_trailers(trailers);
                }
                if !has_ended && !frame.is_trailers() {
                    return polled;
                }
                guard.end(Completion::BodyEnd);
            }
            Poll::Ready(Some(Err(error))) => guard.end(Completion::BodyError(&error_text(error))),
            Poll::Ready(None) => guard.end(Completion::BodyEnd),
        }
        *this.has_ended = true;
        *this.guard = None;
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
