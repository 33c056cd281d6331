//! The signals, the protocols and the compression of OTLP.

use std::{fmt, str::FromStr};

use spanwise_core::ParseError;

use crate::setting_texts::word_value;

/// One of the three kinds of data that are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignalKind {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Values of instruments.
    Metrics,
}

/// The protocol of requests to the collector. Defaults to [`HttpProtobuf`](Self::HttpProtobuf).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// Protocol buffers over HTTP/1.1: `http/protobuf`.
    #[default]
    HttpProtobuf,
    /// gRPC: `grpc`. Needs the feature `grpc`.
    Grpc,
}

/// The compression of requests. Defaults to [`None`](Self::None).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RequestCompression {
    /// No compression: `none`.
    #[default]
    None,
    /// Compression with gzip: `gzip`. Needs the feature `gzip`.
    Gzip,
}

impl SignalKind {
    /// Returns the name of the sink in counters.
    pub(crate) fn sink_name(self) -> &'static str {
        match self {
            Self::Traces => "otel traces",
            Self::Logs => "otel logs",
            Self::Metrics => "otel metrics",
        }
    }

    /// Returns the name of the server in the texts of faults.
    pub(crate) fn collector(self) -> &'static str {
        match self {
            Self::Traces => "the collector of traces",
            Self::Logs => "the collector of logs",
            Self::Metrics => "the collector of metrics",
        }
    }

    /// Returns the path of the signal's requests over HTTP.
    pub(crate) fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// Returns the path of the signal's requests over gRPC.
    #[cfg(feature = "grpc")]
    pub(crate) fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

impl Protocol {
    /// Returns an error if the feature of the protocol is off.
    pub(crate) fn check(self) -> Result<(), ParseError> {
        match self {
            Self::Grpc if cfg!(not(feature = "grpc")) => Err(ParseError::word(
                "grpc",
                "needs the feature `grpc`, which is off",
                "enable it (in spanwise: `otel-grpc`), or use http/protobuf",
            )),
            Self::HttpProtobuf | Self::Grpc => Ok(()),
        }
    }
}

impl RequestCompression {
    /// Returns an error if the feature of the compression is off.
    pub(crate) fn check(self) -> Result<(), ParseError> {
        match self {
            Self::Gzip if cfg!(not(feature = "gzip")) => Err(ParseError::word(
                "gzip",
                "needs the feature `gzip`, which is off",
                "enable it, or use none",
            )),
            Self::None | Self::Gzip => Ok(()),
        }
    }
}

impl FromStr for Protocol {
    type Err = ParseError;

    /// Parses `http/protobuf` or `grpc`, in upper or lower case.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let protocols = [("http/protobuf", Self::HttpProtobuf), ("grpc", Self::Grpc)];
        word_value(text, &protocols).ok_or_else(|| {
            ParseError::word(
                text,
                "is not a protocol that spanwise has",
                "write http/protobuf or grpc",
            )
        })
    }
}

impl FromStr for RequestCompression {
    type Err = ParseError;

    /// Parses `none` or `gzip`, in upper or lower case.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        word_value(text, &[("none", Self::None), ("gzip", Self::Gzip)]).ok_or_else(|| {
            ParseError::word(
                text,
                "is not a compression that spanwise has",
                "write none or gzip",
            )
        })
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::Grpc => "grpc",
        })
    }
}

impl fmt::Display for RequestCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        })
    }
}
