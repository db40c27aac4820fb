//! `/management/v1/projects`.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::zitadel::access::Access::Needs;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{changed, created, details, message};
use crate::zitadel::model::{Project, ProjectSettings, Stamp, State, same_name};
use crate::zitadel::route::{Call, Reply, Route, length, route};
use crate::zitadel::search::{Style, filters, page, passes_all};
use crate::zitadel::store::{Aggregate, Store};

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, "/management/v1/projects", Needs("project.create"), create),
    route(Method::POST, "/management/v1/projects/_search", Needs("project.read"), search),
    route(Method::GET, "/management/v1/projects/{}", Needs("project.read"), get),
    route(Method::PUT, "/management/v1/projects/{}", Needs("project.write"), update),
    route(Method::DELETE, "/management/v1/projects/{}", Needs("project.delete"), delete),
    route(Method::POST, "/management/v1/projects/{}/_deactivate", Needs("project.write"), deactivate),
    route(Method::POST, "/management/v1/projects/{}/_reactivate", Needs("project.write"), reactivate),
];

const LABELING: &[&str] = &[
    "PRIVATE_LABELING_SETTING_UNSPECIFIED",
    "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY",
    "PRIVATE_LABELING_SETTING_ALLOW_LOGIN_USER_RESOURCE_OWNER_POLICY",
];

impl Default for ProjectSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            project_role_assertion: false,
            project_role_check: false,
            has_project_check: false,
            private_labeling_setting: LABELING[0],
        }
    }
}

fn settings(call: &Call<'_>, request: &str) -> Outcome<ProjectSettings> {
    let body = &call.body;
    let undefined = || {
        let text = "value must be one of the defined enum values";
        Failure::bare(3, format!("invalid {request}.PrivateLabelingSetting: {text}"))
    };
    let labeling = body.choice("privateLabelingSetting", LABELING)?;
    let settings = ProjectSettings {
        name: body.string("name")?,
        project_role_assertion: body.flag("projectRoleAssertion")?,
        project_role_check: body.flag("projectRoleCheck")?,
        has_project_check: body.flag("hasProjectCheck")?,
        private_labeling_setting: labeling.unwrap_or_default(),
    };
    length(request, "Name", &settings.name)?;
    labeling.map(|_| settings).ok_or_else(undefined)
}

/// The settings as answers and events show them.
fn shown(settings: &ProjectSettings) -> Value {
    let labeling = settings.private_labeling_setting;
    message(json!({
        "name": settings.name,
        "projectRoleAssertion": settings.project_role_assertion,
        "projectRoleCheck": settings.project_role_check,
        "hasProjectCheck": settings.has_project_check,
        "privateLabelingSetting": if labeling == LABELING[0] { "" } else { labeling },
    }))
}

fn project_message(project: &Project) -> Value {
    let mut shown = shown(&project.settings);
    shown["id"] = json!(project.id);
    shown["details"] = details(&project.stamp);
    shown["state"] = json!(project.state.wire("PROJECT_STATE"));
    message(shown)
}

fn require_free(store: &Store, organization: &str, name: &str, except: &str) -> Outcome<()> {
    let mut others = store.current().projects.values().filter(|other| other.organization == organization);
    let taken = others.any(|other| other.id != except && same_name(&other.settings.name, name));
    if taken {
        return Err(Failure::taken("Project already exists on organization"));
    }
    Ok(())
}

/// The project if the organization owns it.
///
/// # Errors
/// 404 with the given id otherwise.
pub(super) fn owned(store: &Store, owner: &str, id: &str, missing: &str) -> Outcome<Project> {
    let found = store.current().projects.get(id).filter(|project| project.organization == owner);
    found.map(|project| (**project).clone()).ok_or_else(|| Failure::of(missing))
}

/// Commits an event of the project, together with what it changed.
fn save(store: &mut Store, mut project: Project, event: &'static str, payload: Value) -> Outcome<Project> {
    let aggregate = Aggregate::of("project", &project.id, &project.organization);
    project.stamp.touch(store.push(&aggregate, event, payload)?);
    store.edit().projects.insert(project.id.clone(), Arc::new(project.clone()));
    Ok(project)
}

pub(in crate::zitadel) fn add(store: &mut Store, owner: &str, settings: ProjectSettings) -> Outcome<Project> {
    require_free(store, owner, &settings.name, "")?;
    let (id, stamp, payload) = (store.ids.id(), Stamp::begin(store.clock.now(), owner), shown(&settings));
    let project = Project { id, organization: owner.to_owned(), settings, state: State::Active, stamp };
    save(store, project, "project.added", payload)
}

pub(in crate::zitadel) fn change(
    store: &mut Store,
    owner: &str,
    id: &str,
    settings: ProjectSettings,
) -> Outcome<Project> {
    let project = owned(store, owner, id, "COMMAND-3M9sd")?;
    if project.settings == settings {
        return if store.behaviour.accepts_unchanged {
            Ok(project)
        } else {
            Err(Failure::of("COMMAND-2M0fs"))
        };
    }
    require_free(store, owner, &settings.name, id)?;
    let payload = shown(&settings);
    save(store, Project { settings, ..project }, "project.changed", payload)
}

pub(in crate::zitadel) fn set_state(
    store: &mut Store,
    owner: &str,
    id: &str,
    state: State,
) -> Outcome<Project> {
    let (missing, event, refused) = match state {
        State::Active => ("COMMAND-3M9sd", "project.reactivated", "COMMAND-5M9bs"),
        _ => ("COMMAND-112M9", "project.deactivated", "COMMAND-mki55"),
    };
    let project = owned(store, owner, id, missing)?;
    if project.state == state {
        return Err(Failure::of(refused));
    }
    save(store, Project { state, ..project }, event, Value::Null)
}

pub(in crate::zitadel) fn remove(store: &mut Store, owner: &str, id: &str) -> Outcome<Project> {
    let project = owned(store, owner, id, "COMMAND-3M9sd")?;
    let project = save(store, project, "project.removed", Value::Null)?;
    let tables = store.edit();
    tables.projects.remove(id);
    tables.roles.retain(|(project, _), _| project != id);
    Ok(project)
}

fn create(call: &mut Call<'_>) -> Outcome<Reply> {
    let settings = settings(call, "AddProjectRequest")?;
    let project = add(call.store, &call.organization, settings)?;
    let mut answer = created(&project.stamp);
    answer["id"] = json!(project.id);
    Reply::ok(answer)
}

fn update(call: &mut Call<'_>) -> Outcome<Reply> {
    let settings = settings(call, "UpdateProjectRequest")?;
    let project = change(call.store, &call.organization, &call.parameters[0], settings)?;
    Reply::ok(changed(&project.stamp))
}

fn get(call: &mut Call<'_>) -> Outcome<Reply> {
    let tables = call.store.read();
    let found = tables.projects.get(&call.parameters[0]);
    let project = found.ok_or_else(|| Failure::of("QUERY-fk2fs"))?;
    if project.organization != call.organization && !call.store.behaviour.reads_foreign_projects {
        return Err(Failure::of("MANAG-SFf2a"));
    }
    Reply::ok(json!({"project": project_message(project)}))
}

fn search(call: &mut Call<'_>) -> Outcome<Reply> {
    let tables = call.store.listed();
    let names = filters(&call.body, "nameQuery");
    let owners = filters(&call.body, "projectResourceOwnerQuery");
    let mut rows = Vec::new();
    for project in tables.projects.values().filter(|project| project.organization == call.organization) {
        let named = passes_all(&names, "name", &project.settings.name)?;
        if named && passes_all(&owners, "resourceOwner", &project.organization)? {
            rows.push(project_message(project));
        }
    }
    if call.store.behaviour.newest_first {
        rows.reverse();
    }
    page(call, Style::V1, rows, 0)
}

fn delete(call: &mut Call<'_>) -> Outcome<Reply> {
    let project = remove(call.store, &call.organization, &call.parameters[0])?;
    Reply::ok(changed(&project.stamp))
}

fn deactivate(call: &mut Call<'_>) -> Outcome<Reply> {
    let project = set_state(call.store, &call.organization, &call.parameters[0], State::Inactive)?;
    Reply::ok(changed(&project.stamp))
}

fn reactivate(call: &mut Call<'_>) -> Outcome<Reply> {
    let project = set_state(call.store, &call.organization, &call.parameters[0], State::Active)?;
    Reply::ok(changed(&project.stamp))
}
