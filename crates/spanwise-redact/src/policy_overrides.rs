//! The grammar of `LOG_REDACT`, the setting that adds keys to a policy and removes keys from it.

use std::{fmt, str::FromStr};

use spanwise_core::ParseError;

use crate::{Policy, key_pattern::Pattern};

/// The parsed value of `LOG_REDACT`: `on`, `off`, or keys to hide and to show:
/// `+employee_no,-session,+items[*].card`.
///
/// ```
/// use spanwise_redact::{PolicyOverrides, Policy};
/// use spanwise_core::{KeyVerdict, Redact};
///
/// let overrides: PolicyOverrides = "+employee_no,-session".parse()?;
/// let policy = overrides.apply(Policy::secrets()).unwrap();
/// assert_eq!(policy.key("employee_no"), KeyVerdict::Redact);
/// assert_eq!(policy.key("session"), KeyVerdict::Pass);
///
/// assert_eq!(overrides.to_string(), "on,+employeeno,-session");
///
/// assert!("off".parse::<PolicyOverrides>()?.apply(Policy::secrets()).is_none());
/// assert_eq!(
///     "employee_no".parse::<PolicyOverrides>().unwrap_err().to_string(),
///     "`employee_no` is neither `on` nor `off`: write `+employee_no` to hide that key, `-employee_no` to show it",
/// );
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
///
/// The name of a built-in rule applies to all keys that the rule hides. Any other name is one key:
///
/// ```
/// # use spanwise_redact::{PolicyOverrides, Policy};
/// # use spanwise_core::{ParseError, KeyVerdict, Redact};
/// let overrides: PolicyOverrides = "-session,-user_token".parse()?;
/// let policy = overrides.apply(Policy::secrets()).unwrap();
/// assert_eq!(policy.key("tmux_session"), KeyVerdict::Pass);
/// assert_eq!(policy.key("session_id"), KeyVerdict::Redact);
/// assert_eq!(policy.key("user_token"), KeyVerdict::Pass);
/// assert_eq!(policy.key("my_token"), KeyVerdict::Redact);
/// # Ok::<(), ParseError>(())
/// ```
///
/// The name of a [`Detector`](crate::Detector) applies to the detector and to the key of that name.
/// `pii` applies to all keys and detectors of PII:
///
/// ```
/// # use spanwise_redact::{PolicyOverrides, Policy};
/// # use spanwise_core::{ParseError, Redact};
/// let shown = |overrides: &str, policy: Policy| -> Result<String, ParseError> {
///     let policy = overrides.parse::<PolicyOverrides>()?.apply(policy).unwrap();
///     Ok(policy.text("ada@example.org from 203.0.113.7 with 4111111111111111, zip=10115").into_owned())
/// };
///
/// assert_eq!(
///     shown("+email,-card", Policy::secrets())?,
///     "[REDACTED] from 203.0.113.7 with 4111111111111111, zip=10115",
/// );
/// assert_eq!(
///     shown("+pii,-ipv4", Policy::secrets())?,
///     "[REDACTED] from 203.0.113.7 with [REDACTED], zip=[REDACTED]",
/// );
/// assert_eq!(
///     shown("-pii,+zip", Policy::secrets_and_pii())?,
///     "ada@example.org from 203.0.113.7 with [REDACTED], zip=[REDACTED]",
/// );
/// # Ok::<(), ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOverrides {
    on: bool,
    /// `Some(true)` for `+pii`, and `Some(false)` for `-pii`.
    pii: Option<bool>,
    hide: Vec<Pattern>,
    show: Vec<Pattern>,
}

impl PolicyOverrides {
    /// Returns whether the value is `off`.
    #[must_use]
    pub fn is_off(&self) -> bool {
        !self.on
    }

    /// Returns `policy` with the overrides applied, or `None` if redaction is off.
    #[must_use]
    pub fn apply(&self, policy: Policy) -> Option<Policy> {
        if !self.on {
            return None;
        }
        let mut policy = match self.pii {
            Some(true) => policy.with_pii(None),
            Some(false) => policy.without_pii(&self.hide),
            None => policy,
        };
        for pattern in &self.show {
            policy = policy.show_pattern(pattern.clone());
            if let Some(detector) = pattern.detector() {
                policy = policy.without_detector(detector);
            }
        }
        for pattern in &self.hide {
            policy = policy.hide_pattern(pattern.clone());
            if let Some(detector) = pattern.detector() {
                policy = policy.enable_detector(detector);
            }
        }
        Some(policy)
    }

    /// Adds the key of `word`, such as `+key` or `-key`. `hides` is true for `+`. `text` is the
    /// whole value of `LOG_REDACT`.
    fn add_word(&mut self, word: &str, hides: bool, text: &str) -> Result<(), ParseError> {
        let key = word[1..].trim();
        let gap = key.find(|c: char| c == ';' || c.is_whitespace());
        if let Some(gap) = gap {
            let separator = if key[gap..].starts_with(';') {
                "a `;`"
            } else {
                "a space"
            };
            return Err(ParseError::new(format!(
                "`{word}` contains {separator}: separate keys with commas, as in `+employee_no,-session`"
            )));
        }
        if !hides && matches!(key, "*" | "**") {
            return Err(ParseError::new(format!(
                "`{word}` would show everything: write `off` for that"
            )));
        }
        let pattern: Pattern = key.parse()?;
        let (list, opposite_list) = if hides {
            (&mut self.hide, &self.show)
        } else {
            (&mut self.show, &self.hide)
        };
        let is_pii = pattern == Pattern::Exact(PII.to_owned());
        if opposite_list.contains(&pattern) || is_pii && self.pii == Some(!hides) {
            return Err(ParseError::new(format!(
                "`{text}` hides and shows `{key}`: write only one of them"
            )));
        }
        if is_pii {
            self.pii = Some(hides);
        } else {
            list.push(pattern);
        }
        Ok(())
    }
}

/// The word that selects all rules and detectors about PII.
const PII: &str = "pii";

/// Writes the syntax of `LOG_REDACT`.
impl fmt::Display for PolicyOverrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.on { "on" } else { "off" })?;
        match self.pii {
            Some(true) => write!(f, ",+{PII}")?,
            Some(false) => write!(f, ",-{PII}")?,
            None => {}
        }
        self.hide.iter().try_for_each(|key| write!(f, ",+{key}"))?;
        self.show.iter().try_for_each(|key| write!(f, ",-{key}"))
    }
}

impl FromStr for PolicyOverrides {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut overrides = Self {
            on: true,
            pii: None,
            hide: Vec::new(),
            show: Vec::new(),
        };
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        for word in &words {
            let lower = word.to_ascii_lowercase();
            let error = match (word.split_at_checked(1), &*lower) {
                (_, "on") => continue,
                (_, "off") if words.len() == 1 => {
                    overrides.on = false;
                    continue;
                }
                (_, "off") => {
                    format!(
                        "`{text}` combines `off` with other words: write `off` alone, or remove it"
                    )
                }
                (Some((sign @ ("+" | "-"), _)), _) => {
                    overrides.add_word(word, sign == "+", text)?;
                    continue;
                }
                (_, "") => {
                    format!(
                        "`{text}` has an empty part: it is `on`, `off`, or keys such as `+employee_no,-session`"
                    )
                }
                (_, "false" | "no" | "none" | "0") => {
                    format!("`{word}` is neither `on` nor `off`: did you mean `off`?")
                }
                (_, "true" | "yes" | "1") => {
                    format!("`{word}` is neither `on` nor `off`: did you mean `on`?")
                }
                _ => {
                    format!(
                        "`{word}` is neither `on` nor `off`: write `+{word}` to hide that key, `-{word}` to show it"
                    )
                }
            };
            return Err(ParseError::new(error));
        }
        Ok(overrides)
    }
}
