//! Choices that are written as one word.

/// A choice among a few names.
pub(crate) trait Named: Copy + 'static {
    /// The accepted names. Several names may have the same value.
    const NAMED: &'static [(&'static str, Self)];
}

/// Implements [`Named`], `Display` and `TextSetting` for an enum with a `const fn name`.
macro_rules! named {
    ($type:ident: $($variant:ident),+ $(; $($alias:literal = $of:ident),+)?) => {
        impl $crate::named::Named for $type {
            const NAMED: &'static [(&'static str, Self)] = &[
                $((Self::$variant.name(), Self::$variant),)+
                $($(($alias, Self::$of)),+)?
            ];
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
