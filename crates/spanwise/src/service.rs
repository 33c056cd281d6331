//! The name, version and environment of the service.

use crate::{
    choices::Choices,
    explain::Origin,
    own_crate::OwnCrate,
    program_name::ProgramName,
    settings::{APP_ENV, SERVICE_NAME, SERVICE_VERSION},
};

/// The service as each line names it.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// `None` if it is not set: a preset is not an environment.
    pub(crate) environment: Option<String>,
}

impl Service {
    pub(crate) fn choose(
        own: Option<OwnCrate>,
        choices: &mut Choices<'_>,
        program: &ProgramName,
    ) -> Self {
        let name = choices.choose_or(&SERVICE_NAME, || match own.and_then(|own| own.name()) {
            Some(name) => (name.to_owned(), Origin::Crate),
            None => (program.name().to_owned(), Origin::Program),
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
        choices.explain(&SERVICE_VERSION.def, shown, origin);
        let environment = choices.choose(&APP_ENV);
        Self {
            name,
            version,
            environment: environment.map(|environment| environment.value),
        }
    }
}
