//! Checks the fields that the rules of a sampler use.

use spanwise_core::{CONTEXT_KEYS, Fault, SelfReport, internal::suggest::closest};
use spanwise_sample::Sampler;

/// Warns of each field that is nearly a context key, because it is probably misspelled. `variable`
/// is the name of the setting. `context` has the declared keys.
pub(crate) fn warn_of_misspelled(
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
        if let Some(key) = closest(name, keys()) {
            let why = format_args!(
                "a rule of {variable} uses the field `{name}`: did you mean the context key `{key}`?"
            );
            report.fault(Fault::Setup, &why);
        }
    }
}
