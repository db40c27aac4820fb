//! What a spec wants, and what ZITADEL has, of an object of any kind. A driver uses what its shape has.

use std::collections::BTreeMap;

use crate::engine::drivers::wire::Fields;
use crate::zitadel::{Child, Details, Metadata, Object, Policy, RemoteState};

/// The spec with everything resolved. Without `Debug`: values may be secret.
#[derive(Clone, Default)]
pub struct Desired {
    /// The name that must be free to create the object.
    pub name: String,
    /// The key under the parent, which the spec says.
    pub key: String,
    /// Active or inactive.
    pub state: RemoteState,
    /// The rest of it, as it is sent.
    pub fields: Fields,
    /// The values that it has under many keys.
    pub entries: BTreeMap<String, Vec<u8>>,
}

/// The object as ZITADEL has it.
#[derive(Clone, Default)]
pub struct Remote {
    /// Its id; empty where the spec says its key.
    pub id: String,
    /// The organization that owns it, as the server says; empty where it does not say that of the object itself.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Its key under the parent.
    pub key: String,
    /// Whether it is in use.
    pub state: RemoteState,
    /// Whether it is only a default, which no resource owns.
    pub is_default: bool,
    /// Its last write, as the status tells it.
    pub details: Details,
    /// The rest of it, as it is sent.
    pub fields: Fields,
    /// The values that it has under many keys.
    pub entries: BTreeMap<String, Metadata>,
}

impl From<Object> for Remote {
    fn from(Object { id, details, name, state, fields }: Object) -> Self {
        Self { id, owner: details.resource_owner.clone(), name, state, details, fields, ..Self::default() }
    }
}

impl From<Child> for Remote {
    fn from(Child { key, details, fields }: Child) -> Self {
        Self { key, owner: details.resource_owner.clone(), details, fields, ..Self::default() }
    }
}

impl From<Policy> for Remote {
    /// Where a default is in force, its owner is not that of the policy to come.
    fn from(Policy { details, is_default, fields }: Policy) -> Self {
        Self { details, is_default, fields, ..Self::default() }
    }
}
