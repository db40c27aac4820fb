//! The `ProjectRole` kind.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::{KeyStatus, ProjectChildSpec, Status, in_project};

/// What a role of a project should be in ZITADEL.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "zitadel-operator.dev",
    version = "v1alpha1",
    kind = "ProjectRole",
    namespaced,
    shortname = "zrole",
    status = "ProjectRoleStatus",
    derive = "PartialEq",
    doc = "A role of a ZITADEL project: added, kept as specified and removed with this resource. Its removal takes it from everybody who has it.",
    printcolumn(name = "Key", type_ = "string", json_path = ".status.key"),
    printcolumn(name = "Project", type_ = "string", json_path = ".status.projectId")
)]
#[serde(rename_all = "camelCase")]
pub struct ProjectRoleSpec {
    /// What every kind shares.
    #[serde(flatten)]
    pub common: ProjectChildSpec,
    /// The role's key, as applications and tokens name it; unique in its project without regard to case, and immutable. Unset: `metadata.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[^/\s\x00-\x1F\x7F-\x9F]+$"))]
    pub key: Option<String>,
    /// What people read. Unset: the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[^\x00-\x1F\x7F-\x9F]+$"))]
    pub display_name: Option<String>,
    /// Under which the console shows it with others. Unset: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[^\x00-\x1F\x7F-\x9F]+$"))]
    pub group: Option<String>,
}

in_project!(ProjectRoleSpec);

/// What the operator last saw and did of a role.
pub type ProjectRoleStatus = Status<KeyStatus>;
