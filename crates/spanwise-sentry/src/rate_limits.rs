//! Rate limits of the server, by category.

use std::time::{Duration, Instant};

/// The data category of an envelope. `Other` comprises all further categories of Sentry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Error,
    Transaction,
    Log,
    Other,
}

/// The end of the rate limit of each category that the server set last, indexed by the category.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    until: [Option<Instant>; 4],
}

/// The shortest and the longest wait. A wait outside this range is clamped.
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// The wait after the status 429, if the response does not contain a time.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

impl RateLimits {
    /// Returns whether no limit applies to the category at `now`.
    pub(crate) fn allow(&self, category: Category, now: Instant) -> bool {
        self.until[category as usize].is_none_or(|until| now >= until)
    }

    /// Applies the limits of a response, from `X-Sentry-Rate-Limits`. If that has none that can be
    /// read, applies `Retry-After` for the status 429.
    pub(crate) fn update(
        &mut self,
        status: u16,
        retry_after: Option<&str>,
        rate_limits: Option<&str>,
        now: Instant,
    ) {
        let groups = rate_limits.unwrap_or_default().split(',');
        let applied_count = groups.filter(|group| self.apply_group(group, now)).count();
        if applied_count == 0 && status == 429 {
            let wait = retry_after.and_then(parse_wait).unwrap_or(DEFAULT_WAIT);
            self.until = [Some(now + wait); 4];
        }
    }

    /// Applies a group, such as `60:error;transaction:organization:quota_exceeded`. A group without
    /// categories applies to all categories. Returns whether the group can be read.
    fn apply_group(&mut self, group: &str, now: Instant) -> bool {
        let mut parts = group.trim().split(':');
        let Some(wait) = parts.next().and_then(parse_wait) else {
            return false;
        };
        let until = Some(now + wait);
        let categories = parts.next().unwrap_or_default();
        for category in categories.split(';') {
            match category.trim() {
                "" => self.until = [until; 4],
                "error" | "default" => self.until[Category::Error as usize] = until,
                "transaction" | "span" => self.until[Category::Transaction as usize] = until,
                "log_item" | "log_byte" => self.until[Category::Log as usize] = until,
                _ => {}
            }
        }
        true
    }
}

/// Parses a number of seconds, and clamps it. `None` for other texts, such as a date, which few
/// servers send.
fn parse_wait(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    let wait = Duration::try_from_secs_f64(seconds.ceil()).ok();
    // The conversion fails for negative numbers, for very large ones, and for NaN.
    let wait = wait.unwrap_or(if seconds > 0.0 { MAX_WAIT } else { MIN_WAIT });
    (!seconds.is_nan()).then(|| wait.clamp(MIN_WAIT, MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(
            parse_wait(text),
            expected.map(Duration::from_secs),
            "{text}"
        );
    }

    #[test]
    fn waits_are_between_a_second_and_an_hour() {
        check("2", Some(2));
        check(" 2.1 ", Some(3));
        check("0", Some(1));
        check("-5", Some(1));
        check("86400", Some(3600));
        check("1e300", Some(3600));
        check("inf", Some(3600));
        check("NaN", None);
        check("Wed, 21 Oct 2026 07:28:00 GMT", None);
    }

    #[test]
    fn limits_apply_to_their_categories() {
        let now = Instant::now();
        let mut limits = RateLimits::default();
        let header = "60:transaction;log_item:organization, 2:error:key:quota, nonsense";
        limits.update(200, None, Some(header), now);
        assert!(!limits.allow(Category::Error, now) && limits.allow(Category::Other, now));
        let later = now + Duration::from_secs(3);
        assert!(limits.allow(Category::Error, later) && !limits.allow(Category::Log, later));
        limits.update(429, Some("7"), None, now);
        assert!(!limits.allow(Category::Error, later) && !limits.allow(Category::Other, later));
        limits.update(200, Some("7"), None, later);
        assert!(limits.allow(Category::Error, now + Duration::from_secs(8)));
    }

    #[test]
    fn refusal_without_readable_limits_is_a_limit() {
        let now = Instant::now();
        let later = now + Duration::from_secs(8);
        for header in ["", "nonsense", ":error:key"] {
            let mut limits = RateLimits::default();
            limits.update(429, Some("9"), Some(header), now);
            assert!(!limits.allow(Category::Error, later), "{header}");
            limits = RateLimits::default();
            limits.update(200, Some("9"), Some(header), now);
            assert!(limits.allow(Category::Error, now), "{header}");
        }
        let mut limits = RateLimits::default();
        limits.update(429, Some("9"), Some("60:attachment:key"), now);
        assert!(limits.allow(Category::Error, now));
    }
}
