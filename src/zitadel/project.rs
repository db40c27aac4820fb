//! Projects, through the management API (`/management/v1/projects`), the same from v2 to v5 previews.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::zitadel::answer::{Answer, short};
use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::{Created, Details};
use crate::zitadel::error::Error;
use crate::zitadel::page::Item;
use crate::zitadel::permission::{PROJECT_CREATE, PROJECT_DELETE, PROJECT_READ, PROJECT_WRITE};

const PROJECTS: &str = "/management/v1/projects";
/// The error id of a project that is in no organization.
const NOWHERE: &str = "QUERY-fk2fs";
const PROJECT: &str = "/management/v1/projects/{id}";

/// A project, as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Project {
    /// Its id; never assume that it is a number.
    #[serde(deserialize_with = "short")]
    pub id: String,
    /// Its last write; `resource_owner` may be another organization than the one asked in.
    pub details: Details,
    /// Its name, unique in the organization whatever the letter case.
    #[serde(deserialize_with = "short")]
    pub name: String,
    /// Whether it is active.
    pub state: ProjectState,
    /// Roles are put into tokens.
    pub project_role_assertion: bool,
    /// Users need a role to log in.
    pub project_role_check: bool,
    /// Users' organizations need a grant to log in.
    pub has_project_check: bool,
    /// Whose branding the login shows.
    pub private_labeling_setting: PrivateLabelingSetting,
}

/// The settings of a project: an update replaces all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSettings {
    /// 1–200 characters.
    pub name: String,
    /// Roles are put into tokens.
    pub project_role_assertion: bool,
    /// Users need a role to log in.
    pub project_role_check: bool,
    /// Users' organizations need a grant to log in.
    pub has_project_check: bool,
    /// Whose branding the login shows; [`PrivateLabelingSetting::Unknown`] is refused before sending.
    pub private_labeling_setting: PrivateLabelingSetting,
}

/// The state of a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ProjectState {
    /// In use.
    #[serde(rename = "PROJECT_STATE_ACTIVE")]
    Active,
    /// Deactivated.
    #[serde(rename = "PROJECT_STATE_INACTIVE")]
    Inactive,
    /// Not said, removed, or a state of a later version.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Whose branding the login shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrivateLabelingSetting {
    /// The instance's default.
    #[default]
    #[serde(rename = "PRIVATE_LABELING_SETTING_UNSPECIFIED")]
    Unspecified,
    /// The branding of the organization that owns the project.
    #[serde(rename = "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY")]
    EnforceProjectResourceOwnerPolicy,
    /// The branding of the user's organization.
    #[serde(rename = "PRIVATE_LABELING_SETTING_ALLOW_LOGIN_USER_RESOURCE_OWNER_POLICY")]
    AllowLoginUserResourceOwnerPolicy,
    /// A setting of a later version: read only, the server would drop an unknown name silently.
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Deserialize)]
struct ProjectAnswer {
    project: Project,
}

impl Item for Project {
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Client {
    /// Creates a project (`POST /management/v1/projects`). Not idempotent, never repeated here.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] (`V3-DKcYh`) when the name is taken in the organization.
    pub async fn create_project(
        &self,
        organization: &str,
        settings: &ProjectSettings,
    ) -> Result<Created, Error> {
        let call = Call::new(Method::POST, PROJECTS, &[], PROJECT_CREATE)?.in_organization(organization)?;
        self.create(&call.body(settings)?).await
    }

    /// Replaces all settings of a project (`PUT /management/v1/projects/{id}`).
    ///
    /// # Errors
    /// [`Error::Unchanged`] (`COMMAND-2M0fs`, until v3), [`Error::NotFound`] (`COMMAND-3M9sd`, also in the wrong
    /// organization), [`Error::AlreadyExists`] (`V3-DKcYh`).
    pub async fn update_project(
        &self,
        organization: &str,
        id: &str,
        settings: &ProjectSettings,
    ) -> Result<Details, Error> {
        let call = project_call(Method::PUT, PROJECT, PROJECT_WRITE, organization, id)?.body(settings)?;
        self.write_project(&call, organization, id).await
    }

    /// The project, read after every write before (`GET /management/v1/projects/{id}`).
    ///
    /// Servers before 3.4.8 and 4.12.2 answer for any organization: compare `details.resource_owner`.
    ///
    /// # Errors
    /// [`Error::NotFound`] (`QUERY-fk2fs`, `MANAG-SFf2a`); [`Error::Malformed`] for the answer of another project;
    /// [`Error::HeaderLost`] where it is the header that leads elsewhere.
    pub async fn project(&self, organization: &str, id: &str) -> Result<Answer<Project>, Error> {
        let call = project_call(Method::GET, PROJECT, PROJECT_READ, organization, id)?;
        let answer = self.call::<ProjectAnswer>(&call).await;
        if is_elsewhere(organization, &answer) {
            self.doubt(organization).await?;
        }
        answer?.try_map(|found| match found.project {
            project if project.id == id => Ok(project),
            _ => Err(Error::malformed(200, "it is about another project")),
        })
    }

    /// Projects of the organization with this name in any letter case (`POST …/projects/_search`).
    ///
    /// A stale projection: a hit is to be confirmed by [`Client::project`], a miss proves nothing.
    ///
    /// # Errors
    /// As any read.
    pub async fn projects_named(&self, organization: &str, name: &str) -> Result<Vec<Project>, Error> {
        let named = json!({"nameQuery": {"name": name, "method": "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE"}});
        self.search_projects(organization, &[named]).await
    }

    /// Deletes a project with its applications and grants (`DELETE /management/v1/projects/{id}`).
    ///
    /// # Errors
    /// [`Error::NotFound`] (`COMMAND-3M9sd`) when there is none in this organization.
    pub async fn delete_project(&self, organization: &str, id: &str) -> Result<Details, Error> {
        let call = project_call(Method::DELETE, PROJECT, PROJECT_DELETE, organization, id)?;
        self.write_project(&call, organization, id).await
    }

    /// Deactivates a project (`POST …/{id}/_deactivate`).
    ///
    /// # Errors
    /// [`Error::Unchanged`] (`COMMAND-mki55`), [`Error::NotFound`] (`COMMAND-112M9`).
    pub async fn deactivate_project(&self, organization: &str, id: &str) -> Result<Details, Error> {
        let path = "/management/v1/projects/{id}/_deactivate";
        let call = project_call(Method::POST, path, PROJECT_WRITE, organization, id)?;
        self.write_project(&call.empty_body()?, organization, id).await
    }

    /// Reactivates a project (`POST …/{id}/_reactivate`).
    ///
    /// # Errors
    /// [`Error::Unchanged`] (`COMMAND-5M9bs`), [`Error::NotFound`] (`COMMAND-3M9sd`).
    pub async fn reactivate_project(&self, organization: &str, id: &str) -> Result<Details, Error> {
        let path = "/management/v1/projects/{id}/_reactivate";
        let call = project_call(Method::POST, path, PROJECT_WRITE, organization, id)?;
        self.write_project(&call.empty_body()?, organization, id).await
    }

    /// A write of one project. That there is none, although there is, is said by another organization.
    async fn write_project(&self, call: &Call, organization: &str, id: &str) -> Result<Details, Error> {
        let outcome = self.write(call).await;
        if let Err(Error::NotFound { .. }) = &outcome
            && let Ok(answer) = self.project(organization, id).await
            && answer.value.details.resource_owner == organization
        {
            return Err(self.lose_header(organization));
        }
        outcome
    }

    async fn search_projects(&self, organization: &str, queries: &[Value]) -> Result<Vec<Project>, Error> {
        let path = "/management/v1/projects/_search";
        let call = |body: &Value| Call::search(path, PROJECT_READ, body)?.in_organization(organization);
        let found: Vec<Project> = self.search(queries, call).await?;
        if found.is_empty() || found.iter().any(|project| project.details.resource_owner != organization) {
            self.doubt(organization).await?;
        }
        Ok(found)
    }
}

/// Whether the project is said to be of another organization, which is also what the wrong one says.
fn is_elsewhere(organization: &str, answer: &Result<Answer<ProjectAnswer>, Error>) -> bool {
    match answer {
        Ok(answer) => answer.value.project.details.resource_owner != organization,
        Err(Error::NotFound { id, .. }) => id != NOWHERE,
        Err(_) => false,
    }
}

fn project_call(
    method: Method,
    path: &'static str,
    permission: &'static str,
    organization: &str,
    id: &str,
) -> Result<Call, Error> {
    let write = method != Method::GET;
    let call = Call::new(method, path, &[id], permission)?.in_organization(organization)?;
    Ok(if write { call.serial(id) } else { call })
}
