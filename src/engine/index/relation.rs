//! What resources are asked for by.

use super::super::address::ConnectionKey;
use super::super::sources::{Source, SourceKind};
use super::super::{Having, Place};

/// What a resource has in common with others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Relation {
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
    /// Its spec refers to this `Organization` of its namespace.
    Reference { namespace: String, name: String },
    /// It is in this namespace, and its spec names its organization so.
    Named { namespace: String, name: String },
    /// It is in this namespace, and is the resource of an organization that is to be called so.
    Called { namespace: String, name: String },
}

impl Relation {
    /// Each that has this in common has one of these.
    pub(super) fn of(having: Having<'_>) -> Vec<Self> {
        let within = |namespace: &str, name: &str| (namespace.to_owned(), name.to_lowercase());
        match having {
            Having::Namespace(namespace) | Having::Using { namespace, .. } => {
                vec![Self::Namespace(namespace.into())]
            }
            Having::Connection(key) => {
                vec![Self::Connection(key.clone()), Self::Malformed(key.namespace.clone())]
            }
            Having::Source(Source { kind, namespace, name }) => {
                vec![Self::Source(kind, namespace.into(), name.into())]
            }
            Having::Organization { owner, place } => {
                let (namespace, name) = (owner.address.namespace.clone(), owner.address.name.clone());
                let there = place.into_iter().flat_map(Self::there);
                there.chain([Self::Reference { namespace, name }]).collect()
            }
            Having::Named { namespace, name } => {
                let (namespace, name) = within(namespace, name);
                vec![Self::Named { namespace, name }]
            }
            Having::Called { namespace, name } => {
                let (namespace, name) = within(namespace, name);
                vec![Self::Called { namespace, name }]
            }
        }
    }

    fn there(Place { id, instances }: Place<'_>) -> impl Iterator<Item = Self> {
        instances.iter().map(|instance| Self::Organization { instance: instance.clone(), id: id.into() })
    }
}
