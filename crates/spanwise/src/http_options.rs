//! What the environment says of requests: whose ids are taken over, and what is told of a client's
//! address.

#[cfg(feature = "http")]
use spanwise_http::{ClientAddress, Trust};

#[cfg(feature = "http")]
use crate::Preset;
use crate::{
    from_env::Vars,
    settings::{LOG_HTTP_CLIENT_ADDRESS, LOG_HTTP_TRUST},
};

/// What is said, or nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpOptions {
    #[cfg(feature = "http")]
    pub(crate) trust: Option<Trust>,
    #[cfg(feature = "http")]
    pub(crate) client_address: Option<ClientAddress>,
    /// The keys of the context that the program declares.
    #[cfg(feature = "http")]
    pub(crate) context_keys: Vec<String>,
}

#[cfg(feature = "http")]
impl HttpOptions {
    pub(crate) fn read(vars: &mut Vars) -> Self {
        Self {
            trust: vars.parsed(&LOG_HTTP_TRUST),
            client_address: vars.parsed(&LOG_HTTP_CLIENT_ADDRESS),
            context_keys: Vec::new(),
        }
    }

    /// This, and where it says nothing the other.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            trust: self.trust.or(other.trust),
            client_address: self.client_address.or(other.client_address),
            ..self
        }
    }

    /// With what the preset says of what is not said.
    pub(crate) fn or_of(self, preset: Preset) -> Self {
        let client_address = match preset {
            Preset::Dev => ClientAddress::Full,
            Preset::Prod | Preset::Test | Preset::Cli => ClientAddress::Network,
        };
        Self {
            trust: Some(self.trust.unwrap_or_default()),
            client_address: Some(self.client_address.unwrap_or(client_address)),
            ..self
        }
    }

    pub(crate) fn layer(&self) -> spanwise_http::ServerLayer {
        let mut layer = spanwise_http::server();
        if let Some(trust) = &self.trust {
            layer = layer.trust(trust.clone());
        }
        if let Some(client_address) = self.client_address {
            layer = layer.client_address(client_address);
        }
        let keys = self.context_keys.iter();
        keys.fold(layer, |layer, key| layer.context_key(key))
    }
}

#[cfg(not(feature = "http"))]
impl HttpOptions {
    /// Of a part that is not there nothing is read.
    pub(crate) fn read(vars: &mut Vars) -> Self {
        for setting in [&LOG_HTTP_TRUST, &LOG_HTTP_CLIENT_ADDRESS] {
            if vars.is_set(setting) {
                let name = vars.name(setting);
                vars.warn(format!(
                    "{name} does not count: this program is built without HTTP; add the feature `http` of `spanwise`, or leave the \
                     variable out"
                ));
            }
        }
        Self {}
    }
}
