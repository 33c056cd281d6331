//! The address of the client, from the connection or from trusted proxies.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use spanwise_core::{ParseError, internal::TextSetting};

use http::{Extensions, HeaderMap, HeaderName};

use crate::trust::{Network, Trust};

/// The peer address of a connection, as a request extension, for servers without axum's
/// `ConnectInfo`.
///
/// ```
/// use spanwise_http::Peer;
///
/// # let stream_peer_addr: std::net::SocketAddr = "127.0.0.1:4711".parse()?;
/// let mut request = http::Request::new("body");
/// request.extensions_mut().insert(Peer(stream_peer_addr));
/// assert_eq!(request.extensions().get(), Some(&Peer(stream_peer_addr)));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The part of a client's address that is logged as `client.address`. As text: `full`, `network` or
/// `none`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAddress {
    /// The full address, which is personal data in the European Union and elsewhere.
    Full,
    /// The network of the address, such as `192.0.2.0/24`: the first 24 bits of an IPv4 address, 48
    /// bits of an IPv6 address.
    #[default]
    Network,
    /// No part of the address.
    Omitted,
}

impl ClientAddress {
    /// Returns the part of `host` that is logged.
    pub(crate) fn logged_part(self, host: IpAddr) -> Option<LoggedAddress> {
        match self {
            Self::Full => Some(LoggedAddress::Full(host)),
            Self::Network => {
                let prefix = if host.is_ipv4() { 24 } else { 48 };
                Some(LoggedAddress::Network(Network::around(host, prefix)))
            }
            Self::Omitted => None,
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Network => "network",
            Self::Omitted => "none",
        })
    }
}

impl TextSetting for ClientAddress {}

impl FromStr for ClientAddress {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let all = [Self::Full, Self::Network, Self::Omitted];
        all.into_iter()
            .find(|choice| text.trim().eq_ignore_ascii_case(&choice.to_string()))
            .ok_or_else(|| ParseError::word(text, "is unknown", "accepts full, network, none"))
    }
}

/// The part of an address that is logged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LoggedAddress {
    Full(IpAddr),
    Network(Network),
}

impl fmt::Display for LoggedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// Returns the peer of the connection, if the server has stored it. An IPv4 address mapped to IPv6
/// becomes an IPv4 address.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get().map(|Peer(address)| *address);
    #[cfg(feature = "axum")]
    let peer = peer.or_else(|| {
        let info = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>();
        info.map(|info| info.0)
    });
    peer.map(|address| address.ip().to_canonical())
}

/// Returns the address of the client. If the peer is a trusted proxy, follows the addresses that
/// trusted proxies have forwarded.
///
/// `X-Forwarded-For` is read from its end, because the nearest proxy has written the last entry.
/// The client is the first untrusted address that this search finds. Entries to the left of that
/// address may be forged. The search also ends at an entry that is not an address. In that case the
/// client is the last address that was read before.
///
/// With [`Trust::Always`], only the last entry is read. The trusted peer has written this entry,
/// and all others may be forged.
pub(crate) fn resolve_client(
    peer: Option<IpAddr>,
    trust: &Trust,
    headers: &HeaderMap,
) -> Option<IpAddr> {
    let mut client = peer;
    if !trust.trusts(client) {
        return client; // the common case, which does not read the header
    }
    for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        for entry in line.as_bytes().rsplit(|byte| *byte == b',') {
            if !trust.trusts(client) {
                return client;
            }
            match parse_entry(entry) {
                Some(address) => client = Some(address),
                None => return client,
            }
            if matches!(trust, Trust::Always) {
                return client;
            }
        }
    }
    client
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Parses an entry of `X-Forwarded-For`: an address with or without a port.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let in_brackets = entry
        .strip_prefix('[')
        .and_then(|entry| entry.strip_suffix(']'));
    let parsed = match in_brackets {
        Some(inside) => IpAddr::V6(inside.parse().ok()?),
        None => {
            let with_port = || entry.parse().ok().map(|entry: SocketAddr| entry.ip());
            entry.parse().ok().or_else(with_port)?
        }
    };
    Some(parsed.to_canonical())
}
