//! Lists of words that distinguish prose about a secret from a secret.
//!
//! A built-in rule shows a text of these words after `key: `. So the lists must not contain common
//! passwords, such as names, animals, `admin`, `test` or `welcome`. [`PASSWORD_LIKE`] has the
//! exceptions: a text that begins with one of them is shown only with more evidence, such as an
//! auxiliary verb after that word.

/// Returns whether a list contains `word`, ignoring case.
pub(crate) fn contains_word(list: &[&str], word: &[u8]) -> bool {
    list.iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// Returns whether any of the lists contains `word`, ignoring case.
pub(crate) fn any_contains(lists: &[&[&str]], word: &[u8]) -> bool {
    lists.iter().any(|list| contains_word(list, word))
}

/// Booleans.
pub(crate) const BOOLEANS: &[&str] = &["true", "false", "yes", "no", "on", "off"];

/// Masks that other software writes instead of a secret.
#[rustfmt::skip]
pub(crate) const MASKS: &[&str] = &[
    "redacted", "hidden", "filtered", "masked", "removed", "omitted", "censored", "scrubbed",
    "sanitized", "protected", "unset", "not set", "none", "null", "empty", "missing", "n/a",
];

/// The [`MASKS`] that are recognized without brackets around them.
#[rustfmt::skip]
pub(crate) const MASK_WORDS: &[&str] = &[
    "redacted", "filtered", "masked", "censored", "scrubbed", "sanitized", "unset", "n/a",
];

/// States. Such a word may be the whole text after a key: `session: expired`.
#[rustfmt::skip]
pub(crate) const STATES: &[&str] = &[
    "idle", "resumed", "refreshing", "generated", "renewing", "rotated", "loading", "opening",
    "closing", "inválido", "ungültig", "abgelaufen", "falsch", "fehlt", "absent", "accepted",
    "active", "ambiguous", "aborted", "available", "bad", "blank", "blocked", "broken", "cancelled",
    "canceled", "changed", "checked", "closed", "configured", "conflict", "corrupt", "corrupted",
    "created", "dead", "deleted", "denied", "deprecated", "destroyed", "different", "disabled",
    "disallowed", "done", "duplicate", "empty", "enabled", "encrypted", "eof", "error",
    "established", "exhausted", "exists", "expired", "expires", "failed", "failure", "fetched",
    "forbidden", "found", "granted", "ignored", "illegal", "inactive", "incomplete", "incorrect",
    "ineligible", "initialized", "insufficient", "invalid", "invalidated", "issued", "loaded",
    "locked", "lost", "malformed", "mandatory", "match", "matched", "matches", "mismatch",
    "mismatched", "missing", "mounted", "ok", "okay", "opened", "optional", "outdated", "overflow",
    "pending", "present", "provided", "ready", "received", "refreshed", "refused", "rejected",
    "renewed", "required", "reset", "resolved", "restored", "retrying", "revoked", "rotated",
    "rotating", "saved", "set", "skipped", "stale", "started", "stopped", "stored", "succeeded",
    "success", "suspended", "terminated", "timeout", "truncated", "unauthenticated", "unauthorized",
    "unavailable", "unchanged", "undefined", "unexpected", "unhandled", "uninitialized", "unknown",
    "unreachable", "unreadable", "unrecognized", "unresolved", "unset", "unsigned", "unspecified",
    "unsupported", "untrusted", "unused", "unverified", "updated", "used", "valid", "validated",
    "verified", "wrong", "string", "str", "bool", "boolean", "integer", "number", "varchar",
    "socketaddr", "identifier", "whitespace", "newline", "eoi", "n/a", "todo", "tbd",
];

/// Words that begin a sentence and have no meaning alone. They are hardly ever used as passwords.
#[rustfmt::skip]
pub(crate) const SENTENCE_OPENERS: &[&str] = &[
    "a", "about", "after", "all", "already", "also", "an", "and", "another", "any", "are", "as",
    "at", "attempt", "attempts", "because", "been", "before", "being", "between", "both", "but",
    "by", "byte", "bytes", "can", "can't", "cannot", "caused", "character", "characters",
    "checking", "contains", "could", "couldn't", "creating", "currently", "darf", "debe",
    "decoding", "deve", "did", "didn't", "do", "does", "doesn't", "doit", "don't", "due", "during",
    "each", "eight", "either", "erforderlich", "errata", "errato", "est", "every", "exactly",
    "exceeded", "exceeds", "expect", "expected", "expecting", "failing", "falsch", "fehlt",
    "fetching", "five", "for", "four", "from", "fully", "generating", "get", "getting", "given",
    "got", "had", "half", "has", "hasn't", "have", "haven't", "if", "in", "incorrecta",
    "incorrecto", "instead", "invalide", "is", "isn't", "ist", "it", "its", "length", "less",
    "longer", "many", "max", "maximum", "may", "min", "minimum", "more", "muss", "must", "mustn't",
    "need", "needs", "neither", "nine", "no", "non", "none", "not", "nothing", "now", "of", "on",
    "only", "or", "other", "out", "parsing", "passed", "please", "reached", "reading", "requires",
    "returned", "same", "see", "seems", "send", "seven", "several", "should", "shouldn't", "since",
    "six", "sixteen", "so", "some", "still", "such", "ten", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "three", "timed", "to", "too", "tried",
    "trying", "twelve", "two", "unable", "under", "unterminated", "until", "up", "use", "uses",
    "using", "usually", "validating", "verifying", "via", "waiting", "was", "wasn't", "we", "were",
    "when", "where", "whether", "which", "while", "will", "with", "within", "without", "won't",
    "would", "writing", "you", "your", "zero",
];

/// Words, mostly nouns, that begin a sentence if more words follow. After the key of a password,
/// the further words must include a verb.
#[rustfmt::skip]
pub(crate) const SENTENCE_STARTS: &[&str] = &[
    "access", "account", "agent", "algorithm", "api", "argon2", "argument", "array", "artifact",
    "asset", "attribute", "aud", "audience", "authentication", "authorization", "backend", "backup",
    "base64", "batch", "bcrypt", "binding", "blob", "block", "body", "branch", "broker", "browser",
    "bucket", "buffer", "build", "bundle", "cache", "call", "callback", "certificate", "chain",
    "challenge", "channel", "check", "checksum", "chunk", "cipher", "claim", "claims", "class",
    "client", "cluster", "code", "collection", "column", "command", "commit", "component", "config",
    "configuration", "connect", "connection", "constraint", "consumer", "container", "content",
    "context", "controller", "cookie", "cookie-jar", "cookies", "cpu", "credential", "credentials",
    "cron", "current", "cursor", "daemon", "data", "database", "deadline", "decode", "decrypt",
    "decryption", "default", "dependency", "deployment", "deserialize", "detail", "details",
    "device", "directory", "disk", "document", "domain", "driver", "duplicate", "encoding",
    "encryption", "end", "endpoint", "engine", "entry", "environment", "errors", "event", "exit",
    "exp", "expiration", "expiring", "expiry", "export", "external", "feature", "field", "fields",
    "file", "filesystem", "filter", "first", "flag", "format", "frame", "function", "gateway",
    "generated", "generation", "grant", "group", "grpc", "guard", "handshake", "hash", "header",
    "headers", "hex", "hook", "host", "http", "https", "i/o", "icon", "id", "idp", "image",
    "import", "index", "input", "instance", "integrity", "interface", "internal", "io", "iss",
    "issuer", "job", "journal", "json", "jwks", "jwt", "kdf", "kernel", "key", "keys", "kid", "kms",
    "label", "lane", "language", "last", "ldap", "lease", "left", "level", "library", "limit",
    "line", "link", "list", "loader", "lock", "login", "lookup", "loop", "machine", "mail",
    "manager", "manifest", "map", "member", "memory", "message", "metadata", "method", "metric",
    "migration", "missing-field", "mode", "model", "module", "mount", "mutex", "name", "names",
    "namespace", "network", "never", "new", "next", "node", "nodes", "nonce", "notification",
    "null", "oauth", "object", "object-store", "offline", "offset", "oidc", "old", "one",
    "operation", "option", "options", "origin", "os", "output", "own", "owner", "package",
    "padding", "page", "pam", "parameter", "parse", "parser", "part", "partition", "password",
    "passwords", "path", "pattern", "payload", "pbkdf2", "peer", "permission", "permissions", "pin",
    "pipe", "pipeline", "pkcs", "plugin", "pod", "policy", "pool", "port", "possible", "prefix",
    "previous", "primary", "principal", "priority", "problem", "process", "processing", "producer",
    "profile", "promise", "prompt", "property", "protocol", "provider", "provisioning", "proxy",
    "publisher", "query", "queue", "quota", "range", "rate", "read", "realm", "reason", "record",
    "redirect", "reference", "refresh", "refreshing", "region", "registry", "relation", "release",
    "remote", "replica", "report", "repository", "request", "requests", "resource", "response",
    "restart", "result", "retention", "retries", "retry", "revision", "role", "root", "route",
    "router", "routing", "row", "rule", "runtime", "saml", "sandbox", "scheduler", "schema",
    "scheme", "scope", "scopes", "script", "scrypt", "secret", "secrets", "section", "secure",
    "segment", "selector", "sender", "sequence", "serial", "server", "service", "session", "set",
    "sets", "shard", "share", "shared", "shell", "sign", "signal", "signature", "signing",
    "singleton", "site", "size", "slot", "snapshot", "socket", "source", "space", "span", "spec",
    "sql", "ssl", "stack", "stage", "state", "status", "step", "storage", "store", "stream",
    "string", "subject", "subnet", "subscriber", "subscription", "suffix", "switch", "syntax",
    "system", "table", "tag", "target", "task", "template", "tenant", "test-run", "text", "thread",
    "threshold", "ticker", "time", "timer", "timestamp", "tls", "token", "tokens", "topic", "trace",
    "traffic", "transaction", "transport", "tree", "trigger", "trust", "tunnel", "type", "ui",
    "unit", "upload", "upstream", "uri", "url", "usage", "user", "username", "users", "utf-8",
    "util", "validation", "value", "values", "variable", "vault", "vector", "verification",
    "verifier", "verify", "version", "view", "vm", "volume", "watch", "watcher", "web", "webhook",
    "what", "who", "window", "worker", "workflow", "workspace", "wrapper", "write", "x509", "yaml",
    "zone",
];

/// The words of [`SENTENCE_STARTS`] that are also used as passwords.
#[rustfmt::skip]
pub(crate) const PASSWORD_LIKE: &[&str] = &[
    "access", "agent", "backup", "data", "database", "default", "key", "login", "machine",
    "manager", "network", "password", "passwords", "pin", "primary", "root", "secret", "secrets",
    "secure", "server", "service", "session", "shell", "system", "token", "vault", "web",
];

/// Verbs that do not follow a password in a log: `password is in the list`.
#[rustfmt::skip]
pub(crate) const AUXILIARIES: &[&str] = &[
    "cannot", "can't", "could", "did", "didn't", "does", "doesn't", "had", "has", "hasn't", "is",
    "isn't", "must", "not", "requires", "should", "was", "wasn't", "will", "would",
];

/// Words, mostly verbs, that follow the name of a thing: `keycloak answered 503`.
#[rustfmt::skip]
pub(crate) const VERBS: &[&str] = &[
    "answered", "answers", "accepted", "aborted", "aud", "already", "bind", "broken", "can't",
    "cannot", "closed", "could", "couldn't", "denied", "did", "didn't", "disabled", "disconnected",
    "does", "doesn't", "down", "error", "exists", "expired", "expires", "failed", "fails",
    "failure", "fetch", "had", "has", "hasn't", "have", "ignored", "invalid", "is", "isn't",
    "locked", "lookup", "mismatch", "missing", "mounted", "must", "needs", "not", "offline",
    "refused", "rejected", "rejects", "replied", "requires", "reset", "responded", "returned",
    "returns", "revoked", "rotated", "said", "says", "sealed", "sent", "should", "shut", "timed",
    "timeout", "too", "took", "unavailable", "unknown", "unreachable", "unsupported", "was",
    "wasn't", "were", "will", "would",
];

/// Words that are usual in sentences or in reports of errors, and that are not in the word lists
/// from which passphrases are generated.
#[rustfmt::skip]
pub(crate) const FUNCTION_WORDS: &[&str] = &[
    "checksum", "denied", "entropy", "expected", "expired", "failed", "got", "incorrect", "invalid",
    "malformed", "mismatch", "missing", "unsupported", "words", "a", "an", "are", "as", "at", "be",
    "by", "cannot", "characters", "could", "did", "does", "for", "from", "has", "in", "is", "needs",
    "not", "of", "or", "required", "should", "the", "to", "too", "was", "were", "with", "without",
];

/// Parts of the names of errors, in addition to the [`STATES`].
#[rustfmt::skip]
pub(crate) const ERRORS: &[&str] = &[
    "access", "algorithm", "audience", "auth", "authentication", "authorization", "base64", "claim",
    "connection", "crypto", "cryptographic", "decode", "decoding", "decryption", "eof", "err",
    "error", "errors", "exceeded", "exception", "expiration", "failed", "fault", "forbidden",
    "format", "header", "immature", "io", "issuer", "json", "kid", "length", "mac", "many", "not",
    "padding", "parse", "payload", "permission", "prompt", "provider", "refused", "reset",
    "revocation", "rsa", "short", "signature", "size", "status", "subject", "syntax", "timed",
    "too", "unable", "unexpected", "utf8", "verification", "weak", "string", "option", "addr",
];

/// Beginnings of error names. They are hardly ever used as passwords.
#[rustfmt::skip]
pub(crate) const ERROR_PREFIXES: &[&str] = &[
    "bad", "expired", "incorrect", "insufficient", "invalid", "malformed", "missing",
    "unauthorized", "unexpected", "unsupported",
];

/// Nouns after one of [`ERROR_PREFIXES`], in addition to [`ERRORS`].
#[rustfmt::skip]
pub(crate) const ERROR_SUBJECTS: &[&str] = &[
    "character", "characters", "code", "credential", "credentials", "data", "encoding", "field",
    "gateway", "hash", "input", "key", "login", "parameter", "password", "request", "token", "type",
    "user", "username", "value", "version",
];

/// Endings of error names. They are hardly ever used as passwords.
#[rustfmt::skip]
pub(crate) const ERROR_SUFFIXES: &[&str] = &[
    "err", "error", "errors", "exception", "fault", "failed", "failure", "invalid", "expired",
    "denied", "exceeded", "missing", "mismatch", "required", "rejected", "refused", "revoked",
    "incorrect", "forbidden", "unavailable", "unauthorized", "unauthenticated", "unsupported",
];

/// Words that mark the number before them as a count or a duration.
#[rustfmt::skip]
pub(crate) const UNITS: &[&str] = &[
    "attempt", "attempts", "bit", "bits", "byte", "bytes", "char", "character", "characters",
    "chars", "columns", "connections", "day", "days", "digit", "digits", "elements", "entries",
    "errors", "failures", "fields", "found", "hour", "hours", "items", "iterations", "keys", "left",
    "letters", "lines", "m", "min", "minute", "minutes", "month", "months", "more", "ms", "active",
    "of", "parts", "per", "percent", "remaining", "requests", "results", "retries", "rounds",
    "rows", "s", "seconds", "second", "secs", "segments", "sessions", "times", "tokens", "tries",
    "users", "weeks", "words", "years", "kb", "kib", "mb", "h", "d", "expired", "created", "total",
    "open",
];

/// Units in which texts state the length or the lifetime of a code or a password.
#[rustfmt::skip]
pub(crate) const MEASURES: &[&str] = &[
    "attempt", "attempts", "bit", "bits", "byte", "bytes", "char", "character", "characters",
    "chars", "day", "days", "digit", "digits", "failures", "hour", "hours", "letters", "minute",
    "minutes", "ms", "retries", "seconds", "secs", "tries", "words",
];

/// Units that are not in the word lists from which passphrases are generated.
#[rustfmt::skip]
pub(crate) const PHRASE_UNITS: &[&str] = &[
    "attempts", "bits", "bytes", "characters", "chars", "letters", "words",
];

/// Names with digits that are not credentials.
#[rustfmt::skip]
pub(crate) const NAMES: &[&str] = &[
    "argon2", "argon2id", "base32", "base58", "base64", "base64url", "bcrypt2", "ed25519",
    "hmac-sha256", "http/1.1", "http2", "ipv4", "ipv6", "md5", "oauth2", "pbkdf2", "sha-1",
    "sha-256", "sha-512", "sha1", "sha256", "sha384", "sha512", "utf-16", "utf-8", "utf16", "utf8",
    "x509",
];

/// Directories at the root of a file system.
#[rustfmt::skip]
pub(crate) const FOLDERS: &[&str] = &[
    "app", "config", "data", "dev", "etc", "home", "mnt", "opt", "private", "proc", "root", "run",
    "secrets", "srv", "tmp", "usr", "users", "var", "vault", "work", "workspace",
];

/// Words that follow the name of an option in a sentence about that option.
#[rustfmt::skip]
pub(crate) const OPTIONS: &[&str] = &[
    "argument", "arguments", "flag", "flags", "option", "options", "parameter", "parameters",
    "switch", "syntax", "usage",
];

/// Types in source code.
#[rustfmt::skip]
pub(crate) const TYPES: &[&str] = &[
    "[u8]", "'a", "'static", "arc", "array", "array[byte]", "box", "btreemap",
    "classified", "cow", "dyn",
    "hashmap", "list", "map", "mut", "mutex", "option", "optional", "promise", "rc", "refcell",
    "result", "secret", "secretbox", "self", "set", "str", "vec", "zeroizing",
];
