//! What a reconcile needs before its spec is resolved: its turn, and the values that no store keeps.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::connection::session::Session;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::Kind;
use crate::engine::reconcile::state::Run;

impl<K: Kind> Run<'_, K> {
    /// The session, and the turn that all that follows is done in.
    pub(crate) async fn admit(&mut self) -> Result<Arc<Session>, ReconcileError> {
        let session = self.engine.session(&self.key, self.is_deleting()).await?;
        if !self.is_deleting() {
            session.check_credential()?;
        }
        session.check_header()?;
        self.check_namespace(&session)?;
        if self.is_managed() && !self.engine.connections.is_protected(&self.key) {
            self.engine.requeues.wake([self.key.address()]);
        }
        if self.grant.is_none() {
            self.grant = Some(session.admit(&self.handle.address, self.urgency())?);
        }
        Ok(session)
    }

    /// Reads, once admitted, the values that no store keeps. What changed since is looked at when the watch shows it.
    pub(crate) async fn load(&mut self) -> Result<(), ReconcileError> {
        let session = self.admit().await?;
        let _turn = self.engine.bulk.reading(&self.handle.address.namespace).await;
        let whole = self.handle.read_whole::<K>().await?.ok_or(ReconcileError::Stale)?;
        let spec = |meta: &ObjectMeta| (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some());
        if spec(whole.meta()) != spec(self.object.meta()) {
            return Err(ReconcileError::Stale);
        }
        Arc::make_mut(&mut self.object).restore(whole);
        self.client = Some(session.client.holding());
        Ok(())
    }
}
