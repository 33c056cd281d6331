//! The `tower` service of the client layer, and its response future.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, Uri, uri::Authority};
use pin_project_lite::pin_project;
use spanwise_core::internal::panic_safe;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    ClientLayer, Options,
    call::{Call, Destination},
};

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService {
            inner,
            options: self.options.clone(),
        }
    }
}

/// A client service inside a [`ClientLayer`].
#[derive(Debug, Clone)]
pub struct ClientService<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S, B, R> Service<Request<B>> for ClientService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Display,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> ClientFuture<S::Future> {
        let (mut parts, body) = request.into_parts();
        let call = Call::begin(
            &self.options,
            &parts.method,
            destination(&parts.uri),
            &mut parts.headers,
        );
        let inner = {
            let _entered = call.span().enter();
            self.inner.call(Request::from_parts(parts, body))
        };
        ClientFuture {
            inner: Some(inner),
            call,
        }
    }
}

fn destination(uri: &Uri) -> Destination<'_> {
    // The host of the URI is the host that the client connects to. The `Host` header may contain
    // any name.
    let authority = uri.authority();
    let default_port = match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    Destination {
        scheme: uri.scheme_str(),
        host: authority.map(Authority::host),
        port: authority.and_then(Authority::port_u16).or(default_port),
        path: uri.path(),
    }
}

pin_project! {
    /// The response future of a [`ClientService`].
    #[derive(Debug)]
    pub struct ClientFuture<F> {
        // `None` after completion.
        #[pin]
        inner: Option<F>,
        call: Call,
    }

    impl<F> PinnedDrop for ClientFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.inner.is_some() {
                // On an exiting thread, entering a span may panic.
                let _entered = panic_safe::catch_panic(|| this.call.span().enter());
                this.inner.set(None);
            }
        }
    }
}

impl<F, R, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: fmt::Display,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let result = {
            let _entered = this.call.span().enter();
            let Some(inner) = this.inner.as_mut().as_pin_mut() else {
                // An async block also panics in this case.
                panic!("`ClientFuture` polled after completion");
            };
            let result = ready!(inner.poll(cx));
            // Dropped here, while the span of the call is entered.
            this.inner.set(None);
            result
        };
        match &result {
            Ok(response) => {
                this.call.record_response(
                    response.status(),
                    response.version(),
                    response.headers(),
                );
            }
            Err(error) => this.call.record_error(error),
        }
        Poll::Ready(result)
    }
}
