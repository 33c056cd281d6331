//! Warns of doubtful fields and targets in the rules of a sampler.
//!
//! A rule with a misspelled name is valid, so the start can only warn of it.

use spanwise_core::{CONTEXT_KEYS, Fault, SelfReport, internal::suggest::closest};
use spanwise_sample::Sampler;

/// Warns of each field that is nearly a context key, or a context key without `_id`, because it is
/// probably misspelled. `variable` is the name of the setting. `context` has the context keys that
/// the program declares.
pub(crate) fn warn_of_misspelled_fields(
    sampler: &Sampler,
    variable: &str,
    context: &[String],
    report: &SelfReport,
) {
    let keys = || {
        CONTEXT_KEYS
            .into_iter()
            .chain(context.iter().map(String::as_str))
    };
    for name in sampler.field_names() {
        if keys().any(|key| key == name) {
            continue;
        }
        let with_id = keys().find(|key| key.strip_suffix("_id") == Some(name));
        if let Some(key) = with_id.or_else(|| closest(name, keys())) {
            let why = format_args!(
                "a rule of {variable} uses the field `{name}`: did you mean the context key `{key}`?"
            );
            report.fault(Fault::Setup, &why);
        }
    }
}

/// Warns of each target that is a word for a limit, because `ratio=0.1` is probably meant for all
/// events. A target in `own_targets`, the crates and modules of the program, causes no warning.
pub(crate) fn warn_of_suspect_targets(
    sampler: &Sampler,
    variable: &str,
    own_targets: &[String],
    report: &SelfReport,
) {
    let is_own = |target: &&str| own_targets.iter().any(|own| own == target);
    for target in sampler.suspect_targets().filter(|target| !is_own(target)) {
        let why = format_args!(
            "a rule of {variable} applies only to events with the target `{target}`: for all \
             events, write a level before the `=`, such as `info`"
        );
        report.fault(Fault::Setup, &why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit test, because the warnings of a start go to stderr.
    #[test]
    fn fields_like_context_keys_are_reported() {
        let faults = |rules: &str| {
            let report = SelfReport::silent();
            let sampler = rules.parse().unwrap();
            warn_of_misspelled_fields(&sampler, "LOG_SAMPLE", &["order_id".to_owned()], &report);
            report.stats().faults
        };
        for key in ["tenant", "tenantid", "user", "order"] {
            assert_eq!(
                faults(&format!("info=5/s@{key}")),
                [(Fault::Setup, 1)],
                "{key}"
            );
        }
        for key in ["tenant_id", "order_id", "region"] {
            assert_eq!(faults(&format!("info=5/s@{key}")), [], "{key}");
        }
    }

    #[test]
    fn targets_like_limits_are_reported() {
        let faults = |rules: &str, own_targets: &[String]| {
            let report = SelfReport::silent();
            let sampler = rules.parse().unwrap();
            warn_of_suspect_targets(&sampler, "LOG_SAMPLE", own_targets, &report);
            report.stats().faults
        };
        for rules in ["ratio=0.1", "info=1,Limit=5/s", "rate::=0.1"] {
            assert_eq!(faults(rules, &[]), [(Fault::Setup, 1)], "{rules}");
        }
        for rules in ["info=0.1", "shop=0.1", "ratio::shop=0.1"] {
            assert_eq!(faults(rules, &[]), [], "{rules}");
        }
        assert_eq!(faults("ratio=0.1", &["ratio".to_owned()]), []);
    }
}
