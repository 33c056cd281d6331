//! The chain of causes of an error.

use std::{error::Error, ptr};

use crate::internal::panic_safe;

/// The maximum number of causes in a copy of an error. No sink shows more.
pub(crate) const MAX_CAUSES: usize = 32;

/// Returns the causes of `error`, outermost first, at most `max` of them.
///
/// The chain ends if it reaches an error for the second time, or if a `source` panics.
///
/// ```
/// use std::{error::Error, fmt};
///
/// #[derive(Debug)]
/// struct Refused(fmt::Error);
/// # impl fmt::Display for Refused {
/// #     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("refused") }
/// # }
/// impl Error for Refused {
///     fn source(&self) -> Option<&(dyn Error + 'static)> {
///         Some(&self.0)
///     }
/// }
/// let error = Refused(fmt::Error);
/// let causes = spanwise_core::internal::error_chain(&error, 16).map(ToString::to_string);
/// assert_eq!(causes.collect::<Vec<_>>(), [fmt::Error.to_string()]);
/// ```
pub fn error_chain<'a>(
    error: &'a (dyn Error + 'static),
    max: usize,
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut seen: Vec<&'a (dyn Error + 'static)> = vec![error];
    std::iter::from_fn(move || {
        let last: &'a (dyn Error + 'static) = seen.last().copied()?;
        let next = panic_safe::catch_panic(|| last.source()).flatten()?;
        if seen.len() > max || seen.iter().any(|earlier| is_same(*earlier, next)) {
            return None;
        }
        seen.push(next);
        Some(next)
    })
}

/// Returns whether `a` and `b` are the same error. Compares the vtables, too, because errors
/// without fields share an address. A type may have several vtables, so a cycle may be missed. The
/// chain then ends at its maximum length.
fn is_same(a: &(dyn Error + 'static), b: &(dyn Error + 'static)) -> bool {
    ptr::eq(a, b)
}
