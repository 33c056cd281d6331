//! The certificates and keys for TLS connections to a collector.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use spanwise_core::ParseError;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// Certificates and keys in PEM that were checked.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// The only root certificates that are trusted. Defaults to those of Mozilla.
    roots: Option<Arc<[u8]>>,
    client: Option<ClientPem>,
}

/// The certificate that authenticates the client to the server, and its key.
#[derive(Clone)]
struct ClientPem {
    certificate: Arc<[u8]>,
    key: Arc<[u8]>,
}

impl Tls {
    /// Trusts only the root certificates in `pem`.
    pub(crate) fn with_roots(mut self, pem: &[u8]) -> Result<Self, ParseError> {
        let certificates = read_certificates(pem)?;
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(not_a_certificate());
        }
        self.roots = Some(pem.into());
        Ok(self)
    }

    /// Presents this certificate to the server. Returns an error if `key` does not belong to it.
    pub(crate) fn with_client(
        mut self,
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, ParseError> {
        let chain = read_certificates(certificate)?;
        let read_key = PrivateKeyDer::from_pem_slice(key);
        let read_key = read_key.map_err(|_| {
            ParseError::new(
                "the client key is not in PEM: write it with `-----BEGIN PRIVATE KEY-----`",
            )
        })?;
        // The HTTP client and the gRPC client use the same provider.
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        CertifiedKey::from_der(chain, read_key, &provider).map_err(|_| {
            ParseError::new(
                "the client key does not belong to the client certificate, or is of an unknown \
                 kind: use the key with which the certificate was requested",
            )
        })?;
        self.client = Some(ClientPem {
            certificate: certificate.into(),
            key: key.into(),
        });
        Ok(self)
    }

    pub(crate) fn is_default(&self) -> bool {
        self.roots.is_none() && self.client.is_none()
    }

    /// Returns the configuration of the HTTP client.
    pub(crate) fn for_http(&self) -> TlsConfig {
        let mut config = TlsConfig::builder();
        if let Some(roots) = &self.roots {
            config = config.root_certs(RootCerts::new_with_certs(&http_certificates(roots)));
        }
        if let Some(ClientPem { certificate, key }) = &self.client
            // The key was checked when it was set, so this does not fail.
            && let Ok(key) = PrivateKey::from_pem(key)
        {
            let chain = http_certificates(certificate);
            config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        config.build()
    }

    /// Returns the configuration of the gRPC client.
    #[cfg(feature = "grpc")]
    pub(crate) fn for_grpc(&self) -> tonic::transport::ClientTlsConfig {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};

        let mut config = ClientTlsConfig::new();
        config = match &self.roots {
            Some(roots) => config.ca_certificate(Certificate::from_pem(roots)),
            None => config.with_webpki_roots(),
        };
        if let Some(ClientPem { certificate, key }) = &self.client {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        config
    }
}

fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ParseError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.unwrap_or_default();
    match certificates.is_empty() {
        true => Err(not_a_certificate()),
        false => Ok(certificates),
    }
}

fn not_a_certificate() -> ParseError {
    ParseError::new("the certificate is not in PEM: write it with `-----BEGIN CERTIFICATE-----`")
}

fn http_certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let certificates = read_certificates(pem).unwrap_or_default();
    let certificates = certificates.iter();
    certificates
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect()
}
