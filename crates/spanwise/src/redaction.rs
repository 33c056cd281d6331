//! Chooses the policy that redacts every output.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use spanwise_core::{ParseError, Redact};
use spanwise_redact::{Policy, PolicyOverrides};

use crate::{
    Preset,
    choices::{Choices, Chosen},
    explain::Origin,
    pseudonym_key::PseudonymKeyFile,
    settings::{LOG_REDACT, LOG_REDACT_KEY_FILE},
};

/// The redaction settings from code.
pub(crate) enum RedactionOverride {
    Policy(Arc<dyn Redact>),
    /// A change of the policy of the preset and the environment.
    Changed(PolicyChange),
    Off,
}

pub(crate) type PolicyChange = Box<dyn Fn(Policy) -> Result<Policy, ParseError> + Send + Sync>;

/// The policy of the stack, and its name.
#[derive(Debug, Clone)]
pub(crate) struct Redaction {
    pub(crate) policy: Option<Arc<dyn Redact>>,
    /// The built-in policy with its changes. `None` if the program sets its own policy.
    rules: Option<Policy>,
    name: String,
}

impl Redaction {
    /// Chooses the policy. `key` stores the pseudonym key after it was read.
    pub(crate) fn choose(
        code: Option<&RedactionOverride>,
        key: &OnceLock<PseudonymKeyFile>,
        choices: &mut Choices<'_>,
    ) -> Self {
        let rules = choices.explicit_value(&LOG_REDACT);
        let key = choose_key(key, choices, rules.as_ref());
        let preset = choices.preset;
        let (redaction, is_by_code) = match code {
            Some(RedactionOverride::Policy(policy)) => {
                let name = "a custom policy";
                (Self::new(Some(Arc::clone(policy)), name), true)
            }
            Some(RedactionOverride::Off) => (Self::off(), true),
            Some(RedactionOverride::Changed(change)) => {
                let (redaction, problem) =
                    Self::from_rules(rules.as_ref(), key.as_ref(), preset, Some(change));
                problem
                    .into_iter()
                    .for_each(|problem| choices.add_problem(problem));
                (redaction, true)
            }
            None => {
                let (redaction, _) = Self::from_rules(rules.as_ref(), key.as_ref(), preset, None);
                (redaction, false)
            }
        };
        let origin = match (is_by_code, &rules) {
            (true, _) => Origin::Code,
            (false, Some(rules)) => rules.origin.clone(),
            (false, None) => Origin::Preset(preset.name()),
        };
        choices.add_explanation(&LOG_REDACT.def, &redaction, &origin);
        let reads_key = matches!(code, None | Some(RedactionOverride::Changed(_)));
        if let Some(key) = key.filter(|_| reads_key) {
            let origin = choices.sourced_origin(&LOG_REDACT_KEY_FILE.def);
            let name = || Origin::Variable(choices.name_of(&LOG_REDACT_KEY_FILE.def));
            let origin = origin.unwrap_or_else(name);
            choices.add_explanation(&LOG_REDACT_KEY_FILE.def, &key.path, &origin);
        }
        redaction
    }

    fn new(policy: Option<Arc<dyn Redact>>, name: impl Into<String>) -> Self {
        Self {
            policy,
            rules: None,
            name: name.into(),
        }
    }

    /// Returns whether there is a policy that settings can change.
    #[cfg(feature = "config")]
    pub(crate) fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Returns the policy with changes, for one sink. A policy that the program sets stays
    /// unchanged.
    pub(crate) fn changed(&self, changes: &PolicyOverrides) -> Option<Arc<dyn Redact>> {
        let Some(rules) = &self.rules else {
            return self.policy.clone();
        };
        let changed = changes.apply(rules.clone())?;
        Some(Arc::new(changed))
    }

    fn off() -> Self {
        Self::new(None, "off")
    }

    /// Returns the policy, and the problem of the change if it fails.
    fn from_rules(
        rules: Option<&Chosen<PolicyOverrides>>,
        key: Option<&PseudonymKeyFile>,
        preset: Preset,
        change: Option<&PolicyChange>,
    ) -> (Self, Option<String>) {
        let (mut policy, mut name) = match (key, preset) {
            (Some(key), _) => (key.policy(), "secrets, pseudonyms for pii".to_owned()),
            (None, Preset::Dev | Preset::Cli) => (Policy::secrets(), "secrets".to_owned()),
            (None, Preset::Prod | Preset::Test) => {
                (Policy::secrets_and_pii(), "secrets and pii".to_owned())
            }
        };
        if let Some(rules) = rules {
            let Some(changed) = rules.value.apply(policy) else {
                return (Self::off(), None);
            };
            policy = changed;
            name = rules.value.to_string().replacen("on", &name, 1);
        }
        let mut problem = None;
        if let Some(change) = change {
            match change(policy.clone()) {
                Ok(changed) => policy = changed,
                Err(error) => problem = Some(error.to_string()),
            }
            name += ", with changes in code";
        }
        let redaction = Self {
            rules: Some(policy.clone()),
            ..Self::new(Some(Arc::new(policy)), name)
        };
        (redaction, problem)
    }
}

/// Reads the key file only once, because it may be a pipe.
fn choose_key(
    read: &OnceLock<PseudonymKeyFile>,
    choices: &mut Choices<'_>,
    rules: Option<&Chosen<PolicyOverrides>>,
) -> Option<PseudonymKeyFile> {
    let is_off =
        rules.is_some_and(|rules| rules.origin.source_name().is_some() && rules.value.is_off());
    if is_off && PSEUDONYMS_ARE_BUILT && choices.is_set(&LOG_REDACT_KEY_FILE) {
        let redact = choices.shown_name(&LOG_REDACT.def);
        let key_file = choices.shown_name(&LOG_REDACT_KEY_FILE.def);
        choices.add_invalid_value(format!(
            "{redact}=off and {key_file} contradict each other: remove one of them"
        ));
    }
    if read.get().is_none()
        && let Some(key) = choices.sourced(&LOG_REDACT_KEY_FILE)
    {
        let _ = read.set(key.value);
    }
    read.get().cloned()
}

const PSEUDONYMS_ARE_BUILT: bool = cfg!(feature = "pseudonyms");

impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
