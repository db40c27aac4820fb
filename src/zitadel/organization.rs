//! Organizations: read by id with certainty, found by name with doubt.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, json};

use crate::zitadel::answer::{Answer, short};
use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::{Created, Details};
use crate::zitadel::error::Error;
use crate::zitadel::header::{self, MINE};
use crate::zitadel::object::{ObjectPaths, RemoteState};
use crate::zitadel::page::{Item, equal};
use crate::zitadel::permission::{AUTHENTICATED, IAM_WRITE, ORG_CREATE, ORG_DELETE, ORG_WRITE};

/// Where organizations are. A rename ([`Client::update_object`]) brings another generated domain. Without the organization
/// writes answer [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`) or, after a removal, [`Error::NotFound`] (`ORG-1MRds`).
pub const ORGANIZATION: ObjectPaths = ObjectPaths {
    one: "an organization",
    key: "org",
    collection: "/v2/organizations",
    search: "/v2/organizations/_search",
    object: MINE,
    deactivate: "/management/v1/orgs/me/_deactivate",
    reactivate: "/management/v1/orgs/me/_reactivate",
    read: AUTHENTICATED,
    create: ORG_CREATE,
    write: ORG_WRITE,
    delete: ORG_DELETE,
    nowhere: "AUTH-Bs7Ds",
};

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
    pub state: RemoteState,
    /// Its last write.
    pub details: Details,
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
            RemoteState::Removed => Err(Error::OrganizationNotFound {
                organization: Some(id.into()),
                id: "removed".into(),
                message: "the organization was removed".into(),
            }),
            RemoteState::Unknown => Err(Error::unknown_state("an organization")),
            RemoteState::Active | RemoteState::Inactive => Ok(organization),
        })
    }

    /// Organizations that the user may read with this name in any letter case (`POST /v2/organizations/_search`).
    ///
    /// A stale projection: a hit is to be confirmed by [`Client::organization`], a miss proves nothing.
    ///
    /// # Errors
    /// As any read.
    pub async fn organizations_named(&self, name: &str) -> Result<Vec<Organization>, Error> {
        let named = equal("nameQuery", "name", name);
        self.search(&[named], |body| Call::search(ORGANIZATION.search, &[], ORGANIZATION.read, body)).await
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
        self.search(&[at], |body| Call::search(ORGANIZATION.search, &[], ORGANIZATION.read, body)).await
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
        let call = Call::new(Method::POST, ORGANIZATION.collection, &[], ORGANIZATION.create)?;
        self.create(&call.body(&body)?.serial(id)).await
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
                let own = Call::new(Method::DELETE, ORGANIZATION.object, &[], ORGANIZATION.delete)?;
                self.write(&own.in_organization(id)?.serial(id).of_instance()).await
            }
            outcome => outcome,
        }
    }

    /// Looks whether writes reach the organization, before one whose answer does not tell. Its own name is nothing to
    /// change for the organization itself, and a taken one for any other.
    async fn prove_writes(&self, id: &str) -> Result<(), Error> {
        let name = self.organization(id).await?.value.name;
        let same = Map::from_iter([("name".to_owned(), name.into())]);
        match self.update_object(&ORGANIZATION, id, id, &same).await {
            Err(Error::AlreadyExists { .. }) => Err(self.lose_header(id)),
            Ok(_) | Err(Error::Unchanged { .. } | Error::PermissionDenied { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
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
