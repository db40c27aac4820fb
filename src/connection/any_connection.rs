//! What `Connection` and `ClusterConnection` have in common.

use std::fmt::Debug;

use kube::{CustomResourceExt, Resource};
use serde::de::DeserializeOwned;

use crate::api::ConnectionKind;
use crate::api::connection::{ClusterConnection, Connection, ConnectionStatus, Endpoint};

/// The two kinds of connection.
pub trait AnyConnection:
    Resource<DynamicType = ()> + CustomResourceExt + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Which of the two.
    const KIND: ConnectionKind;
    /// Its name.
    const NAME: &'static str;
    /// Where ZITADEL is and how to log in.
    fn endpoint(&self) -> &Endpoint;
    /// What is known of it.
    fn status(&self) -> Option<&ConnectionStatus>;
}

impl AnyConnection for Connection {
    const KIND: ConnectionKind = ConnectionKind::Connection;
    const NAME: &'static str = "Connection";

    fn endpoint(&self) -> &Endpoint {
        &self.spec.endpoint
    }

    fn status(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }
}

impl AnyConnection for ClusterConnection {
    const KIND: ConnectionKind = ConnectionKind::ClusterConnection;
    const NAME: &'static str = "ClusterConnection";

    fn endpoint(&self) -> &Endpoint {
        &self.spec.endpoint
    }

    fn status(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }
}
