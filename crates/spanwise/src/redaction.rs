//! Which policy the stack has.

use std::{fmt, sync::Arc};

use spanwise_core::Redact;
#[cfg(feature = "pseudonyms")]
use spanwise_redact::PseudonymKey;
use spanwise_redact::{Policy, PolicyOverrides, RuleError};

use crate::Preset;

/// What the environment says about redaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct FromEnv {
    pub(crate) changes: Option<PolicyOverrides>,
    pub(crate) key: Option<Key>,
}

/// The key of pseudonyms, with where it is from.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) path: String,
    #[cfg(feature = "pseudonyms")]
    key: PseudonymKey,
}

/// What the code says about redaction.
pub(crate) enum InCode {
    Policy(Arc<dyn Redact>),
    /// The policy of the preset and the environment, changed.
    Changed(Change),
    Off,
}

pub(crate) type Change = Box<dyn Fn(Policy) -> Result<Policy, RuleError> + Send + Sync>;

/// The policy of the stack, and what it is in a word.
#[derive(Debug, Clone)]
pub(crate) struct Redaction {
    pub(crate) policy: Option<Arc<dyn Redact>>,
    name: String,
    /// What is wrong with the code's rules.
    pub(crate) problem: Option<String>,
}

impl Redaction {
    pub(crate) fn resolve(code: Option<&InCode>, env: &FromEnv, preset: Preset) -> Self {
        match code {
            Some(InCode::Policy(policy)) => Self {
                policy: Some(Arc::clone(policy)),
                name: "a policy of the program's".to_owned(),
                problem: None,
            },
            Some(InCode::Changed(change)) => Self::of_env(env, preset, Some(change)),
            Some(InCode::Off) => Self::off(),
            None => Self::of_env(env, preset, None),
        }
    }

    fn off() -> Self {
        Self {
            policy: None,
            name: "off".to_owned(),
            problem: None,
        }
    }

    fn of_env(FromEnv { changes, key }: &FromEnv, preset: Preset, change: Option<&Change>) -> Self {
        let (policy, mut name) = match (key, preset) {
            (Some(key), _) => (key.policy(), "secrets, pseudonyms for pii".to_owned()),
            (None, Preset::Dev | Preset::Cli) => (Policy::secrets(), "secrets".to_owned()),
            (None, Preset::Prod | Preset::Test) => {
                (Policy::secrets_and_pii(), "secrets and pii".to_owned())
            }
        };
        let mut policy = policy;
        if let Some(changes) = changes {
            let Some(changed) = changes.apply(policy) else {
                return Self::off();
            };
            policy = changed;
            name = changes.to_string().replacen("on", &name, 1);
        }
        let mut problem = None;
        if let Some(change) = change {
            match change(policy.clone()) {
                Ok(changed) => policy = changed,
                Err(error) => problem = Some(error.to_string()),
            }
            name += ", and rules of the program's";
        }
        Self {
            policy: Some(Arc::new(policy)),
            name,
            problem,
        }
    }
}

impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(feature = "pseudonyms")]
impl Key {
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let key = PseudonymKey::from_file(path).map_err(|error| error.to_string())?;
        Ok(Self {
            path: path.to_owned(),
            key,
        })
    }

    fn policy(&self) -> Policy {
        Policy::secrets_and_pseudonyms(self.key.clone())
    }
}

#[cfg(not(feature = "pseudonyms"))]
impl Key {
    pub(crate) fn read(_: &str) -> Result<Self, String> {
        Err("this program is built without pseudonyms: add the feature `pseudonyms` of `spanwise`, or leave the variable out".to_owned())
    }

    fn policy(&self) -> Policy {
        Policy::secrets_and_pii()
    }
}
