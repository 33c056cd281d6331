//! The figures of a run, as `scripts/performance` collects them.
//!
//! Each figure is a line of two columns: its id, such as `peers/instructions/spanwise-prod/flat`,
//! and its value. An id names the bench, what is measured, and the row and the column of a table.

use std::{
    error::Error,
    fs::File,
    io::{self, Write as _},
};

/// The variable with the path of the file to append to. Without it, a bench only prints its tables.
const VARIABLE: &str = "BENCH_FIGURES";

/// Appends figures to the file that [`VARIABLE`] names.
pub(crate) fn record<I>(figures: I) -> Result<(), Box<dyn Error>>
where
    I: IntoIterator<Item = (String, f64)>,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "not a setting of the crates, but of this bench"
    )]
    let Some(path) = std::env::var_os(VARIABLE) else {
        return Ok(());
    };
    let file = File::options().create(true).append(true).open(path)?;
    let mut file = io::BufWriter::new(file);
    for (id, value) in figures {
        writeln!(file, "{id}\t{}", shortened(value))?;
    }
    file.flush()?;
    Ok(())
}

/// Rounds to five significant digits, or to an integer if that has more. Repeated runs differ in
/// fewer digits.
fn shortened(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 4 - value.abs().log10().floor() as i32;
    let power = 10_f64.powi(digits.clamp(0, 8));
    (value * power).round() / power
}
