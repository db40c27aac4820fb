//! `Project`: one project of an organization, through management v1.

use crate::api::common::AdoptionPolicy;
use crate::api::project::{PrivateLabelingSetting, ProjectState};
use crate::api::{Nothing, Project};
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Context, Driver, Kind, Permission, Report, Verb};
use crate::engine::drivers::values::Values;
use crate::kinds::common::{differing, valid_name};
use crate::zitadel::{self, Details, Error, ProjectSettings, permission};
use kube::ResourceExt;

const MANAGERS: &str = "ORG_OWNER or IAM_OWNER";

/// A project as the spec wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    settings: ProjectSettings,
    state: zitadel::ProjectState,
}

impl Kind for Project {
    type Driver = Self;
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

impl Driver<Self> for Project {
    type Desired = Desired;
    type Remote = zitadel::Project;

    async fn resolve_spec(resource: &Self, _: &mut Values<'_>) -> Result<Desired, ReconcileError> {
        let name = resource.spec.name.clone().unwrap_or_else(|| resource.name_any());
        let settings = ProjectSettings {
            name: valid_name("project", name)?,
            project_role_assertion: resource.spec.project_role_assertion,
            project_role_check: resource.spec.project_role_check,
            has_project_check: resource.spec.has_project_check,
            private_labeling_setting: labeling(resource.spec.private_labeling_setting),
        };
        let state = match resource.spec.state {
            ProjectState::Active => zitadel::ProjectState::Active,
            ProjectState::Inactive => zitadel::ProjectState::Inactive,
        };
        Ok(Desired { settings, state })
    }

    fn name(desired: &Desired) -> &str {
        &desired.settings.name
    }

    fn named(desired: Desired, name: &str) -> Desired {
        let settings = ProjectSettings { name: name.into(), ..desired.settings };
        Desired { settings, ..desired }
    }

    async fn observe(cx: Context<'_>, id: &str) -> Result<Option<zitadel::Project>, Error> {
        match cx.client.project(cx.organization, id).await {
            Ok(answer) if answer.value.state == zitadel::ProjectState::Unknown => {
                Err(Error::unknown_state("a project"))
            }
            Ok(answer) => Ok(Some(answer.value)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find(cx: Context<'_>, name: &str) -> Result<Vec<String>, Error> {
        let found = cx.client.projects_named(cx.organization, name).await?;
        Ok(found.into_iter().map(|project| project.id).collect())
    }

    fn diff(desired: &Desired, remote: &zitadel::Project) -> Vec<String> {
        let Desired { settings, state } = desired;
        differing([
            ("name", settings.name != remote.name),
            ("projectRoleAssertion", settings.project_role_assertion != remote.project_role_assertion),
            ("projectRoleCheck", settings.project_role_check != remote.project_role_check),
            ("hasProjectCheck", settings.has_project_check != remote.has_project_check),
            ("privateLabelingSetting", settings.private_labeling_setting != remote.private_labeling_setting),
            ("state", *state != remote.state),
        ])
    }

    async fn apply(
        cx: Context<'_>,
        desired: &Desired,
        remote: Option<zitadel::Project>,
    ) -> Result<zitadel::Project, Error> {
        let Some(mut remote) = remote else {
            return create(cx, &desired.settings).await;
        };
        if settings_of(&remote) != desired.settings {
            let outcome = cx.client.update_project(cx.organization, &remote.id, &desired.settings).await;
            if !remote.details.take(outcome)? {
                return read_again(cx, &remote.id).await;
            }
            remote = with_settings(remote, &desired.settings);
        }
        if remote.state != desired.state {
            let outcome = match desired.state {
                zitadel::ProjectState::Inactive => {
                    cx.client.deactivate_project(cx.organization, &remote.id).await
                }
                _ => cx.client.reactivate_project(cx.organization, &remote.id).await,
            };
            if !remote.details.take(outcome)? {
                return read_again(cx, &remote.id).await;
            }
            remote.state = desired.state;
        }
        Ok(remote)
    }

    async fn remove(cx: Context<'_>, remote: &zitadel::Project) -> Result<(), Error> {
        match cx.client.delete_project(cx.organization, &remote.id).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn report(remote: &zitadel::Project) -> Report {
        Report {
            id: remote.id.clone(),
            owner: remote.details.resource_owner.clone(),
            name: remote.name.clone(),
            ..Report::of(&remote.details)
        }
    }
}

fn labeling(setting: PrivateLabelingSetting) -> zitadel::PrivateLabelingSetting {
    use PrivateLabelingSetting as Spec;
    match setting {
        Spec::Unspecified => zitadel::PrivateLabelingSetting::Unspecified,
        Spec::EnforceProjectResourceOwnerPolicy => {
            zitadel::PrivateLabelingSetting::EnforceProjectResourceOwnerPolicy
        }
        Spec::AllowLoginUserResourceOwnerPolicy => {
            zitadel::PrivateLabelingSetting::AllowLoginUserResourceOwnerPolicy
        }
    }
}

/// What is "so already" was changed by somebody else meanwhile.
async fn read_again(cx: Context<'_>, id: &str) -> Result<zitadel::Project, Error> {
    Ok(cx.client.project(cx.organization, id).await?.value)
}

/// A create answer has one date; the next GET shows it as both (contract §0.14).
async fn create(cx: Context<'_>, settings: &ProjectSettings) -> Result<zitadel::Project, Error> {
    let created = cx.client.create_project(cx.organization, settings).await?;
    let change_date = created.details.change_date.or(created.details.creation_date);
    let created_project = zitadel::Project {
        id: created.id,
        details: Details { change_date, ..created.details },
        state: zitadel::ProjectState::Active,
        ..Default::default()
    };
    Ok(with_settings(created_project, settings))
}

fn settings_of(remote: &zitadel::Project) -> ProjectSettings {
    ProjectSettings {
        name: remote.name.clone(),
        project_role_assertion: remote.project_role_assertion,
        project_role_check: remote.project_role_check,
        has_project_check: remote.has_project_check,
        private_labeling_setting: remote.private_labeling_setting,
    }
}

fn with_settings(remote: zitadel::Project, settings: &ProjectSettings) -> zitadel::Project {
    zitadel::Project {
        name: settings.name.clone(),
        project_role_assertion: settings.project_role_assertion,
        project_role_check: settings.project_role_check,
        has_project_check: settings.has_project_check,
        private_labeling_setting: settings.private_labeling_setting,
        ..remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_spec_shows_in_the_difference() {
        let desired = Desired {
            settings: ProjectSettings { name: "web".into(), ..Default::default() },
            state: zitadel::ProjectState::Active,
        };
        let same = with_settings(
            zitadel::Project { state: zitadel::ProjectState::Active, ..Default::default() },
            &desired.settings,
        );
        assert!(Project::diff(&desired, &same).is_empty());
        let other = zitadel::Project {
            name: "WEB".into(),
            project_role_assertion: true,
            project_role_check: true,
            has_project_check: true,
            private_labeling_setting: zitadel::PrivateLabelingSetting::AllowLoginUserResourceOwnerPolicy,
            state: zitadel::ProjectState::Inactive,
            ..Default::default()
        };
        assert_eq!(
            Project::diff(&desired, &other),
            [
                "name",
                "projectRoleAssertion",
                "projectRoleCheck",
                "hasProjectCheck",
                "privateLabelingSetting",
                "state"
            ]
        );
    }
}
