//! The choice of the options of the HTTP server layer: trusted callers, and the logged part of a
//! client's address.

use spanwise_http::ServerLayer;

use crate::{
    choices::Choices,
    settings::{LOG_HTTP_CLIENT_ADDRESS, LOG_HTTP_TRUST},
};

/// Returns the layer for HTTP servers. The start adds the context keys.
pub(crate) fn choose_server_layer(choices: &mut Choices<'_>) -> ServerLayer {
    let mut layer = spanwise_http::server();
    if let Some(trust) = choices.choose(&LOG_HTTP_TRUST) {
        layer = layer.trust(trust.value);
    }
    if let Some(address) = choices.choose(&LOG_HTTP_CLIENT_ADDRESS) {
        layer = layer.client_address(address.value);
    }
    layer
}
