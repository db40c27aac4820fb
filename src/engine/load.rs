//! What a reconcile needs before its spec is resolved: its turn, and the values that no store keeps.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::fault::Fault;
use super::kind::Kind;
use super::run::Run;
use super::session::Session;

impl<K: Kind> Run<'_, K> {
    /// The session, and the turn that all that follows is done in.
    pub(super) async fn admit(&mut self) -> Result<Arc<Session>, Fault> {
        let session = self.engine.session(&self.key, self.is_deleting()).await?;
        if !self.is_deleting() {
            session.check_credential()?;
        }
        session.check_header()?;
        self.check_namespace(&session)?;
        if self.is_managed() && !self.engine.connections.is_protected(&self.key) {
            self.engine.wakes.wake([self.key.address()]);
        }
        if self.turn.is_none() {
            self.turn = Some(session.admit(&self.handle.address, self.urgency())?);
        }
        Ok(session)
    }

    /// Reads, once admitted, the values that no store keeps. What changed since is looked at when the watch shows it.
    pub(super) async fn load(&mut self) -> Result<(), Fault> {
        let session = self.admit().await?;
        let _turn = self.engine.bulk.reading(&self.handle.address.namespace).await;
        let whole = self.handle.read_whole::<K>().await?.ok_or(Fault::Stale)?;
        let spec = |meta: &ObjectMeta| (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some());
        if spec(whole.meta()) != spec(self.object.meta()) {
            return Err(Fault::Stale);
        }
        Arc::make_mut(&mut self.object).restore(whole);
        self.client = Some(session.client.holding());
        Ok(())
    }
}
