//! What a `ClusterConnection` lets a namespace do in ZITADEL. Pure; nothing matches: denied.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

use crate::api::connection::{AccessGrant, GrantedOrganization};

/// What is about to be done to an object in ZITADEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look for it and read it.
    Read,
    /// Make it, or take it for what an unfinished create made.
    Create,
    /// Take ownership of what was there before.
    Adopt,
    /// Change it.
    Update,
    /// Remove it.
    Remove,
}

/// What a grant must say so that a namespace may have objects of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing besides the organization: an `ORG_OWNER` of it may do the same.
    Organization,
    /// The kind too: ZITADEL asks for more than an `ORG_OWNER`.
    Kind,
    /// The kind and `instance`: the object is the instance's.
    Instance,
    /// What the object is, an organization itself, depends on the action.
    OrganizationItself,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is to be done.
    pub action: Action,
    /// To an object of this kind.
    pub kind: &'a str,
    /// What the kind needs.
    pub right: Right,
    /// The organization that owns the object, or is it; empty before it is created.
    pub id: &'a str,
    /// Its name; `None` while no grant by name needs it.
    pub name: Option<&'a str>,
    /// Did the namespace create the organization through this connection?
    pub created: bool,
}

/// Whether any grant lets a namespace with these labels do it.
pub fn granted(access: &[AccessGrant], labels: &BTreeMap<String, String>, request: Request<'_>) -> bool {
    selected(access, labels).any(|grant| gives(grant, request))
}

/// Whether any grant speaks of a namespace with these labels at all.
pub fn selects(access: &[AccessGrant], labels: &BTreeMap<String, String>) -> bool {
    selected(access, labels).next().is_some()
}

/// Whether a namespace with these labels may create organizations.
pub fn creates(access: &[AccessGrant], labels: &BTreeMap<String, String>) -> bool {
    selected(access, labels).any(|grant| grant.create_organizations)
}

/// Whether a decision for this namespace needs the organization's name.
pub fn needs_name(access: &[AccessGrant], labels: &BTreeMap<String, String>) -> bool {
    selected(access, labels)
        .flat_map(|grant| &grant.organizations)
        .any(|organization| organization.name.is_some())
}

/// What the namespaces with these labels are granted, however they are selected.
pub fn terms(access: &[AccessGrant], labels: &BTreeMap<String, String>) -> Vec<AccessGrant> {
    let unselected =
        |grant: &AccessGrant| AccessGrant { namespace_selector: LabelSelector::default(), ..grant.clone() };
    selected(access, labels).map(unselected).collect()
}

fn selected<'a>(
    access: &'a [AccessGrant],
    labels: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a AccessGrant> {
    access.iter().filter(move |grant| {
        // A selector that does not parse selects nothing.
        Selector::try_from(grant.namespace_selector.clone()).is_ok_and(|selector| selector.matches(labels))
    })
}

fn gives(grant: &AccessGrant, request: Request<'_>) -> bool {
    let covers_it = grant.create_organizations && request.created
        || grant.organizations.iter().any(|organization| covers(organization, request));
    let lists_kind = grant.kinds.iter().any(|kind| kind == request.kind);
    match (request.right, request.action) {
        (Right::Organization, _) => covers_it,
        (Right::Kind, _) => covers_it && lists_kind,
        (Right::Instance, _) => grant.instance && lists_kind,
        (Right::OrganizationItself, Action::Create) => grant.create_organizations,
        (Right::OrganizationItself, Action::Read | Action::Update) => covers_it,
        (Right::OrganizationItself, Action::Adopt | Action::Remove) => {
            covers_it && (grant.delete_organizations || request.created)
        }
    }
}

fn covers(organization: &GrantedOrganization, request: Request<'_>) -> bool {
    match organization {
        GrantedOrganization { all: Some(all), .. } => *all,
        GrantedOrganization { id: Some(id), .. } => id == request.id,
        GrantedOrganization { name: Some(name), .. } => {
            request.name.is_some_and(|asked| same_name(name, asked))
        }
        GrantedOrganization { .. } => false,
    }
}

/// ZITADEL compares names of organizations and projects without case.
pub fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests;
