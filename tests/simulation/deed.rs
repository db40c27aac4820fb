//! What people do, as data: scripts of it can be printed, repeated and cut down.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use support::zitadel::{DomainSettings, Project, State};
use zitadel_operator::api::annotation;

use crate::through_api;
use crate::world::World;

/// The spec of a resource; shown as it would be written here.
#[derive(Clone, PartialEq)]
pub struct Spec(pub Value);

impl From<Value> for Spec {
    fn from(spec: Value) -> Self {
        Self(spec)
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "json!({}).into()", self.0)
    }
}

/// One thing that somebody does, in the cluster or in ZITADEL. Where there is nothing to do it to, nothing is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// `kubectl apply` of a resource of this kind, name and spec.
    Apply(&'static str, String, Spec),
    /// The same with the id of the project, or organization, that has this name in ZITADEL.
    Import(&'static str, String, &'static str, Spec),
    /// `kubectl delete --wait=false`.
    Delete(&'static str, String),
    /// `kubectl replace --force`: deletes, waits for the end of that, and makes it anew.
    Replace(&'static str, String, Spec),
    /// Sets an annotation, or takes it off.
    Annotate(&'static str, String, &'static str, Option<String>),
    /// Has the object that was removed in ZITADEL made again.
    Recreate(&'static str, String),
    /// A resource is lost with all that the operator would do about it, and comes back without status.
    Restore(&'static str, String),
    /// A `ClusterConnection` by which the namespace may create organizations.
    Share,
    /// Sets a value of a ConfigMap that entries of metadata come from.
    Store(String),
    /// A new token, and the end of the one before.
    RotateToken,
    /// The Secret of the connection is lost, for that long.
    LoseToken(Duration),
    /// In ZITADEL: makes what a resource of this kind and name would, with other fields.
    Create(&'static str, String),
    /// In ZITADEL: changes this field of a resource's object.
    Change(&'static str, String, &'static str),
    /// In ZITADEL: removes a resource's object.
    Remove(&'static str, String),
    /// In ZITADEL: turns a project's role assertion, whatever it is.
    EditProject(String),
    /// In ZITADEL: deactivates a project.
    DeactivateProject(String),
    /// In ZITADEL: removes a project.
    RemoveProject(String),
    /// In ZITADEL: sets a key of the organization's metadata, or removes it.
    SetKey(&'static str, Option<&'static str>),
    /// In ZITADEL: turns a field of the domain policy, or resets it.
    EditPolicy(bool),
    /// In ZITADEL: renames an organization.
    RenameOrganization(String),
    /// In ZITADEL: removes an organization.
    RemoveOrganization(String),
    /// Nothing, for that long.
    Wait(Duration),
}

impl Deed {
    /// Does it.
    pub async fn run(&self, world: &World) {
        match self {
            Self::Apply(kind, name, spec) => world.apply(kind, name, spec.0.clone()).await,
            Self::Import(kind, name, remote, spec) => {
                let annotations = json!({ annotation::ID: id(world, kind, remote) });
                world.apply_annotated(kind, name, annotations, spec.0.clone()).await;
            }
            Self::Delete(kind, name) => world.delete(kind, name).await,
            Self::Replace(kind, name, spec) => replace(world, kind, name, &spec.0).await,
            Self::Annotate(kind, name, annotation, value) => {
                world.annotate(kind, name, annotation, json!(value)).await;
            }
            Self::Recreate(kind, name) => {
                let id = world.get(kind, name).await["status"]["id"].clone();
                world.annotate(kind, name, annotation::RECREATE, id).await;
            }
            Self::Restore(kind, name) => world.restore(kind, name).await,
            Self::Share => world.share().await,
            Self::Store(value) => {
                let object = json!({ "data": { "region": value } });
                world.store("ConfigMap", "site", object).await;
            }
            Self::RotateToken => world.rotate_token().await,
            Self::LoseToken(span) => {
                let token = world.token();
                world.remove_secret(crate::world::CONNECTION).await;
                tokio::time::sleep(*span).await;
                world.store_token(&token).await;
            }
            Self::Wait(span) => tokio::time::sleep(*span).await,
            in_zitadel => {
                in_zitadel.edit(world).await;
                world.oracle.edited();
                world.oracle.inspect();
            }
        }
    }

    async fn edit(&self, world: &World) {
        let zitadel = &world.zitadel;
        match self {
            Self::Create(kind, name) => through_api::create(world, kind, name).await,
            Self::Change(kind, name, field) => through_api::change(world, kind, name, field).await,
            Self::Remove(kind, name) => through_api::remove(world, kind, name).await,
            Self::EditProject(name) => each(world, name, |project| {
                zitadel.edit_project(&project.id, |settings| {
                    settings.project_role_assertion = !settings.project_role_assertion;
                });
            }),
            Self::DeactivateProject(name) => each(world, name, |project| {
                if project.state == State::Active {
                    zitadel.set_project_state(&project.id, State::Inactive);
                }
            }),
            Self::RemoveProject(name) => each(world, name, |project| zitadel.delete_project(&project.id)),
            Self::SetKey(key, value) => set_key(world, key, *value),
            Self::EditPolicy(reset) => edit_policy(world, *reset),
            Self::RenameOrganization(name) => {
                let renamed = format!("{name}~renamed");
                let is_new = |id: &String| zitadel.organization(id).is_some_and(|o| o.name != renamed);
                if let Some(id) = organization(world, name).filter(is_new) {
                    zitadel.rename_organization(&id, &renamed);
                }
            }
            Self::RemoveOrganization(name) => {
                if let Some(id) = organization(world, name) {
                    zitadel.remove_organization(&id);
                }
            }
            _ => {}
        }
    }
}

/// The projects of this resource, whatever they are called now.
fn each(world: &World, name: &str, edit: impl Fn(&Project)) {
    let organizations = world.zitadel.organizations().into_iter().filter(|o| o.name != "other");
    let projects = organizations.flat_map(|organization| world.zitadel.projects(&organization.id));
    projects.filter(|project| key(&project.settings.name) == name).for_each(|project| edit(&project));
}

/// What comes before the mark is the resource's name.
fn key(name: &str) -> &str {
    name.split('~').next().unwrap_or_default()
}

fn organization(world: &World, name: &str) -> Option<String> {
    let organizations = world.zitadel.organizations().into_iter();
    organizations.filter(|o| o.state != State::Removed && key(&o.name) == name).map(|o| o.id).next()
}

fn id(world: &World, kind: &str, remote: &str) -> Option<String> {
    if kind == "Organization" {
        return organization(world, remote);
    }
    let projects = world.zitadel.projects(&world.acme);
    projects.into_iter().find(|project| project.settings.name == remote).map(|project| project.id)
}

fn set_key(world: &World, key: &str, value: Option<&str>) {
    let present = world.zitadel.metadata(&world.acme).contains_key(key);
    match value {
        Some(value) => world.zitadel.set_metadata(&world.acme, key, value.as_bytes()),
        None if present => world.zitadel.remove_metadata(&world.acme, key),
        None => {}
    }
}

fn edit_policy(world: &World, reset: bool) {
    let present = world.zitadel.domain_policy(&world.acme).map(|policy| policy.settings);
    match (present, reset) {
        (Some(_), true) => world.zitadel.set_domain_policy(&world.acme, None),
        (Some(settings), false) => {
            let validate_org_domains = !settings.validate_org_domains;
            let edited = DomainSettings { validate_org_domains, ..settings };
            world.zitadel.set_domain_policy(&world.acme, Some(edited));
        }
        (None, _) => {}
    }
}

async fn replace(world: &World, kind: &'static str, name: &str, spec: &Value) {
    world.delete(kind, name).await;
    let gone = async {
        while !world.get(kind, name).await.is_null() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    // As kubectl does it: whoever waits in vain gives up.
    if tokio::time::timeout(Duration::from_secs(1800), gone).await.is_ok() {
        world.apply(kind, name, spec.clone()).await;
    }
}
