//! The `Project` kind.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::{AdoptionPolicy, CommonSpec, DesiredState, Nothing, Status, in_organization};

/// Which organization's branding the login pages of a project's applications show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PrivateLabelingSetting {
    /// The instance's branding until the user is known.
    #[default]
    Unspecified,
    /// Always the branding of the project's organization.
    EnforceProjectResourceOwnerPolicy,
    /// The branding of the user's organization once the user is known.
    AllowLoginUserResourceOwnerPolicy,
}

/// A project as ZITADEL has it, which replaces all of its settings at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectFields {
    /// The project's name, unique in its organization without regard to case. Unset: `metadata.name`. A change renames the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[^\x00-\x1F\x7F-\x9F]+$"))]
    pub name: Option<String>,
    /// Put the user's roles of this project into tokens and the userinfo answer.
    pub project_role_assertion: bool,
    /// Let a user in only with a role of this project.
    pub project_role_check: bool,
    /// Let a user in only when the user's organization has this project or a grant of it.
    pub has_project_check: bool,
    /// Whose branding the login pages show: `Unspecified` (default) the instance's, `EnforceProjectResourceOwnerPolicy` always that of the project's organization, `AllowLoginUserResourceOwnerPolicy` that of the user's organization once the user is known.
    pub private_labeling_setting: PrivateLabelingSetting,
    /// `Active` (default), or `Inactive`: it keeps its settings, and its applications cannot log in.
    pub state: DesiredState,
}

/// What a project should be in ZITADEL.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "zitadel-operator.dev",
    version = "v1alpha1",
    kind = "Project",
    namespaced,
    shortname = "zproj",
    status = "ProjectStatus",
    derive = "PartialEq",
    doc = "A project of a ZITADEL organization: created, kept as specified, renamed, deactivated and removed with this resource.",
    printcolumn(name = "ID", type_ = "string", json_path = ".status.id"),
    selectable = ".spec.name"
)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSpec {
    /// What every kind shares.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// The project.
    #[serde(flatten)]
    pub project: ProjectFields,
    /// What to do when the name is taken in ZITADEL: `Never` (default) reports a conflict, `ByName` takes over the project of that name in the resolved organization.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
}

in_organization!(ProjectSpec);

/// What the operator last saw and did of a project.
pub type ProjectStatus = Status<Nothing>;
