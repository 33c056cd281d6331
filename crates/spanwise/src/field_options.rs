//! The choice of the fields and parts that lines show: `LOG_FIELDS`.

use std::sync::Arc;

use spanwise_core::Redact;
use spanwise_json::{FieldList, Format};

use crate::{choices::Choices, settings::LOG_FIELDS, static_fields::StaticFields};

/// Chooses the list of fields, and checks it against the format, the static fields and the context
/// keys. Redacts the texts that the list adds to lines.
pub(crate) fn choose(
    format: &Format,
    static_fields: &StaticFields,
    context: &[String],
    policy: Option<&Arc<dyn Redact>>,
    choices: &mut Choices<'_>,
) -> FieldList {
    let Some(explicit) = choices.explicit_value(&LOG_FIELDS) else {
        return FieldList::default();
    };
    let list_name = match explicit.origin.source_name() {
        Some(name) => name.to_owned(),
        None => "Builder::fields".to_owned(),
    };
    let list_context = ListContext {
        format,
        static_fields,
        context,
        policy,
    };
    let (list, problems) = check(
        &explicit.value,
        &list_name,
        &list_context,
        !choices.has_unregistered(),
    );
    for problem in problems {
        choices.add_problem(problem);
    }
    choices.add_explanation(&LOG_FIELDS.def, &list, &explicit.origin);
    list
}

/// The settings that a list of fields is checked against.
pub(crate) struct ListContext<'a> {
    pub(crate) format: &'a Format,
    pub(crate) static_fields: &'a StaticFields,
    /// The context keys besides the built-in keys.
    pub(crate) context: &'a [String],
    pub(crate) policy: Option<&'a Arc<dyn Redact>>,
}

/// Checks a list of fields. Returns the list with its texts redacted, and the problems. `list_name`
/// is the name of the list in problems. If the format is not known yet, the list is not checked
/// against the format.
pub(crate) fn check(
    list: &FieldList,
    list_name: &str,
    list_context: &ListContext<'_>,
    is_format_known: bool,
) -> (FieldList, Vec<String>) {
    let mut problems = Vec::new();
    let static_fields = list_context.static_fields;
    let added = StaticFields::from_list(list);
    let invalid_fields: Vec<_> = added
        .problems_in_list(static_fields, list_context.context)
        .collect();
    // Added fields with a mistake are not checked against the format, so that one mistake causes
    // one error.
    let is_invalid = |key: &str| invalid_fields.iter().any(|(name, _)| *name == key);
    let valid_list = list.map_added(|key, text| (!is_invalid(key)).then(|| text.to_owned()));
    // While the format is not known, `list_context` has a default format. The actual format may
    // allow other words in the list.
    if is_format_known && let Err(error) = valid_list.check(list_context.format) {
        for problem in error.problems() {
            problems.push(format!("{list_name}: {problem}"));
        }
    }
    for (_, problem) in invalid_fields {
        problems.push(format!("{list_name}: {problem}"));
    }
    for (from, to) in list.renamed() {
        if static_fields.has(to) {
            problems.push(format!(
                "{list_name}: `{from}>{to}`: `{to}` is a static field: choose another name"
            ));
        }
    }
    let redacted = added.redacted(list_context.policy);
    let list = list.map_added(|key, _| redacted.get(key).map(str::to_owned));
    (list, problems)
}
