//! Domain policies: an organization's own, the instance's default, the one in force.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::Details;
use crate::zitadel::error::Error;
use crate::zitadel::page::{ListDetails, bounded};
use crate::zitadel::permission::{
    AUTHENTICATED, IAM_POLICY_DELETE, IAM_POLICY_READ, IAM_POLICY_WRITE, USER_READ,
};

/// The settings of a domain policy: a write replaces all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DomainPolicySettings {
    /// User names are unique in the organization only and carry its domain; a change renames every user.
    pub user_login_must_be_domain: bool,
    /// Domains of the organization have to be verified.
    pub validate_org_domains: bool,
    /// The sender of mails must be of a domain of the instance.
    pub smtp_sender_address_matches_instance_domain: bool,
}

/// A domain policy, as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DomainPolicy {
    /// Its last write; of the instance's policy where that is in force.
    pub details: Details,
    /// Its settings.
    #[serde(flatten)]
    pub settings: DomainPolicySettings,
    /// Whether it is the instance's, not one of the organization's own.
    pub is_default: bool,
}

#[derive(Deserialize)]
struct PolicyAnswer {
    policy: DomainPolicy,
}

#[derive(Deserialize)]
struct Counted {
    details: ListDetails,
    #[serde(default, deserialize_with = "bounded")]
    result: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    details: Details,
}

impl Client {
    /// The policy in force in an organization, read after every write before
    /// (`GET /management/v1/policies/domain`; any authenticated user).
    ///
    /// v4 answers for a removed organization too, with the default: look at the organization as well.
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`).
    pub async fn domain_policy(&self, organization: &str) -> Result<DomainPolicy, Error> {
        let path = "/management/v1/policies/domain";
        let call = Call::get(path, AUTHENTICATED)?.in_organization(organization)?;
        let policy = self.call::<PolicyAnswer>(&call).await?.value.policy;
        // Only a policy of its own is owned by the organization.
        let is_default = policy.is_default || policy.details.resource_owner != organization;
        if is_default {
            self.prove_header(organization).await?;
        }
        Ok(DomainPolicy { is_default, ..policy })
    }

    /// The policy of every organization without its own (`GET /admin/v1/policies/domain`; `iam.policy.read`).
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] for most users.
    pub async fn default_domain_policy(&self) -> Result<DomainPolicy, Error> {
        let call = Call::get("/admin/v1/policies/domain", IAM_POLICY_READ)?;
        Ok(self.call::<PolicyAnswer>(&call).await?.value.policy)
    }

    /// Gives an organization its own policy, also one equal to the default
    /// (`POST /admin/v1/orgs/{id}/policies/domain`).
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]: it has one (`ORG-1M8ds`), or a renamed user collides with another (`V3-DKcYh`).
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`), but v4 accepts it for a removed organization.
    pub async fn add_domain_policy(
        &self,
        organization: &str,
        settings: DomainPolicySettings,
    ) -> Result<Details, Error> {
        self.write(&policy_call(Method::POST, IAM_POLICY_WRITE, organization)?.body(&settings)?).await
    }

    /// Replaces all settings of an organization's own policy (`PUT /admin/v1/orgs/{id}/policies/domain`).
    ///
    /// # Errors
    /// [`Error::Unchanged`] (`ORG-3M9ds`), [`Error::NotFound`] when it has none (`ORG-2N9sd`),
    /// [`Error::AlreadyExists`] when a renamed user collides with another (`V3-DKcYh`).
    pub async fn update_domain_policy(
        &self,
        organization: &str,
        settings: DomainPolicySettings,
    ) -> Result<Details, Error> {
        self.write(&policy_call(Method::PUT, IAM_POLICY_WRITE, organization)?.body(&settings)?).await
    }

    /// Removes an organization's own policy (`DELETE /admin/v1/orgs/{id}/policies/domain`).
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has none (`ORG-Dvsh3`), [`Error::AlreadyExists`] when a renamed user collides
    /// with another (`V3-DKcYh`).
    pub async fn reset_domain_policy(&self, organization: &str) -> Result<Details, Error> {
        self.write(&policy_call(Method::DELETE, IAM_POLICY_DELETE, organization)?).await
    }

    /// How many users an organization has, as of a moment ago (`POST /management/v1/users/_search`).
    ///
    /// # Errors
    /// As any read.
    pub async fn user_count(&self, organization: &str) -> Result<u64, Error> {
        let path = "/management/v1/users/_search";
        let one = json!({"query": {"limit": 1}});
        let call = Call::search(path, USER_READ, &one)?.in_organization(organization)?;
        let Counted { details, result } = self.call(&call).await?.value;
        match result.first() {
            Some(user) => self.compare_owner(organization, &user.details.resource_owner)?,
            None => self.doubt(organization).await?,
        }
        Ok(details.count()? as u64)
    }
}

/// A write of an organization's policy; the header makes the server refuse an organization that never was.
fn policy_call(method: Method, permission: &'static str, organization: &str) -> Result<Call, Error> {
    let path = "/admin/v1/orgs/{organization}/policies/domain";
    Ok(Call::new(method, path, &[organization], permission)?
        .in_organization(organization)?
        .by_path()
        .serial(organization))
}
