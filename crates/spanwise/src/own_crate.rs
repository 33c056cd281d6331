//! The application's crate, which provides the defaults of the service name, the service version
//! and the own targets: those of the application's crates and modules.
//!
//! A function of `spanwise` can only find the name of the executable. But a macro is expanded in
//! the application's crate, where it can read the name and version of the package.

use crate::{
    choices::{Choices, Chosen},
    explain::Origin,
    program_name::ProgramName,
    settings::LOG_OWN,
};

/// The crate in which a macro is expanded. If the crate is built without cargo, only its module
/// path is known.
#[derive(Debug, Clone, Copy)]
pub struct OwnCrate {
    /// The name of the package of the crate.
    pub package: Option<&'static str>,
    /// The version of the package of the crate.
    pub version: Option<&'static str>,
    /// The path of the module that contains the macro. It begins with the name of the crate.
    pub module: &'static str,
}

/// Starts logging with the settings of the environment, and names the service after your crate.
///
/// Like the function [`init_from_env`](fn@crate::init_from_env), but also uses the crate that
/// contains the macro:
///
/// * The service has the name and the version of the package, on each line of `json`. All programs
///   of a package have the same service name. To change it, use
///   [`Builder::service`](crate::Builder::service) or the variable `SERVICE_NAME`.
/// * The preset dev logs DEBUG for the crate and its package, even if the executable has another
///   name.
///
/// ```
/// # fn main() -> Result<(), spanwise::InitError> {
/// let _telemetry = spanwise::init_from_env!()?;
/// tracing::info!(order.id = 42, "order created");
/// # Ok(())
/// # }
/// ```
///
/// `init_from_env!("SHOPCTL_LOG")` reads the variables with its own prefix, such as
/// `SHOPCTL_LOG_FORMAT`: see
/// [`Builder::from_env_with_prefix`](crate::Builder::from_env_with_prefix).
#[macro_export]
macro_rules! init_from_env {
    () => {
        $crate::init_from_env!($crate::__private::PREFIX)
    };
    ($prefix:expr $(,)?) => {
        $crate::__private::init_in_crate($crate::__own_crate!(), $prefix)
    };
}

/// Creates a builder with the settings of the environment, like
/// [`Builder::from_env`](crate::Builder::from_env). Names the service after your crate, like
/// [`init_from_env!`](macro@crate::init_from_env).
///
/// ```
/// let builder = spanwise::builder!()?.context_key("order_id");
/// let explanation = builder.explain().to_string();
/// assert!(explanation.contains("(crate name)"), "{explanation}");
/// # Ok::<(), spanwise::InitError>(())
/// ```
///
/// With a prefix, the macro reads the environment like
/// [`Builder::from_env_with_prefix`](crate::Builder::from_env_with_prefix). A builder of
/// [`Builder::new`](crate::Builder::new) does not know the crate, so set its
/// [`service`](crate::Builder::service) and its [`own_targets`](crate::Builder::own_targets).
///
/// ```
/// let builder = spanwise::builder!("SHOPCTL_LOG")?.default_preset("cli");
/// # drop(builder);
/// # Ok::<(), spanwise::InitError>(())
/// ```
#[macro_export]
macro_rules! builder {
    () => {
        $crate::builder!($crate::__private::PREFIX)
    };
    ($prefix:expr $(,)?) => {
        $crate::__private::from_env_in_crate($crate::__own_crate!(), $prefix)
    };
}

/// Returns the [`OwnCrate`](crate::__private::OwnCrate) in which the macro is expanded.
#[doc(hidden)]
#[macro_export]
macro_rules! __own_crate {
    () => {
        $crate::__private::OwnCrate {
            package: ::core::option_env!("CARGO_PKG_NAME"),
            version: ::core::option_env!("CARGO_PKG_VERSION"),
            module: ::core::module_path!(),
        }
    };
}

impl OwnCrate {
    /// Returns the name of the package, if it is known.
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.package.filter(|name| !name.is_empty())
    }

    pub(crate) fn version(&self) -> Option<&'static str> {
        self.version.filter(|version| !version.is_empty())
    }

    /// Returns the target of the crate. If the crate is a binary with another name than the library
    /// of its package, also returns the target of the library.
    fn targets(&self) -> Vec<String> {
        let root = self.module.split("::").next().unwrap_or_default();
        let mut targets = vec![root.to_owned()];
        let library = self.name().map(|name| name.replace('-', "_"));
        targets.extend(library.filter(|library| library != root));
        targets
    }
}

/// Chooses the own targets from `LOG_OWN`, or else from the crate, or else from the executable.
pub(crate) fn choose(
    own_crate: Option<OwnCrate>,
    choices: &mut Choices<'_>,
    program: &ProgramName,
) -> Vec<String> {
    let explicit = choices
        .explicit_value(&LOG_OWN)
        .filter(|targets| !targets.value.is_empty());
    let targets = explicit.unwrap_or_else(|| match own_crate {
        Some(own_crate) => Chosen::new(own_crate.targets(), Origin::Crate),
        None => Chosen::new(program.own_target().into_iter().collect(), Origin::Program),
    });
    let shown = match targets.value.join(", ") {
        none if none.is_empty() => "none".to_owned(),
        joined => joined,
    };
    choices.add_explanation(&LOG_OWN.def, &shown, &targets.origin);
    targets.value
}
