//! Options for exporting one signal or all signals.

use std::{fmt, time::Duration};

use crate::{Protocol, RequestCompression};

/// Chooses how one signal, or all signals, are exported. An option that is not set for a signal has
/// the value from [`all_signals`](crate::OtelBuilder::all_signals), or else the default.
#[derive(Clone, Default)]
#[must_use = "it has no effect until it is returned to the builder"]
pub struct ExportOptions {
    pub(crate) endpoint: Option<String>,
    pub(crate) is_off: bool,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) compression: Option<RequestCompression>,
    pub(crate) is_insecure: Option<bool>,
    pub(crate) root_certificates: Option<Vec<u8>>,
    pub(crate) client_certificate: Option<Vec<u8>>,
    pub(crate) client_key: Option<Vec<u8>>,
    pub(crate) delay: Option<Duration>,
    pub(crate) export_timeout: Option<Duration>,
    pub(crate) max_queue_len: Option<usize>,
    pub(crate) max_batch_len: Option<usize>,
    pub(crate) queue_bytes: Option<usize>,
}

impl ExportOptions {
    /// Sets the URL of the collector for this signal. Over HTTP, no path is added to it. Over gRPC,
    /// only its scheme, host and port are used. Defaults to the endpoint of the builder. Over HTTP,
    /// a path such as `/v1/traces` is appended to that default. In
    /// [`all_signals`](crate::OtelBuilder::all_signals), this method sets the endpoint of the
    /// builder.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Does not export the signal.
    pub fn off(mut self) -> Self {
        self.is_off = true;
        self
    }

    /// Sets how requests go to the collector. Defaults to [`Protocol::HttpProtobuf`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Adds a header to every request, such as the API key of a vendor. Its value is never shown.
    /// If headers are set for a signal, the headers for all signals do not apply to that signal.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long a request may take, up to 10 minutes. Zero means 10 minutes. Defaults to 10 s.
    /// For a timeout of more than 30 s, also set [`export_timeout`](Self::export_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how requests are compressed. Defaults to [`RequestCompression::None`].
    pub fn compression(mut self, compression: RequestCompression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Sets whether gRPC to an endpoint without a scheme is sent without TLS. Defaults to `false`.
    pub fn insecure(mut self, is_insecure: bool) -> Self {
        self.is_insecure = Some(is_insecure);
        self
    }

    /// Sets the trusted root certificates, in PEM. They replace the default, which is the root
    /// certificates of Mozilla.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Sets the certificate that authenticates this service to the collector, followed by the
    /// certificates of its issuers, in PEM. It needs a [`client_key`](Self::client_key). Defaults
    /// to none.
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.client_certificate = Some(pem.into());
        self
    }

    /// Sets the private key of the client certificate, in PEM. It is never shown. Defaults to
    /// none.
    pub fn client_key(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.client_key = Some(pem.into());
        self
    }

    /// Sets the time after which an incomplete batch is sent, up to an hour. Defaults to 5 s for
    /// traces and 1 s for logs. Metrics have an [interval](crate::MetricsOptions::interval)
    /// instead.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Sets a second timeout of a request, because the specification defines two. The shorter one
    /// of this and [`timeout`](Self::timeout) applies. Zero means 10 minutes. Defaults to 30 s.
    pub fn export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = Some(timeout);
        self
    }

    /// Sets how many spans or log records may wait in the queue of a signal. Has no effect on
    /// metrics. Defaults to 2,048.
    pub fn max_queue_len(mut self, records: usize) -> Self {
        self.max_queue_len = Some(records);
        self
    }

    /// Sets the maximum number of records in a batch. Has no effect on metrics. Defaults to 512, or
    /// to the length of a shorter queue.
    pub fn max_batch_len(mut self, records: usize) -> Self {
        self.max_batch_len = Some(records);
        self
    }

    /// Sets how many bytes of spans or log records may wait in the queue of a signal. Log records
    /// of the levels INFO, DEBUG and TRACE together may take half of them. A batch may take a
    /// quarter. Has no effect on metrics. Defaults to 16 MiB.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = Some(bytes);
        self
    }

    /// Returns whether these options set `option`, which is the name of a setter. Options that are
    /// checked together, such as a certificate and its key, count as one. Returns `false` for
    /// options that are not checked.
    pub(crate) fn sets(&self, option: &str) -> bool {
        match option {
            "endpoint" => self.endpoint.is_some(),
            "protocol" => self.protocol.is_some(),
            "compression" => self.compression.is_some(),
            "header" => !self.headers.is_empty(),
            "root_certificates" => self.root_certificates.is_some(),
            "client_key" | "client_certificate" => {
                self.client_certificate.is_some() || self.client_key.is_some()
            }
            "max_queue_len" | "max_batch_len" => {
                self.max_queue_len.is_some() || self.max_batch_len.is_some()
            }
            _ => false,
        }
    }

    /// Returns the options of a signal. An option that is not set is taken from `all`, the options
    /// for all signals.
    pub(crate) fn or(&self, all: &Self) -> Self {
        let Self {
            endpoint,
            is_off,
            protocol,
            headers,
            timeout,
            compression,
            is_insecure,
            root_certificates,
            client_certificate,
            client_key,
            delay,
            export_timeout,
            max_queue_len,
            max_batch_len,
            queue_bytes,
        } = self.clone();
        // Certificate and key belong together, so both come from the same options.
        let (client_certificate, client_key) = match (client_certificate, client_key) {
            (None, None) => (all.client_certificate.clone(), all.client_key.clone()),
            signal_pair => signal_pair,
        };
        Self {
            // The endpoint for all signals is the endpoint of the builder.
            endpoint,
            is_off: is_off || all.is_off,
            protocol: protocol.or(all.protocol),
            headers: match headers.is_empty() {
                true => all.headers.clone(),
                false => headers,
            },
            timeout: timeout.or(all.timeout),
            compression: compression.or(all.compression),
            is_insecure: is_insecure.or(all.is_insecure),
            root_certificates: root_certificates.or_else(|| all.root_certificates.clone()),
            client_certificate,
            client_key,
            delay: delay.or(all.delay),
            export_timeout: export_timeout.or(all.export_timeout),
            max_queue_len: max_queue_len.or(all.max_queue_len),
            max_batch_len: max_batch_len.or(all.max_batch_len),
            queue_bytes: queue_bytes.or(all.queue_bytes),
        }
    }
}

impl fmt::Debug for ExportOptions {
    /// Omits the headers, the endpoint and the client key, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportOptions")
            .field("is_off", &self.is_off)
            .field("protocol", &self.protocol)
            .field("compression", &self.compression)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
