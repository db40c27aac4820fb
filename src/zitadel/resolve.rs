//! Which hosts a URL that a tenant chose may lead to: never the operator's own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What a refused address is answered with.
pub(crate) const DENIED: &str =
    "the host is a loopback, link-local, multicast or unspecified address, which is refused";

/// Resolves like the system and drops local addresses from the answer.
///
/// Guarantees: what is connected to is what was looked at, since nothing resolves the name a second time.
#[derive(Debug)]
pub(crate) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(public(found)?.into_iter()) as Addrs)
        })
    }
}

/// Those of the addresses that are not local.
///
/// # Errors
/// [`DENIED`] where none is left.
pub(crate) fn public(found: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let allowed: Vec<SocketAddr> = found.filter(|address| !is_local(address.ip())).collect();
    match allowed.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::PermissionDenied, DENIED)),
        false => Ok(allowed),
    }
}

/// Whether the host of `url` is a local address.
///
/// URLs know an address in any way of writing it: `http://2130706433/` and `http://0x7f.1/` are 127.0.0.1.
pub(crate) fn names_local_address(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_local(address.into()),
        Some(Host::Ipv6(address)) => is_local(address.into()),
        Some(Host::Domain(_)) | None => false,
    }
}

/// Whether `address` is loopback, link-local, unspecified, multicast or broadcast, also when written in IPv6.
pub(crate) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_local_v4(v4),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6.is_multicast() || embedded(v6).is_some_and(is_local_v4)
        }
    }
}

fn is_local_v4(address: Ipv4Addr) -> bool {
    address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] == 0
}

/// The IPv4 address in `::ffff:0:0/96`, in `::/96` (`::` and `::1` are 0.0.0.0 and 0.0.0.1 there), and in the
/// translated `64:ff9b::/96` (RFC 6052).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(((u32::from(high) << 16) | u32::from(low)).into()),
        _ => address.to_ipv4(),
    }
}
