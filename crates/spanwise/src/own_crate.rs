//! The program's own crates: the name and version of its service, and the targets of its events.
//!
//! A function knows the name of the program's file at most. A macro is expanded in the program's
//! crate, and knows what cargo calls that.

use spanwise_core::{TargetLevels, internal::parse_level};

use crate::{
    Builder, InitError, conceal, explain::Origin, parse::Mistake, program_name::ProgramName,
    settings::LOG_OWN,
};

/// The crate in which a macro is expanded. Built without cargo, a crate has only its module root.
#[derive(Debug, Clone, Copy)]
pub struct OwnCrate {
    /// The name of its package.
    pub package: Option<&'static str>,
    /// The version of its package.
    pub version: Option<&'static str>,
    /// The path of the module, which begins with the crate.
    pub module: &'static str,
}

/// Starts logging as the environment says, in a program that names its service by its crate.
///
/// As the function [`init_from_env`](fn@crate::init_from_env), with what is known where it is
/// written:
///
/// * The name and the version of the service are those of the package, on each line of `json`. Of a
///   package with several programs each has the package's name: set
///   [`Builder::service`](crate::Builder::service), or the variable `SERVICE_NAME`.
/// * The preset dev shows DEBUG for the crate and its package, whatever the program's file is
///   called.
///
/// ```
/// # fn main() -> Result<(), spanwise::InitError> {
/// let _telemetry = spanwise::init_from_env!()?;
/// tracing::info!(order.id = 42, "order created");
/// # Ok(())
/// # }
/// ```
///
/// `init_from_env!("SHOPCTL_LOG")` reads the variables with a prefix of their own, such as
/// `SHOPCTL_LOG_FORMAT`: see [`Builder::from_env_with_prefix`](crate::Builder::from_env_with_prefix).
#[macro_export]
macro_rules! init_from_env {
    ($($prefix:expr)? $(,)?) => {
        $crate::builder!($($prefix)?).and_then($crate::Builder::init)
    };
}

/// Reads the environment, as [`Builder::from_env`](crate::Builder::from_env), in a program that
/// names its service by its crate, as [`init_from_env!`](macro@crate::init_from_env).
///
/// ```
/// let builder = spanwise::builder!()?.context_key("order_id");
/// let explanation = builder.explain().to_string();
/// assert!(explanation.contains("(the program's crate)"), "{explanation}");
/// # Ok::<(), spanwise::InitError>(())
/// ```
///
/// With a prefix it reads the environment as [`Builder::from_env_with_prefix`](crate::Builder::from_env_with_prefix)
/// does. [`Builder::prod`](crate::Builder::prod) and the others that read no variable do not know
/// the crate: they are told by [`service`](crate::Builder::service) and
/// [`own_targets`](crate::Builder::own_targets).
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
        $crate::__private::from_env_in_crate(
            $crate::__private::OwnCrate {
                package: ::core::option_env!("CARGO_PKG_NAME"),
                version: ::core::option_env!("CARGO_PKG_VERSION"),
                module: ::core::module_path!(),
            },
            $prefix,
        )
    };
}

/// The function behind [`builder!`](crate::builder!).
///
/// # Errors
/// [`InitError::Settings`] with every setting that is wrong.
pub fn from_env_in_crate(own: OwnCrate, prefix: &str) -> Result<Builder, InitError> {
    Builder::from_env_with_prefix(prefix).map(|mut builder| {
        builder.own_crate = Some(own);
        builder
    })
}

impl OwnCrate {
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.package.filter(|name| !name.is_empty())
    }

    pub(crate) fn version(&self) -> Option<&'static str> {
        self.version.filter(|version| !version.is_empty())
    }

    /// The crate that is the program, and the package's library beside it.
    fn targets(&self) -> Vec<String> {
        let root = self.module.split("::").next().unwrap_or_default();
        let mut targets = vec![root.to_owned()];
        let library = self.name().map(|name| name.replace('-', "_"));
        targets.extend(library.filter(|library| library != root));
        targets
    }
}

impl Builder {
    /// Sets the targets that are the program's own: the preset dev shows DEBUG for them. The name
    /// of a crate means all its modules. Defaults to the crate of [`builder!`](crate::builder!),
    /// else to the name of the program's file.
    ///
    /// ```
    /// let builder = spanwise::Builder::dev().own_targets(["shop", "warehouse::stock"]);
    /// let levels = "RUST_LOG = info,shop=debug,warehouse::stock=debug (preset dev)";
    /// assert!(builder.explain().to_string().contains(levels));
    /// ```
    pub fn own_targets<T: Into<String>>(mut self, targets: impl IntoIterator<Item = T>) -> Self {
        self.own_targets = targets.into_iter().map(Into::into).collect();
        self
    }

    /// The own targets, and who named them.
    pub(crate) fn resolve_own_targets(
        &self,
        program: &ProgramName,
        variable: impl FnOnce() -> Origin,
    ) -> (Vec<String>, Origin) {
        if !self.own_targets.is_empty() {
            return (self.own_targets.clone(), Origin::Code);
        }
        if !self.env.own_targets.is_empty() {
            return (self.env.own_targets.clone(), variable());
        }
        match self.own_crate {
            Some(own) => (own.targets(), Origin::Crate),
            None => (program.own_target().into_iter().collect(), Origin::Program),
        }
    }

    /// What is wrong with the targets that the code names.
    pub(crate) fn own_target_problems(&self) -> impl Iterator<Item = String> {
        self.own_targets.iter().filter_map(|own| {
            let mistake = Mistake::error(check(own).err()?);
            let shown = format!("Builder::own_targets({})", conceal::shown(own));
            Some(mistake.problem(&shown, own))
        })
    }
}

/// The targets in a value of LOG_OWN.
pub(crate) fn targets(text: &str) -> Result<Vec<String>, Mistake> {
    let targets = text.split(',').map(str::trim);
    let targets: Vec<&str> = targets.filter(|target| !target.is_empty()).collect();
    let errors: Vec<_> = targets
        .iter()
        .filter_map(|target| check(target).err())
        .collect();
    if errors.is_empty() {
        Ok(targets.into_iter().map(str::to_owned).collect())
    } else {
        let accepts = LOG_OWN.accepts;
        let errors = errors.join("; ");
        Err(Mistake::error(format_args!("{errors}; accepts {accepts}")))
    }
}

/// A target as events have it, and no directive.
fn check(target: &str) -> Result<(), String> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':');
    if target.is_empty() || !target.chars().all(is_word) {
        return Err(format!(
            "`{target}` is not a target: write the name of a crate, such as `shop`, or of a module, such as `shop::db`"
        ));
    }
    if parse_level(target).is_some() {
        return Err(format!(
            "`{target}` is a level, and no target: write the name of a crate, such as `shop`"
        ));
    }
    let directive = format!("{target}=debug").parse::<TargetLevels>();
    directive.map(|_| ()).map_err(|error| error.to_string())
}
