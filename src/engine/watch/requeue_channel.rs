//! The one wake channel: whatever notices that a resource should be looked at again says so here.

use std::collections::{BTreeSet, HashMap};

use futures::channel::mpsc;
use parking_lot::{Mutex, MutexGuard};

use crate::api::address::Address;

/// What is listened for: a kind, in one namespace or in all.
type Topic = (&'static str, Option<String>);

/// Wakes resources; each kind's controller listens on its own receiver.
#[derive(Default)]
pub struct RequeueChannel {
    listeners: Mutex<HashMap<Topic, Vec<mpsc::UnboundedSender<Address>>>>,
}

impl RequeueChannel {
    /// The stream a controller feeds on: what concerns its kind, in its namespace if it follows only one.
    pub fn listen(&self, kind: &'static str, namespace: Option<String>) -> mpsc::UnboundedReceiver<Address> {
        let (sender, receiver) = mpsc::unbounded();
        self.listeners().entry((kind, namespace)).or_default().push(sender);
        receiver
    }

    /// Asks for a reconcile of each. What nobody listens for is ignored.
    pub fn wake(&self, addresses: impl IntoIterator<Item = Address>) {
        // In order and each once, wherever they come from.
        let addresses: BTreeSet<_> = addresses.into_iter().collect();
        let listeners = self.listeners();
        for address in addresses {
            let topics = [(address.kind, None), (address.kind, Some(address.namespace.clone()))];
            for listener in topics.iter().filter_map(|topic| listeners.get(topic)).flatten() {
                // A closed channel means that the controller has stopped; nothing is left to wake.
                let _ = listener.unbounded_send(address.clone());
            }
        }
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<Topic, Vec<mpsc::UnboundedSender<Address>>>> {
        self.listeners.lock()
    }
}
