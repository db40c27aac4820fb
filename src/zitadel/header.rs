//! Whether `x-zitadel-orgid` arrives. Where a proxy or a server drops it, ZITADEL acts on the organization of the user,
//! and only the owner in its answer tells.

use std::collections::HashSet;

use bytes::Bytes;
use http::Response;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;

use crate::zitadel::answer::{NO_SECRETS, parse, quote, short};
use crate::zitadel::call::{Call, ORGANIZATION_HEADER};
use crate::zitadel::details::Details;
use crate::zitadel::error::Error;
use crate::zitadel::permission::ORG_READ;

/// The organization of the call itself.
pub(crate) const MINE: &str = "/management/v1/orgs/me";

/// What one client has seen of the header.
#[derive(Default)]
pub(crate) struct OrganizationHeader {
    seen: Mutex<Seen>,
    first: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Seen {
    /// Organizations that answered when they were asked.
    proved: HashSet<String>,
    /// Those that a write reached.
    written: HashSet<String>,
    lost: Option<Loss>,
}

/// The first answer about another organization than the one asked.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) asked: String,
    pub(crate) on_write: bool,
    reported: bool,
}

impl Loss {
    pub(crate) fn error(&self) -> Error {
        Error::HeaderLost { on_write: self.on_write }
    }
}

impl OrganizationHeader {
    /// # Errors
    /// [`Error::HeaderLost`] since an answer was about another organization.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.loss().map_or(Ok(()), |loss| Err(loss.error()))
    }

    pub(crate) fn loss(&self) -> Option<Loss> {
        self.seen().lost.clone()
    }

    /// Whether the header is lost and nobody was told yet.
    pub(crate) fn is_news(&self) -> bool {
        self.seen().lost.as_mut().is_some_and(|loss| !std::mem::replace(&mut loss.reported, true))
    }

    pub(crate) fn is_proved(&self, organization: &str) -> bool {
        self.seen().proved.contains(organization)
    }

    /// Waits until no other organization's first write is under way: where the header is lost one goes astray, not
    /// as many as there are organizations. `None`: a write has reached this one.
    pub(crate) async fn first_write(&self, organization: &str) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let written = self.seen().written.contains(organization);
        if written { None } else { Some(self.first.lock().await) }
    }

    /// Compares the owner in an answer with the organization asked; an owner that is not said proves nothing.
    ///
    /// # Errors
    /// [`Error::HeaderLost`] for another one, now and from now on.
    pub(crate) fn compare(&self, asked: &str, owner: &str, on_write: bool) -> Result<(), Error> {
        if owner.is_empty() {
            return Ok(());
        }
        if owner == asked {
            let mut seen = self.seen();
            seen.proved.insert(asked.into());
            if on_write {
                seen.written.insert(asked.into());
            }
            return Ok(());
        }
        let owner = quote(owner, NO_SECRETS, 100);
        tracing::warn!(
            asked,
            owner,
            on_write,
            "ZITADEL answered for another organization than {ORGANIZATION_HEADER} named"
        );
        Err(self.lose(asked, on_write))
    }

    /// From now on nothing is sent for organizations.
    pub(crate) fn lose(&self, asked: &str, on_write: bool) -> Error {
        let mut seen = self.seen();
        let before = seen.lost.take();
        let loss = Loss {
            asked: asked.into(),
            on_write: on_write || before.as_ref().is_some_and(|loss| loss.on_write),
            reported: before.is_some_and(|loss| loss.reported),
        };
        let error = loss.error();
        *seen = Seen { lost: Some(loss), ..Seen::default() };
        error
    }

    /// What was proved of the user and the way of before.
    pub(crate) fn forget_proofs(&self) {
        let mut seen = self.seen();
        seen.proved.clear();
        seen.written.clear();
    }

    pub(crate) fn found(&self) {
        self.seen().lost = None;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock()
    }
}

/// The read of an organization that tells which one it is.
pub(crate) fn probe(id: &str) -> Result<Call, Error> {
    Call::get(MINE, ORG_READ)?.in_organization(id)
}

/// The organization that answered [`probe`].
///
/// # Errors
/// [`Error::Malformed`] where the answer names none.
pub(crate) fn answering(response: &Response<Bytes>) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Answering {
        org: Organization,
    }
    #[derive(Deserialize)]
    struct Organization {
        #[serde(default, deserialize_with = "short")]
        id: String,
    }
    match parse::<Answering>(response)?.value.org.id {
        id if id.is_empty() => Err(Error::malformed(200, "it names no organization")),
        id => Ok(id),
    }
}

/// The organization that the answer to a write names as owner; empty where it names none.
pub(crate) fn owner(response: &Response<Bytes>) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Written {
        details: Details,
    }
    serde_json::from_slice::<Written>(response.body()).unwrap_or_default().details.resource_owner
}
