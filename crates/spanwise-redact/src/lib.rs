//! What must not be logged: rules for keys, detectors for texts, and what is shown instead.
//!
//! ```
//! use spanwise_core::{KeyVerdict, Redact};
//! use spanwise_redact::Policy;
//!
//! let policy = Policy::secrets();
//! assert_eq!(policy.key("db.password"), KeyVerdict::Redact);
//! assert_eq!(
//!     policy.text(r#"retry {"user":"ada","apiKey":"a-1"} with card 4111 1111 1111 1111"#),
//!     r#"retry {"user":"ada","apiKey":"[REDACTED]"} with card [REDACTED]"#,
//! );
//! ```
//!
//! A sink is given the policy, and asks it about the key of each field once per callsite and about
//! each text:
//!
//! ```
//! use std::sync::Arc;
//! use spanwise_json::JsonLayer;
//! use spanwise_redact::{Action, PolicyOverrides, Policy};
//!
//! let changes: PolicyOverrides = "+employee_no,-session".parse()?;
//! let policy = changes.apply(Policy::secrets_and_pii().hide_with("iban", Action::KeepLast(4))?);
//! let layer = match policy {
//!     Some(policy) => JsonLayer::new().redact(Arc::new(policy)),
//!     None => JsonLayer::new(),
//! };
//! # let _ = layer;
//! // {…,"message":"login","password":"[REDACTED]","iban":"***2051"}
//! # Ok::<(), spanwise_redact::RuleError>(())
//! ```
//!
//! # When to use it
//!
//! Always: a password is logged by accident. It is the second line; the first is a type that cannot
//! be logged, [`Classified`].
//!
//! It does **not** find what has no name and no form: a password in a sentence (`the password is
//! hunter2`), a secret in two fields, a secret in base64, in compressed text, or in the `Debug` of
//! bytes; numbers, such as a card number that is logged as an integer under a harmless name; values
//! of lists of pairs such as `("password", "x")`. After `key: ` it takes words of state and
//! sentences for prose: `password: expired` is shown. `docs/redaction.md` lists all limits.
//!
//! # Behaviour
//!
//! * **Keys** are sequences of words, split at marks, changes of case and digits, and with a
//!   vocabulary where there are none: the last words of `X-Api-Key`, `xApiKey`, `user.x_api_key`
//!   and `xapikey` are the same. The last words decide. Words such as `hash` or `prod` are passed
//!   over; words such as `length` or `changed_at` say that the value is about a secret, and show
//!   it.
//! * **Rules of the user** are about names, in lower case and without marks, or about the part
//!   after the last dot. They beat what is built in.
//! * **A boolean** is shown under a key that a built-in rule hides. `address` and `ip` are decided
//!   by their value.
//! * **The text of every key that is shown is read**, but for `request_id`, `trace_id` and
//!   `span_id`.
//! * **Attributes of the semantic conventions** whose words mislead, such as `client.address`, are
//!   exempt one by one; a header in `http.request.header.<name>` is a key of its own.
//! * **Letters that look like others** in a key are those: `paſſword`, and `p\u0061ssword` in JSON.
//! * **Texts** are read for keys with values at every depth (`key=value`, JSON, JSON in strings of
//!   JSON, the `Debug` of structs, headers, URLs, connection strings, forms, XML, options of
//!   commands, percent-encoded pairs), and by the [`Detector`]s. Rules about paths are followed
//!   into a text that is JSON as a whole, from its root.
//! * **A value ends where its writer ended it**: at its quote or bracket, or at the separator in
//!   use. A mark within a run of characters ends it only if another key, a quote or nothing
//!   follows.
//! * **Prose after `key: ` is shown** under a built-in key: states, sentences, names of errors,
//!   counts, placeholders. After `=` and in quotes only booleans, absent values and placeholders
//!   are. A rule of the user hides every value but an absent one.
//! * **Private addresses are shown**: RFC 1918, RFC 4193, link-local and loopback.
//! * **JSON stays JSON**: a string keeps its quotes, any other value becomes a string.
//! * **A text that is clean is borrowed**, and costs no allocation; one of 40 letters costs some
//!   20 ns.
//! * **Time is linear** in the length of a text, whatever it says. Of a text, 64 KiB are read; what
//!   comes after is hidden, from the last unbroken run before the cut.
//! * [`Redact::counts`](spanwise_core::Redact::counts) says how often each rule hid something.
//!
//! # Settings
//!
//! [`PolicyOverrides`] is what `LOG_REDACT` says: `on`, `off`, or keys, detectors and the tier `pii` to
//! hide and to show, such as `+employee_no,-session,-card,+pii`.
//!
//! # Features
//!
//! `pseudonyms`, off by default: stand-ins such as `k1:…` that are equal for equal values, made
//! with a key (HMAC-SHA-256).
//!
//! `secrecy`, off by default: [`Classified`] with a `SecretString` of the crate `secrecy` inside.
//!
//! # Troubleshooting
//!
//! *Something harmless is hidden*: look into [`Redact::counts`](spanwise_core::Redact::counts) for
//! the rule; [`Policy::show`] its key, or leave out the detector with
//! [`Policy::without_detector`]. *Something secret is shown*: [`Policy::hide`] its key.

mod addresses;
mod builtin_keys;
mod builtin_rules;
mod byte_class;
mod byte_search;
mod classified;
mod commands;
mod confusables;
mod context_tracker;
mod credential;
mod detector;
mod error;
mod json_paths;
mod json_strings;
mod key_pattern;
mod keys;
mod normalized_key;
mod numbers;
mod pair_lexer;
mod pair_value;
mod percent_encoded;
mod policy;
mod policy_overrides;
mod prefix_filter;
mod prose_pairs;
#[cfg(feature = "pseudonyms")]
mod pseudonym;
mod scan;
mod sql_inserts;
mod tokens;
mod trigrams;
mod urls;
mod value_boundary;
mod value_end;
mod vocabulary;
mod word_lists;
mod work;
mod xml_elements;

pub use classified::{Classified, serialize_redacted};
pub use detector::Detector;
pub use error::RuleError;
pub use policy::{Action, Policy};
pub use policy_overrides::PolicyOverrides;
#[cfg(feature = "pseudonyms")]
pub use pseudonym::PseudonymKey;
