//! `Project`: one project of an organization, through management v1, which is the same from v2 to v5 previews.

use crate::api::common::AdoptionPolicy;
use crate::api::project::ProjectFields;
use crate::api::{Nothing, Project};
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Kind, Permission, Verb};
use crate::engine::drivers::object::{Object, ObjectKind};
use crate::kinds::roles::{owners, viewers};
use crate::zitadel::{self, ObjectPaths, permission};

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
        viewers(permission::ORG_READ, Verb::Read),
        viewers(permission::PROJECT_READ, Verb::Read),
        owners(permission::PROJECT_CREATE, Verb::Create),
        owners(permission::PROJECT_WRITE, Verb::Update),
        owners(permission::PROJECT_DELETE, Verb::Delete),
    ];

    fn adoption(&self) -> AdoptionPolicy {
        self.spec.adoption_policy
    }
}
