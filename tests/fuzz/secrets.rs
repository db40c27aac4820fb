//! What lies in Secrets: tokens, key files, client secrets, certificates.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use zitadel_operator::zitadel::{Credential, HttpTransport, HttpTransportConfig};

use crate::foreign::{Bent, CANARY, bytes, scratched, sent};
use crate::keys;
use crate::server::{Server, assert_discreet, client_at, on_paused_time, response};

/// Bytes under a key of a Secret.
pub fn texts() -> impl Strategy<Value = Bent> {
    let token = format!("{CANARY}\n").into_bytes();
    prop_oneof![scratched(vec![token, b" a b ".to_vec()]), bytes().prop_map(Bent)]
}

/// A token and a client secret are accepted as they can be sent, and a refusal quotes nothing.
pub fn can_be_sent(Bent(bytes): Bent) {
    match Credential::personal_access_token(&bytes) {
        Err(error) => assert_discreet(&error),
        Ok(credential) => {
            let sent = authorization(credential);
            assert_eq!(sent.strip_prefix(b"Bearer "), Some(bytes.trim_ascii()));
        }
    }
    for (id, secret) in [(&b"bot"[..], &bytes[..]), (&bytes[..], b"s")] {
        match Credential::client_credentials(id, secret) {
            Err(error) => assert_discreet(&error),
            Ok(credential) => {
                let Credential::ClientCredentials { client_id, .. } = &credential else {
                    panic!("{credential:?}");
                };
                assert_eq!(client_id.as_bytes(), id.trim_ascii());
                assert!(
                    secret.trim_ascii().is_empty()
                        || id == bytes
                        || !format!("{credential:?}").contains(CANARY)
                );
                assert_eq!(
                    form(credential),
                    [("client_id", id), ("client_secret", secret)].map(|(name, value)| {
                        (name.to_owned(), String::from_utf8(value.trim_ascii().to_vec()).unwrap())
                    })
                );
            }
        }
    }
}

fn authorization(credential: Credential) -> Vec<u8> {
    let server = Server::new(|_| response(200, &[], br#"{"user": {"id": "1"}}"#.to_vec()));
    let client = client_at("https://zitadel.example", None, server.clone() as Arc<_>, credential).unwrap();
    on_paused_time(async { client.me().await }).unwrap();
    server.seen()[0].headers()["authorization"].as_bytes().to_vec()
}

/// The id and secret in the form of a token request.
fn form(credential: Credential) -> Vec<(String, String)> {
    let server = Server::new(|_| response(200, &[], br#"{"access_token": "t", "expires_in": 1}"#.to_vec()));
    let client = client_at("https://zitadel.example", None, server.clone() as Arc<_>, credential).unwrap();
    // Only the first request matters.
    let _ = on_paused_time(async { client.me().await });
    let sent = server.seen().remove(0);
    let pairs = url::form_urlencoded::parse(sent.body()).into_owned();
    pairs.filter(|(name, _)| name.starts_with("client_")).collect()
}

/// Key files.
pub fn key_files() -> impl Strategy<Value = Bent> {
    let service_account = json!({"type": "serviceaccount", "keyId": CANARY, "key": CANARY, "userId": "u"});
    let other = json!({"type": "application", "keyId": "1", "key": CANARY, "appId": "2", "clientId": "3"});
    prop_oneof![3 => sent(vec![keys::document()]), 1 => sent(vec![service_account, other])]
}

/// No panic, and neither an error nor `Debug` shows the file or its key.
pub fn is_a_key(Bent(bytes): Bent) {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match Credential::jwt_profile(&bytes) {
        Err(error) => assert_discreet(&error),
        Ok(credential) => {
            let shown = format!("{credential:?}");
            assert!(!shown.contains("PRIVATE KEY"), "{shown}");
            assert_eq!(credential, Credential::jwt_profile(text.as_bytes()).unwrap());
        }
    }
}

/// PEM of what is no certificate.
const CUT: &str = "-----BEGIN CERTIFICATE-----\nMIIBATCBrKADAgECAgEBMA0GCSqGSIb3DQEBCwUAMAAwHhcNMjYwMTAxMDAwMDAw\n-----END CERTIFICATE-----\n";

/// Bundles of certificates, and what people take for one.
pub fn bundles() -> impl Strategy<Value = Bent> {
    let certificate = include_str!("certificate.pem");
    let key = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    let both = format!("{key}{certificate}");
    let originals = [certificate.to_owned(), both, key, CUT.to_owned(), certificate.repeat(3), String::new()];
    scratched(originals.map(String::into_bytes).to_vec())
}

/// A bundle is refused in a sentence, or trusted.
pub fn is_trusted_or_refused(Bent(bytes): Bent) {
    let config = HttpTransportConfig { ca_bundle: Some(bytes), ..Default::default() };
    if let Err(message) = HttpTransport::new(&config) {
        assert!(!message.is_empty() && message.len() < 300 && !message.contains(CANARY), "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}
