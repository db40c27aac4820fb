//! The custom resource types: plain data, no IO.

pub mod address;
pub mod common;
pub mod conditions;
#[allow(clippy::duplicated_attributes)] // printcolumn repeats its keys by design
pub mod connection;
pub mod crd;
pub mod instance_login_policy;
pub mod interval;
pub mod lifetime;
pub mod org_domain_policy;
pub mod org_features;
pub mod org_lockout_policy;
pub mod org_login_policy;
pub mod org_metadata;
pub mod organization;
pub mod policy;
pub mod project;
#[allow(clippy::duplicated_attributes)] // printcolumn repeats its keys by design
pub mod project_role;

pub use common::{
    CommonSpec, CommonStatus, ConnectionKind, ConnectionRef, DeletionPolicy, Drift, ManagementPolicy,
    ManagementSpec, Nothing, OrganizationSelector, Origin, PendingCreate, ProjectSelector, Status,
};
pub use conditions::{ConditionType, Reason};
pub use connection::{ClusterConnection, Connection};
pub use instance_login_policy::InstanceLoginPolicy;
pub use org_domain_policy::OrgDomainPolicy;
pub use org_features::OrgFeatures;
pub use org_lockout_policy::OrgLockoutPolicy;
pub use org_login_policy::OrgLoginPolicy;
pub use org_metadata::OrgMetadata;
pub use organization::Organization;
pub use project::Project;
pub use project_role::ProjectRole;

/// The API group of every custom resource here.
pub const GROUP: &str = "zitadel-operator.dev";

/// The finalizer that keeps a resource until ZITADEL confirmed the removal.
pub const FINALIZER: &str = "zitadel-operator.dev/finalizer";

/// The annotations people and the operator talk through.
pub mod annotation {
    /// The external id: written by the operator beside the status; set by a person it imports an object.
    pub const ID: &str = "zitadel-operator.dev/id";
    /// `"true"` stops every write, to ZITADEL and to the resource, including its deletion.
    pub const PAUSED: &str = "zitadel-operator.dev/paused";
    /// Any new value asks for a reconcile now; echoed in `status.lastHandledReconcileAt`.
    pub const RECONCILE_REQUESTED_AT: &str = "zitadel-operator.dev/reconcile-requested-at";
    /// The value of `userLoginMustBeDomain`, or the new name of an organization, that may be put into effect although it changes the login names of many users.
    pub const CONFIRM_USERNAME_REWRITE: &str = "zitadel-operator.dev/confirm-username-rewrite";
    /// The same value, where it changes the client id of the connection; through a `ClusterConnection` on that connection.
    pub const CONFIRM_OWN_RENAME: &str = "zitadel-operator.dev/confirm-own-rename";
    /// The id of an organization that may be deactivated although the connection's own user lives in it; through a `ClusterConnection` on that connection.
    pub const CONFIRM_DEACTIVATION: &str = "zitadel-operator.dev/confirm-deactivation";
    /// The id of an organization that may be deleted although the connection's own user lives in it; through a `ClusterConnection` on that connection.
    pub const CONFIRM_DELETION: &str = "zitadel-operator.dev/confirm-deletion";
    /// Asks for an organization that somebody removed in ZITADEL to be created again.
    pub const RECREATE: &str = "zitadel-operator.dev/recreate";
    /// All of them.
    pub const ALL: [&str; 8] = [
        ID,
        PAUSED,
        RECONCILE_REQUESTED_AT,
        CONFIRM_USERNAME_REWRITE,
        CONFIRM_OWN_RENAME,
        CONFIRM_DEACTIVATION,
        CONFIRM_DELETION,
        RECREATE,
    ];
}

/// The label a Secret in a tenant's namespace carries so that the operator may read it.
pub const ALLOW_LABEL: &str = "zitadel-operator.dev/allow";
