//! The options of the server layer: trusted callers, and the logged part of an address.

use spanwise_http::{ClientAddress, ServerLayer, Trust};

use crate::{
    choices::Choices,
    settings::{LOG_HTTP_CLIENT_ADDRESS, LOG_HTTP_TRUST},
};

/// The options of `Telemetry::http_server`.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpOptions {
    trust: Option<Trust>,
    client_address: Option<ClientAddress>,
}

impl HttpOptions {
    pub(crate) fn choose(choices: &mut Choices<'_>) -> Self {
        Self {
            trust: choices.choose(&LOG_HTTP_TRUST).map(|trust| trust.value),
            client_address: choices
                .choose(&LOG_HTTP_CLIENT_ADDRESS)
                .map(|address| address.value),
        }
    }

    /// Returns the layer for servers; `context_keys` are those that the program declares.
    pub(crate) fn layer(&self, context_keys: &[String]) -> ServerLayer {
        let mut layer = spanwise_http::server();
        if let Some(trust) = &self.trust {
            layer = layer.trust(trust.clone());
        }
        if let Some(client_address) = self.client_address {
            layer = layer.client_address(client_address);
        }
        let keys = context_keys.iter();
        keys.fold(layer, |layer, key| layer.context_key(key))
    }
}
