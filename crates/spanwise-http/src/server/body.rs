//! The body of a response, which ends when the request does.

use std::{
    fmt::Display,
    panic::resume_unwind,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::ending::{End, Ending};
use crate::said::{catch, message, text};

pin_project! {
    /// The body of a response of a [`ServerService`](crate::ServerService): that of the service, read in the request's span.
    #[derive(Debug)]
    pub struct ResponseBody<R> {
        // Let go of at its end, or with the rest.
        #[pin]
        inner: Option<R>,
        // Whether there is nothing more to read from it, as far as it says.
        is_read: bool,
        // Not there once the request's event was told.
        ending: Option<Ending>,
    }

    impl<R> PinnedDrop for ResponseBody<R> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(ending) = this.ending else { return };
            if !*this.is_read {
                ending.before_drop();
            }
            ending.inside_drop(|| this.inner.set(None));
            if *this.is_read {
                ending.end(End::Whole);
            }
        }
    }
}

impl<R: Body> ResponseBody<R> {
    pub(crate) fn new(inner: R, ending: Option<Ending>) -> Self {
        Self {
            is_read: inner.is_end_stream(),
            inner: Some(inner),
            ending,
        }
    }
}

/// An empty one of no request: layers around a service, such as a timeout or CORS, answer with it by themselves.
impl<R> Default for ResponseBody<R> {
    fn default() -> Self {
        Self {
            inner: None,
            is_read: true,
            ending: None,
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
                let is_read = body.is_end_stream();
                if is_read || matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    // Let go of in the span.
                    inner.set(None);
                }
                (polled, is_read)
            }
            None => (Poll::Ready(None), true),
        };
        let Some(ending) = this.ending else {
            return poll().0;
        };
        let polled = ending.inside(|| catch(poll));
        let (polled, is_read) = match polled {
            Ok(polled) => polled,
            Err(panic) => {
                ending.end(End::Panicked(&message(&*panic)));
                *this.ending = None;
                resume_unwind(panic);
            }
        };
        match &polled {
            Poll::Pending => return polled,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    ending.count(data.remaining());
                } else if let Some(trailers) = frame.trailers_ref() {
                    ending.read_trailers(trailers);
                }
                if !is_read && !frame.is_trailers() {
                    return polled;
                }
                ending.end(End::Whole);
            }
            Poll::Ready(Some(Err(error))) => ending.end(End::BodyFailed(&text(error))),
            Poll::Ready(None) => ending.end(End::Whole),
        }
        *this.is_read = true;
        *this.ending = None;
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
