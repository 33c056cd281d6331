//! Features that other crates of a service turn on: see `Cargo.toml`, and `tests/` for what must
//! not change with them.
