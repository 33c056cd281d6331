//! Kinds of secrets that are recognized by their text.

/// Defines [`Detector`] from its variants, each with its documentation and its name.
macro_rules! detectors {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)*) => {
        /// A kind of secret that is recognized by its text, under any key.
        ///
        /// A detector matches the format that the issuer of the secret documents. It verifies the
        /// prefix and the check digits if the format has them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Detector {
            $($(#[$doc])+ $variant,)*
        }

        impl Detector {
            /// All detectors.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Returns the detector's name in [`Redact::counts`](spanwise_core::Redact::counts).
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

detectors! {
    /// A private key in PEM format, from its `BEGIN` line to its `END` line.
    Pem = "pem",
    /// A JSON web token, signed or encrypted.
    Jwt = "jwt",
    /// GitHub tokens.
    Github = "github",
    /// GitLab tokens.
    Gitlab = "gitlab",
    /// AWS access key ids.
    AwsKeyId = "aws_key_id",
    /// AWS secret access keys, after a name such as `secret_access_key`.
    AwsSecret = "aws_secret",
    /// Stripe keys and webhook signing secrets.
    Stripe = "stripe",
    /// Slack tokens.
    Slack = "slack",
    /// The secret part of a Slack webhook URL.
    SlackWebhook = "slack_webhook",
    /// Google API keys and OAuth secrets.
    Google = "google",
    /// Anthropic and OpenAI keys.
    LlmKeys = "llm_keys",
    /// Tokens of some eighty other issuers with a known prefix. Examples are npm, `PyPI`, Hugging
    /// Face, `DigitalOcean`, `SendGrid`, Shopify, Databricks, Vault, Grafana, Sentry and Atlassian.
    /// Also Discord bot tokens and password hashes (`$2b$…`).
    MiscPrefixed = "misc_prefixed",
    /// The secret path in a URL of one of some twenty hosts: Telegram bots, webhooks of Discord,
    /// Office, Zapier and others.
    Webhook = "webhook",
    /// A credential after `Bearer` or `token`.
    Bearer = "bearer",
    /// A user and password in base64, after `Basic`.
    Basic = "basic",
    /// The password in `scheme://user:password@host`, or a token in its place; the password in
    /// `user:password@tcp(host)` and in `jdbc:oracle:thin:user/password@host`.
    UrlUserinfo = "url_userinfo",
    /// A URL parameter that carries a credential, such as `sig` or `code`.
    UrlQuery = "url_query",
    /// A password that is not in the form `key=value`: `IDENTIFIED BY '…'` and `PASSWORD '…'` in
    /// SQL, lines of `.pgpass` and `.netrc`.
    ConnectionPassword = "connection_password",
    /// A password in command-line arguments: `mysql -p…`, `curl -u user:…`.
    CommandLine = "command_line",
    /// A payment card number, verified by issuer prefix and check digit.
    Card = "card",
    /// A United States social security number.
    Ssn = "ssn",
    /// An e-mail address.
    Email = "email",
    /// A public IPv4 address. Private, link-local, loopback and multicast addresses are shown, and
    /// so are networks of 256 addresses or more (`203.0.113.0/24`) and versions.
    Ipv4 = "ipv4",
    /// A public IPv6 address. Unique local, link-local, loopback and multicast addresses are shown,
    /// and so are networks with a prefix of at most 48 bits.
    Ipv6 = "ipv6",
    /// An IBAN, verified by the length for its country and by its check digits.
    Iban = "iban",
}

impl Detector {
    /// Returns whether the detector finds PII rather than secrets.
    pub(crate) const fn is_pii(self) -> bool {
        matches!(self, Self::Email | Self::Ipv4 | Self::Ipv6 | Self::Iban)
    }
}
