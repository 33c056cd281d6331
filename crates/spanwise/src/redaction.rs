//! Which policy the stack has.

use std::{fmt, sync::Arc};

use spanwise_core::Redact;
#[cfg(feature = "pseudonyms")]
use spanwise_redact::PseudonymKey;
use spanwise_redact::{Changes, Policy};

use crate::Preset;

/// What the environment says about redaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct FromEnv {
    pub(crate) changes: Option<Changes>,
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
#[derive(Debug, Clone)]
pub(crate) enum InCode {
    Policy(Arc<dyn Redact>),
    Off,
}

/// The policy of the stack, and what it is in a word.
#[derive(Debug, Clone)]
pub(crate) struct Redaction {
    pub(crate) policy: Option<Arc<dyn Redact>>,
    name: String,
}

impl Redaction {
    pub(crate) fn resolve(code: Option<&InCode>, env: &FromEnv, preset: Preset) -> Self {
        match code {
            Some(InCode::Policy(policy)) => Self {
                policy: Some(Arc::clone(policy)),
                name: "a policy of the program's".to_owned(),
            },
            Some(InCode::Off) => Self {
                policy: None,
                name: "off".to_owned(),
            },
            None => Self::of_env(env, preset),
        }
    }

    fn of_env(FromEnv { changes, key }: &FromEnv, preset: Preset) -> Self {
        let (policy, name) = match (key, preset) {
            (Some(key), _) => (key.policy(), "secrets, pseudonyms for pii"),
            (None, Preset::Dev) => (Policy::secrets(), "secrets"),
            (None, Preset::Prod | Preset::Test) => (Policy::secrets_and_pii(), "secrets and pii"),
        };
        let Some(changes) = changes else {
            return Self {
                policy: Some(Arc::new(policy)),
                name: name.to_owned(),
            };
        };
        let policy = changes.apply(policy);
        let name = match policy {
            Some(_) => changes.to_string().replacen("on", name, 1),
            None => "off".to_owned(),
        };
        Self {
            policy: policy.map(|policy| Arc::new(policy) as Arc<dyn Redact>),
            name,
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
