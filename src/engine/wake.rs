//! The one wake channel: whatever notices that a resource should be looked at again says so here.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc;

use super::address::Address;

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
        // In order and each once, wherever they come from.
        for address in addresses.into_iter().collect::<BTreeSet<_>>() {
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
