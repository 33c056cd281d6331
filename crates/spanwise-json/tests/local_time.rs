//! Timestamps in local time. Each zone has a process of its own, since a process reads its zone
//! once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test, which tells itself what to be"
)]

use std::{
    env,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use spanwise_core::Clock;
use spanwise_json::{JsonLayer, Timestamp};
use spanwise_testing::support::Lines;
use tracing_subscriber::layer::SubscriberExt as _;

/// Seconds since 1970, and the expected timestamp.
type Case = (u64, &'static str);

/// Zones as POSIX rules, which need no zone files. Summer time starts on 29 March 2026.
const ZONES: &[(&str, &[Case])] = &[
    (
        "CET-1CEST,M3.5.0,M10.5.0/3",
        &[
            (1_774_745_999, "2026-03-29T01:59:59+01:00"),
            (1_774_746_000, "2026-03-29T03:00:00+02:00"),
            (1_792_889_999, "2026-10-25T02:59:59+02:00"),
            (1_792_890_000, "2026-10-25T02:00:00+01:00"),
            // The clock is set back.
            (1_774_745_999, "2026-03-29T01:59:59+01:00"),
            (0, "1970-01-01T01:00:00+01:00"),
        ],
    ),
    // Summer time starts at one minute past midnight, as in Newfoundland until 2011.
    (
        "NST3:30NDT2:30,M3.2.0/0:01,M11.1.0/0:01",
        &[
            (1_772_940_659, "2026-03-08T00:00:59-03:30"),
            (1_772_940_660, "2026-03-08T01:01:00-02:30"),
        ],
    ),
    // Summer time of half an hour.
    (
        "LHST-10:30LHDT-11,M10.1.0,M4.1.0",
        &[
            (1_775_314_799, "2026-04-05T01:59:59+11:00"),
            (1_775_314_800, "2026-04-05T01:30:00+10:30"),
        ],
    ),
    (
        "GMT0BST,M3.5.0/1,M10.5.0",
        &[(1_767_225_600, "2026-01-01T00:00:00Z")],
    ),
    (
        "FAR-24:30",
        &[
            (1_774_746_000, "2026-03-30T00:59:00+23:59"),
            (1_774_746_001, "2026-03-30T00:59:01+23:59"),
        ],
    ),
    ("OFF24:30", &[(1_774_746_000, "2026-03-28T01:01:00-23:59")]),
    ("UTC0", &[(1_774_746_000, "2026-03-29T01:00:00Z")]),
    ("No/Such_Zone", &[(1_774_746_000, "2026-03-29T01:00:00Z")]),
];

const ZONE: &str = "SPANWISE_TEST_ZONE";

#[test]
fn local_time_follows_the_rules_of_the_zone() {
    if let Ok(zone) = env::var(ZONE) {
        let (_, cases) = ZONES.iter().find(|(name, _)| *name == zone).unwrap();
        return has_timestamps(cases);
    }
    for (zone, _) in ZONES {
        let output = Command::new(env::current_exe().unwrap())
            .args(["local_time_follows_the_rules_of_the_zone", "--exact"])
            .envs([("TZ", zone), (ZONE, zone)])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{zone}: {text}"
        );
    }
}

fn has_timestamps(cases: &[Case]) {
    let lines = Lines::default();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let layer = JsonLayer::new()
        .timestamp(Timestamp::seconds().local())
        .clock(clock.clone())
        .with_writer(lines.clone());
    let stack = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    for (seconds, _) in cases {
        clock.set(SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds));
        let log = || tracing::dispatcher::with_default(&stack, || tracing::info!("now"));
        log();
        // A process with several threads has local time too.
        thread::scope(|scope| scope.spawn(log).join().unwrap());
    }
    let text = lines.text();
    let expected = cases
        .iter()
        .flat_map(|(_, timestamp)| [timestamp, timestamp]);
    let timestamps = text.lines().map(|line| line.split('"').nth(3).unwrap());
    assert_eq!(
        timestamps.collect::<Vec<_>>(),
        expected.copied().collect::<Vec<_>>()
    );
}
