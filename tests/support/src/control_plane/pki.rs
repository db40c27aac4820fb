//! The certificates and keys of one control plane, made anew for each.

use std::fs;
use std::path::Path;

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use super::Error;

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// Writes all of them (EC P-256, PEM) into `dir`, and returns the CA certificate that clients trust.
pub(super) fn write(dir: &Path) -> Result<String, Error> {
    let (ca, front_proxy_ca) = (authority("kubernetes")?, authority("front-proxy")?);
    let (server, server_key) = leaf(&ca, "kube-apiserver", &["127.0.0.1", "localhost"], ServerAuth)?;
    let (front_proxy, front_proxy_key) = leaf(&front_proxy_ca, "front-proxy-client", &[], ClientAuth)?;
    let service_accounts = KeyPair::generate()?;
    let files = [
        ("ca.crt", ca.pem()),
        ("ca.key", ca.key().serialize_pem()),
        ("front-proxy-ca.crt", front_proxy_ca.pem()),
        ("apiserver.crt", server),
        ("apiserver.key", server_key),
        ("front-proxy.crt", front_proxy),
        ("front-proxy.key", front_proxy_key),
        ("sa.key", service_accounts.serialize_pem()),
        ("sa.pub", service_accounts.public_key_pem()),
    ];
    files
        .iter()
        .try_for_each(|(name, pem)| fs::write(dir.join(name), pem))
        .map_err(Error::io("write in", dir))?;
    Ok(ca.pem())
}

/// A certificate authority of this name.
pub(crate) fn authority(name: &str) -> Result<Authority, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

/// A certificate for these names and addresses, and its key (PEM).
pub(crate) fn leaf(
    issuer: &Authority,
    name: &str,
    alternative_names: &[&str],
    usage: ExtendedKeyUsagePurpose,
) -> Result<(String, String), rcgen::Error> {
    let mut params =
        CertificateParams::new(alternative_names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}
