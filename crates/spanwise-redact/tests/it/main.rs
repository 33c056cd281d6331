//! Tests that need no separate process, one module per topic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod any_text;
mod canaries;
mod classified;
mod corpus;
mod fuzz_checks;
mod fuzz_findings;
mod generated;
mod harmless_numbers;
mod key_corpus;
mod key_spellings;
mod keys;
mod program_output;
#[cfg(feature = "pseudonyms")]
mod pseudonyms;
mod repository_texts;
mod secrets;
mod text_grammar;
