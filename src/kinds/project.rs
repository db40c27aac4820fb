//! `Project`: one project of an organization, through management v1, which is the same from v2 to v5 previews.

use crate::api::common::AdoptionPolicy;
use crate::api::project::ProjectFields;
use crate::api::{Nothing, Project};
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Kind, Permission, Verb};
use crate::engine::drivers::object::{Object, ObjectKind};
use crate::zitadel::{ObjectPaths, permission};

const MANAGERS: &str = "ORG_OWNER or IAM_OWNER";

impl ObjectKind for Project {
    type Fields = ProjectFields;

    const PATHS: ObjectPaths = ObjectPaths {
        one: "a project",
        key: "project",
        collection: "/management/v1/projects",
        search: "/management/v1/projects/_search",
        object: "/management/v1/projects/{id}",
        deactivate: "/management/v1/projects/{id}/_deactivate",
        reactivate: "/management/v1/projects/{id}/_reactivate",
        read: permission::PROJECT_READ,
        create: permission::PROJECT_CREATE,
        write: permission::PROJECT_WRITE,
        delete: permission::PROJECT_DELETE,
        nowhere: "QUERY-fk2fs",
    };

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
