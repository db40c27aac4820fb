//! What a reconcile needs before its spec is resolved: its turn, and the values that no store keeps.

use std::sync::Arc;

use crate::connection::session::Session;
use crate::engine::decision::error::ReconcileError;
use crate::engine::reconcile::state::Run;

impl Run<'_> {
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
        self.object = self.object.whole(&self.handle).await?.ok_or(ReconcileError::Stale)?;
        self.client = Some(session.client.holding());
        Ok(())
    }
}
