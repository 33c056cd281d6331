//! Redaction rules for tracing: keys that hide their values, and detectors for secrets in text.
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
//! Pass the policy to a layer. The layer calls it once per callsite for the key of each field, and
//! once for each text:
//!
//! ```
//! use std::sync::Arc;
//! use spanwise_json::JsonLayer;
//! use spanwise_redact::{Action, Policy, PolicyOverrides};
//!
//! let overrides: PolicyOverrides = "+employee_no,-session".parse()?;
//! let policy = Policy::secrets_and_pii().hide_with("iban", Action::KeepLast(4))?;
//! let layer = match overrides.apply(policy) {
//!     Some(policy) => JsonLayer::new().redact(Arc::new(policy)),
//!     None => JsonLayer::new(),
//! };
//! # let _ = layer;
//! // {…,"message":"login","password":"[REDACTED]","iban":"***2051"}
//! # Ok::<(), spanwise_core::ParseError>(())
//! ```
//!
//! # When to use it
//!
//! Always use it, because passwords are logged by accident. The policy is the second line of
//! defence. The first is [`Classified`], a type that keeps its value out of logs.
//!
//! It does **not** find a secret that has neither a key nor a known format, such as a password in a
//! sentence (`the password is tulip`). It does not read base64, compressed text, the `Debug` of
//! bytes, or a secret that is split over two fields. A number under a harmless name is shown, even
//! if it is a card number. Tuples of a key and a value, such as `("password", "x")`, are not
//! recognized. After `key: `, states and sentences are shown: `password: expired`.
//! `docs/redaction.md` lists more limits.
//!
//! # Behaviour
//!
//! * **A key** is a sequence of words, separated by punctuation, changes of case and digits. Joined
//!   words are split with a vocabulary. `X-Api-Key`, `xApiKey`, `user.x_api_key` and `xapikey` end
//!   in the same words, and the last words decide. At the end of a key, words such as `hash` or
//!   `prod` are ignored. Words such as `length` or `changed_at` there mean that the value only
//!   describes a secret, so it is shown.
//! * **Your rules** ignore case and punctuation. A name matches the whole key, or the part after
//!   its last dot. Your rules take precedence over built-in rules.
//! * **A boolean** is shown even if a built-in rule hides its key.
//! * **`address` and `ip`** are rules about PII that hide a text unless it is a network address.
//!   The detectors `ipv4` and `ipv6` decide whether to hide a network address.
//! * **A text under a shown key is scanned**, except under `request_id`, `trace_id`, `span_id` and
//!   `parent_span_id`.
//! * **Attributes of the semantic conventions** with misleading words, such as `client.address`,
//!   are exempt by their full names. In `http.request.header.<name>`, the header name is the key.
//! * **Lookalike letters and escapes** in a key are normalized: `paſſword`, and `p\u0061ssword` in
//!   JSON.
//! * **Texts** are scanned with the [`Detector`]s, and for keys with values at every depth:
//!   `key=value`, JSON, JSON in JSON strings, the `Debug` of structs, headers, URLs, connection
//!   strings, forms, XML, command-line options, SQL, percent-encoded pairs. If a text is JSON, path
//!   rules also match paths from its root.
//! * **A value in a text ends** at its closing quote or bracket, or at white space. A punctuation
//!   mark, such as `,` or `&`, ends the value only if the text after the mark is a new part, such
//!   as the next key.
//! * **Prose after `key: ` is shown** if a built-in rule matches the key: states, sentences, names
//!   of errors, counts, placeholders. After `=` and in quotes, only booleans, absent values and
//!   placeholders are shown. Your rules hide every value except an absent one, such as `null`.
//! * **Private addresses are shown**: RFC 1918, RFC 4193, link-local, loopback and multicast.
//! * **JSON stays valid**: a string keeps its quotes, and any other value becomes a string.
//! * **A clean text is borrowed**, without an allocation. A text of 40 letters takes about 20 ns.
//! * **Time is linear** in the length of a text. Layers pass the policy the first 64 KiB of a text.
//!   They hide the rest, beginning at the last white space before the limit, because half a secret
//!   is not recognized. A direct call of [`Redact::text`](spanwise_core::Redact::text) scans the
//!   whole text.
//! * [`Redact::counts`](spanwise_core::Redact::counts) returns the number of matches of each rule.
//!
//! # Settings
//!
//! [`PolicyOverrides`] parses `LOG_REDACT`: `on`, `off`, or a list such as
//! `+employee_no,-session,-card,+pii`. `+` hides and `-` shows a key, the matches of a detector, or
//! everything that is PII (`pii`).
//!
//! # Features
//!
//! * `pseudonyms`, off by default: pseudonyms such as `k1:…`, computed with a secret key
//!   (HMAC-SHA-256). Equal values under the same name have equal pseudonyms.
//! * `secrecy`, off by default: a [`Classified`] may contain a `SecretString` of the crate
//!   `secrecy`.
//!
//! # Troubleshooting
//!
//! *A harmless value is hidden*: find the rule in
//! [`Redact::counts`](spanwise_core::Redact::counts). Show the key with [`Policy::show`], or switch
//! the detector off with [`Policy::without_detector`]. *A secret is shown*: hide its key with
//! [`Policy::hide`].

mod addresses;
mod builtin_keys;
mod builtin_rules;
mod byte_blocks;
mod byte_class;
mod byte_search;
mod char_stats;
mod classified;
mod color_codes;
mod commands;
mod confusables;
mod context_tracker;
mod credential;
mod detector;
mod form_data;
mod json_paths;
mod json_strings;
mod key_pattern;
mod key_rules;
mod matches;
mod normalized_key;
mod number_search;
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
mod scan_cost;
mod sql_inserts;
mod tokens;
mod trigrams;
mod urls;
mod value_boundary;
mod value_end;
mod version_label;
mod vocabulary;
mod word_lists;
mod xml_elements;

pub use classified::{Classified, serialize_redacted};
pub use detector::Detector;
pub use policy::{Action, Policy};
pub use policy_overrides::PolicyOverrides;
#[cfg(feature = "pseudonyms")]
pub use pseudonym::PseudonymKey;
