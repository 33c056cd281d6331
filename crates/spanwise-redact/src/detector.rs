//! The kinds of secret that are known by their text.

/// A kind of secret that is known by its text, whatever key it stands under.
///
/// What is matched is what the issuers document, with the check digits and prefixes checked where there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Detector {
    /// A private key in PEM armour, to its end.
    Pem,
    /// A JSON web token, signed or encrypted.
    Jwt,
    /// Tokens of GitHub.
    Github,
    /// Tokens of GitLab.
    Gitlab,
    /// Access key ids of AWS.
    AwsKeyId,
    /// Secret access keys of AWS, after their name.
    AwsSecret,
    /// Keys of Stripe, and what its webhooks are signed with.
    Stripe,
    /// Tokens of Slack.
    Slack,
    /// The secret part of a webhook's address at Slack.
    SlackWebhook,
    /// API keys and OAuth secrets of Google.
    Google,
    /// Keys of Anthropic and OpenAI.
    LlmKeys,
    /// Tokens of some eighty other issuers that are known by how they begin, such as npm, `PyPI`,
    /// Hugging Face, `DigitalOcean`, `SendGrid`, Shopify, Databricks, Vault, Grafana, Sentry and
    /// Atlassian; bots of Discord; hashes of passwords (`$2b$…`).
    MiscPrefixed,
    /// A URL whose path is a credential, at one of some twenty hosts: bots of Telegram, webhooks of
    /// Discord, Office, Zapier and others.
    Webhook,
    /// `Bearer` or `token` before a credential.
    Bearer,
    /// `Basic` before a user and a password in base64.
    Basic,
    /// The password in `scheme://user:password@host`, and a token in its place; the password in
    /// `user:password@tcp(host)` and in `jdbc:oracle:thin:user/password@host`.
    UrlUserinfo,
    /// A parameter of a URL that carries a credential, such as `sig` or `code`.
    UrlQuery,
    /// A password where no `=` names it: `IDENTIFIED BY '…'` and `PASSWORD '…'` in SQL, lines of
    /// `.pgpass` and of `.netrc`.
    ConnectionPassword,
    /// A password in the arguments of a command: `mysql -p…`, `curl -u user:…`.
    CommandLine,
    /// A payment card: issuer and check digit.
    Card,
    /// A social security number of the United States.
    Ssn,
    /// An e-mail address.
    Email,
    /// A public address of the internet. Private, link-local and loopback addresses are shown, and
    /// so are networks of 256 addresses or more (`203.0.113.0/24`) and versions.
    Ipv4,
    /// A public address of the internet, version 6. Unique local, link-local and loopback addresses
    /// are shown, and so are networks of a /48 or more.
    Ipv6,
    /// A bank account: its country's length and check digits.
    Iban,
}

impl Detector {
    /// All of them.
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

    /// Its name in [`Redact::counts`](spanwise_core::Redact::counts).
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

    /// True if it tells of a person rather than of a secret.
    pub(crate) const fn is_pii(self) -> bool {
        matches!(self, Self::Email | Self::Ipv4 | Self::Ipv6 | Self::Iban)
    }
}
