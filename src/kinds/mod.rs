//! The kinds, and the one list of them.

pub mod connection;
mod project;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::api::Project;
use crate::engine::Engine;
use crate::engine::controller::follow;
use crate::engine::kind::{Kind, Permission};
use crate::runtime::admin::Readiness;

/// Starts the controller of a kind.
type Follow = fn(Arc<Engine>, Readiness, CancellationToken) -> BoxFuture<'static, ()>;

/// A kind as the registry lists it.
pub struct Entry {
    /// Its name.
    pub kind: &'static str,
    /// What it needs to be allowed in an organization.
    pub permissions: &'static [Permission],
    /// Its controller.
    pub follow: Follow,
}

/// Every workload kind: one line each.
pub fn registry() -> Vec<Entry> {
    vec![entry::<Project>()]
}

/// Names of the fields that differ.
fn differing<const N: usize>(fields: [(&str, bool); N]) -> Vec<String> {
    fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field.to_owned()).collect()
}

fn entry<K: Kind>() -> Entry {
    Entry {
        kind: K::KIND,
        permissions: K::PERMISSIONS,
        follow: |engine, readiness, stop| Box::pin(follow::<K>(engine, readiness, stop)),
    }
}
