//! Whom a change of a connection concerns.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;

use crate::api::address::{Address, ConnectionKey};
use crate::api::connection::{AccessGrant, Endpoint, RateLimit};
use crate::connection::session::Session;
use crate::engine::decision::access::terms;
use crate::engine::decision::error::ReconcileError;
use crate::engine::index::selector::Selector;
use crate::engine::shared::Engine;

impl Engine {
    /// The session of a connection as it is now; where that changed just now, those whom it concerns are woken.
    ///
    /// # Errors
    /// As [`crate::connection::connections::Connections::session`].
    pub async fn session(&self, key: &ConnectionKey, deleting: bool) -> Result<Arc<Session>, ReconcileError> {
        let (session, before) = self.connections.session(key, deleting).await?;
        if let Some(before) = before {
            self.requeues.wake(self.concerned(&before, &session));
        }
        Ok(session)
    }

    /// Of a change of the grants alone, the users in those namespaces that have others now.
    fn concerned(&self, before: &Session, now: &Session) -> Vec<Address> {
        let is_same = before.uid == now.uid && used(&before.endpoint) == used(&now.endpoint);
        match (&before.access, &now.access) {
            (before, now) if is_same && before == now => Vec::new(),
            (Some(before), Some(granted)) if is_same && self.namespaces.is_filled() => {
                self.regranted(&now.key, before, granted)
            }
            _ => self.resources(Selector::Connection(&now.key)),
        }
    }

    fn regranted(&self, key: &ConnectionKey, before: &[AccessGrant], now: &[AccessGrant]) -> Vec<Address> {
        let namespaces = self.namespaces.store.state();
        let is_told = |labels: &BTreeMap<_, _>| terms(before, labels) != terms(now, labels);
        let changed = namespaces.iter().filter(|namespace| is_told(namespace.labels()));
        let users =
            |namespace: String| self.resources(Selector::Using { namespace: &namespace, connection: key });
        changed.flat_map(|namespace| users(namespace.name_any())).collect()
    }
}

/// What a user of a connection depends on.
fn used(endpoint: &Endpoint) -> Endpoint {
    Endpoint { rate_limit: RateLimit::default(), ..endpoint.clone() }
}
