//! The value of `LOG_REDACT`.

use std::{fmt, str::FromStr};

use crate::{Policy, RuleError, keys::Pattern};

/// What `LOG_REDACT` says: `on`, `off`, or keys to hide and to show: `+employee_no,-session,+items[*].card`.
///
/// ```
/// use spanwise_redact::{Changes, Policy};
/// use spanwise_core::{KeyVerdict, Redact};
///
/// let changes: Changes = "+employee_no,-session".parse()?;
/// let policy = changes.apply(Policy::secrets()).unwrap();
/// assert_eq!(policy.key("employee_no"), KeyVerdict::Redact);
/// assert_eq!(policy.key("session"), KeyVerdict::Pass);
///
/// assert_eq!(changes.to_string(), "on,+employeeno,-session");
///
/// assert!("off".parse::<Changes>()?.apply(Policy::secrets()).is_none());
/// assert_eq!(
///     "employee_no".parse::<Changes>().unwrap_err().to_string(),
///     "`employee_no` is neither `on` nor `off`: write `+employee_no` to hide that key, `-employee_no` to show it",
/// );
/// # Ok::<(), spanwise_redact::RuleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    on: bool,
    hide: Vec<Pattern>,
    show: Vec<Pattern>,
}

impl Changes {
    /// Whether they say `off`.
    #[must_use]
    pub fn is_off(&self) -> bool {
        !self.on
    }

    /// `policy` with the changes; nothing if redaction is off.
    #[must_use]
    pub fn apply(&self, policy: Policy) -> Option<Policy> {
        if !self.on {
            return None;
        }
        let shown = self.show.iter().fold(policy, |policy, pattern| {
            policy.show_pattern(pattern.clone())
        });
        Some(self.hide.iter().fold(shown, |policy, pattern| {
            policy.hide_pattern(pattern.clone())
        }))
    }
}

/// As `LOG_REDACT` writes them.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.on { "on" } else { "off" })?;
        self.hide.iter().try_for_each(|key| write!(f, ",+{key}"))?;
        self.show.iter().try_for_each(|key| write!(f, ",-{key}"))
    }
}

impl FromStr for Changes {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut changes = Self {
            on: true,
            hide: Vec::new(),
            show: Vec::new(),
        };
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        for word in &words {
            match (word.split_at_checked(1), word.to_ascii_lowercase().as_str()) {
                (_, "on") => {}
                (_, "off") if words.len() == 1 => changes.on = false,
                (_, "off") => {
                    return Err(RuleError::new(format!(
                        "`{text}` says `off` and more: write only `off`, or leave it out"
                    )));
                }
                (Some(("+", key)), _) => changes.hide.push(key.parse()?),
                (Some(("-", key)), _) => changes.show.push(key.parse()?),
                (None, _) => {
                    return Err(RuleError::new(format!(
                        "`{text}` has an empty part: it is `on`, `off`, or keys such as `+employee_no,-session`"
                    )));
                }
                _ => {
                    return Err(RuleError::new(format!(
                        "`{word}` is neither `on` nor `off`: write `+{word}` to hide that key, `-{word}` to show it"
                    )));
                }
            }
        }
        if let Some(both) = changes.hide.iter().find(|key| changes.show.contains(key)) {
            let name = words.iter().find(|word| {
                word.strip_prefix('+')
                    .is_some_and(|key| key.parse().as_ref() == Ok(both))
            });
            return Err(RuleError::new(format!(
                "`{text}` hides and shows `{}`: write only one of both",
                name.map_or("a key", |word| &word[1..])
            )));
        }
        Ok(changes)
    }
}
