//! Policies: an organization's own, the instance's, which is everybody's default, and the one in force.

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::Details;
use crate::zitadel::error::Error;
use crate::zitadel::permission::{
    IAM_POLICY_READ, IAM_POLICY_WRITE, POLICY_DELETE, POLICY_READ, POLICY_WRITE,
};

/// Where a policy is read and written, and what that needs.
#[derive(Clone, Copy, Debug)]
pub struct PolicyPaths {
    /// Whether it is the instance's, which is always there; else that of the organization that the header names.
    pub is_of_instance: bool,
    /// The policy in force, and the permission that its read needs.
    pub in_force: (&'static str, &'static str),
    /// The own one of an organization; `{organization}` where the path names it.
    pub own: &'static str,
    /// The permission that adding and updating need.
    pub write: &'static str,
    /// The permission that a reset needs; the instance's is never reset.
    pub delete: &'static str,
    /// The error id of adding where there is one (409).
    pub exists: &'static str,
    /// Where the instance's is read in an organization: a read there brings what is read here up to date.
    pub refresh: Option<&'static str>,
    /// The sets in it.
    pub sets: &'static [PolicySet],
}

/// A set in a policy, which only its first write and calls for each element change; an update leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct PolicySet {
    /// Its field in the policy.
    pub field: &'static str,
    /// The path of an element; one is added at what is before the last part.
    pub element: &'static str,
    /// The error id of adding an element that is there (409).
    pub exists: &'static str,
    /// The error id of a new policy with an element that the server does not know (400).
    pub unknown: &'static str,
}

impl PolicyPaths {
    /// Of a policy that the owners of an organization write.
    pub const fn of_owners(path: &'static str, exists: &'static str, sets: &'static [PolicySet]) -> Self {
        let (read, write, delete) = (POLICY_READ, POLICY_WRITE, POLICY_DELETE);
        let in_force = (path, read);
        Self { is_of_instance: false, in_force, own: path, write, delete, exists, refresh: None, sets }
    }

    /// Of the instance's policy.
    pub const fn of_instance(path: &'static str, sets: &'static [PolicySet]) -> Self {
        let (in_force, write) = ((path, IAM_POLICY_READ), IAM_POLICY_WRITE);
        let (own, delete, exists) = (path, write, "");
        Self { is_of_instance: true, in_force, own, write, delete, exists, refresh: None, sets }
    }

    /// Of the same, which is shown late (v4 `DefaultLoginPolicy`) until an organization's read at `refresh` asked for it.
    pub const fn of_late_instance(
        path: &'static str,
        refresh: &'static str,
        sets: &'static [PolicySet],
    ) -> Self {
        Self { refresh: Some(refresh), ..Self::of_instance(path, sets) }
    }

    /// A call about the policy of this organization, or of the instance. The header makes the server refuse an
    /// organization that never was.
    fn about(&self, call: Call, organization: &str) -> Result<Call, Error> {
        if self.is_of_instance { Ok(call) } else { call.in_organization(organization) }
    }

    /// A write of it.
    fn write_call(&self, call: Call, organization: &str) -> Result<Call, Error> {
        let aggregate = if self.is_of_instance { "instance" } else { organization };
        Ok(self.about(call, organization)?.serial(aggregate))
    }
}

/// A policy, as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// Its last write; of the instance's policy where that is in force.
    pub details: Details,
    /// Whether it is the instance's, not one of the organization's own.
    pub is_default: bool,
    /// Its fields as they are sent; those of the zero value are left out.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Answer {
    policy: Policy,
}

impl Client {
    /// The policy in force in an organization, or the instance's, read after every write before.
    ///
    /// v4 answers for a removed organization too, with the default: look at the organization as well.
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`). [`Error::PermissionDenied`]: most users may not read the instance's.
    pub async fn policy(&self, paths: &PolicyPaths, organization: &str) -> Result<Policy, Error> {
        let (path, permission) = paths.in_force;
        if let Some(refresh) = paths.refresh {
            self.catch_up(refresh).await?;
        }
        let call = paths.about(Call::get(path, permission)?, organization)?;
        let policy = self.call::<Answer>(&call).await?.value.policy;
        // Only a policy of its own is owned by the organization.
        let is_inherited = policy.is_default || policy.details.resource_owner != organization;
        let is_default = is_inherited && !paths.is_of_instance;
        if is_default {
            self.prove_header(organization).await?;
        }
        Ok(Policy { is_default, ..policy })
    }

    /// Has the server take up the last writes. Who may not read policies in its own organization reads the instance's late.
    async fn catch_up(&self, refresh: &'static str) -> Result<(), Error> {
        match self.call::<IgnoredAny>(&Call::get(refresh, POLICY_READ)?).await {
            Ok(_) | Err(Error::PermissionDenied { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives an organization its own policy, also one equal to the default (`POST`). What is left out becomes zero.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]: it has one ([`PolicyPaths::exists`]), or a user that the domain policy renames collides
    /// with another (`V3-DKcYh`). [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`), but v4 accepts it for a removed one.
    pub async fn add_policy(
        &self,
        paths: &PolicyPaths,
        organization: &str,
        fields: &Map<String, Value>,
    ) -> Result<Details, Error> {
        self.write(&own_call(paths, Method::POST, paths.write, organization)?.body(fields)?).await
    }

    /// Replaces all fields of an organization's own policy, or of the instance's (`PUT`). What is left out becomes zero.
    ///
    /// # Errors
    /// [`Error::Unchanged`], [`Error::NotFound`] when it has none, [`Error::AlreadyExists`] as for adding.
    pub async fn update_policy(
        &self,
        paths: &PolicyPaths,
        organization: &str,
        fields: &Map<String, Value>,
    ) -> Result<Details, Error> {
        self.write(&own_call(paths, Method::PUT, paths.write, organization)?.body(fields)?).await
    }

    /// Removes an organization's own policy (`DELETE`).
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has none, [`Error::AlreadyExists`] as for adding.
    pub async fn reset_policy(&self, paths: &PolicyPaths, organization: &str) -> Result<Details, Error> {
        self.write(&own_call(paths, Method::DELETE, paths.delete, organization)?).await
    }

    /// Adds an element to a set of an organization's own policy, or of the instance's (`POST`).
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] ([`PolicySet::exists`]), also of one that was added while there was no own policy, and that
    /// no read shows. [`Error::Invalid`]: the server does not know it.
    pub async fn add_to_policy(
        &self,
        (paths, set): (&PolicyPaths, &PolicySet),
        organization: &str,
        element: &str,
    ) -> Result<Details, Error> {
        let path = set.element.rsplit_once('/').map_or(set.element, |(path, _)| path);
        let call = Call::new(Method::POST, path, &[], paths.write)?.body(&json!({ "type": element }))?;
        self.write(&paths.write_call(call, organization)?).await
    }

    /// Removes an element from a set of an organization's own policy, or of the instance's (`DELETE`).
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not there.
    pub async fn remove_from_policy(
        &self,
        (paths, set): (&PolicyPaths, &PolicySet),
        organization: &str,
        element: &str,
    ) -> Result<Details, Error> {
        let call = Call::new(Method::DELETE, set.element, &[element], paths.write)?;
        self.write(&paths.write_call(call, organization)?).await
    }
}

/// A write at the path of the own policy.
fn own_call(
    paths: &PolicyPaths,
    method: Method,
    permission: &'static str,
    organization: &str,
) -> Result<Call, Error> {
    let by_path = paths.own.contains("{organization}");
    let parts: &[&str] = if by_path { &[organization] } else { &[] };
    let call = Call::new(method, paths.own, parts, permission)?;
    paths.write_call(if by_path { call.by_path() } else { call }, organization)
}
