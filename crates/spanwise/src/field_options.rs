//! The fields and the parts of lines: `LOG_FIELDS`.

use std::sync::Arc;

use spanwise_core::Redact;
use spanwise_json::{FieldList, Format};

use crate::{choices::Choices, settings::LOG_FIELDS, static_fields::StaticFields};

/// Chooses the list, checks it against the format and the static fields, and redacts its texts.
pub(crate) fn choose(
    format: &Format,
    static_fields: &StaticFields,
    context: &[String],
    policy: Option<&Arc<dyn Redact>>,
    choices: &mut Choices<'_>,
) -> FieldList {
    let Some(set) = choices.explicit_value(&LOG_FIELDS) else {
        return FieldList::default();
    };
    let shown = match set.origin.source_name() {
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
        &set.value,
        &shown,
        &list_context,
        !choices.has_unregistered(),
    );
    for problem in problems {
        choices.add_problem(problem);
    }
    choices.add_explanation(&LOG_FIELDS.def, &list, &set.origin);
    list
}

/// The settings that a list of fields is checked against.
pub(crate) struct ListContext<'a> {
    pub(crate) format: &'a Format,
    pub(crate) static_fields: &'a StaticFields,
    pub(crate) context: &'a [String],
    pub(crate) policy: Option<&'a Arc<dyn Redact>>,
}

/// Checks a list, and redacts its texts. `shown` is the name of the list in errors. If the format
/// is not known yet, the list is not checked against the format.
pub(crate) fn check(
    list: &FieldList,
    shown: &str,
    list_context: &ListContext<'_>,
    is_format_known: bool,
) -> (FieldList, Vec<String>) {
    let mut problems = Vec::new();
    let static_fields = list_context.static_fields;
    let added = StaticFields::from_list(list);
    let wrong: Vec<_> = added
        .problems_in_list(static_fields, list_context.context)
        .collect();
    // Added texts with a mistake are not checked against the format, so that one mistake causes one
    // error.
    let is_wrong = |key: &str| wrong.iter().any(|(name, _)| *name == key);
    let valid_list = list.map_added(|key, text| (!is_wrong(key)).then(|| text.to_owned()));
    // While the format is not known, `list_context` has a default. The actual format may allow
    // other words.
    if is_format_known && let Err(error) = valid_list.check(list_context.format) {
        for problem in error.problems() {
            problems.push(format!("{shown}: {problem}"));
        }
    }
    for (_, problem) in wrong {
        problems.push(format!("{shown}: {problem}"));
    }
    for (from, to) in list.renamed() {
        if static_fields.has(to) {
            problems.push(format!(
                "{shown}: `{from}>{to}`: `{to}` is a static field: choose another name"
            ));
        }
    }
    let redacted = added.redacted(list_context.policy);
    let list = list.map_added(|key, _| redacted.get(key).map(str::to_owned));
    (list, problems)
}
