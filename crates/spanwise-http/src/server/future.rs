//! A request that is being handled.

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

use super::{
    body::ResponseBody,
    ending::{End, Ending},
};
use crate::said::{catch, message, text};

pub(crate) type Panic = Box<dyn Any + Send>;

pin_project! {
    /// The response of a [`ServerService`](crate::ServerService), when it comes.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ServerFuture<F> {
        // Not there if the service panicked before it had one, and when it is done.
        #[pin]
        inner: Option<F>,
        panic: Option<Panic>,
        ending: Option<Ending>,
    }

    impl<F> PinnedDrop for ServerFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(ending) = this.ending {
                ending.before_drop();
                ending.inside_drop(|| this.inner.set(None));
            }
        }
    }
}

impl<F> ServerFuture<F> {
    pub(crate) fn new(called: Result<F, Panic>, ending: Ending) -> Self {
        let (inner, panic) = match called {
            Ok(inner) => (Some(inner), None),
            Err(panic) => (None, Some(panic)),
        };
        Self {
            inner,
            panic,
            ending: Some(ending),
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
        let Some(ending) = this.ending.as_mut() else {
            // As an async block has it.
            panic!("`ServerFuture` polled after completion");
        };
        let polled = match this.panic.take() {
            Some(panic) => Err(panic),
            None => ending.inside(|| {
                catch(|| {
                    let Some(running) = inner.as_mut().as_pin_mut() else {
                        return Poll::Pending; // never: it is there until it is ready or has panicked
                    };
                    let polled = running.poll(cx);
                    if polled.is_ready() {
                        // Let go of in the span.
                        inner.set(None);
                    }
                    polled
                })
            }),
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(mut response))) => {
                ending.begin(&mut response);
                let ending = this.ending.take();
                Poll::Ready(Ok(response.map(|inner| ResponseBody::new(inner, ending))))
            }
            Ok(Poll::Ready(Err(error))) => {
                ending.end(End::Failed(&text(&error)));
                *this.ending = None;
                Poll::Ready(Err(error))
            }
            Err(panic) => {
                ending.inside(|| inner.set(None));
                let answer = ending.options.answer_panics.then(|| {
                    let mut response = Response::new(ResponseBody::default());
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    ending.begin(&mut response);
                    response
                });
                ending.end(End::Panicked(&message(&*panic)));
                *this.ending = None;
                match answer {
                    Some(answer) => Poll::Ready(Ok(answer)),
                    None => resume_unwind(panic),
                }
            }
        }
    }
}
