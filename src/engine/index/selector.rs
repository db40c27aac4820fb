//! What resources are listed by.

use crate::api::address::{Address, ConnectionKey};
use crate::engine::decision::claimant::Claimant;
use crate::engine::watch::sources::Source;

/// One organization of one instance.
#[derive(Clone, Copy, Debug)]
pub struct OrganizationIdentity<'a> {
    /// The organization's id.
    pub id: &'a str,
    /// The identities that its instance has or had.
    pub instances: &'a [String],
}

/// What the resources asked for have in common.
#[derive(Clone, Copy, Debug)]
pub enum Selector<'a> {
    /// They use this connection.
    Connection(&'a ConnectionKey),
    /// They are in this namespace.
    Namespace(&'a str),
    /// They are in this namespace and use this connection.
    Using {
        /// The namespace.
        namespace: &'a str,
        /// The connection.
        connection: &'a ConnectionKey,
    },
    /// They take a value, or a connection its credential, from this Secret or ConfigMap.
    Source(Source<'a>),
    /// Their specs refer to this resource of their namespace.
    Referring(&'a Address),
    /// They are in this namespace, and name their organization so, compared without case.
    Named {
        /// The namespace.
        namespace: &'a str,
        /// The name of the organization.
        name: &'a str,
    },
    /// They are in this namespace, and are of an organization that is to be called so, compared without case.
    Called {
        /// The namespace.
        namespace: &'a str,
        /// The name of the organization.
        name: &'a str,
    },
    /// They live in an organization: bound to it, or pointing at the `Organization` that owns it.
    Organization {
        /// The `Organization`.
        owner: &'a Claimant,
        /// The organization, once there is one.
        organization: Option<OrganizationIdentity<'a>>,
    },
}
