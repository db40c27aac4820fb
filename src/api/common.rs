//! What every kind shares in `spec` and `status`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which kind of connection a reference names.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ConnectionKind {
    /// Cluster-scoped, shared, with explicit grants.
    #[default]
    ClusterConnection,
    /// In the namespace of the resource.
    Connection,
}

/// Names the connection a resource is reconciled through.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionRef {
    /// `ClusterConnection` (default) or `Connection`, the latter in the resource's own namespace.
    #[serde(default)]
    pub kind: ConnectionKind,
    /// Name of the connection.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl Default for ConnectionRef {
    fn default() -> Self {
        Self { kind: ConnectionKind::default(), name: "default".into() }
    }
}

/// Names the organization a resource lives in: exactly one of `id`, `name` and `ref`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("[has(self.id), has(self.name), has(self.ref)].filter(x, x).size() == 1",
    "set exactly one of id, name and ref"))]
pub struct OrganizationSelector {
    /// The organization's id in ZITADEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!-~]+$"))]
    pub id: Option<String>,
    /// The organization's name, compared without case as ZITADEL does. None or several matches are a condition, never a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// An `Organization` resource in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<LocalReference>,
}

/// Names the project that an object is in: exactly one of `id`, `name` and `ref`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("[has(self.id), has(self.name), has(self.ref)].filter(x, x).size() == 1",
    "set exactly one of id, name and ref"))]
#[x_kube(validation = ("!has(self.ref) || !has(self.organization)",
    "the organization follows from ref: leave organization out"))]
pub struct ProjectSelector {
    /// The project's id in ZITADEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!-~]+$"))]
    pub id: Option<String>,
    /// The project's name, compared without case as ZITADEL does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// A `Project` resource in the same namespace; its organization follows from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<LocalReference>,
    /// The organization of the project that `id` or `name` says. Unset: the connection's `defaultOrganization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Box<OrganizationSelector>>,
}

/// Names another resource in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// Name of the resource.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What happens in ZITADEL when the resource is deleted: `Delete` removes what the resource owns there, `Retain` leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Remove it in ZITADEL first.
    Delete,
    /// Leave it in ZITADEL.
    Retain,
}

/// Whether the operator writes: `Manage` makes ZITADEL follow the spec, `Observe` never writes there and reports the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ManagementPolicy {
    /// Make ZITADEL follow the spec.
    #[default]
    Manage,
    /// Report the difference, write nothing.
    Observe,
}

/// How the operator deals with an object it would have to create but that is there already: `Never` (default) reports a conflict, `ByName` takes over the object of that name in the resolved organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// A taken name is a conflict.
    #[default]
    Never,
    /// Take over the unclaimed object of that name.
    ByName,
}

/// Whether an object is to be usable; an inactive one keeps everything that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DesiredState {
    /// Usable.
    #[default]
    Active,
    /// Deactivated.
    Inactive,
}

/// The part of `spec` that says how a resource is managed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagementSpec {
    /// The connection to reconcile through. Immutable once the resource is bound.
    #[serde(default)]
    pub connection_ref: ConnectionRef,
    /// What deleting this resource does in ZITADEL: `Delete` removes what it owns there, `Retain` leaves it. Unset: `Retain` for every Organization (deleting one deletes its users), for the policies of an instance, and for what was imported by id or adopted by name, `Delete` for everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DeletionPolicy")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// `Manage` (default) makes ZITADEL follow the spec; `Observe` never writes there and reports the difference in `status.drift`.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
}

/// The part of `spec` that every kind living in an organization shares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonSpec {
    /// How the resource is managed.
    #[serde(flatten)]
    pub management: ManagementSpec,
    /// The organization it lives in. Unset: the connection's `defaultOrganization`. Immutable once bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Box<OrganizationSelector>>,
}

/// The part of `spec` that every kind whose objects are in a project shares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectChildSpec {
    /// How the resource is managed.
    #[serde(flatten)]
    pub management: ManagementSpec,
    /// The project it is in. Immutable once bound.
    pub project: Box<ProjectSelector>,
}

/// How a resource came to own its object in ZITADEL; decides the default deletion policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// The operator created it.
    Created,
    /// It was there before: imported by id or adopted by name.
    Adopted,
}

/// A create whose outcome is not recorded yet: it is written before the create is sent, and goes with the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingCreate {
    /// The name sent to ZITADEL.
    pub name: String,
    /// The connection it was sent through: through another one it proves nothing.
    pub connection_ref: ConnectionRef,
    /// The id of the organization it was sent to; unset for an object of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The instance it was sent to (its `iamProjectId`).
    pub instance: String,
    /// What was created before this (RFC 3339) is not of this create: the server's time before it was sent, less 60 s.
    #[schemars(with = "String")]
    pub after: Timestamp,
}

impl PendingCreate {
    /// Can an object with this creation date be of this create?
    pub fn can_have_made(&self, creation_date: Option<Timestamp>) -> bool {
        creation_date.is_some_and(|date| date >= self.after)
    }
}

/// A difference between spec and ZITADEL: names of fields, never values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// The spec fields that differed.
    pub fields: Vec<String>,
    /// When the difference was seen.
    pub observed_at: Time,
}

/// What the operator last saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonStatus {
    /// `Ready`, `Synced`, and while they apply `Stalled` or `Reconciling`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation that `Ready` speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The object's id in ZITADEL; proves ownership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id of the organization this resource is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// The id of the project this resource is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The ZITADEL instance this resource was written to (its `iamProjectId`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// How the object came to be owned: `Created` by the operator, or `Adopted`: it was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Origin")]
    pub origin: Option<Origin>,
    /// `Created`: an `Organization` of this namespace created the organization it lives in, through the same `ClusterConnection`. It counts where that one is deleted first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Origin")]
    pub organization_origin: Option<Origin>,
    /// A create whose outcome is not recorded yet. The operator finds out what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PendingCreate")]
    pub pending_create: Option<Box<PendingCreate>>,
    /// The deletion policy in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DeletionPolicy")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// ZITADEL's sequence of the object (uint64 as text); comparable only within one object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// When the object last changed in ZITADEL (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_date: Option<String>,
    /// When the object was created in ZITADEL (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<String>,
    /// Echo of the `reconcile-requested-at` annotation last handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Under `Observe` the present difference, else what was last reverted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Box<Drift>>,
}

/// What the operator last saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status<Own> {
    /// What every kind shares.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// What this kind adds.
    #[serde(flatten)]
    pub own: Own,
}

/// What the status of an object adds whose key the spec says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyStatus {
    /// The key of the object under its parent; with the parent's id it proves ownership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The part of a spec that says how a resource is managed and where its object is.
pub trait SharedSpec {
    /// How the resource is managed.
    fn management(&self) -> &ManagementSpec;
    /// The organization that the spec names.
    fn organization(&self) -> Option<&OrganizationSelector> {
        None
    }
    /// The project that the spec names.
    fn project(&self) -> Option<&ProjectSelector> {
        None
    }
}

/// Spec types with a `common` part: their objects are in an organization.
macro_rules! in_organization {
    ($($spec:ty),+) => {
        $(impl $crate::api::common::SharedSpec for $spec {
            fn management(&self) -> &$crate::api::common::ManagementSpec {
                &self.common.management
            }

            fn organization(&self) -> Option<&$crate::api::common::OrganizationSelector> {
                self.common.organization.as_deref()
            }
        })+
    };
}
pub(super) use in_organization;

/// Spec types whose `common` part is how they are managed: their objects are the instance's.
macro_rules! in_instance {
    ($($spec:ty),+) => {
        $(impl $crate::api::common::SharedSpec for $spec {
            fn management(&self) -> &$crate::api::common::ManagementSpec {
                &self.common
            }
        })+
    };
}
pub(super) use in_instance;

/// Spec types with a `common` part: their objects are in a project.
macro_rules! in_project {
    ($($spec:ty),+) => {
        $(impl $crate::api::common::SharedSpec for $spec {
            fn management(&self) -> &$crate::api::common::ManagementSpec {
                &self.common.management
            }

            fn organization(&self) -> Option<&$crate::api::common::OrganizationSelector> {
                self.common.project.organization.as_deref()
            }

            fn project(&self) -> Option<&$crate::api::common::ProjectSelector> {
                Some(&self.common.project)
            }
        })+
    };
}
pub(super) use in_project;

/// With more users than this a change of their login names waits for a person's word.
pub(super) fn default_confirm_above() -> i32 {
    100
}

/// The own part of a status that has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}
