//! The events about reloads, and the reports on stderr.

use spanwise_core::{Fault, SinkStats};

use super::Live;
use crate::{config::Config, config_file::ConfigChange};

impl Live {
    pub(super) fn report_refused(&self, problems: &[String]) {
        let why = format_args!(
            "the configuration file is refused, and the previous configuration stays in use: {}",
            shortened(problems)
        );
        self.report.fault_unthrottled(Fault::Setup, &why);
        let problems = spanwise_json::as_json(problems);
        self.in_stack(|| {
            tracing::warn!(target: "spanwise", problems = %problems, "configuration refused");
        });
    }

    pub(super) fn report_changed(&self, change: &ConfigChange) {
        self.in_stack(|| {
            tracing::info!(
                target: "spanwise",
                added = %spanwise_json::as_json(&change.added),
                changed = %spanwise_json::as_json(&change.changed),
                removed = %spanwise_json::as_json(&change.removed),
                "configuration changed"
            );
        });
    }

    pub(super) fn report_closed(&self, closed: &[SinkStats]) {
        for counts in closed {
            let (sink, delivered, filtered) = (&counts.name, counts.delivered, counts.filtered);
            self.in_stack(|| match counts.lost() {
                0 => tracing::info!(target: "spanwise", sink, delivered, filtered, "sink closed"),
                lost => tracing::warn!(
                    target: "spanwise",
                    sink,
                    delivered,
                    lost,
                    filtered,
                    "sink closed, with lost lines"
                ),
            });
        }
    }

    /// Reports the warnings of `config` that are not in `shown`, and replaces `shown` by all of its
    /// warnings.
    pub(super) fn report_warnings(&self, config: &Config, shown: &mut Vec<String>) {
        let warnings = config.findings.explanation.warnings.iter();
        let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
        for warning in warnings.iter().filter(|warning| !shown.contains(warning)) {
            self.report.fault_unthrottled(Fault::Setup, warning);
            self.in_stack(|| tracing::warn!(target: "spanwise", "{warning}"));
        }
        *shown = warnings;
    }
}

/// Returns the first problems, and the number of the others, because a report on stderr must be
/// short. The first problem is always whole.
fn shortened(problems: &[String]) -> String {
    /// The maximum length of several problems, in bytes.
    const MAX_LEN: usize = 360;
    let mut shown = String::new();
    for (index, problem) in problems.iter().enumerate() {
        if index > 0 && shown.len() + problem.len() > MAX_LEN {
            let others = problems.len() - index;
            return format!("{shown}; and {others} more: see the event `configuration refused`");
        }
        let separator = if index > 0 { "; " } else { "" };
        shown = format!("{shown}{separator}{problem}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn report_counts_the_problems_that_it_omits() {
        let problems: Vec<String> = (0..5)
            .map(|it| format!("{it}{}", "x".repeat(149)))
            .collect();
        let first_two = problems[..2].join("; ");
        assert_eq!(shortened(&problems[..2]), first_two);
        assert_eq!(
            shortened(&problems),
            format!("{first_two}; and 3 more: see the event `configuration refused`")
        );
        let with_long_first = vec!["x".repeat(1000), "y".to_owned()];
        assert!(
            shortened(&with_long_first).starts_with(&with_long_first[0]),
            "the first is always whole"
        );
        assert!(
            shortened(&with_long_first)
                .ends_with("; and 1 more: see the event `configuration refused`")
        );
    }
}
