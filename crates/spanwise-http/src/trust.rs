//! Whose headers are believed.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use spanwise_core::internal::Grammar;

/// Whose word is taken for who a request belongs to, and where it comes from.
///
/// Ids, the tenant, the trace and `X-Forwarded-For` of any other sender are not looked at: whoever may choose an id can make the lines of
/// two requests look like those of one. Default: [`Trust::Never`].
///
/// ```
/// use spanwise_http::Trust;
///
/// let trust: Trust = "10.0.0.0/8, 127.0.0.1".parse()?;
/// assert_eq!(trust.to_string(), "10.0.0.0/8,127.0.0.1/32");
///
/// let error = "127.0.0.1/8".parse::<Trust>().unwrap_err();
/// assert_eq!(error.to_string(), "`127.0.0.1/8` is no network: its address has bits beyond the prefix; write `127.0.0.0/8`");
/// # Ok::<(), spanwise_http::TrustError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nobody's.
    #[default]
    Never,
    /// Everybody's: where nobody but a gateway of yours can reach the service. Of `X-Forwarded-For` the last entry is believed, which the
    /// gateway wrote; behind several proxies name their networks.
    Always,
    /// That of senders whose address is in one of the networks. One whose address is not known is not trusted, which is told once by
    /// [`SelfReport`](spanwise_core::SelfReport).
    Networks(Vec<Network>),
}

/// The addresses that begin alike, such as `10.0.0.0/8`. An IPv6 network of mapped IPv4 addresses is that of the IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// What is wrong with the text of a [`Trust`] or a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustError {
    text: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Address,
    Prefix { longest: u8 },
    HostBits { instead: Network },
}

impl Trust {
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

impl Grammar for Trust {}

impl FromStr for Trust {
    type Err = TrustError;

    /// `never`, `always`, or networks and addresses with commas between them.
    fn from_str(text: &str) -> Result<Self, TrustError> {
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
    /// The network of `host` whose addresses have the first `prefix` bits in common with it.
    pub(crate) fn around(host: IpAddr, prefix: u8) -> Self {
        let base = match host {
            IpAddr::V4(host) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Ipv4Addr::from_bits(host.to_bits() & mask).into()
            }
            IpAddr::V6(host) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Ipv6Addr::from_bits(host.to_bits() & mask).into()
            }
        };
        Self { base, prefix }
    }

    fn contains(&self, host: IpAddr) -> bool {
        let host = host.to_canonical();
        host.is_ipv4() == self.base.is_ipv4() && Self::around(host, self.prefix) == *self
    }
}

impl FromStr for Network {
    type Err = TrustError;

    /// An address with the length of its prefix; one without is a network of its own.
    fn from_str(text: &str) -> Result<Self, TrustError> {
        let text = text.trim();
        let wrong = |problem| TrustError {
            text: text.to_owned(),
            problem,
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| wrong(Problem::Address))?;
        let longest = if written.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) => {
                let prefix = digits.parse().ok().filter(|prefix| *prefix <= longest);
                prefix.ok_or_else(|| wrong(Problem::Prefix { longest }))?
            }
            None => longest,
        };
        // Mapped IPv4 addresses are IPv4 addresses, also in what is written of a network.
        let (host, network) = match (written, written.to_canonical()) {
            (IpAddr::V6(_), mapped @ IpAddr::V4(_)) if prefix >= 96 => {
                (mapped, Self::around(mapped, prefix - 96))
            }
            _ => (written, Self::around(written, prefix)),
        };
        if network.base == host {
            Ok(network)
        } else {
            Err(wrong(Problem::HostBits { instead: network }))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no network: ", self.text)?;
        match &self.problem {
            Problem::Address => f.write_str(
                "it does not begin with an address; write `never`, `always`, or networks such as `10.0.0.0/8,127.0.0.1`",
            ),
            Problem::Prefix { longest } => {
                write!(f, "its prefix is no number from 0 to {longest}; write one such as `10.0.0.0/8`")
            }
            Problem::HostBits { instead } => {
                write!(f, "its address has bits beyond the prefix; write `{instead}`")
            }
        }
    }
}

impl std::error::Error for TrustError {}
