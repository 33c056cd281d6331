use std::{borrow::Cow, error::Error, fmt, net::Ipv6Addr, str::FromStr};

/// Names of hosts: an allow-list.
///
/// Parsed from names with commas between them. `warehouse` is that host, `*.internal` is every host whose name ends in
/// `.internal`, and not `internal` itself. Addresses are compared as such: `127.0.0.1`, `::1`. Case does not matter, and neither does
/// a port, which is never part of a name.
///
/// ```
/// use spanwise_http::Hosts;
///
/// let hosts: Hosts = "warehouse, *.internal".parse()?;
/// let error = "https://warehouse/".parse::<Hosts>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`https://warehouse/` is no name of a host: write one such as `warehouse`, `*.internal` or `127.0.0.1`, without scheme, port or path",
/// );
/// # let _ = hosts;
/// # Ok::<(), spanwise_http::HostsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    /// With the dot it begins with.
    Suffix(String),
}

/// Why a text is no list of [`Hosts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsError {
    /// `None` where there was nothing at all.
    name: Option<String>,
}

impl Hosts {
    /// Whether the list has `host`, in brackets or not.
    pub(crate) fn contains(&self, host: &str) -> bool {
        let host = normalize(host);
        self.patterns.iter().any(|pattern| match pattern {
            Pattern::Exact(name) => host.eq_ignore_ascii_case(name),
            Pattern::Suffix(end) => {
                let split = host.len().checked_sub(end.len()).filter(|at| *at > 0);
                split
                    .and_then(|at| host.get(at..))
                    .is_some_and(|rest| rest.eq_ignore_ascii_case(end))
            }
        })
    }
}

impl FromStr for Hosts {
    type Err = HostsError;

    fn from_str(text: &str) -> Result<Self, HostsError> {
        let names = text.split(',').map(str::trim);
        let patterns = names
            .filter(|name| !name.is_empty())
            .map(Pattern::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if patterns.is_empty() {
            return Err(HostsError { name: None });
        }
        Ok(Self { patterns })
    }
}

impl Pattern {
    fn parse(name: &str) -> Result<Self, HostsError> {
        let refused = || HostsError {
            name: Some(name.to_owned()),
        };
        if without_brackets(name).parse::<Ipv6Addr>().is_ok() {
            return Ok(Self::Exact(normalize(name).into_owned()));
        }
        let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_name = |name: &str| {
            let name = name.strip_suffix('.').unwrap_or(name);
            name.split('.')
                .all(|label| !label.is_empty() && label.bytes().all(of_a_name))
        };
        match name.strip_prefix("*.") {
            // What ends in a number is an address, whose end says nothing about who it belongs to.
            Some(end) if is_name(end) && !ends_in_a_number(end) => {
                Ok(Self::Suffix(format!(".{}", normalize(end))))
            }
            None if is_name(name) => Ok(Self::Exact(normalize(name).into_owned())),
            _ => Err(refused()),
        }
    }
}

fn ends_in_a_number(name: &str) -> bool {
    normalize(name)
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

/// One spelling of a host: an IPv6 address without brackets and as short as it goes, a name without the dot of the root.
fn normalize(host: &str) -> Cow<'_, str> {
    let host = without_brackets(host);
    if host.contains(':')
        && let Ok(address) = host.parse::<Ipv6Addr>()
    {
        return Cow::Owned(address.to_string());
    }
    Cow::Borrowed(host.strip_suffix('.').unwrap_or(host))
}

/// The address of `[::1]`, as URIs write it.
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

impl fmt::Display for HostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.name else {
            return f.write_str("there is no host in the list: write at least one, such as `warehouse` or `*.internal`");
        };
        write!(
            f,
            "`{}` is no name of a host: write one such as `warehouse`, `*.internal` or `127.0.0.1`, without scheme, port or path",
            name.escape_debug(),
        )
    }
}

impl Error for HostsError {}

#[cfg(test)]
mod tests;
