//! The one wake channel: whatever notices that a resource should be looked at again says so here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc;
use kube::ResourceExt;

use super::kind::Kind;

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

impl Address {
    /// Where this resource is.
    pub fn of<K: Kind>(object: &K) -> Self {
        Self { kind: K::KIND, namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

struct Listener {
    kind: &'static str,
    namespace: Option<String>,
    sender: mpsc::UnboundedSender<Address>,
}

impl Listener {
    fn hears(&self, address: &Address) -> bool {
        self.kind == address.kind && self.namespace.as_ref().is_none_or(|own| *own == address.namespace)
    }
}

/// Wakes resources; each kind's controller listens on its own receiver.
#[derive(Default)]
pub struct Wakes {
    listeners: Mutex<Vec<Listener>>,
}

impl Wakes {
    /// The stream a controller feeds on: what concerns its kind, in its namespace if it follows only one.
    pub fn listen(&self, kind: &'static str, namespace: Option<String>) -> mpsc::UnboundedReceiver<Address> {
        let (sender, receiver) = mpsc::unbounded();
        self.listeners().push(Listener { kind, namespace, sender });
        receiver
    }

    /// Asks for a reconcile of each. What nobody listens for is ignored.
    pub fn wake(&self, addresses: impl IntoIterator<Item = Address>) {
        let listeners = self.listeners();
        for address in addresses {
            for listener in listeners.iter().filter(|listener| listener.hears(&address)) {
                // A closed channel means that the controller has stopped; nothing is left to wake.
                let _ = listener.sender.unbounded_send(address.clone());
            }
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
