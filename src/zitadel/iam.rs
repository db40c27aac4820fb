//! Which instance this is, who the operator is there, and what it may do.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::zitadel::answer::{Answer, short, short_option};
use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::Details;
use crate::zitadel::error::Error;
use crate::zitadel::page::{Item, at_most};
use crate::zitadel::permission::{self, AUTHENTICATED, IAM_READ};

/// No membership has more roles: ZITADEL knows some twenty, and each has its own in one place.
const MOST_ROLES: usize = 50;

/// What tells one instance from another, whatever its URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceIdentity {
    /// The id of the project that ZITADEL itself lives in: made with the instance, never changed.
    #[serde(deserialize_with = "short")]
    pub iam_project_id: String,
    /// The id of the default organization; a person may choose another one.
    #[serde(deserialize_with = "short")]
    pub default_org_id: String,
}

/// The user behind the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: String,
    /// Its preferred login name.
    pub login_name: String,
    /// The id of its organization.
    pub resource_owner: String,
}

/// Roles that the user has somewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Membership {
    /// `IAM_OWNER`, `ORG_OWNER`, …
    #[serde(deserialize_with = "roles")]
    pub roles: Vec<String>,
    /// Whether it is one of the whole instance.
    pub iam: bool,
    /// The organization it is in, if any.
    #[serde(deserialize_with = "short_option")]
    pub org_id: Option<String>,
    /// The project it is in, if any.
    #[serde(deserialize_with = "short_option")]
    pub project_id: Option<String>,
    /// The project grant it is in, if any.
    #[serde(deserialize_with = "short_option")]
    pub project_grant_id: Option<String>,
    /// The name of that organization, project or instance.
    #[serde(deserialize_with = "short")]
    pub display_name: String,
}

#[derive(Deserialize)]
struct Me {
    user: UserAnswer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserAnswer {
    #[serde(deserialize_with = "short")]
    id: String,
    #[serde(default, deserialize_with = "short")]
    preferred_login_name: String,
    #[serde(default)]
    details: Details,
}

#[derive(Deserialize)]
struct Instance {
    instance: InstanceAnswer,
}

#[derive(Deserialize)]
struct InstanceAnswer {
    #[serde(deserialize_with = "short")]
    version: String,
}

#[derive(Deserialize)]
struct Permissions {
    #[serde(default)]
    result: BTreeSet<Needed>,
}

/// A permission that a call needs; all others are none. There is one of each project that the user is a member of too.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Needed(Option<&'static str>);

impl<'de> Deserialize<'de> for Needed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self(permission::ALL.iter().copied().find(|needed| *needed == name)))
    }
}

#[derive(Deserialize)]
struct Role(#[serde(deserialize_with = "short")] String);

fn roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let roles = at_most::<_, _, MOST_ROLES>(deserializer)?;
    Ok(roles.into_iter().map(|Role(role)| role).collect())
}

impl Item for Membership {
    fn key(&self) -> String {
        let ids = [&self.org_id, &self.project_id, &self.project_grant_id];
        ids.map(|id| id.as_deref().unwrap_or_default()).join("/")
    }
}

impl Client {
    /// The instance that the connection reaches (`GET /management/v1/iam`; any authenticated user).
    ///
    /// # Errors
    /// As any read; [`Error::Malformed`] without an id.
    pub async fn instance(&self) -> Result<Answer<InstanceIdentity>, Error> {
        let call = Call::get("/management/v1/iam", AUTHENTICATED)?;
        let instance = self.call::<InstanceIdentity>(&call).await?.try_map(|instance| {
            match instance.iam_project_id.as_str() {
                "" => Err(Error::malformed(200, "it holds no instance identity")),
                _ => Ok(instance),
            }
        })?;
        self.remember_answer();
        Ok(instance)
    }

    /// The server's version (`GET /admin/v1/instances/me`; `iam.read`).
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] for most users.
    pub async fn version(&self) -> Result<String, Error> {
        let call = Call::get("/admin/v1/instances/me", IAM_READ)?;
        Ok(self.call::<Instance>(&call).await?.value.instance.version)
    }

    /// Who the operator is (`GET /auth/v1/users/me`).
    ///
    /// # Errors
    /// As any read.
    pub async fn me(&self) -> Result<User, Error> {
        let call = Call::get("/auth/v1/users/me", AUTHENTICATED)?;
        let UserAnswer { id, preferred_login_name, details } = self.call::<Me>(&call).await?.value.user;
        Ok(User { id, login_name: preferred_login_name, resource_owner: details.resource_owner })
    }

    /// The operator's roles (`POST /auth/v1/memberships/me/_search`).
    ///
    /// # Errors
    /// As any read.
    pub async fn memberships(&self) -> Result<Vec<Membership>, Error> {
        let path = "/auth/v1/memberships/me/_search";
        self.search(&[], |body| Call::search(path, &[], AUTHENTICATED, body)).await
    }

    /// The operator's permissions in an organization, of those in [`permission`]
    /// (`POST /auth/v1/permissions/zitadel/me/_search`): after a 403, what is missing. `None`: in its own organization, where
    /// it has those of the instance too.
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`).
    pub async fn permissions(&self, organization: Option<&str>) -> Result<BTreeSet<&'static str>, Error> {
        let path = "/auth/v1/permissions/zitadel/me/_search";
        let call = Call::search(path, &[], AUTHENTICATED, &json!({}))?;
        let call = match organization {
            Some(organization) => call.in_organization(organization)?,
            None => call,
        };
        let Permissions { result } = self.call(&call).await?.value;
        Ok(result.into_iter().filter_map(|Needed(name)| name).collect())
    }
}
