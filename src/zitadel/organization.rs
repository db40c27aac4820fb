//! Organizations: read by id with certainty, found by name with doubt.

use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::answer::Answer;
use super::call::Call;
use super::client::Client;
use super::error::Error;
use super::page::Item;
use super::permission::{AUTHENTICATED, ORG_READ};
use super::project::Details;

/// An organization, as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Organization {
    /// Its id; never assume that it is a number.
    pub id: String,
    /// Its name, unique in the instance whatever the letter case.
    pub name: String,
    /// Whether it is usable.
    #[serde(deserialize_with = "state")]
    pub state: OrganizationState,
    /// Its last write.
    pub details: Details,
}

/// The state of an organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrganizationState {
    /// In use.
    Active,
    /// Deactivated; writes of projects, metadata and policies work all the same.
    Inactive,
    /// Gone: v4 goes on answering for it, without a state.
    #[default]
    Removed,
}

#[derive(Deserialize)]
struct Found {
    org: Organization,
}

impl Item for Organization {
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Client {
    /// The organization with this id (`GET /management/v1/orgs/me` in its context; `org.read`).
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`) when it never was or, until v3, was removed.
    pub async fn organization(&self, id: &str) -> Result<Answer<Organization>, Error> {
        let call = Call::get(&["management", "v1", "orgs", "me"], ORG_READ)?.in_organization(id)?;
        self.call::<Found>(&call).await?.try_map(|found| match found.org {
            org if org.id == id => Ok(org),
            _ => Err(Error::malformed(200, "it is about another organization")),
        })
    }

    /// Organizations that the user may read with this name in any letter case (`POST /v2/organizations/_search`).
    ///
    /// A stale projection: a hit is to be confirmed by [`Client::organization`], a miss proves nothing.
    ///
    /// # Errors
    /// As any read.
    pub async fn organizations_named(&self, name: &str) -> Result<Vec<Organization>, Error> {
        let named = json!({"nameQuery": {"name": name, "method": "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE"}});
        let path = ["v2", "organizations", "_search"];
        self.search(&[named], |body| Call::search(&path, AUTHENTICATED, body)).await
    }
}

/// Management says `ORG_STATE_…`, v2 `ORGANIZATION_STATE_…`.
fn state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OrganizationState, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(match name.rsplit_once("_STATE_").map(|(_, state)| state) {
        Some("ACTIVE") => OrganizationState::Active,
        Some("INACTIVE") => OrganizationState::Inactive,
        _ => OrganizationState::Removed,
    })
}
