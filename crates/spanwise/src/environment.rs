//! The environment as a source of settings, with warnings about variables that resemble settings.

use std::{ffi::OsString, fmt};

use spanwise_core::{Setting, internal::suggest::closest_name};

use crate::{
    choices::{Raw, Source},
    explain::Origin,
    settings::name_of,
    warning::Warning,
};

/// Environment variables. The names of settings begin with `prefix` instead of `LOG`.
pub(crate) struct Environment {
    prefix: String,
    vars: Vec<(String, OsString)>,
}

impl Environment {
    pub(crate) fn new(prefix: &str, vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // A name that is not UTF-8 is not a setting.
        let vars = vars
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self {
            prefix: prefix.to_owned(),
            vars: vars.collect(),
        }
    }

    /// Returns all variables, because texts in configuration files may refer to any of them.
    #[cfg(feature = "config")]
    pub(crate) fn vars(&self) -> &[(String, OsString)] {
        &self.vars
    }

    /// Returns a warning about names that have the prefix of settings, but resemble none.
    fn foreign_names_warning(names: &[&String]) -> Option<Warning> {
        let (about, warning) = match names {
            [] => return None,
            [only] => (format!("{only} is not a setting here"), ", and is ignored"),
            _ => {
                let shown: Vec<&str> = names
                    .iter()
                    .take(MAX_NAMES)
                    .map(|name| name.as_str())
                    .collect();
                let more = match names.len().saturating_sub(MAX_NAMES) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                (
                    format!("{}{more} are not settings here", shown.join(", ")),
                    ", and are ignored",
                )
            }
        };
        Some(Warning {
            about,
            warning,
            problem: UNSET_OR_PREFIX,
        })
    }
}

impl Source for Environment {
    fn raw(&self, def: &Setting) -> Option<Raw> {
        let name = name_of(def, &self.prefix);
        let (name, text) = self.vars.iter().find(|(other, _)| *other == name)?;
        Some(Raw {
            text: text.clone(),
            name: name.clone(),
            origin: Origin::Variable(name.clone()),
        })
    }

    /// Warns of names that resemble a setting, or have the prefix of settings. Shows no value,
    /// because it may be a secret.
    fn unknown(&self, known: &[Setting], is_used: &dyn Fn(&str) -> bool) -> Vec<Warning> {
        let known: Vec<String> = known.iter().map(|def| name_of(def, &self.prefix)).collect();
        let has_otel = cfg!(feature = "otel");
        let prefix = format!("{}_", self.prefix);
        // Settings with other names, such as `TERM`, are shared with other programs. A variable
        // that resembles one of them is probably not meant for this program.
        let has_own_prefix = |name: &&String| {
            name.starts_with(&prefix)
                || ["RUST_LOG", "SERVICE_", "SENTRY_"]
                    .iter()
                    .any(|begin| name.starts_with(begin))
                || (has_otel && name.starts_with("OTEL_"))
        };
        let own_names: Vec<&str> = known
            .iter()
            .filter(has_own_prefix)
            .map(String::as_str)
            .collect();
        let mut warnings = Vec::new();
        let mut foreign_names = Vec::new();
        for (name, value) in &self.vars {
            if value.is_empty() || known.contains(name) || is_used(name) {
                continue;
            }
            let has_prefix = name.starts_with(&prefix);
            if is_service_link(name) {
                foreign_names.extend(has_prefix.then_some(name));
            } else if let Some(meant) = closest_name(name, own_names.iter().copied()) {
                let warning = format!("{name} is not a setting: did you mean {meant}?");
                warnings.push(warning.into());
            } else if has_prefix {
                let without_prefix = &name[self.prefix.len()..];
                match GROUPS
                    .iter()
                    .find(|(start, _)| without_prefix.starts_with(start))
                {
                    Some((_, group)) => {
                        let group = format!("{}{group}", self.prefix);
                        let members = own_names.iter().filter(|known| known.starts_with(&group));
                        let members: Vec<&str> = members.copied().collect();
                        let verb = if members.len() == 1 { "is" } else { "are" };
                        let members = members.join(", ");
                        let warning = format!("{name} is not a setting: there {verb} {members}");
                        warnings.push(warning.into());
                    }
                    None => foreign_names.push(name),
                }
            }
        }
        warnings.extend(Self::foreign_names_warning(&foreign_names));
        warnings
    }
}

/// Shows no value, because it may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The advice about names that have the prefix of settings, but resemble none.
const UNSET_OR_PREFIX: &str = ": unset what is not needed, or give the settings a prefix of their \
                         own, with `init_from_env!(\"SHOP_LOG\")`";

/// The maximum number of variables that a warning names.
const MAX_NAMES: usize = 12;

/// Groups of settings. The first text of each pair is the beginning of a mistaken name, which is
/// probably meant for the group. The second is the beginning of the names in the group. Both follow
/// the prefix.
const GROUPS: [(&str, &str); 12] = [
    ("_FILE", "_FILE"),
    ("_ERROR_FILE", "_ERROR_FILE"),
    ("_REDACT", "_REDACT"),
    ("_SAMPL", "_SAMPLE"),
    ("_RECORD", "_RECORDER"),
    ("_FLIGHT", "_RECORDER"),
    ("_HTTP", "_HTTP"),
    ("_TIMEZONE", "_TIME"),
    ("_TIME_ZONE", "_TIME"),
    ("_TZ", "_TIME"),
    ("_STATIC", "_STATIC_FIELDS"),
    ("_LABEL", "_STATIC_FIELDS"),
];

/// Returns whether Kubernetes may have set this variable, whose name it derives from the name of a
/// service: `LOG_STORE_SERVICE_HOST` or `LOG_STORE_PORT_9200_TCP_ADDR` for `log-store`.
fn is_service_link(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.ends_with("_PORT")
    {
        return true;
    }
    let Some((_, port)) = name.rsplit_once("_PORT_") else {
        return false;
    };
    port.split('_').next().is_some_and(is_number)
}
