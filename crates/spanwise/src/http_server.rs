//! What the environment says of requests: whose ids are taken over, and what is told of a client's address.

#[cfg(feature = "http")]
pub(crate) use spanwise_http::{ClientAddress, Trust};
#[cfg(not(feature = "http"))]
pub(crate) use without::{Missing as ClientAddress, Missing as Trust};

use crate::Preset;

/// What is said, or nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpServer {
    pub(crate) trust: Option<Trust>,
    pub(crate) client_address: Option<ClientAddress>,
}

#[cfg(feature = "http")]
impl HttpServer {
    /// With what the preset says of what is not said.
    pub(crate) fn or_of(self, preset: Preset) -> Self {
        let client_address = match preset {
            Preset::Dev => ClientAddress::Whole,
            Preset::Prod | Preset::Test => ClientAddress::Network,
        };
        Self {
            trust: Some(self.trust.unwrap_or_default()),
            client_address: Some(self.client_address.unwrap_or(client_address)),
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
        layer
    }
}

#[cfg(not(feature = "http"))]
impl HttpServer {
    /// Nothing is said of what there is not.
    pub(crate) fn or_of(self, _: Preset) -> Self {
        self
    }
}

#[cfg(not(feature = "http"))]
mod without {
    use std::{convert::Infallible, fmt, str::FromStr};

    /// What cannot be set: reading it says which feature is missing.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Missing(Infallible);

    impl FromStr for Missing {
        type Err = &'static str;

        fn from_str(_: &str) -> Result<Self, Self::Err> {
            Err(
                "this program is built without HTTP: add the feature `http` of `spanwise`, or leave the variable out",
            )
        }
    }

    impl fmt::Display for Missing {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {}
        }
    }
}
