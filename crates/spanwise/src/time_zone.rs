//! The time zone of timestamps.

use std::{
    env,
    path::{Path, PathBuf},
};

use spanwise_json::Timestamp;

/// The time zone of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeZone {
    /// The zone of the machine, or of the variable `TZ`, with daylight saving time.
    Local,
    /// Coordinated universal time.
    Utc,
}

impl TimeZone {
    /// Returns the format of timestamps in this zone.
    pub(crate) const fn timestamp(self) -> Timestamp {
        match self {
            Self::Local => Timestamp::micros().local(),
            Self::Utc => Timestamp::micros(),
        }
    }
}

crate::named::named!(TimeZone: Local = "local", Utc = "utc");

/// Returns the value of `TZ` if the system does not know this zone, in which case it silently uses
/// UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "it is a variable of the system, which alone reads it for local times"
)]
pub(crate) fn unknown_tz() -> Option<String> {
    let zone = env::var_os("TZ")?.into_string().ok()?;
    (cfg!(unix) && !is_known(&zone)).then_some(zone)
}

/// The directories of zones on Unix systems.
const ZONE_DIRS: [&str; 4] = [
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/usr/share/lib/zoneinfo",
    "/etc/zoneinfo",
];

/// Returns whether `zone` is the name of a zone file, a name of UTC, or a rule such as `CET-1CEST`.
fn is_known(zone: &str) -> bool {
    let zone = zone.strip_prefix(':').unwrap_or(zone);
    is_utc(zone) || is_posix_rule(zone) || is_zone_file(zone)
}

/// Returns whether `zone` is a name of UTC. Such a name is correct even on a system without zone
/// files, because the system takes an unknown zone for UTC.
fn is_utc(zone: &str) -> bool {
    const NAMES: [&str; 11] = [
        "",
        "GMT",
        "GMT+0",
        "GMT-0",
        "GMT0",
        "Greenwich",
        "UCT",
        "UTC",
        "UTC0",
        "Universal",
        "Zulu",
    ];
    NAMES.contains(&zone.strip_prefix("Etc/").unwrap_or(zone))
}

/// Returns whether `zone` is the absolute path of a file, or the name of a zone file.
#[expect(
    clippy::disallowed_methods,
    reason = "it is a variable of the system, as `TZ` is"
)]
fn is_zone_file(zone: &str) -> bool {
    if Path::new(zone).is_absolute() {
        return Path::new(zone).is_file();
    }
    let dirs = ZONE_DIRS.map(PathBuf::from).into_iter();
    let dirs = env::var_os("TZDIR")
        .map(PathBuf::from)
        .into_iter()
        .chain(dirs);
    dirs.into_iter().any(|dir| dir.join(zone).is_file())
}

/// Returns whether `zone` begins like a POSIX rule: a name of letters or in angle brackets, then an
/// offset. See <https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html>.
fn is_posix_rule(zone: &str) -> bool {
    let after_name = match zone.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, after_name)| after_name),
        None => {
            let after_name = zone.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            (zone.len() - after_name.len() >= 3).then_some(after_name)
        }
    };
    after_name.is_some_and(|offset| {
        let digits = offset.strip_prefix(['+', '-']).unwrap_or(offset);
        digits.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit test, because the zone of a process cannot change after a time was read.
    #[test]
    fn unknown_zones_are_found() {
        for zone in [
            "",
            "UTC",
            "Etc/UTC",
            ":Etc/Universal",
            "Etc/GMT+0",
            "Etc/GMT-0",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "<+0545>-5:45",
            ":UTC",
            "EST5EDT",
        ] {
            assert!(is_known(zone), "{zone}");
        }
        for zone in ["Europe/Berlni", "/no/such/zone", "local", "MEZ"] {
            assert!(!is_known(zone), "{zone}");
        }
    }
}
