//! Base URLs: what may be written in a connection, and what a JWT assertion is addressed to.

use ::url::{Host, Url};

use crate::zitadel::resolve::{DENIED, names_local_address};

/// Parses the URL under which ZITADEL is reached; a path prefix is kept without its trailing slash.
///
/// # Errors
/// A sentence for a condition: unparsable, a scheme other than http(s), a user, query or fragment in it, or more
/// than a request can carry.
pub fn parse_base_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text.trim()).map_err(|error| format!("the URL cannot be parsed: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the URL must be http:// or https:// and name a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL must not hold a user or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL must not hold a query or fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    // URLs may hold what requests may not, such as quotation marks in a host.
    if url.as_str().parse::<http::Uri>().is_err() {
        return Err("the URL is too long, or holds characters that no request can carry".to_owned());
    }
    Ok(url)
}

/// Refuses to send credentials in the clear: https, a loopback host, or `insecure` said by a person.
///
/// # Errors
/// A sentence for a condition.
pub fn check_url(url: &Url, insecure: bool) -> Result<(), String> {
    if url.scheme() == "https" || insecure || is_loopback(url) {
        return Ok(());
    }
    Err("plain http to a host that is not loopback needs `insecure: true`".to_owned())
}

/// Refuses a URL that says itself that it leads to the operator's own host; what names resolve to is checked later.
///
/// # Errors
/// A sentence for a condition.
pub fn check_public(url: &Url) -> Result<(), String> {
    let name = url.domain().unwrap_or_default().trim_end_matches('.');
    match names_local_address(url) || name == "localhost" || name.ends_with(".localhost") {
        true => Err(DENIED.to_owned()),
        false => Ok(()),
    }
}

/// The issuers that a JWT assertion may be addressed to: the URL's origin and the external domain's.
pub(crate) fn audiences(base_url: &Url, external_domain: Option<&str>) -> Vec<String> {
    let mut audiences = vec![base_url.origin().ascii_serialization()];
    if let Some(domain) = external_domain {
        audiences.push(format!("https://{domain}"));
        if base_url.scheme() == "http" {
            audiences.push(format!("http://{domain}"));
        }
    }
    audiences.dedup();
    audiences
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // Names under it may be asked of a name server.
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
