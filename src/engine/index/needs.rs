//! What the resources of a connection must be allowed, from their specs and statuses.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{ConditionType, DeletionPolicy, ManagementPolicy, OrganizationSelector, Reason};
use crate::engine::drivers::kind::{Kind, Parent, Permission, Verb};
use crate::engine::drivers::subject::{KindInfo, Subject};

/// Where something is needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PermissionScope {
    /// The instance, or any organization of it.
    Instance,
    /// The organization of resources that name none.
    Default,
    /// The organization with this id.
    Organization(String),
    /// The organization with this name.
    Named(String),
}

/// What the resources of one kind need in one place.
#[derive(Clone, Debug)]
pub struct Need {
    /// The kind.
    pub kind: &'static str,
    /// Where.
    pub permission_scope: PermissionScope,
    /// What, in the order in which the kind states it.
    pub permissions: Vec<&'static Permission>,
}

/// What one resource needs: where, and what for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Its kind.
    pub kind: &'static str,
    /// Where.
    pub permission_scope: PermissionScope,
    /// What is done to it.
    pub verbs: Vec<Verb>,
    /// What its kind needs for each.
    pub permissions: &'static [Permission],
}

/// The needs of resources that are used so.
pub fn of<'a>(uses: impl IntoIterator<Item = &'a Use>) -> Vec<Need> {
    let mut places: BTreeMap<(&str, &PermissionScope), (&Use, BTreeSet<Verb>)> = BTreeMap::new();
    for one in uses {
        let permission_scope =
            places.entry((one.kind, &one.permission_scope)).or_insert((one, BTreeSet::new()));
        permission_scope.1.extend(&one.verbs);
    }
    let need = |(one, verbs): (&Use, BTreeSet<Verb>)| {
        let permissions = one.permissions.iter().filter(|permission| verbs.contains(&permission.verb));
        Need {
            kind: one.kind,
            permission_scope: one.permission_scope.clone(),
            permissions: permissions.collect(),
        }
    };
    places.into_values().map(need).collect()
}

/// The use of this resource; `None` while it was not let into an organization: nothing is asked on behalf of who has
/// no access.
pub fn use_of<K: Kind>(object: &K) -> Option<Use> {
    Some(Use {
        kind: K::KIND,
        permission_scope: permission_scope(object)?,
        verbs: verbs(object),
        permissions: K::PERMISSIONS,
    })
}

fn permission_scope<K: Kind>(object: &K) -> Option<PermissionScope> {
    let (kind, status) = (KindInfo::of_kind::<K>(), &object.status()?.common);
    let own = if kind.is_organization() { &status.id } else { &status.organization_id };
    if let Some(id) = own {
        return Some(PermissionScope::Organization(id.clone()));
    }
    if !is_denied(object) && !kind.is_owned(status) {
        return None;
    }
    let follows_from_reference = object.project().is_some_and(|project| project.r#ref.is_some());
    match object.organization() {
        _ if K::PARENT == Parent::Instance => Some(PermissionScope::Instance),
        None if follows_from_reference => None,
        None => Some(PermissionScope::Default),
        Some(OrganizationSelector { id: Some(id), .. }) => Some(PermissionScope::Organization(id.clone())),
        Some(OrganizationSelector { name: Some(name), .. }) => Some(PermissionScope::Named(name.clone())),
        Some(_) => None,
    }
}

/// Does ZITADEL deny it something?
pub fn is_denied<K: Kind>(object: &K) -> bool {
    let conditions = object.status().map_or(&[][..], |status| &status.common.conditions);
    let synced = ConditionType::Synced.find(conditions);
    synced.is_some_and(|synced| synced.reason == Reason::PermissionDenied.as_str())
}

/// What is done to it, by its policies and whether it is there already.
pub fn verbs(object: &dyn Subject) -> Vec<Verb> {
    let management = object.management();
    if management.management_policy == ManagementPolicy::Observe {
        return vec![Verb::Read];
    }
    let (kind, status) = (object.kind(), object.common());
    let default = || kind.default_deletion(status.and_then(|status| status.origin));
    let deletes = management.deletion_policy.unwrap_or_else(default) == DeletionPolicy::Delete;
    let makes = object.recreates() || !status.is_some_and(|status| kind.is_owned(status));
    let optional = [(Verb::Create, makes), (Verb::Delete, deletes)];
    let optional = optional.into_iter().filter_map(|(verb, needed)| needed.then_some(verb));
    [Verb::Read, Verb::Update].into_iter().chain(optional).collect()
}
