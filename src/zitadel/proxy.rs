//! The HTTP proxy that a person may set; that of the environment never counts.

use std::fmt;

use url::Url;

/// Never through a proxy, where they would mean its own host.
const LOOPBACK: &str = "localhost, 127.0.0.0/8, ::1";

/// A proxy for https. The proxy sees the host and port of a server, and by `CONNECT` only: no credential.
///
/// Plain http goes directly. `Debug` shows nothing, since the URL may hold a password.
#[derive(Clone)]
pub struct Proxy(reqwest::Proxy);

impl Proxy {
    /// The proxy at `url` (`http://` or `https://`, with a user and password where it asks for them), for all hosts
    /// but those of `except`: names with all under them, addresses and networks (`10.0.0.0/8`).
    ///
    /// # Errors
    /// A sentence that quotes nothing of the URL.
    pub fn parse(url: &str, except: &[String]) -> Result<Self, String> {
        let refused = || "the proxy must be a URL such as http://proxy.example.com:3128".to_owned();
        let url = Url::parse(url.trim()).map_err(|_| refused())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !matches!(url.path(), "" | "/") {
            return Err(refused());
        }
        // What its library cannot use it ignores, and connects directly.
        url.as_str().parse::<http::Uri>().map_err(|_| refused())?;
        let except = format!("{LOOPBACK}, {}", except.join(","));
        let proxy = reqwest::Proxy::https(url).map_err(|_| refused())?;
        Ok(Self(proxy.no_proxy(reqwest::NoProxy::from_string(&except))))
    }

    pub(crate) fn for_client(&self) -> reqwest::Proxy {
        self.0.clone()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy")
    }
}
