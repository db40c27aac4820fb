//! What the index keeps of a resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use crate::api::address::{Address, ConnectionKey, ORGANIZATION, PROJECT};
use crate::api::connection::Endpoint;
use crate::api::{CommonStatus, ConnectionKind, ConnectionRef, ManagementPolicy, OrganizationSelector};
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::conditions::ReadyState;
use crate::engine::drivers::kind::Kind;
use crate::engine::drivers::subject::KindInfo;
use crate::engine::index::needs::{self, Use};
use crate::engine::index::relation::Relation;
use crate::engine::index::selector::Selector;
use crate::engine::watch::sources;

/// What is asked of a resource by others.
pub struct Facts {
    pub(crate) who: Claimant,
    pub(crate) relations: Vec<Relation>,
    pub(crate) uses: Option<Use>,
    pub(crate) readiness: ReadyState,
}

impl Facts {
    /// Of a resource, whether it parses or not.
    pub fn of<K: Kind>(object: &DeserializeGuard<K>) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        match &object.0 {
            Ok(object) => Self {
                who: object.claimant(),
                relations: relations(object, namespace),
                uses: needs::use_of(object),
                readiness: ReadyState::of(object.status().map_or(&[][..], |s| &s.common.conditions)),
            },
            Err(_) => Self {
                who: malformed_claimant::<K>(object.meta(), None),
                relations: vec![Relation::Namespace(namespace.clone()), Relation::Malformed(namespace)],
                uses: None,
                readiness: ReadyState::MALFORMED,
            },
        }
    }

    /// Of a connection whose Secrets are in the namespace `namespace_read`; it uses none. One that does not parse reads nothing.
    pub fn of_connection(
        key: &ConnectionKey,
        uid: String,
        (namespace_read, endpoint): (&str, Option<&Endpoint>),
        readiness: ReadyState,
    ) -> Self {
        let read = endpoint.map(sources::of).unwrap_or_default();
        let read =
            read.into_iter().map(|(kind, name)| Relation::Source(kind, namespace_read.into(), name.into()));
        let namespace = Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty());
        Self {
            who: Claimant { uid, address: key.address(), connection: key.kind },
            relations: read.chain(namespace.map(Relation::Namespace)).collect(),
            uses: None,
            readiness,
        }
    }
}

/// A malformed resource as a claimant. What cannot be told of its connection counts least.
pub(crate) fn malformed_claimant<K: Kind>(meta: &ObjectMeta, raw: Option<&DynamicObject>) -> Claimant {
    let reference = raw.map(|raw| raw.data["spec"]["connectionRef"].clone());
    let kind = reference.and_then(|reference| match reference {
        Value::Null => Some(ConnectionRef::default().kind),
        reference => serde_json::from_value::<ConnectionRef>(reference).ok().map(|r| r.kind),
    });
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Claimant {
        uid: text(&meta.uid),
        address: Address { kind: K::KIND, namespace: text(&meta.namespace), name: text(&meta.name) },
        connection: kind.unwrap_or(ConnectionKind::Connection),
    }
}

fn relations<K: Kind>(object: &K, namespace: String) -> Vec<Relation> {
    let connection = ConnectionKey::of(&object.management().connection_ref, &namespace);
    let read = object.sources().into_iter();
    let read = read.map(|(kind, name)| Relation::Source(kind, namespace.clone(), name.into()));
    let called = object.object_name().filter(|_| KindInfo::of_kind::<K>().is_organization());
    let called = called.iter().map(|name| Selector::Called { namespace: &namespace, name });
    let mut relations: Vec<_> = read.chain(called.flat_map(Relation::of)).collect();
    relations.extend(project_of(object, &namespace));
    relations.extend(organization_of(object, &namespace));
    relations.extend([Relation::Connection(connection), Relation::Namespace(namespace)]);
    relations
}

/// The `Project` that its project follows from.
fn project_of<K: Kind>(object: &K, namespace: &str) -> Option<Relation> {
    let reference = object.project()?.r#ref.as_ref()?;
    Some(reference_to(PROJECT, namespace, &reference.name))
}

fn reference_to(kind: &'static str, namespace: &str, name: &str) -> Relation {
    Relation::Reference(Address { kind, namespace: namespace.into(), name: name.into() })
}

/// The organization that it is in, or is to be in.
fn organization_of<K: Kind>(object: &K, namespace: &str) -> Vec<Relation> {
    let named = match object.organization() {
        Some(OrganizationSelector { name: Some(name), .. }) => {
            Relation::of(Selector::Named { namespace, name })
        }
        _ => Vec::new(),
    };
    let observes = object.management().management_policy == ManagementPolicy::Observe;
    if KindInfo::of_kind::<K>().is_organization() || observes {
        return named;
    }
    let reference = object.organization().and_then(|selector| selector.r#ref.as_ref());
    let reference = reference.map(|r| reference_to(ORGANIZATION, namespace, &r.name));
    let owned_in = object.status().and_then(|status| owned_in(&status.common));
    named.into_iter().chain(reference).chain(owned_in).collect()
}

fn owned_in(status: &CommonStatus) -> Option<Relation> {
    let (instance, id) = status.instance.clone().zip(status.organization_id.clone())?;
    Some(Relation::Organization { instance, id })
}
