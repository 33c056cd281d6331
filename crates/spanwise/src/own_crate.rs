//! The own crate of a program: the name and version of its service, and the targets of its events.
//!
//! A function knows only the name of the executable. A macro is expanded in the own crate, and
//! knows the name that cargo gives it.

use spanwise_core::{ParseError, Problem, Setting, TargetLevels, internal::parse_level, words};

use crate::{
    Builder, InitError,
    choices::{Choices, Chosen},
    conceal,
    explain::Origin,
    parse,
    program_name::ProgramName,
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

/// Starts logging with the settings of the environment, and names the service after its crate.
///
/// Does the same as the function [`init_from_env`](fn@crate::init_from_env), and also knows the
/// crate that contains it:
///
/// * The name and the version of the service are those of the package, on each line of `json`. All
///   programs of a package have its name; to change it, use
///   [`Builder::service`](crate::Builder::service) or the variable `SERVICE_NAME`.
/// * The preset dev logs DEBUG for the crate and its package, whatever the name of the executable.
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
/// `SHOPCTL_LOG_FORMAT`: see
/// [`Builder::from_env_with_prefix`](crate::Builder::from_env_with_prefix).
#[macro_export]
macro_rules! init_from_env {
    ($($prefix:expr)? $(,)?) => {
        $crate::builder!($($prefix)?).and_then($crate::Builder::init)
    };
}

/// Creates a builder with the settings of the environment, as
/// [`Builder::from_env`](crate::Builder::from_env) does, and names the service after its crate, as
/// [`init_from_env!`](macro@crate::init_from_env) does.
///
/// ```
/// let builder = spanwise::builder!()?.context_key("order_id");
/// let explanation = builder.explain().to_string();
/// assert!(explanation.contains("(crate name)"), "{explanation}");
/// # Ok::<(), spanwise::InitError>(())
/// ```
///
/// With a prefix it reads the environment as
/// [`Builder::from_env_with_prefix`](crate::Builder::from_env_with_prefix) does.
/// [`Builder::new`](crate::Builder::new) does not know the crate: set
/// [`service`](crate::Builder::service) and [`own_targets`](crate::Builder::own_targets).
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
    /// Sets your own targets: the preset dev logs DEBUG for them. The name of a crate includes all
    /// its modules. Defaults to the crate of [`builder!`](crate::builder!), else to the name of the
    /// executable.
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Dev).own_targets(["shop", "warehouse::stock"]);
    /// let levels = "RUST_LOG = info,shop=debug,warehouse::stock=debug (preset dev)";
    /// assert!(builder.explain().to_string().contains(levels));
    /// ```
    pub fn own_targets<T: Into<String>>(mut self, targets: impl IntoIterator<Item = T>) -> Self {
        let targets: Vec<String> = targets.into_iter().map(Into::into).collect();
        for target in &targets {
            if let Err(problem) = check(target) {
                let shown = format!("Builder::own_targets({})", conceal::shown(target));
                self.code.refuse(&shown, target, &ParseError::new(problem));
            }
        }
        self.code.put(&LOG_OWN, targets);
        self
    }
}

/// Chooses the own targets.
pub(crate) fn choose(
    own: Option<OwnCrate>,
    choices: &mut Choices<'_>,
    program: &ProgramName,
) -> Vec<String> {
    let set = choices.set(&LOG_OWN).filter(|own| !own.value.is_empty());
    let own = set.unwrap_or_else(|| match own {
        Some(own) => Chosen {
            value: own.targets(),
            origin: Origin::Crate,
        },
        None => Chosen {
            value: program.own_target().into_iter().collect(),
            origin: Origin::Program,
        },
    });
    let shown = match own.value.join(", ") {
        none if none.is_empty() => "none".to_owned(),
        targets => targets,
    };
    choices.explain(&LOG_OWN.def, &shown, own.origin);
    own.value
}

/// Parses the targets in `LOG_OWN`.
pub(crate) fn parse_targets(setting: &Setting, text: &str) -> Result<Vec<String>, ParseError> {
    let parsed = words::parse_each(text, |target| {
        check(target)
            .map(|()| target.to_owned())
            .map_err(Problem::new)
    });
    parsed.map_err(|error| parse::with_accepts(error, setting))
}

/// Checks that it is a target of events, and not a directive.
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
