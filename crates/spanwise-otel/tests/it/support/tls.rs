//! Collectors with TLS, and the certificates of their clients.

use std::{net::TcpStream, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use super::receiver::{Receiver, Stream};

pub const CA: &[u8] = include_bytes!("certificates/ca.pem");
pub const OTHER_CA: &[u8] = include_bytes!("certificates/other_ca.pem");
pub const CLIENT: &[u8] = include_bytes!("certificates/client.pem");
pub const CLIENT_KEY: &[u8] = include_bytes!("certificates/client.key");
const SERVER: &[u8] = include_bytes!("certificates/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("certificates/server.key");

/// Whose connections a collector accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    All,
    /// Those with a certificate.
    Known,
}

/// Starts a collector that speaks HTTP over TLS.
pub fn start(clients: Clients) -> Receiver {
    let config = Arc::new(server_config(clients));
    Receiver::start_with("https", move |stream: TcpStream| {
        let connection = ServerConnection::new(Arc::clone(&config)).ok()?;
        let stream: Box<dyn Stream> = Box::new(StreamOwned::new(connection, stream));
        Some(stream)
    })
}

pub fn server_config(clients: Clients) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        Clients::All => builder.with_no_client_auth(),
        Clients::Known => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(CA));
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap();
    builder.with_single_cert(certificates(SERVER), key).unwrap()
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem)
        .map(Result::unwrap)
        .collect()
}
