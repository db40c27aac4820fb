//! A service user's key file, as ZITADEL issues it.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Length of what PKCS#8 puts around a 2048-bit PKCS#1 key.
const PKCS8_HEADER: usize = 26;

static PEM: LazyLock<String> = LazyLock::new(|| {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let text = STANDARD.encode(&pkcs8.as_ref()[PKCS8_HEADER..]);
    let lines: String =
        text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----\n{lines}-----END RSA PRIVATE KEY-----\n")
});

/// Its document, with a new key for each run.
pub fn document() -> Value {
    json!({
        "type": "serviceaccount",
        "keyId": "key-1",
        "key": *PEM,
        "expirationDate": "2999-01-01T00:00:00Z",
        "userId": "user-1",
    })
}

/// Its bytes.
pub fn key_file() -> Vec<u8> {
    document().to_string().into_bytes()
}
