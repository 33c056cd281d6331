//! The machine that the process runs on.

/// Returns the network name of the machine, if it has one.
#[cfg(unix)]
#[must_use]
pub fn host_name() -> Option<String> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok()?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

/// Returns `None`, because the name is read only on Unix.
#[cfg(not(unix))]
#[must_use]
pub fn host_name() -> Option<String> {
    None
}
