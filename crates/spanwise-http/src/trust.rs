//! Trust in the headers of senders, by their IP networks.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use spanwise_core::{ParseError, internal::TextSetting};

/// The senders whose headers are trusted: ids, tenant, trace, baggage, `X-Forwarded-For` and
/// `X-Forwarded-Proto`. Defaults to [`Trust::Never`].
///
/// These headers of any other sender are ignored, because a sender that chooses its ids could make
/// two requests look like one request in the lines. There is one exception: if spans are exported,
/// the span of the request has a link to the span in the `traceparent` of an untrusted sender.
///
/// ```
/// use spanwise_http::Trust;
///
/// let trust: Trust = "10.0.0.0/8, 127.0.0.1".parse()?;
/// assert_eq!(trust.to_string(), "10.0.0.0/8,127.0.0.1/32");
///
/// let error = "127.0.0.1/8".parse::<Trust>().unwrap_err();
/// assert_eq!(error.to_string(), "`127.0.0.1/8` is not a network: its address has bits beyond the prefix; write `127.0.0.0/8`");
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// No sender is trusted.
    #[default]
    Never,
    /// Every sender is trusted. Use it if only your gateway can reach the service.
    ///
    /// Only the last entry of `X-Forwarded-For` is read, because the gateway has written it. If
    /// there are several proxies, list their [`Networks`](Self::Networks) instead.
    Always,
    /// Senders in one of the networks are trusted. A sender with an unknown address is not trusted,
    /// and [`SelfReport`](spanwise_core::SelfReport) reports the first such sender.
    Networks(Vec<Network>),
}

/// An IP network, such as `10.0.0.0/8`. A network of IPv4-mapped addresses, such as
/// `::ffff:10.0.0.0/104`, becomes its IPv4 network, `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address, whose bits beyond the prefix are 0.
    base: IpAddr,
    /// The length of the prefix, in bits.
    prefix_len: u8,
}

impl Trust {
    /// Returns whether the headers of a sender with this address are trusted.
    pub(crate) fn trusts(&self, sender: Option<IpAddr>) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Networks(networks) => {
                sender.is_some_and(|sender| networks.iter().any(|network| network.contains(sender)))
            }
        }
    }
}

impl TextSetting for Trust {}

impl FromStr for Trust {
    type Err = ParseError;

    /// Parses `never`, `always`, or networks and addresses separated by commas.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.trim() {
            never if never.eq_ignore_ascii_case("never") => Ok(Self::Never),
            always if always.eq_ignore_ascii_case("always") => Ok(Self::Always),
            networks => {
                let networks: Result<_, _> = networks.split(',').map(str::parse).collect();
                networks.map(Self::Networks)
            }
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Always => f.write_str("always"),
            Self::Networks(networks) => {
                for (index, network) in networks.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{network}")?;
                }
                Ok(())
            }
        }
    }
}

impl Network {
    /// Returns the network of all addresses that share the first `prefix_len` bits with `host`.
    pub(crate) fn around(host: IpAddr, prefix_len: u8) -> Self {
        // For a length of 0 the shift overflows, and the mask is 0.
        let base = match host {
            IpAddr::V4(host) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(prefix_len))
                    .unwrap_or(0);
                Ipv4Addr::from_bits(host.to_bits() & mask).into()
            }
            IpAddr::V6(host) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(prefix_len))
                    .unwrap_or(0);
                Ipv6Addr::from_bits(host.to_bits() & mask).into()
            }
        };
        Self { base, prefix_len }
    }

    fn contains(&self, host: IpAddr) -> bool {
        let host = host.to_canonical();
        host.is_ipv4() == self.base.is_ipv4() && Self::around(host, self.prefix_len) == *self
    }
}

impl FromStr for Network {
    type Err = ParseError;

    /// Parses an address with a prefix length. An address without a prefix length is a network of
    /// one address.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        let invalid =
            |problem: &str| ParseError::new(format!("`{text}` is not a network: {problem}"));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written_address: IpAddr = address.parse().map_err(|_| {
            invalid(
                "it does not begin with an address; write `never`, `always`, or networks such as \
                 `10.0.0.0/8,127.0.0.1`",
            )
        })?;
        let max_len = if written_address.is_ipv4() { 32 } else { 128 };
        let prefix_len = match prefix {
            Some(digits) => {
                let prefix_len = digits.parse().ok().filter(|len| *len <= max_len);
                prefix_len.ok_or_else(|| {
                    invalid(&format!(
                        "its prefix is not a number from 0 to {max_len}; write one such as `10.0.0.0/8`"
                    ))
                })?
            }
            None => max_len,
        };
        // `::ffff:a.b.c.d/n` with n >= 96 is the IPv4 network `a.b.c.d/(n - 96)`.
        let (host, network) = match (written_address, written_address.to_canonical()) {
            (IpAddr::V6(_), mapped @ IpAddr::V4(_)) if prefix_len >= 96 => {
                (mapped, Self::around(mapped, prefix_len - 96))
            }
            _ => (written_address, Self::around(written_address, prefix_len)),
        };
        if network.base == host {
            Ok(network)
        } else {
            Err(invalid(&format!(
                "its address has bits beyond the prefix; write `{network}`"
            )))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_len)
    }
}
