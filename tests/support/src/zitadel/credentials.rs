//! Tokens, machine keys and client secrets.

use std::collections::HashMap;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::store::Store;

/// An access token of a user.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) user: String,
    pub(super) expires: Option<Timestamp>,
    /// Whether the API accepts it: a token minted without the audience scope is refused.
    pub(super) for_api: bool,
}

/// The public half of a machine key.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) user: String,
    pub(super) expires: Option<Timestamp>,
    /// PKCS#1.
    pub(super) public: Vec<u8>,
}

/// Outlives the instance: a replaced instance still knows them.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) tokens: HashMap<String, Token>,
    /// Personal access tokens that were given out over the API, by their id.
    pub(super) personal: HashMap<String, String>,
    /// By key id.
    pub(super) keys: HashMap<String, Key>,
    /// By user id, with when it was made: a log-in finds it only once the projection has caught up.
    pub(super) secrets: HashMap<String, (String, Instant)>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Whom a token lets in at that time, if anybody.
    pub(super) fn holder(&self, token: &str, now: Timestamp) -> Option<&str> {
        let token = self.tokens.get(token)?;
        let valid = token.for_api && token.expires.is_none_or(|end| end > now);
        valid.then_some(token.user.as_str())
    }
}

/// A fresh 2048-bit RSA key: the private half as PKCS#1 PEM, the public half as PKCS#1 DER.
fn generate_key() -> (String, Vec<u8>) {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
    let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).expect("an RSA key as PKCS#8");
    let pkcs1 = unwrap_pkcs8(pkcs8.as_ref()).expect("PKCS#8 around PKCS#1");
    (pem("RSA PRIVATE KEY", pkcs1), pair.public_key().as_ref().to_vec())
}

/// The key inside `SEQUENCE { INTEGER version, SEQUENCE algorithm, OCTET STRING key }`.
fn unwrap_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let (outer, _) = element(0x30, der)?;
    let (_, rest) = element(0x02, outer)?;
    let (_, rest) = element(0x30, rest)?;
    Some(element(0x04, rest)?.0)
}

/// The content of a DER element with that tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = der.split_first().filter(|(first, _)| **first == tag)?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length.checked_sub(0x80) {
        None => (usize::from(*length), rest),
        Some(bytes) => {
            let (digits, rest) = rest.split_at_checked(usize::from(bytes))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
    };
    rest.split_at_checked(length)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Store {
    /// A new access token of the user for the API.
    pub(super) fn issue(&mut self, user: &str, expires: Option<Timestamp>) -> String {
        let token = self.ids.token(71);
        let granted = Token { user: user.to_owned(), expires, for_api: true };
        self.credentials.tokens.insert(token.clone(), granted);
        token
    }

    /// A new machine key of the user, valid until the given time: its id, and the key file as ZITADEL gives it out, once.
    pub(super) fn issue_key(&mut self, user: &str, expires: Option<Timestamp>) -> (String, String) {
        let (private, public) = generate_key();
        let id = self.ids.id();
        self.credentials.keys.insert(id.clone(), Key { user: user.to_owned(), expires, public });
        let file = json!({
            "type": "serviceaccount",
            "keyId": id,
            "key": private,
            "expirationDate": expires.map_or("9999-12-31T23:59:59Z".into(), |end| end.to_string()),
            "userId": user,
        });
        (id, file.to_string())
    }
}
