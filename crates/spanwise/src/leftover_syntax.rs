//! Text of a shell or of a file format that was left in a value by mistake.

use crate::settings::SETTINGS;

/// Returns the mistake if the value of the setting `name` contains text that a shell or a file
/// format should have removed: quotes, control characters, or `LOG_FORMAT=` in front of the value.
pub(crate) fn leftover_syntax(name: &str, value: &str) -> Option<&'static str> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '„');
    // A template such as `text:{level} msg="{message}"` may end in a quote of its own.
    let template = value.get(..TEMPLATE_PREFIX.len());
    let is_template = template.is_some_and(|start| start.eq_ignore_ascii_case(TEMPLATE_PREFIX));
    if value.starts_with(is_quote) || value.ends_with(is_quote) && !is_template {
        return Some(
            "the quotes are part of the value, as `docker --env-file` passes them; write it \
             without quotes",
        );
    }
    if value.contains(char::is_control) {
        return Some("the value has a line break or another control character; write one without");
    }
    let is_assignment_of = |name: &str| {
        let after_name = value.strip_prefix(name);
        after_name.is_some_and(|after_name| after_name.starts_with('='))
    };
    // The variable in front of the value may be another setting than `name`.
    let is_assignment = is_assignment_of(name)
        || SETTINGS
            .iter()
            .any(|setting| is_assignment_of(setting.name))
        || value.starts_with("export ");
    is_assignment.then_some(
        "the value begins with the name of a variable; write what comes after the `=` alone",
    )
}

/// The beginning of a template in `LOG_FORMAT`.
const TEMPLATE_PREFIX: &str = "text:";
