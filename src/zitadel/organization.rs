//! Organizations: read by id with certainty, found by name with doubt.

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::zitadel::answer::{Answer, short};
use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::{Created, Details};
use crate::zitadel::error::Error;
use crate::zitadel::header::{self, MINE};
use crate::zitadel::page::Item;
use crate::zitadel::permission::{AUTHENTICATED, IAM_WRITE, ORG_CREATE, ORG_DELETE, ORG_WRITE};

/// An organization, as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Organization {
    /// Its id; never assume that it is a number.
    #[serde(deserialize_with = "short")]
    pub id: String,
    /// Its name, unique in the instance whatever the letter case.
    #[serde(deserialize_with = "short")]
    pub name: String,
    /// Its domain, by default made of its name.
    pub primary_domain: String,
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
    /// A state of a later version.
    Unknown,
}

#[derive(Deserialize)]
struct OrganizationAnswer {
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
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`) when it never was or, until v3, was removed;
    /// [`Error::HeaderLost`] for the answer of another one.
    pub async fn organization(&self, id: &str) -> Result<Answer<Organization>, Error> {
        self.call::<OrganizationAnswer>(&header::probe(id)?).await?.try_map(|found| match found.org {
            org if org.id.is_empty() => Err(Error::malformed(200, "it names no organization")),
            org => self.compare_owner(id, &org.id).map(|()| org),
        })
    }

    /// The same, unless it was removed: v4 still answers for it.
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] also for one that was removed; [`Error::Malformed`] for a state that is not known.
    pub async fn living_organization(&self, id: &str) -> Result<Answer<Organization>, Error> {
        self.organization(id).await?.try_map(|organization| match organization.state {
            OrganizationState::Removed => Err(Error::OrganizationNotFound {
                organization: Some(id.into()),
                id: "removed".into(),
                message: "the organization was removed".into(),
            }),
            OrganizationState::Unknown => Err(Error::unknown_state("an organization")),
            OrganizationState::Active | OrganizationState::Inactive => Ok(organization),
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
        let path = "/v2/organizations/_search";
        self.search(&[named], |body| Call::search(path, AUTHENTICATED, body)).await
    }

    /// Organizations that the user may read with a verified domain that begins so (`POST /v2/organizations/_search`).
    ///
    /// A stale projection, as of [`Client::organizations_named`].
    ///
    /// # Errors
    /// As any read.
    pub async fn organizations_at(&self, domain: &str) -> Result<Vec<Organization>, Error> {
        let at =
            json!({"domainQuery": {"domain": domain, "method": "TEXT_QUERY_METHOD_STARTS_WITH_IGNORE_CASE"}});
        let path = "/v2/organizations/_search";
        self.search(&[at], |body| Call::search(path, AUTHENTICATED, body)).await
    }

    /// Creates an organization under an id of the caller's choice (`POST /v2/organizations`). Never repeated here.
    ///
    /// Servers until v3 ignore the id and give one of their own: the id in the answer is the truth.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] (`ORG-laho2n`) when the id is taken, (`V3-DKcYh`) when the name is, in the whole
    /// instance and in any letter case, or the domain that is made of it ([`domain_label`]).
    pub async fn create_organization(&self, name: &str, id: &str) -> Result<Created, Error> {
        // `orgId` is the older name of the field, the only one that v4 reads before 4.7.
        let body = json!({"name": name, "orgId": id, "organizationId": id});
        let call = Call::new(Method::POST, "/v2/organizations", &[], ORG_CREATE)?;
        self.create(&call.body(&body)?.serial(id)).await
    }

    /// Renames an organization (`PUT /management/v1/orgs/me`); its generated domain follows the name.
    ///
    /// # Errors
    /// [`Error::Unchanged`] (`ORG-4VSdf`), [`Error::AlreadyExists`] (`V3-DKcYh`); without the organization
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`) or, after a removal, [`Error::NotFound`] (`ORG-1MRds`).
    pub async fn rename_organization(&self, id: &str, name: &str) -> Result<Details, Error> {
        self.write(&write_call(Method::PUT, MINE, ORG_WRITE, id)?.body(&json!({"name": name}))?).await
    }

    /// Deactivates an organization (`POST /management/v1/orgs/me/_deactivate`).
    ///
    /// # Errors
    /// [`Error::Unchanged`] (`EVENT-Dbs2g`); without the organization as [`Client::rename_organization`].
    pub async fn deactivate_organization(&self, id: &str) -> Result<Details, Error> {
        let path = "/management/v1/orgs/me/_deactivate";
        self.write(&write_call(Method::POST, path, ORG_WRITE, id)?.empty_body()?).await
    }

    /// Reactivates an organization (`POST /management/v1/orgs/me/_reactivate`).
    ///
    /// # Errors
    /// [`Error::Unchanged`] (`EVENT-bfnrh`); without the organization as [`Client::rename_organization`].
    pub async fn reactivate_organization(&self, id: &str) -> Result<Details, Error> {
        let path = "/management/v1/orgs/me/_reactivate";
        self.write(&write_call(Method::POST, path, ORG_WRITE, id)?.empty_body()?).await
    }

    /// Deletes an organization with its users, projects and settings (`DELETE /admin/v1/orgs/{id}`; for a user
    /// without a right in the instance `DELETE /management/v1/orgs/me`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for the default organization (`COMMA-wG9p1`) and the one that holds ZITADEL's own
    /// project (`COMMA-AF3JW`); without the organization [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`) or,
    /// after a removal, [`Error::NotFound`] (`COMMA-aps2n`).
    pub async fn delete_organization(&self, id: &str) -> Result<Details, Error> {
        let named = Call::new(Method::DELETE, "/admin/v1/orgs/{id}", &[id], IAM_WRITE)?.serial(id);
        match self.write(&named).await {
            Err(Error::PermissionDenied { .. }) => {
                self.prove_writes(id).await?;
                self.write(&write_call(Method::DELETE, MINE, ORG_DELETE, id)?.of_instance()).await
            }
            outcome => outcome,
        }
    }

    /// Looks whether writes reach the organization, before one whose answer does not tell. Its own name is nothing to
    /// change for the organization itself, and a taken one for any other.
    async fn prove_writes(&self, id: &str) -> Result<(), Error> {
        let name = self.organization(id).await?.value.name;
        match self.rename_organization(id, &name).await {
            Err(Error::AlreadyExists { .. }) => Err(self.lose_header(id)),
            Ok(_) | Err(Error::Unchanged { .. } | Error::PermissionDenied { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A write of the organization.
fn write_call(method: Method, path: &'static str, permission: &'static str, id: &str) -> Result<Call, Error> {
    Ok(Call::new(method, path, &[], permission)?.in_organization(id)?.serial(id))
}

/// What the generated domain of an organization of this name begins with, as ZITADEL makes it: different names may have one.
#[must_use]
pub fn domain_label(name: &str) -> String {
    let lower = name.trim().to_lowercase().replace(' ', "-");
    lower.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// Is the generated domain surely the same for both names? Which letters it keeps differs between versions of ZITADEL:
/// until 2025 those of ASCII, then those of every script (`NewIAMDomainName`).
pub fn has_same_domain(name: &str, other: &str) -> bool {
    let label = |name: &str| {
        let kept = name
            .trim()
            .replace(' ', "-")
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '-')
            .collect::<String>();
        kept.to_ascii_lowercase()
    };
    label(name) == label(other)
}

/// Management says `ORG_STATE_…`, v2 `ORGANIZATION_STATE_…`.
fn state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OrganizationState, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(match name.rsplit_once("_STATE_").map(|(_, state)| state) {
        Some("ACTIVE") => OrganizationState::Active,
        Some("INACTIVE") => OrganizationState::Inactive,
        // To protobuf the first of its names and none at all are the same.
        Some("REMOVED" | "UNSPECIFIED") => OrganizationState::Removed,
        _ => OrganizationState::Unknown,
    })
}
