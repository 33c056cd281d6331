//! The name, version, environment and node of the service, for JSON lines and exporters.

use crate::{
    choices::{Choices, Chosen},
    explain::Origin,
    own_crate::OwnCrate,
    program_name::ProgramName,
    settings::{APP_ENV, SERVICE_NAME, SERVICE_NODE, SERVICE_VERSION},
};

/// The service that logs.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// The deployment environment, such as `production`. Has no default from the preset, because a
    /// preset is not an environment.
    pub(crate) environment: Option<String>,
    /// The name of this instance of the service.
    pub(crate) node: Option<String>,
}

impl Service {
    /// Chooses the values. A name or version that is not set is that of the application's crate. If
    /// the crate is not known, the name is that of the executable.
    pub(crate) fn choose(
        own_crate: Option<OwnCrate>,
        choices: &mut Choices<'_>,
        program: &ProgramName,
    ) -> Self {
        let package = own_crate.and_then(|own_crate| own_crate.name());
        let name = choices.choose_or(&SERVICE_NAME, || match package {
            Some(name) => Chosen::new(name.to_owned(), Origin::Crate),
            None => Chosen::new(program.name().to_owned(), Origin::Program),
        });
        let version = choices.explicit_value(&SERVICE_VERSION);
        let (version, origin) = match version {
            Some(version) => (Some(version.value), version.origin),
            None => match own_crate.and_then(|own_crate| own_crate.version()) {
                Some(version) => (Some(version.to_owned()), Origin::Crate),
                None => (None, Origin::Unset),
            },
        };
        let shown = version.as_deref().unwrap_or("none");
        choices.add_explanation(&SERVICE_VERSION.def, shown, &origin);
        Self {
            name,
            version,
            node: choices.value(&SERVICE_NODE),
            environment: choices.value(&APP_ENV),
        }
    }
}
