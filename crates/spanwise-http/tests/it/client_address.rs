//! `client.address`, from the connection and from `X-Forwarded-For`. No policy redacts it here.

use crate::support::capture;
use std::convert::Infallible;

use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use spanwise_http::{ClientAddress, Peer, Trust, server};
use tower::{Layer, ServiceExt};

type Body = Empty<&'static [u8]>;

/// Returns `client.address` of a request that `peer` sent with these lines of `X-Forwarded-For`.
async fn address(trust: &str, shown: ClientAddress, peer: &str, lines: &[&[u8]]) -> String {
    let logs = capture();
    let service = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let mut request = Request::new(Body::new());
    if let Ok(peer) = peer.parse() {
        request.extensions_mut().insert(Peer(peer));
    }
    for line in lines {
        let line = HeaderValue::from_bytes(line).unwrap();
        request.headers_mut().append("x-forwarded-for", line);
    }
    let layer = server().trust(trust.parse().unwrap()).client_address(shown);
    let _ = layer.layer(service).oneshot(request).await;
    let span = logs.one_span("http.request");
    span.field("client.address")
        .map(ToString::to_string)
        .unwrap_or_default()
}

async fn full_address(trust: &str, peer: &str, lines: &[&[u8]]) -> String {
    address(trust, ClientAddress::Full, peer, lines).await
}

const PROXY: &str = "10.0.0.1:443";

#[tokio::test]
async fn untrusted_peer_is_the_client() {
    for trust in ["never", "192.168.0.0/16"] {
        let client = full_address(trust, "203.0.113.9:5", &[b"198.51.100.1"]).await;
        assert_eq!(client, "203.0.113.9");
    }
}

#[tokio::test]
async fn trusted_peer_names_the_client() {
    let client = full_address("10.0.0.0/8", PROXY, &[b"198.51.100.1"]).await;
    assert_eq!(client, "198.51.100.1");
    assert_eq!(full_address("10.0.0.0/8", PROXY, &[]).await, "10.0.0.1");
}

#[tokio::test]
async fn hops_before_an_untrusted_hop_are_ignored() {
    let cases: [&[&[u8]]; 3] = [
        &[b"127.0.0.1, 10.9.9.9, 198.51.100.1, 10.0.0.2"],
        // All lines form one list.
        &[b"127.0.0.1, 10.9.9.9", b"198.51.100.1", b"10.0.0.2"],
        &[b"10.9.9.9,198.51.100.1,10.0.0.2"],
    ];
    for lines in cases {
        assert_eq!(
            full_address("10.0.0.0/8", PROXY, lines).await,
            "198.51.100.1"
        );
    }
}

#[tokio::test]
async fn trust_always_reads_the_last_hop_only() {
    // A gateway appends its peer to the header that the peer sent.
    let cases: [&[&[u8]]; 2] = [
        &[b"192.0.2.1, 198.51.100.1"],
        &[b"192.0.2.1", b"198.51.100.1"],
    ];
    for lines in cases {
        for peer in [PROXY, "unknown"] {
            assert_eq!(full_address("always", peer, lines).await, "198.51.100.1");
        }
    }
    let garbage: &[&[u8]] = &[b"192.0.2.1, unknown"];
    assert_eq!(full_address("always", PROXY, garbage).await, "10.0.0.1");
}

#[tokio::test]
async fn invalid_hop_ends_the_walk() {
    let long = "9".repeat(100_000);
    let garbage: [&[u8]; 8] = [
        b"unknown",
        b"",
        b"10.0.0.256",
        b"[::1",
        b"evil.example.com",
        b"\xff\xfe",
        b"10.0.0.1:99999",
        long.as_bytes(),
    ];
    for hop in garbage {
        let line = [b"192.0.2.1, ", hop, b", 10.0.0.2"].concat();
        assert_eq!(
            full_address("10.0.0.0/8", PROXY, &[&line]).await,
            "10.0.0.2"
        );
    }
}

#[tokio::test]
async fn hop_may_have_a_port_and_brackets() {
    let cases: [(&[u8], &str); 5] = [
        (b"192.0.2.1:8080", "192.0.2.1"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"[2001:db8::1]:8080", "2001:db8::1"),
        (b" \t192.0.2.1 ", "192.0.2.1"),
    ];
    for (line, client) in cases {
        assert_eq!(full_address("10.0.0.0/8", PROXY, &[line]).await, client);
    }
}

#[tokio::test]
async fn mapped_address_is_shown_as_ipv4() {
    let peer = "[::ffff:10.0.0.1]:443";
    assert_eq!(full_address("never", peer, &[]).await, "10.0.0.1");
    let client = full_address("10.0.0.0/8", peer, &[b"::ffff:192.0.2.1"]).await;
    assert_eq!(client, "192.0.2.1");
    let client = full_address("::ffff:10.0.0.0/104", PROXY, &[b"192.0.2.1"]).await;
    assert_eq!(client, "192.0.2.1");
}

#[tokio::test]
async fn only_the_network_is_shown_by_default() {
    assert_eq!(ClientAddress::default(), ClientAddress::Network);
    let network = ClientAddress::Network;
    let client = address("never", network, "203.0.113.9:5", &[]).await;
    assert_eq!(client, "203.0.113.0/24");
    let client = address("never", network, "[2001:db8:1:2::3]:5", &[]).await;
    assert_eq!(client, "2001:db8:1::/48");
    let client = address("never", ClientAddress::Omitted, "203.0.113.9:5", &[]).await;
    assert_eq!(client, "");
}

#[test]
fn networks_parse_strictly() {
    let read = |text: &str| text.parse::<Trust>().map(|trust| trust.to_string());
    assert_eq!(read(" never "), Ok("never".into()));
    for always in ["always", "Always", "ALWAYS"] {
        assert_eq!(read(always), Ok("always".into()));
    }
    assert_eq!(
        read("10.0.0.0/8, 127.0.0.1 ,::1,2001:db8::/32,0.0.0.0/0"),
        Ok("10.0.0.0/8,127.0.0.1/32,::1/128,2001:db8::/32,0.0.0.0/0".into())
    );
    assert_eq!(read("::ffff:10.0.0.0/104"), Ok("10.0.0.0/8".into()));

    let error = |text: &str| read(text).unwrap_err().to_string();
    for no_network in ["", "10.0.0.0/8,", "localhost", "10.0.0/8", "sometimes"] {
        assert!(
            error(no_network).contains("does not begin with an address"),
            "{no_network}"
        );
    }
    assert_eq!(
        error("10.0.0.0/33"),
        "`10.0.0.0/33` is not a network: its prefix is not a number from 0 to 32; write one such as `10.0.0.0/8`"
    );
    assert!(error("::/129").contains("from 0 to 128"));
    assert!(error("10.0.0.0/").contains("from 0 to 32"));
    for host_bits in ["10.0.0.1/8", "::ffff:10.1.2.3/104"] {
        assert!(error(host_bits).ends_with("write `10.0.0.0/8`"));
    }
}
