//! Kinds of secrets that are recognized by their text.

/// A kind of secret that is recognized by its text, under any key.
///
/// Detectors match the formats that the issuers document. Prefixes and check digits are verified
/// where the format has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Detector {
    /// A private key in PEM armour, to its end.
    Pem,
    /// A JSON web token, signed or encrypted.
    Jwt,
    /// GitHub tokens.
    Github,
    /// GitLab tokens.
    Gitlab,
    /// AWS access key ids.
    AwsKeyId,
    /// AWS secret access keys, after their name.
    AwsSecret,
    /// Stripe keys and webhook signing secrets.
    Stripe,
    /// Slack tokens.
    Slack,
    /// The secret part of a Slack webhook URL.
    SlackWebhook,
    /// Google API keys and OAuth secrets.
    Google,
    /// Anthropic and OpenAI keys.
    LlmKeys,
    /// Tokens of some eighty other issuers with a known prefix, such as npm, `PyPI`, Hugging Face,
    /// `DigitalOcean`, `SendGrid`, Shopify, Databricks, Vault, Grafana, Sentry and Atlassian;
    /// Discord bot tokens; password hashes (`$2b$…`).
    MiscPrefixed,
    /// URLs of some twenty hosts whose path is a credential: Telegram bots, webhooks of Discord,
    /// Office, Zapier and others.
    Webhook,
    /// `Bearer` or `token` before a credential.
    Bearer,
    /// `Basic` before a user and a password in base64.
    Basic,
    /// The password in `scheme://user:password@host`, or a token in its place; the password in
    /// `user:password@tcp(host)` and in `jdbc:oracle:thin:user/password@host`.
    UrlUserinfo,
    /// A URL parameter that carries a credential, such as `sig` or `code`.
    UrlQuery,
    /// A password without a `=`: `IDENTIFIED BY '…'` and `PASSWORD '…'` in SQL, lines of `.pgpass`
    /// and `.netrc`.
    ConnectionPassword,
    /// A password in command-line arguments: `mysql -p…`, `curl -u user:…`.
    CommandLine,
    /// A payment card number, verified by issuer prefix and check digit.
    Card,
    /// A United States social security number.
    Ssn,
    /// An e-mail address.
    Email,
    /// A public IPv4 address. Private, link-local and loopback addresses are shown. So are networks
    /// of 256 addresses or more (`203.0.113.0/24`) and versions.
    Ipv4,
    /// A public IPv6 address. Unique local, link-local and loopback addresses are shown. So are
    /// networks of a /48 or more.
    Ipv6,
    /// An IBAN, verified by its country's length and its check digits.
    Iban,
}

impl Detector {
    /// All detectors.
    pub const ALL: [Self; 25] = [
        Self::Pem,
        Self::Jwt,
        Self::Github,
        Self::Gitlab,
        Self::AwsKeyId,
        Self::AwsSecret,
        Self::Stripe,
        Self::Slack,
        Self::SlackWebhook,
        Self::Google,
        Self::LlmKeys,
        Self::MiscPrefixed,
        Self::Webhook,
        Self::Bearer,
        Self::Basic,
        Self::UrlUserinfo,
        Self::UrlQuery,
        Self::ConnectionPassword,
        Self::CommandLine,
        Self::Card,
        Self::Ssn,
        Self::Email,
        Self::Ipv4,
        Self::Ipv6,
        Self::Iban,
    ];

    /// Returns the detector's name in [`Redact::counts`](spanwise_core::Redact::counts).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Jwt => "jwt",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::AwsKeyId => "aws_key_id",
            Self::AwsSecret => "aws_secret",
            Self::Stripe => "stripe",
            Self::Slack => "slack",
            Self::SlackWebhook => "slack_webhook",
            Self::Google => "google",
            Self::LlmKeys => "llm_keys",
            Self::MiscPrefixed => "misc_prefixed",
            Self::Webhook => "webhook",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::UrlUserinfo => "url_userinfo",
            Self::UrlQuery => "url_query",
            Self::ConnectionPassword => "connection_password",
            Self::CommandLine => "command_line",
            Self::Card => "card",
            Self::Ssn => "ssn",
            Self::Email => "email",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Iban => "iban",
        }
    }

    /// Returns whether it detects PII rather than secrets.
    pub(crate) const fn is_pii(self) -> bool {
        matches!(self, Self::Email | Self::Ipv4 | Self::Ipv6 | Self::Iban)
    }
}
