//! A way to the cluster that stops at one write, so that an operator can crash there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use tokio::sync::watch;

use crate::way;

/// On which side of a request it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before it is sent.
    Before,
    /// After the server has answered.
    After,
}

/// Lets a number of writes to Kubernetes through and holds the next one for ever.
#[derive(Clone)]
pub struct Barrier {
    side: Side,
    writes: Arc<AtomicUsize>,
    free: usize,
    reached: Arc<watch::Sender<bool>>,
}

impl Barrier {
    /// Closed after `free` writes.
    pub fn after(free: usize, side: Side) -> Self {
        Self { side, writes: Arc::default(), free, reached: Arc::new(watch::Sender::new(false)) }
    }

    /// Waits until a write is held.
    pub async fn reached(&self) {
        // Fails only once the sender is gone, which the gate owns.
        let _ = self.reached.subscribe().wait_for(|reached| *reached).await;
    }

    /// The same client; its writes come through here.
    pub fn before(&self, client: kube::Client) -> kube::Client {
        let gate = self.clone();
        way::with(client, move |client, request| {
            let (gate, held) = (gate.clone(), gate.holds(request.method()));
            async move {
                if held && gate.side == Side::Before {
                    gate.hold().await;
                }
                let answer = client.send(request).await;
                if held {
                    gate.hold().await;
                }
                answer
            }
        })
    }

    fn holds(&self, method: &Method) -> bool {
        *method != Method::GET && self.writes.fetch_add(1, Ordering::SeqCst) == self.free
    }

    async fn hold(&self) {
        self.reached.send_replace(true);
        std::future::pending::<()>().await;
    }
}
