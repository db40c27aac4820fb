//! `Project`: one project of an organization, through management v1, which is the same from v2 to v5 previews.

use crate::api::common::AdoptionPolicy;
use crate::api::project::ProjectFields;
use crate::api::{Nothing, Project};
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Kind, Permission, Verb};
use crate::engine::drivers::object::{Object, ObjectKind};
use crate::zitadel::{self, ObjectPaths, permission};

const MANAGERS: &str = "ORG_OWNER or IAM_OWNER";

impl ObjectKind for Project {
    type Fields = ProjectFields;

    const PATHS: ObjectPaths = zitadel::PROJECT;

    fn fields(&self) -> &ProjectFields {
        &self.spec.project
    }
}

impl Kind for Project {
    type Driver = Object;
    type Own = Nothing;

    const KIND: &'static str = "Project";
    const IDENTITY: Identity = Identity::Assigned;
    const PERMISSIONS: &'static [Permission] = &[
        Permission::new(permission::ORG_READ, Verb::Read, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
        Permission::new(permission::PROJECT_READ, Verb::Read, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
        Permission::new(permission::PROJECT_CREATE, Verb::Create, MANAGERS),
        Permission::new(permission::PROJECT_WRITE, Verb::Update, MANAGERS),
        Permission::new(permission::PROJECT_DELETE, Verb::Delete, MANAGERS),
    ];

    fn adoption(&self) -> AdoptionPolicy {
        self.spec.adoption_policy
    }
}
