//! Enums that settings write as one word, such as `stdout`.

/// An enum whose variants have names in settings.
pub(crate) trait Named: Copy + 'static {
    /// The names that a setting accepts, with their values. Several names may have the same value.
    const NAMED: &'static [(&'static str, Self)];
}

/// Implements [`Named`], `name`, `Display` and `TextSetting` for an enum. A setting accepts the
/// name of each variant and the `aliases`. It does not accept the name of a `shown` variant, which
/// only code can choose.
macro_rules! named {
    (
        $type:ident: $($variant:ident = $name:literal),+
        $(; aliases $($of:ident = $alias:literal),+)?
        $(; shown $shown:ident = $text:literal)?
    ) => {
        impl $type {
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    $(Self::$shown => $text,)?
                }
            }
        }

        impl $crate::named::Named for $type {
            const NAMED: &'static [(&'static str, Self)] =
                &[$(($name, Self::$variant),)+ $($(($alias, Self::$of)),+)?];
        }

        impl spanwise_core::internal::TextSetting for $type {}

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use named;
