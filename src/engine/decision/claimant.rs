//! Who holds or wants something in ZITADEL, and whom that binds.

use crate::api::ConnectionKind;
use crate::api::address::Address;

/// A resource that holds or wants a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claimant {
    /// The resource's UID.
    pub uid: String,
    /// Where it is.
    pub address: Address,
    /// Through which kind of connection it came to what it claims.
    pub connection: ConnectionKind,
}

impl Claimant {
    /// Must the other one respect what this one claims?
    ///
    /// The server of a `Connection` was chosen by whoever may write to its namespace, and can say that it is any
    /// instance and has any object: that counts in its namespace only. Of a `ClusterConnection` it counts everywhere.
    pub fn binds(&self, other: &Self) -> bool {
        self.is_shared() || (!other.is_shared() && self.is_same_namespace(other))
    }

    /// Does the other one, bound to the organization that this one owns, live in it?
    ///
    /// Strangers believe each other through `ClusterConnection`s only; a namespace may be wrong about itself.
    pub fn has_member(&self, other: &Self) -> bool {
        self.is_same_namespace(other) || (self.is_shared() && other.is_shared())
    }

    /// Did it come through a connection that a cluster admin made?
    pub fn is_shared(&self) -> bool {
        self.connection == ConnectionKind::ClusterConnection
    }

    /// Are they of one namespace?
    pub fn is_same_namespace(&self, other: &Self) -> bool {
        self.address.namespace == other.address.namespace
    }
}
