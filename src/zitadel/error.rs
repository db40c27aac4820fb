//! The one error of the client; its variants are the classification that everything else acts on.

use std::time::Duration;

use crate::zitadel::auth::CredentialError;
use crate::zitadel::transport::TransportError;

/// Why a call gave no result.
///
/// `id` is ZITADEL's error id (`COMMAND-2M0fs`), `message` its parsed text without the id: localized, at most 300
/// characters, without control characters; a description where it has no id, unless it is about a value in the request.
/// Never holds a header, a raw body, a secret, or what ZITADEL's database or network said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke before the whole answer arrived.
    #[error("ZITADEL cannot be reached: {message}")]
    Unreachable {
        /// The last cause, such as `connection refused`.
        message: String,
    },
    /// No answer in time.
    #[error("ZITADEL did not answer within {after:?}")]
    Timeout {
        /// The bound that passed.
        after: Duration,
    },
    /// An answer that is not ZITADEL's: HTML, cut JSON, a redirect, more than 4 MiB (other than of a search).
    #[error("the answer (HTTP {status}) is not one of ZITADEL: {what}")]
    Malformed {
        /// The HTTP status.
        status: u16,
        /// What was wrong with it, without quoting it.
        what: String,
    },
    /// 401: the token was refused, also after the credential was read again.
    #[error(
        "ZITADEL refused the token: {message}{}; put a valid one into the connection's Secret (a personal access token of a \
         user that was deactivated stays invalid)",
        suffix(.id.as_deref())
    )]
    Unauthorized {
        /// The error id, such as `AUTH-7fs1e`.
        id: Option<String>,
        /// ZITADEL's text.
        message: String,
    },
    /// 403, or 404 `AUTHZ-cdgFk` (no membership at all): proves nothing about the object.
    #[error("the permission {permission}{} is missing: {message}{}", in_organization(.organization.as_deref()), suffix(.id.as_deref()))]
    PermissionDenied {
        /// The permission that the call needs.
        permission: &'static str,
        /// The organization in whose context it is needed.
        organization: Option<String>,
        /// The error id.
        id: Option<String>,
        /// ZITADEL's text.
        message: String,
    },
    /// 403 `AUTH-Bs7Ds` or 400 `COMMAND-QXPGs`: the organization does not exist or was removed.
    #[error("the organization{} does not exist{}", quoted(.organization.as_deref()), suffix(Some(.id)))]
    OrganizationNotFound {
        /// The organization in whose context the call was made.
        organization: Option<String>,
        /// The error id.
        id: String,
        /// ZITADEL's text.
        message: String,
    },
    /// The project is not in the organization, or not any more.
    #[error("project {project} does not exist in organization {organization}")]
    ProjectNotFound {
        /// The project.
        project: String,
        /// The organization.
        organization: String,
    },
    /// An answer was about another organization than the one that was asked for. Nothing is sent for organizations
    /// any more, until the header is found to arrive.
    #[error(
        "the header x-zitadel-orgid does not arrive: ZITADEL answered for another organization than the one it named, \
         so nothing is sent for organizations any more{}; let a proxy in front of ZITADEL pass the header on, or reach \
         ZITADEL without it{}", astray(*.on_write), ask_again(*.on_write)
    )]
    HeaderLost {
        /// Whether a write went there: reads may pass, so they prove nothing.
        on_write: bool,
    },
    /// 404 with an error id: authoritative, the object does not exist.
    #[error("{message}{}", suffix(Some(.id)))]
    NotFound {
        /// The error id.
        id: String,
        /// ZITADEL's text.
        message: String,
    },
    /// No instance has this host (`QUERY-1kIjX`), or 404 or 405 without an id where none has answered before: a wrong host
    /// or path. Proves nothing about the object.
    #[error(
        "ZITADEL does not answer at this URL, check the host, the external domain and the path: {message}{}",
        suffix(.id.as_deref())
    )]
    UnknownEndpoint {
        /// Status and code.
        message: String,
        /// The error id.
        id: Option<String>,
    },
    /// 409: a name or id is taken.
    #[error("{message}{}", suffix(.id.as_deref()))]
    AlreadyExists {
        /// The error id.
        id: Option<String>,
        /// ZITADEL's text.
        message: String,
    },
    /// 400 code 9 with an id that means "it is so already".
    #[error("nothing to change ({id})")]
    Unchanged {
        /// The error id.
        id: String,
    },
    /// Any other 400, or an input that the client refuses to send.
    #[error("ZITADEL refused the request: {message}{}", suffix(.id.as_deref()))]
    Invalid {
        /// The error id; validation errors have none.
        id: Option<String>,
        /// ZITADEL's text.
        message: String,
    },
    /// The server does not implement the call.
    #[error("this ZITADEL does not implement the call: {message}")]
    Unsupported {
        /// ZITADEL's text.
        message: String,
    },
    /// 429 of a limit or quota, or the client's own pause after one. The call was not executed.
    #[error("ZITADEL limits the rate of requests{}", suffix(.id.as_deref()))]
    RateLimited {
        /// When to come back, if said.
        retry_after: Option<Duration>,
        /// The error id (`LIMITS-…`, `QUOTA-…`).
        id: Option<String>,
    },
    /// 429 code 8 of a gRPC message over 4 MiB, or a search's answer over 4 MiB: ask for, or send, less at once.
    #[error("the request or its answer is too large for ZITADEL")]
    TooLarge,
    /// 5xx and gRPC codes that pass by themselves, the conflict of two writes to one aggregate included; and 404 where
    /// no instance answers any more, as while ZITADEL's database is gone.
    #[error("ZITADEL failed (HTTP {status}{}){}", grpc(*.code), suffix(.id.as_deref()))]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// The gRPC code, if there was one.
        code: Option<i64>,
        /// The error id.
        id: Option<String>,
    },
    /// There is no usable credential.
    #[error("no usable credential: {0}")]
    Credential(#[from] CredentialError),
    /// `/oauth/v2/token` refused the credential (4xx).
    #[error(
        "ZITADEL refused the credential: {message}; put a valid one into the connection's Secret, or reactivate its user \
         if it was deactivated"
    )]
    TokenRefused {
        /// The OAuth error and its description.
        message: String,
    },
    /// `/oauth/v2/token` failed (5xx), which servers also answer to a bad key.
    #[error(
        "the token endpoint failed (HTTP {status}): {message}; ZITADEL answers so when it fails itself, and also \
         when the key is wrong, expired or deleted, its user is deactivated, or the audience is not its issuer: \
         if it goes on, put a valid one into the connection's Secret, reactivate its user, or correct its url or \
         externalDomain"
    )]
    TokenUnavailable {
        /// The HTTP status.
        status: u16,
        /// The OAuth error and its description, or a description.
        message: String,
    },
}

impl Error {
    /// Whether a write that ended so may have been executed all the same.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Malformed { .. }
            | Self::Unavailable { .. }
            | Self::TooLarge => true,
            Self::Unauthorized { .. }
            | Self::PermissionDenied { .. }
            | Self::OrganizationNotFound { .. }
            | Self::ProjectNotFound { .. }
            | Self::HeaderLost { .. }
            | Self::NotFound { .. }
            | Self::UnknownEndpoint { .. }
            | Self::AlreadyExists { .. }
            | Self::Unchanged { .. }
            | Self::Invalid { .. }
            | Self::Unsupported { .. }
            | Self::RateLimited { .. }
            | Self::Credential(_)
            | Self::TokenRefused { .. }
            | Self::TokenUnavailable { .. } => false,
        }
    }

    /// A failure that a second try a moment later often does not meet.
    pub(crate) fn is_blip(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable { status: 503, .. })
    }

    /// Whether the server, its database or the way to it is gone, so that nobody would be answered.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            // A gateway that does not know one path says so with a code and without an id.
            Self::Unavailable { status: 404, code, id } => code.is_none() || id.is_some(),
            Self::Unavailable { status, .. } => (502..=504).contains(status),
            _ => false,
        }
    }

    /// Whether there may be no such path: nothing was said but that.
    pub(crate) fn is_unrouted(&self) -> bool {
        matches!(
            self,
            Self::UnknownEndpoint { id: None, .. } | Self::Unavailable { status: 404, id: None, .. }
        )
    }

    pub(crate) fn unknown_state(object: &str) -> Self {
        Self::malformed(200, format!("it holds {object} in a state that this version does not know"))
    }

    pub(crate) fn malformed(status: u16, what: impl Into<String>) -> Self {
        Self::Malformed { status, what: what.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { id: None, message: message.into() }
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Unreachable(message) => Self::Unreachable { message },
            TransportError::Timeout(after) => Self::Timeout { after },
            TransportError::TooLarge { status, limit } => {
                Self::malformed(status, format!("it is larger than {limit} bytes"))
            }
        }
    }
}

fn suffix(id: Option<&str>) -> String {
    id.map(|id| format!(" ({id})")).unwrap_or_default()
}

fn astray(on_write: bool) -> &'static str {
    if on_write { " (a write went to the organization of the user)" } else { "" }
}

fn ask_again(on_write: bool) -> &'static str {
    if on_write {
        ", then set the annotation zitadel-operator.dev/reconcile-requested-at of the connection"
    } else {
        ""
    }
}

fn grpc(code: Option<i64>) -> String {
    code.map(|code| format!(", gRPC code {code}")).unwrap_or_default()
}

fn quoted(organization: Option<&str>) -> String {
    organization.map(|id| format!(" {id}")).unwrap_or_default()
}

fn in_organization(organization: Option<&str>) -> String {
    organization.map(|id| format!(" in organization {id}")).unwrap_or_default()
}
