//! What the index keeps of a resource.

use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};

use super::super::address::ConnectionKey;
use super::super::claims::Claimant;
use super::super::kind::{Kind, Scope};
use super::super::needs::{self, Use};
use super::super::sources;
use super::super::status::Readiness;
use super::super::{Having, malformed};
use super::relation::Relation;
use crate::api::connection::Endpoint;
use crate::api::{CommonStatus, ManagementPolicy, OrganizationSelector};

/// What is asked of a resource by others.
pub struct Facts {
    pub(super) who: Claimant,
    pub(super) relations: Vec<Relation>,
    pub(super) uses: Option<Use>,
    pub(super) readiness: Readiness,
}

impl Facts {
    /// Of a resource, whether it parses or not.
    pub fn of<K: Kind>(object: &DeserializeGuard<K>) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        match &object.0 {
            Ok(object) => Self {
                who: Claimant::of(object),
                relations: relations(object, namespace),
                uses: needs::use_of(object),
                readiness: Readiness::of(object.status().map_or(&[][..], |s| &s.common.conditions)),
            },
            Err(_) => Self {
                who: malformed::claimant::<K>(object.meta(), None),
                relations: vec![Relation::Namespace(namespace.clone()), Relation::Malformed(namespace)],
                uses: None,
                readiness: Readiness::MALFORMED,
            },
        }
    }

    /// Of a connection whose Secrets are in the namespace `home`; it uses none. One that does not parse reads nothing.
    pub fn of_connection(
        key: &ConnectionKey,
        uid: String,
        (home, endpoint): (&str, Option<&Endpoint>),
        readiness: Readiness,
    ) -> Self {
        let read = endpoint.map(sources::of).unwrap_or_default();
        let read = read.into_iter().map(|(kind, name)| Relation::Source(kind, home.into(), name.into()));
        let namespace = Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty());
        Self {
            who: Claimant { uid, address: key.address(), connection: key.kind },
            relations: read.chain(namespace.map(Relation::Namespace)).collect(),
            uses: None,
            readiness,
        }
    }
}

fn relations<K: Kind>(object: &K, namespace: String) -> Vec<Relation> {
    let connection = ConnectionKey::of(&object.management().connection_ref, &namespace);
    let read = object.sources().into_iter();
    let read = read.map(|(kind, name)| Relation::Source(kind, namespace.clone(), name.into()));
    let called = object.object_name().filter(|_| K::SCOPE == Scope::Instance);
    let called = called.iter().map(|name| Having::Called { namespace: &namespace, name });
    let mut relations: Vec<_> = read.chain(called.flat_map(Relation::of)).collect();
    relations.extend(home(object, &namespace));
    relations.extend([Relation::Connection(connection), Relation::Namespace(namespace)]);
    relations
}

/// Where it lives, or wants to.
fn home<K: Kind>(object: &K, namespace: &str) -> Vec<Relation> {
    let named = match object.organization() {
        Some(OrganizationSelector { name: Some(name), .. }) => {
            Relation::of(Having::Named { namespace, name })
        }
        _ => Vec::new(),
    };
    let observes = object.management().management_policy == ManagementPolicy::Observe;
    if K::SCOPE == Scope::Instance || observes {
        return named;
    }
    let reference = object.organization().and_then(|selector| selector.r#ref.as_ref());
    let reference =
        reference.map(|r| Relation::Reference { namespace: namespace.into(), name: r.name.clone() });
    let bound = object.status().and_then(|status| bound(&status.common));
    named.into_iter().chain(reference).chain(bound).collect()
}

fn bound(status: &CommonStatus) -> Option<Relation> {
    let (instance, id) = status.instance.clone().zip(status.organization_id.clone())?;
    Some(Relation::Organization { instance, id })
}
