//! What names a resource, and what names a connection.

use std::fmt;

use crate::api::common::{ConnectionKind, ConnectionRef};

/// The kind whose resources own organizations.
pub const ORGANIZATION: &str = "Organization";

/// The kind whose resources own projects.
pub const PROJECT: &str = "Project";

/// Names a resource of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The kind.
    pub kind: &'static str,
    /// The namespace; empty for a cluster-scoped kind.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// Names one connection in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    /// Which kind.
    pub kind: ConnectionKind,
    /// The namespace of a `Connection`, empty for a `ClusterConnection`.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ConnectionKey {
    /// The connection that a resource of this namespace refers to.
    pub fn of(reference: &ConnectionRef, namespace: &str) -> Self {
        let namespace = match reference.kind {
            ConnectionKind::ClusterConnection => String::new(),
            ConnectionKind::Connection => namespace.into(),
        };
        Self { kind: reference.kind, namespace, name: reference.name.clone() }
    }

    /// The one namespace whose resources may use it; `None` for a `ClusterConnection`, which all may.
    pub fn within(&self) -> Option<&str> {
        (self.kind == ConnectionKind::Connection).then_some(&self.namespace)
    }

    /// Where the connection's resource is.
    pub fn address(&self) -> Address {
        let kind = match self.kind {
            ConnectionKind::ClusterConnection => "ClusterConnection",
            ConnectionKind::Connection => "Connection",
        };
        Address { kind, namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

impl fmt::Display for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}
