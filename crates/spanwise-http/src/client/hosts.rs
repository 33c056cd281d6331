//! Allow-lists of hosts that may receive ids or baggage.

use std::{borrow::Cow, net::Ipv6Addr, str::FromStr};

use spanwise_core::ParseError;

/// An allow-list of hosts, parsed from names separated by commas.
///
/// `warehouse` matches only this host. `*.internal` matches every host whose name ends in
/// `.internal`, but not `internal` itself. IPv6 addresses compare by value. Case and ports are
/// ignored.
///
/// ```
/// use spanwise_http::Hosts;
///
/// let hosts: Hosts = "warehouse, *.internal".parse()?;
/// let error = "https://warehouse/".parse::<Hosts>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`https://warehouse/` is not a host name: write one such as `warehouse`, `*.internal` or `127.0.0.1`, without scheme, port or path",
/// );
/// # let _ = hosts;
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// The whole host, in its [normal form](normalize).
    Exact(String),
    /// The suffix, including its leading dot.
    Suffix(String),
}

impl Hosts {
    /// Returns whether the list matches `host`. An IPv6 address may have brackets.
    pub(crate) fn contains(&self, host: &str) -> bool {
        let host = normalize(host);
        self.patterns.iter().any(|pattern| match pattern {
            Pattern::Exact(name) => host.eq_ignore_ascii_case(name),
            Pattern::Suffix(suffix) => {
                let suffix_start = host.len().checked_sub(suffix.len()).filter(|at| *at > 0);
                suffix_start
                    .and_then(|at| host.get(at..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }
        })
    }
}

impl FromStr for Hosts {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let names = text.split(',').map(str::trim);
        let patterns = names
            .filter(|name| !name.is_empty())
            .map(Pattern::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if patterns.is_empty() {
            return Err(ParseError::new(
                "there is no host in the list: write at least one, such as `warehouse` or \
                 `*.internal`",
            ));
        }
        Ok(Self { patterns })
    }
}

impl Pattern {
    fn parse(name: &str) -> Result<Self, ParseError> {
        let not_a_host = || {
            ParseError::new(format!(
                "`{}` is not a host name: write one such as `warehouse`, `*.internal` or \
                 `127.0.0.1`, without scheme, port or path",
                name.escape_debug(),
            ))
        };
        if without_brackets(name).parse::<Ipv6Addr>().is_ok() {
            return Ok(Self::Exact(normalize(name).into_owned()));
        }
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_name = |name: &str| {
            let name = name.strip_suffix('.').unwrap_or(name);
            name.split('.')
                .all(|label| !label.is_empty() && label.bytes().all(is_name_byte))
        };
        match name.strip_prefix("*.") {
            // Refuses `*.0.1`: a host that ends in a number is an IPv4 address, and the end of an
            // address is not a domain.
            Some(domain) if is_name(domain) && !ends_in_a_number(domain) => {
                Ok(Self::Suffix(format!(".{}", normalize(domain))))
            }
            None if is_name(name) => Ok(Self::Exact(normalize(name).into_owned())),
            _ => Err(not_a_host()),
        }
    }
}

fn ends_in_a_number(name: &str) -> bool {
    normalize(name)
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the normal form of a host: an IPv6 address in its shortest form and without brackets, or
/// a name without its trailing dot.
fn normalize(host: &str) -> Cow<'_, str> {
    let host = without_brackets(host);
    if host.contains(':')
        && let Ok(address) = host.parse::<Ipv6Addr>()
    {
        return Cow::Owned(address.to_string());
    }
    Cow::Borrowed(host.strip_suffix('.').unwrap_or(host))
}

/// Returns the host without the brackets that URIs put around IPv6 addresses.
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}
