//! What resources are asked for by.

use crate::api::address::{Address, ConnectionKey};
use crate::engine::index::selector::{OrganizationIdentity, Selector};
use crate::engine::watch::sources::{Source, SourceKind};

/// What a resource has in common with others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Relation {
    /// It is in this namespace.
    Namespace(String),
    /// It uses this connection.
    Connection(ConnectionKey),
    /// It is in this namespace and does not parse: nobody can say which connection it will need.
    Malformed(String),
    /// It takes a value or a credential from this one of this namespace.
    Source(SourceKind, String, String),
    /// It is bound to this organization of this instance.
    Organization { instance: String, id: String },
    /// Its spec refers to this resource of its namespace.
    Reference(Address),
    /// It is in this namespace, and its spec names its organization so.
    Named { namespace: String, name: String },
    /// It is in this namespace, and is the resource of an organization that is to be called so.
    Called { namespace: String, name: String },
}

impl Relation {
    /// Each that has this in common has one of these.
    pub(crate) fn of(selector: Selector<'_>) -> Vec<Self> {
        let within = |namespace: &str, name: &str| (namespace.to_owned(), name.to_lowercase());
        match selector {
            Selector::Namespace(namespace) | Selector::Using { namespace, .. } => {
                vec![Self::Namespace(namespace.into())]
            }
            Selector::Connection(key) => {
                vec![Self::Connection(key.clone()), Self::Malformed(key.namespace.clone())]
            }
            Selector::Source(Source { kind, namespace, name }) => {
                vec![Self::Source(kind, namespace.into(), name.into())]
            }
            Selector::Organization { owner, organization } => {
                let there = organization.into_iter().flat_map(Self::there);
                there.chain([Self::Reference(owner.address.clone())]).collect()
            }
            Selector::Referring(address) => vec![Self::Reference(address.clone())],
            Selector::Named { namespace, name } => {
                let (namespace, name) = within(namespace, name);
                vec![Self::Named { namespace, name }]
            }
            Selector::Called { namespace, name } => {
                let (namespace, name) = within(namespace, name);
                vec![Self::Called { namespace, name }]
            }
        }
    }

    fn there(OrganizationIdentity { id, instances }: OrganizationIdentity<'_>) -> impl Iterator<Item = Self> {
        instances.iter().map(|instance| Self::Organization { instance: instance.clone(), id: id.into() })
    }
}
