//! The name, version and environment of the service.

use serde_core::ser::{Serialize, SerializeMap as _, Serializer};

use crate::{
    choices::{Choices, Chosen},
    explain::Origin,
    own_crate::OwnCrate,
    program_name::ProgramName,
    settings::{APP_ENV, SERVICE_NAME, SERVICE_VERSION},
};

/// The service that each line of `json` names.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// `None` if it is not set, because a preset is not an environment.
    pub(crate) environment: Option<String>,
}

impl Service {
    pub(crate) fn choose(
        own: Option<OwnCrate>,
        choices: &mut Choices<'_>,
        program: &ProgramName,
    ) -> Self {
        let name = choices.choose_or(&SERVICE_NAME, || match own.and_then(|own| own.name()) {
            Some(name) => Chosen::new(name.to_owned(), Origin::Crate),
            None => Chosen::new(program.name().to_owned(), Origin::Program),
        });
        let version = choices.set(&SERVICE_VERSION);
        let (version, origin) = match version {
            Some(version) => (Some(version.value), version.origin),
            None => match own.and_then(|own| own.version()) {
                Some(version) => (Some(version.to_owned()), Origin::Crate),
                None => (None, Origin::Unset),
            },
        };
        let shown = version.as_deref().unwrap_or("none");
        choices.explain(&SERVICE_VERSION.def, shown, &origin);
        Self {
            name,
            version,
            environment: choices.value(&APP_ENV),
        }
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut service = serializer.serialize_map(None)?;
        service.serialize_entry("name", &self.name)?;
        if let Some(version) = &self.version {
            service.serialize_entry("version", version)?;
        }
        if let Some(environment) = &self.environment {
            service.serialize_entry("environment", environment)?;
        }
        service.end()
    }
}
