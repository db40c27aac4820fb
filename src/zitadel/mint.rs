//! Exchanges a credential for a token at `/oauth/v2/token`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded;

use crate::runtime::ambient;
use crate::zitadel::answer::{MESSAGE_LIMIT, is_of_inside, parse, quote};
use crate::zitadel::auth::{Credential, LONGEST_CREDENTIAL};
use crate::zitadel::budget::Budget;
use crate::zitadel::circuit::Health;
use crate::zitadel::error::Error;
use crate::zitadel::metrics::Route;
use crate::zitadel::permission::AUTHENTICATED;
use crate::zitadel::refusal::{Asked, classify};
use crate::zitadel::transport::{BodyLimit, Transport};

const PATH: &str = "/oauth/v2/token";
/// The audience scope: without it the token is issued, and every API call with it is 401 `AUTH-7fs1e`.
const SCOPE: &str = "openid urn:zitadel:iam:org:project:id:zitadel:aud";
/// A pause longer than this is an error at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer has a token of at most [`LONGEST_CREDENTIAL`], one for the user's id, and what they are for. It needs no
/// reservation: whoever waits for a token may hold one.
const LARGEST_ANSWER: BodyLimit = BodyLimit(4 * LONGEST_CREDENTIAL);
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A token and how long it is good for; `None` for one without an end that is known.
pub(crate) struct Grant {
    pub(crate) token: SecretString,
    pub(crate) lifetime: Option<Duration>,
}

/// Knows the token endpoint of one connection.
pub(crate) struct Minter {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) budget: Arc<Budget>,
    /// The base URL without trailing slash.
    pub(crate) base: String,
    pub(crate) instance_host: Option<HeaderValue>,
    /// The issuers an assertion is addressed to.
    pub(crate) audiences: Vec<String>,
    /// Whether an instance has answered there.
    pub(crate) answered: Arc<AtomicBool>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OAuthError {
    error: String,
    error_description: String,
}

impl Minter {
    /// Where its tokens are good.
    pub(crate) fn place(&self) -> String {
        format!("{} {:?}", self.base, self.instance_host)
    }

    /// # Errors
    /// [`Error::Credential`] for an expired key; [`Error::TokenRefused`] for a 4xx, [`Error::TokenUnavailable`]
    /// for a 5xx; others as any call.
    pub(crate) async fn mint(&self, credential: &Credential) -> Result<Grant, Error> {
        let (form, secret) = match credential {
            Credential::PersonalAccessToken(token) => {
                return Ok(Grant { token: token.clone(), lifetime: None });
            }
            Credential::JwtProfile(profile) => {
                let assertion = profile.assertion(&self.audiences, ambient::now())?;
                (form([("grant_type", JWT_BEARER), ("assertion", assertion.expose_secret())]), assertion)
            }
            Credential::ClientCredentials { client_id, client_secret } => {
                let secret = ("client_secret", client_secret.expose_secret());
                (
                    form([("grant_type", "client_credentials"), ("client_id", client_id), secret]),
                    client_secret.clone(),
                )
            }
        };
        let (budget, request) = (&self.budget, self.request(form)?);
        let answered = self.answered.load(Ordering::Relaxed);
        let health = |answer: &Response<Bytes>| match accept(answer, &secret, answered) {
            Err(error) if error.is_outage() => Health::Down(error),
            // A server fails at a bad key too: that says nothing of the server.
            Err(Error::TokenUnavailable { .. }) => Health::Unknown,
            _ => Health::Up,
        };
        let route = Route { method: Method::POST, template: PATH };
        tracing::debug!(method = "POST", path = PATH, "ZITADEL token request");
        let response = budget.spend(PATIENCE, route, self.transport.send(request), health).await?;
        accept(&response, &secret, answered).inspect_err(|error| budget.apply_retry_after(error))
    }

    fn request(&self, form: String) -> Result<Request<Bytes>, Error> {
        let mut request = Request::post(format!("{}{PATH}", self.base))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(host) = &self.instance_host {
            request = request.header("x-zitadel-instance-host", host);
        }
        request
            .extension(LARGEST_ANSWER)
            .body(form.into())
            .map_err(|_| Error::invalid("the URL cannot be requested"))
    }
}

fn accept(response: &Response<Bytes>, secret: &SecretString, answered: bool) -> Result<Grant, Error> {
    let (status, secret) = (response.status().as_u16(), secret.expose_secret());
    match status {
        200..300 => grant(parse(response)?.value),
        400 | 401 | 403 => Err(Error::TokenRefused { message: oauth_message(response, secret) }),
        500.. => Err(Error::TokenUnavailable { status, message: oauth_message(response, secret) }),
        _ => Err(classify(
            response,
            Asked { permission: AUTHENTICATED, organization: None, answered, secret, confidential: None },
        )),
    }
}

fn grant(answer: TokenAnswer) -> Result<Grant, Error> {
    let token = answer.access_token;
    if token.len() > LONGEST_CREDENTIAL {
        return Err(Error::malformed(200, format!("its token is longer than {LONGEST_CREDENTIAL} bytes")));
    }
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::malformed(200, "its token cannot be sent in a header"));
    }
    Ok(Grant { token: token.into(), lifetime: Some(Duration::from_secs(answer.expires_in)) })
}

fn form<const N: usize>(fields: [(&str, &str); N]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).append_pair("scope", SCOPE).finish()
}

fn oauth_message(response: &Response<Bytes>, secret: &str) -> String {
    let OAuthError { error, error_description } = serde_json::from_slice(response.body()).unwrap_or_default();
    // A server that failed describes its own trouble.
    let described = !response.status().is_server_error() && error != "server_error";
    let message = match (error.as_str(), error_description.as_str()) {
        ("", _) => "no OAuth error in the answer",
        (error, _) if !error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            "no OAuth error in the answer"
        }
        (_, "") => &error,
        (_, text) if !described || is_of_inside(text) => &error,
        _ => &format!("{error}: {error_description}"),
    };
    // A server may echo the form as it was sent.
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    quote(message, &[secret, &encoded], MESSAGE_LIMIT)
}
