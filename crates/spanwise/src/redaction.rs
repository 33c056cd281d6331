//! Chooses the policy that redacts every output.
//!
//! Each preset has a policy, which `LOG_REDACT`, `LOG_REDACT_KEY_FILE` and code can change. Code
//! can also replace it.

use std::{fmt, sync::Arc};

use spanwise_core::{ParseError, Redact};
use spanwise_redact::{Policy, PolicyOverrides};

use crate::{
    Preset,
    choices::{Choices, Chosen},
    explain::Origin,
    pseudonym_key::{PseudonymKeyFile, PseudonymKeys},
    settings::{LOG_REDACT, LOG_REDACT_KEY_FILE},
};

/// The redaction that code sets.
pub(crate) enum RedactionOverride {
    /// This policy, in place of that of the preset and the settings.
    Policy(Arc<dyn Redact>),
    /// The policy of the preset and the settings, with this change.
    Changed(PolicyChange),
    /// No redaction.
    Off,
}

pub(crate) type PolicyChange = Box<dyn Fn(Policy) -> Result<Policy, ParseError> + Send + Sync>;

/// The policy of the stack, and its name in `explain()`.
#[derive(Debug, Clone)]
pub(crate) struct Redaction {
    pub(crate) policy: Option<Arc<dyn Redact>>,
    /// The policy of the preset with its changes, to which a sink may add changes. `None` if code
    /// replaces the policy, or if redaction is off.
    changeable: Option<Policy>,
    name: String,
}

impl Redaction {
    /// Chooses the policy. `known_keys` caches the pseudonym keys.
    pub(crate) fn choose(
        code: Option<&RedactionOverride>,
        known_keys: &PseudonymKeys,
        choices: &mut Choices<'_>,
    ) -> Self {
        let overrides = choices.explicit_value(&LOG_REDACT);
        let key = choose_key(known_keys, choices, overrides.as_ref());
        let preset = choices.preset;
        let (redaction, is_from_code) = match code {
            Some(RedactionOverride::Policy(policy)) => {
                let name = "a custom policy";
                (Self::new(Some(Arc::clone(policy)), name), true)
            }
            Some(RedactionOverride::Off) => (Self::off(), true),
            Some(RedactionOverride::Changed(change)) => {
                let (redaction, problem) =
                    Self::from_overrides(overrides.as_ref(), key.as_ref(), preset, Some(change));
                problem
                    .into_iter()
                    .for_each(|problem| choices.add_problem(problem));
                (redaction, true)
            }
            None => {
                let (redaction, _) =
                    Self::from_overrides(overrides.as_ref(), key.as_ref(), preset, None);
                (redaction, false)
            }
        };
        let origin = match (is_from_code, &overrides) {
            (true, _) => Origin::Code,
            (false, Some(overrides)) => overrides.origin.clone(),
            (false, None) => Origin::Preset(preset.name()),
        };
        choices.add_explanation(&LOG_REDACT.def, &redaction, &origin);
        let uses_key = matches!(code, None | Some(RedactionOverride::Changed(_)));
        if let Some(key) = key.filter(|_| uses_key) {
            let origin = choices.sourced_origin(&LOG_REDACT_KEY_FILE.def);
            let variable = || Origin::Variable(choices.name_of(&LOG_REDACT_KEY_FILE.def));
            let origin = origin.unwrap_or_else(variable);
            choices.add_explanation(&LOG_REDACT_KEY_FILE.def, &key.path, &origin);
        }
        redaction
    }

    fn new(policy: Option<Arc<dyn Redact>>, name: impl Into<String>) -> Self {
        Self {
            policy,
            changeable: None,
            name: name.into(),
        }
    }

    /// Returns whether settings of a sink can change the policy.
    #[cfg(feature = "config")]
    pub(crate) fn is_changeable(&self) -> bool {
        self.changeable.is_some()
    }

    /// Returns the policy of one sink, with the changes of this sink. A policy that code sets stays
    /// unchanged, and redaction that is off stays off.
    pub(crate) fn changed(&self, changes: &PolicyOverrides) -> Option<Arc<dyn Redact>> {
        let Some(policy) = &self.changeable else {
            return self.policy.clone();
        };
        let changed = changes.apply(policy.clone())?;
        Some(Arc::new(changed))
    }

    fn off() -> Self {
        Self::new(None, "off")
    }

    /// Returns the policy of the preset, or of the key if there is one, changed by `LOG_REDACT` and
    /// then by code. Also returns the error of the change in code, if it fails.
    fn from_overrides(
        overrides: Option<&Chosen<PolicyOverrides>>,
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
        if let Some(overrides) = overrides {
            let Some(changed) = overrides.value.apply(policy) else {
                return (Self::off(), None);
            };
            policy = changed;
            // The text of the overrides begins with `on`. The policy's name replaces this word.
            name = overrides.value.to_string().replacen("on", &name, 1);
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
            changeable: Some(policy.clone()),
            ..Self::new(Some(Arc::new(policy)), name)
        };
        (redaction, problem)
    }
}

/// Returns the pseudonym key. Reads its file, unless `known_keys` has the key of this file.
fn choose_key(
    known_keys: &PseudonymKeys,
    choices: &mut Choices<'_>,
    overrides: Option<&Chosen<PolicyOverrides>>,
) -> Option<PseudonymKeyFile> {
    let is_redaction_off = overrides.is_some_and(|overrides| {
        overrides.origin.source_name().is_some() && overrides.value.is_off()
    });
    if is_redaction_off && PSEUDONYMS_ARE_BUILT && choices.is_set(&LOG_REDACT_KEY_FILE) {
        let redact = choices.shown_name(&LOG_REDACT.def);
        let key_file = choices.shown_name(&LOG_REDACT_KEY_FILE.def);
        choices.add_invalid_value(format!(
            "{redact}=off and {key_file} contradict each other: remove one of them"
        ));
    }
    // Settings are chosen several times, and the profile of another preset may name another file.
    let path = choices.unchecked_text(&LOG_REDACT_KEY_FILE.def)?;
    known_keys.get(&path).or_else(|| {
        let key = choices.sourced(&LOG_REDACT_KEY_FILE)?.value;
        known_keys.add(key.clone());
        Some(key)
    })
}

const PSEUDONYMS_ARE_BUILT: bool = cfg!(feature = "pseudonyms");

impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
