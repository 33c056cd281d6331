//! Collectors that speak gRPC.

use std::{future::poll_fn, io::Read as _, net::TcpListener, sync::Arc, thread};

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::read::GzDecoder;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Builder,
};
use tracing::subscriber::NoSubscriber;

use super::{
    receiver::{Behaviour, Receiver, Request, partial_success},
    tls::{Clients, server_config},
};

/// Starts a collector without TLS.
pub fn start() -> Receiver {
    start_with(None)
}

/// Starts a collector with TLS.
pub fn start_tls(clients: Clients) -> Receiver {
    start_with(Some(clients))
}

fn start_with(tls: Option<Clients>) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let receiver = Receiver::at(listener.local_addr().unwrap(), scheme);
    let served = receiver.clone();
    thread::spawn(move || {
        // Its own events are not those of the exporter.
        let _quiet = tracing::subscriber::set_default(NoSubscriber::new());
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(listen(listener, tls, served));
    });
    receiver
}

async fn listen(listener: TcpListener, tls: Option<Clients>, receiver: Receiver) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let acceptor = tls.map(|clients| {
        let mut config = server_config(clients);
        config.alpn_protocols = vec![b"h2".to_vec()];
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    });
    while let Ok((stream, _)) = listener.accept().await {
        let stream = stream.into_std().unwrap();
        receiver.connected(&stream);
        let stream = TcpStream::from_std(stream).unwrap();
        let (acceptor, receiver) = (acceptor.clone(), receiver.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, receiver).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, receiver).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, receiver: Receiver) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (parts, body) = request.into_parts();
        let receiver = receiver.clone();
        let call = tokio::spawn(async move {
            let path = match parts.uri.path() {
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => "/v1/traces",
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => "/v1/logs",
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => "/v1/metrics",
                other => panic!("an unknown method: {other}"),
            };
            let message = read(body).await?;
            let headers = parts.headers.iter();
            let request = Request {
                path: path.to_owned(),
                headers: headers
                    .map(|(name, value)| {
                        (
                            name.to_string(),
                            value.to_str().unwrap_or_default().to_owned(),
                        )
                    })
                    .collect(),
                body: message,
                is_taken: false,
            };
            let behaviour = receiver.receive(request);
            answer(respond, behaviour).await;
            Some(())
        });
        // The connection goes on while a call is answered, and so does the next call.
        drop(call);
    }
}

/// Reads the message of a call.
async fn read(mut body: RecvStream) -> Option<Vec<u8>> {
    let mut frame = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        let _ = body.flow_control().release_capacity(data.len());
        frame.extend_from_slice(&data);
    }
    let (prefix, message) = frame.split_at_checked(5)?;
    let len = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    assert_eq!(len as usize, message.len());
    match prefix[0] {
        0 => Some(message.to_vec()),
        _ => {
            let mut plain = Vec::new();
            GzDecoder::new(message).read_to_end(&mut plain).ok()?;
            Some(plain)
        }
    }
}

async fn answer(mut respond: SendResponse<Bytes>, behaviour: Behaviour) {
    let mut trailers = HeaderMap::new();
    let (code, message) = match behaviour {
        Behaviour::Accept | Behaviour::MaxItems(_) => (0, Vec::new()),
        Behaviour::Partial(rejected, reason) => (0, partial_success(rejected, reason)),
        Behaviour::Answer(413, _, _) => {
            let text = "grpc: received message larger than max (9 vs. 1)";
            trailers.insert("grpc-message", text.parse().unwrap());
            (8, Vec::new())
        }
        Behaviour::Answer(code, pairs, _) => {
            for (name, value) in pairs {
                trailers.insert(*name, value.parse().unwrap());
            }
            (code, Vec::new())
        }
        Behaviour::Http(status) => {
            let head = Response::builder().status(status).body(()).unwrap();
            respond.send_response(head, true).ok();
            return;
        }
        Behaviour::Hang => {
            poll_fn(|context| respond.poll_reset(context)).await.ok();
            return;
        }
        Behaviour::Close | Behaviour::Reset | Behaviour::Garbage => {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            return;
        }
    };
    trailers.insert("grpc-status", code.into());
    let head = Response::builder().header("content-type", "application/grpc");
    let head = head.body(()).unwrap();
    let Ok(mut stream) = respond.send_response(head, false) else {
        return;
    };
    if code == 0 {
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(message.len() as u32);
        frame.put_slice(&message);
        stream.send_data(frame.freeze(), false).ok();
    }
    stream.send_trailers(trailers).ok();
}
