//! The `Organization` kind.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::{
    AdoptionPolicy, DesiredState, ManagementSpec, SharedSpec, Status, default_confirm_above,
};

/// An organization as ZITADEL has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OrganizationFields {
    /// The organization's name, unique in the instance without regard to case; ZITADEL would cut blanks around it. Unset: `metadata.name`. A change renames the organization and its generated domain, and with that the login names that carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[^\x00-\x1F\x7F-\x9F\p{Z}]([^\x00-\x1F\x7F-\x9F]*[^\x00-\x1F\x7F-\x9F\p{Z}])?$")
    )]
    pub name: Option<String>,
    /// `Active` (default), or `Inactive`: it keeps everything, and its users cannot log in. Where the connection's own user is one of them, this waits for the annotation `zitadel-operator.dev/confirm-deactivation` with the organization's id: on the `ClusterConnection`, or through a `Connection` on this resource.
    pub state: DesiredState,
}

/// What an organization should be in ZITADEL.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "zitadel-operator.dev",
    version = "v1alpha1",
    kind = "Organization",
    namespaced,
    shortname = "zorg",
    status = "OrganizationStatus",
    derive = "PartialEq",
    doc = "An organization of a ZITADEL instance: created, kept as specified, renamed and deactivated with this resource, and left there when it is deleted unless it says otherwise.",
    printcolumn(name = "ID", type_ = "string", json_path = ".status.id"),
    selectable = ".spec.name"
)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationSpec {
    /// How the resource is managed.
    #[serde(flatten)]
    pub management: ManagementSpec,
    /// The organization.
    #[serde(flatten)]
    pub organization: OrganizationFields,
    /// What to do when the name is taken in ZITADEL: `Never` (default) reports a conflict, `ByName` takes over the organization of that name.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// A rename that changes login names waits for the annotation `zitadel-operator.dev/confirm-username-rewrite` with the new name in an organization with more users than this, machine users included. The default is 100; 0 always waits where there is a user.
    #[serde(default = "default_confirm_above")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub confirm_above_users: i32,
}

impl SharedSpec for OrganizationSpec {
    fn management(&self) -> &ManagementSpec {
        &self.management
    }
}

/// What an organization adds to the status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationMark {
    /// Which mark the operator wrote into the organization that it made, as metadata `zitadel-operator.dev/created-by`: by it the resource has the organization back after a restore without status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// What the operator last saw and did of an organization.
pub type OrganizationStatus = Status<OrganizationMark>;
