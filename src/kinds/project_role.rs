//! `ProjectRole`: a role of a project, through management v1 `projects/{id}/roles`.

use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::ProjectRole;
use crate::api::common::KeyStatus;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::keyed_child::{KeyedChild, KeyedChildKind};
use crate::engine::drivers::kind::{Kind, Parent, Permission, Verb};
use crate::kinds::roles::{owners, viewers};
use crate::zitadel::{ChildPaths, permission};

/// A role besides its key.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleFields {
    display_name: String,
    group: String,
}

impl KeyedChildKind for ProjectRole {
    type Fields = RoleFields;

    const PATHS: ChildPaths = ChildPaths {
        add: "/management/v1/projects/{project}/roles",
        key: "roleKey",
        one: "/management/v1/projects/{project}/roles/{key}",
        search: ("/management/v1/projects/{project}/roles/_search", "keyQuery"),
        read: permission::PROJECT_ROLE_READ,
        write: permission::PROJECT_ROLE_WRITE,
        delete: permission::PROJECT_ROLE_DELETE,
        no_parent: "COMMAND-EbFMN",
    };

    fn key(&self) -> String {
        self.spec.key.clone().unwrap_or_else(|| self.name_any())
    }

    fn fields(&self) -> RoleFields {
        let display_name = self.spec.display_name.clone().unwrap_or_else(|| self.key());
        RoleFields { display_name, group: self.spec.group.clone().unwrap_or_default() }
    }
}

impl Kind for ProjectRole {
    type Driver = KeyedChild;
    type Own = KeyStatus;

    const KIND: &'static str = "ProjectRole";
    const IDENTITY: Identity = Identity::Keyed;
    const PARENT: Parent = Parent::Project;
    const PERMISSIONS: &'static [Permission] = &[
        viewers(permission::ORG_READ, Verb::Read),
        viewers(permission::PROJECT_READ, Verb::Read),
        viewers(permission::PROJECT_ROLE_READ, Verb::Read),
        owners(permission::PROJECT_ROLE_WRITE, Verb::Update),
        owners(permission::PROJECT_ROLE_DELETE, Verb::Delete),
    ];
}
