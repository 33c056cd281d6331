//! The variables for the requests to a collector. Each option has a variable for all signals, and
//! one variable per signal, which takes precedence.

use spanwise_core::{ParseError, Sensitivity, Setting};

use super::OtelSetting;
use crate::{
    OtelBuilder, Protocol, SignalKind,
    endpoint::{Endpoint, SetFor},
    setting_texts::{PairKind, parse_boolean, parse_millis, parse_pairs, read_file},
};

pub(super) const EXPORTERS: &[OtelSetting] = exporter_rows! {
    "ENDPOINT" => "endpoint" {
        default: "none: nothing is exported",
        accepts: "the address of a collector, such as `http://collector:4318`; with the protocol grpc, the scheme may be missing",
        help: "Where data goes. Over HTTP, each signal has a path below the address of all signals, such as `/v1/traces`; the address of one signal is used unchanged.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            // The protocol is applied after the endpoint. Both protocols accept an endpoint that
            // is valid for HTTP, and gRPC also accepts one without a scheme. So check for gRPC.
            let any_signal = signal.unwrap_or(SignalKind::Traces);
            Endpoint::parse(text, any_signal, SetFor::AllSignals, Protocol::Grpc, false)?;
            let url = text.to_owned();
            match signal {
                None => builder.change(|builder| builder.endpoint(url)),
                signal => builder.change_signal(signal, |options| options.endpoint(url)),
            }
            Ok(())
        },
    }
    "PROTOCOL" => "protocol" {
        default: "http/protobuf",
        accepts: "`http/protobuf`, or `grpc` in programs built with the feature `otel-grpc`",
        help: "How requests go to the collector.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let protocol = text.parse()?;
            builder.change_signal(signal, |options| options.protocol(protocol));
            Ok(())
        },
    }
    "HEADERS" => "header" {
        default: "none",
        accepts: "names and values joined by commas, such as `api-key=1234,x-team=shop`; values are percent-decoded",
        help: "Headers of each request. Those of a signal replace those of all signals.",
        sensitivity: Secret,
        apply: |builder, signal, text| {
            let headers = parse_pairs(text, PairKind::Headers)?;
            builder.change_signal(signal, |options| {
                headers.into_iter().fold(options, |options, (name, value)| options.header(name, value))
            });
            Ok(())
        },
    }
    "TIMEOUT" => "timeout" {
        default: "10000",
        accepts: "milliseconds, at most `600000`; `0` means `600000`",
        help: "How long a request may take.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let timeout = parse_millis(text, 0, 600_000)?;
            builder.change_signal(signal, |options| options.timeout(timeout));
            Ok(())
        },
    }
    "COMPRESSION" => "compression" {
        default: "none",
        accepts: "`none` or `gzip`",
        help: "How requests are compressed.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let compression = text.parse()?;
            builder.change_signal(signal, |options| options.compression(compression));
            Ok(())
        },
    }
    "INSECURE" => "insecure" {
        default: "false",
        accepts: "`true` or `false`",
        help: "Whether an endpoint without a scheme, over gRPC, is used without TLS.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let is_insecure = parse_boolean(text)?;
            builder.change_signal(signal, |options| options.insecure(is_insecure));
            Ok(())
        },
    }
    "CERTIFICATE" => "root_certificates" {
        default: "the roots of Mozilla",
        accepts: "the path of a file in PEM",
        help: "The only root certificates that are trusted.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let pem = read_file(text)?;
            builder.change_signal(signal, |options| options.root_certificates(pem));
            Ok(())
        },
    }
    "CLIENT_CERTIFICATE" => "client_certificate" {
        default: "none",
        accepts: "the path of a file in PEM",
        help: "The certificate that authenticates the service to the collector. It needs a key.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let pem = read_file(text)?;
            builder.change_signal(signal, |options| options.client_certificate(pem));
            Ok(())
        },
    }
    "CLIENT_KEY" => "client_key" {
        default: "none",
        accepts: "the path of a file in PEM",
        help: "The private key of the client certificate.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let pem = read_file(text)?;
            builder.change_signal(signal, |options| options.client_key(pem));
            Ok(())
        },
    }
};
