//! The HTTP requests that carry envelopes to Sentry.

use sentry_core::types;
use spanwise_core::{
    Clock, REDACTED,
    export::{Deliver, Delivery},
};
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

use crate::{connection::Connection, envelope::QueuedEnvelope, rate_limits::RateLimits};

/// The maximum length of the body of a response in bytes. A longer body is not reported.
const MAX_BODY_LEN: u64 = 16 * 1024;

/// At most this many characters of the body of a response are reported.
const MAX_REPORTED_CHARS: usize = 200;

/// The minimum length of a key of the DSN that is removed from reports, in bytes. A shorter key may
/// occur in a text by chance.
const MIN_KEY_LEN: usize = 5;

const RATE_LIMITED: &str = "Sentry accepts no more events for now, because of a rate limit";

/// Sends envelopes to the project of a DSN.
pub(crate) struct HttpTransport {
    agent: Agent,
    url: String,
    auth: String,
    /// The keys of the DSN, which must not appear in reports.
    keys: Vec<String>,
    limits: RateLimits,
    clock: Clock,
}

impl HttpTransport {
    pub(crate) fn new(connection: &Connection, clock: Clock) -> Self {
        let Connection {
            dsn,
            user_agent,
            timeout,
            proxy,
            root_certificates,
        } = connection;
        let mut config = Agent::config_builder()
            .timeout_global(Some(*timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(1)
            .user_agent(user_agent.as_str());
        if let Some(proxy) = proxy {
            config = config.proxy(Some(proxy.clone()));
        }
        if !root_certificates.is_empty() {
            let roots = RootCerts::new_with_certs(root_certificates);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Self {
            agent: config.build().into(),
            url: dsn.envelope_api_url().to_string(),
            auth: dsn.to_auth(Some(user_agent)).to_string(),
            keys: keys_to_hide(dsn),
            limits: RateLimits::default(),
            clock,
        }
    }

    fn without_keys(&self, text: &str) -> String {
        let keys = self.keys.iter();
        keys.fold(text.to_owned(), |text, key| text.replace(key, REDACTED))
    }

    fn failed(reason: String) -> Delivery {
        Delivery::Failed {
            reason,
            // `RateLimits` applies the waits that Sentry requests. After other failures, the
            // exporter applies its own backoff.
            retry_after: None,
        }
    }
}

impl Deliver<QueuedEnvelope> for HttpTransport {
    fn deliver(&mut self, envelope: &QueuedEnvelope) -> Delivery {
        if !self.limits.allows(envelope.category, self.clock.instant()) {
            return Delivery::RateLimited(RATE_LIMITED.to_owned());
        }
        let request = self
            .agent
            .post(&self.url)
            .header("Content-Type", "application/x-sentry-envelope")
            .header("X-Sentry-Auth", &self.auth);
        let mut response = match request.send(&envelope.bytes[..]) {
            Ok(response) => response,
            Err(error) => return Self::failed(self.without_keys(&error.to_string())),
        };
        let status = response.status().as_u16();
        let header = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (retry_after, limits) = (header("retry-after"), header("x-sentry-rate-limits"));
        self.limits.update(
            status,
            retry_after.as_deref(),
            limits.as_deref(),
            self.clock.instant(),
        );
        // Read each response: the agent can reuse the connection only after the end of the body.
        let body = response.body_mut().with_config().limit(MAX_BODY_LEN);
        let answer = body.read_to_string().unwrap_or_default();
        let reason = || {
            // The response of a proxy may quote the request. The keys are removed before the text
            // is truncated, because truncation could leave a part of a key.
            let answer = self.without_keys(answer.trim());
            let answer: String = answer.chars().take(MAX_REPORTED_CHARS).collect();
            format!("Sentry answers {status}: {answer}")
        };
        match status {
            200..300 => Delivery::Delivered,
            429 => Delivery::Refused(RATE_LIMITED.to_owned()),
            500.. => Self::failed(reason()),
            _ => Delivery::Refused(reason()),
        }
    }
}

/// Returns the keys of `dsn`, without those that are too short to be replaced.
fn keys_to_hide(dsn: &types::Dsn) -> Vec<String> {
    let keys = [Some(dsn.public_key()), dsn.secret_key()];
    let keys = keys.into_iter().flatten();
    keys.filter(|key| key.len() >= MIN_KEY_LEN)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_are_not_replaced_in_reports() {
        let keys_of =
            |key: &str| keys_to_hide(&format!("https://{key}@localhost/1").parse().unwrap());
        assert!(keys_of("a").is_empty());
        assert_eq!(keys_of("tulip"), ["tulip"]);
    }
}
