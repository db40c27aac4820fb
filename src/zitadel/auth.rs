//! Credentials of a ZITADEL service user, as they lie in a Secret.

use std::fmt;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// The server refuses an `iat` more than a second ahead of its clock; this much skew is harmless.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
const ASSERTION_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Why there is no usable credential; each a sentence for a condition, without any secret byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The Secret or its key does not exist, or may not be used.
    #[error("{0}")]
    Missing(String),
    /// It exists and cannot be a credential.
    #[error("{0}")]
    Invalid(String),
    /// It could not be read now.
    #[error("{0}")]
    Unavailable(String),
}

/// Where the credential is read from, anew on each call.
pub trait CredentialSource: Send + Sync {
    /// Reads and parses the credential.
    fn load(&self) -> BoxFuture<'_, Result<Credential, CredentialError>>;
}

/// How the operator logs in. `Debug` shows the kind and the public ids only.
#[derive(Clone)]
pub enum Credential {
    /// A personal access token, sent as it is.
    PersonalAccessToken(SecretString),
    /// A key file, exchanged for tokens by the JWT profile grant.
    JwtProfile(JwtProfile),
    /// A machine user's name and generated secret.
    ClientCredentials {
        /// The machine user's login name.
        client_id: String,
        /// The generated secret.
        client_secret: SecretString,
    },
}

/// No token, secret or key file is longer, in bytes: whoever owns the Secret or the server does not fill the operator's
/// memory.
pub(crate) const LONGEST_CREDENTIAL: usize = 16 * 1024;

impl Credential {
    /// A personal access token from a Secret's bytes; surrounding whitespace is dropped.
    ///
    /// # Errors
    /// [`CredentialError::Invalid`] when empty or not visible ASCII.
    pub fn personal_access_token(bytes: &[u8]) -> Result<Self, CredentialError> {
        let token = text("the personal access token", bytes)?;
        // Anything else could end a header line.
        if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self::PersonalAccessToken(token.into()));
        }
        Err(invalid("the personal access token holds characters other than visible ASCII"))
    }

    /// A key file from a Secret's bytes.
    ///
    /// # Errors
    /// As [`JwtProfile::parse`].
    pub fn jwt_profile(bytes: &[u8]) -> Result<Self, CredentialError> {
        JwtProfile::parse(bytes).map(Self::JwtProfile)
    }

    /// A client id and secret from a Secret's bytes; surrounding whitespace is dropped.
    ///
    /// # Errors
    /// [`CredentialError::Invalid`] when one is empty or holds control characters.
    pub fn client_credentials(id: &[u8], secret: &[u8]) -> Result<Self, CredentialError> {
        let client_id = text("the client id", id)?.to_owned();
        let client_secret = text("the client secret", secret)?.into();
        Ok(Self::ClientCredentials { client_id, client_secret })
    }

    /// When it ends, as far as it says so itself: a key file's `expirationDate`.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::JwtProfile(profile) => profile.expires,
            Self::PersonalAccessToken(_) | Self::ClientCredentials { .. } => None,
        }
    }
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::PersonalAccessToken(a), Self::PersonalAccessToken(b)) => {
                a.expose_secret() == b.expose_secret()
            }
            (Self::JwtProfile(a), Self::JwtProfile(b)) => a == b,
            (
                Self::ClientCredentials { client_id: id, client_secret: secret },
                Self::ClientCredentials { client_id, client_secret },
            ) => id == client_id && secret.expose_secret() == client_secret.expose_secret(),
            _ => false,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PersonalAccessToken(_) => f.write_str("PersonalAccessToken"),
            Self::JwtProfile(profile) => profile.fmt(f),
            Self::ClientCredentials { client_id, .. } => write!(f, "ClientCredentials({client_id})"),
        }
    }
}

/// A service user's key file, as ZITADEL issues it (`type`, `keyId`, `key`, `userId`, `expirationDate`).
#[derive(Clone)]
pub struct JwtProfile {
    user_id: String,
    key_id: String,
    key: EncodingKey,
    expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    r#type: String,
    key_id: String,
    key: String,
    user_id: String,
    expiration_date: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a [String],
    iat: i64,
    exp: i64,
}

impl JwtProfile {
    /// Reads a key file and proves that its key signs.
    ///
    /// # Errors
    /// [`CredentialError::Invalid`]; the message quotes nothing of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, CredentialError> {
        if bytes.len() > LONGEST_CREDENTIAL {
            return Err(too_long("the key file"));
        }
        let file: KeyFile = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            invalid(format!("the key file is not a ZITADEL key in JSON (line {line}, column {column})"))
        })?;
        if file.r#type != "serviceaccount" {
            return Err(invalid("the key file is not of type `serviceaccount`"));
        }
        if !is_id(&file.key_id) || !is_id(&file.user_id) {
            return Err(invalid("the key file lacks `keyId` or `userId`, or they are no ids"));
        }
        let key = EncodingKey::from_rsa_pem(file.key.as_bytes())
            .map_err(|_| invalid("the key file's `key` is not an RSA private key in PEM"))?;
        let profile = Self {
            user_id: file.user_id,
            key_id: file.key_id,
            key,
            expires: file.expiration_date.as_deref().and_then(expiration),
        };
        profile.sign(&[], Timestamp::UNIX_EPOCH)?;
        Ok(profile)
    }

    /// A signed assertion (RFC 7523) for one token request, good for ten minutes.
    ///
    /// # Errors
    /// [`CredentialError::Invalid`] when the key file's own expiration date has passed.
    pub(crate) fn assertion(
        &self,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<SecretString, CredentialError> {
        match self.expires {
            Some(expires) if expires <= now => Err(invalid(format!("the key expired at {expires}"))),
            _ => self.sign(audiences, now),
        }
    }

    fn sign(&self, audiences: &[String], now: Timestamp) -> Result<SecretString, CredentialError> {
        let claims = Claims {
            iss: &self.user_id,
            sub: &self.user_id,
            aud: audiences,
            iat: (now - CLOCK_SKEW).as_second(),
            exp: (now + ASSERTION_LIFETIME).as_second(),
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map(SecretString::from)
            .map_err(|_| invalid("the key file's `key` cannot sign"))
    }
}

impl PartialEq for JwtProfile {
    fn eq(&self, other: &Self) -> bool {
        (&self.user_id, &self.key_id, self.expires) == (&other.user_id, &other.key_id, other.expires)
            && self.key.as_bytes() == other.key.as_bytes()
    }
}

impl fmt::Debug for JwtProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtProfile(user {}, key {})", self.user_id, self.key_id)
    }
}

/// Ids are shown: what is longer or holds other characters may be the key in the wrong place.
fn is_id(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Informational: an unreadable date, Go's zero time, or that of a key without an end (`9999-12-31T23:59:59Z`, which is
/// out of range here), is no reason to refuse a key.
fn expiration(date: &str) -> Option<Timestamp> {
    date.parse().ok().filter(|date| *date > Timestamp::UNIX_EPOCH)
}

fn text<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, CredentialError> {
    match str::from_utf8(bytes.trim_ascii()) {
        Ok("") => Err(invalid(format!("{what} is empty"))),
        Ok(text) if text.len() > LONGEST_CREDENTIAL => Err(too_long(what)),
        Ok(text) if !text.contains(char::is_control) => Ok(text),
        _ => Err(invalid(format!("{what} is not one line of text"))),
    }
}

fn too_long(what: &str) -> CredentialError {
    invalid(format!("{what} is longer than {LONGEST_CREDENTIAL} bytes"))
}

fn invalid(message: impl Into<String>) -> CredentialError {
    CredentialError::Invalid(message.into())
}
