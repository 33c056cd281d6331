//! Kinds of secrets that are recognized by their text.

/// Defines [`Detector`] from its variants, each with its documentation and its name.
macro_rules! detectors {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)*) => {
        /// A kind of secret that is recognized by its text, under any key.
        ///
        /// Detectors match the formats that the issuers document. Prefixes and check digits are
        /// verified if the format has them.
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
    /// A private key in PEM armour, to its end.
    Pem = "pem",
    /// A JSON web token, signed or encrypted.
    Jwt = "jwt",
    /// GitHub tokens.
    Github = "github",
    /// GitLab tokens.
    Gitlab = "gitlab",
    /// AWS access key ids.
    AwsKeyId = "aws_key_id",
    /// AWS secret access keys, after their name.
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
    /// Tokens of some eighty other issuers with a known prefix, such as npm, `PyPI`, Hugging Face,
    /// `DigitalOcean`, `SendGrid`, Shopify, Databricks, Vault, Grafana, Sentry and Atlassian;
    /// Discord bot tokens; password hashes (`$2b$…`).
    MiscPrefixed = "misc_prefixed",
    /// URLs of some twenty hosts whose path is a credential: Telegram bots, webhooks of Discord,
    /// Office, Zapier and others.
    Webhook = "webhook",
    /// `Bearer` or `token` before a credential.
    Bearer = "bearer",
    /// `Basic` before a user and password in base64.
    Basic = "basic",
    /// The password in `scheme://user:password@host`, or a token in its place; the password in
    /// `user:password@tcp(host)` and in `jdbc:oracle:thin:user/password@host`.
    UrlUserinfo = "url_userinfo",
    /// A URL parameter that carries a credential, such as `sig` or `code`.
    UrlQuery = "url_query",
    /// A password without a `=`: `IDENTIFIED BY '…'` and `PASSWORD '…'` in SQL, lines of `.pgpass`
    /// and `.netrc`.
    ConnectionPassword = "connection_password",
    /// A password in command-line arguments: `mysql -p…`, `curl -u user:…`.
    CommandLine = "command_line",
    /// A payment card number, verified by issuer prefix and check digit.
    Card = "card",
    /// A United States social security number.
    Ssn = "ssn",
    /// An e-mail address.
    Email = "email",
    /// A public IPv4 address. Private, link-local, loopback and multicast addresses are shown. So
    /// are networks of 256 addresses or more (`203.0.113.0/24`) and versions.
    Ipv4 = "ipv4",
    /// A public IPv6 address. Unique local, link-local, loopback and multicast addresses are shown.
    /// So are networks of a /48 or larger.
    Ipv6 = "ipv6",
    /// An IBAN, verified by its country's length and its check digits.
    Iban = "iban",
}

impl Detector {
    /// Returns whether the detector finds PII rather than secrets.
    pub(crate) const fn is_pii(self) -> bool {
        matches!(self, Self::Email | Self::Ipv4 | Self::Ipv6 | Self::Iban)
    }
}
