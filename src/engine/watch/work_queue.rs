//! Which resource is due, before kube's scheduler, which keeps a few hundred bytes for each that it knows: it gets no more
//! than what can be reconciled at once.

mod schedule;

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, future, stream};
use kube::Resource;
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use parking_lot::{Mutex, MutexGuard};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::api::address::Address;
use crate::engine::decision::claimant::Claimant;
use crate::engine::watch::reflected_store::ReflectedStore;
use schedule::Schedule;

/// How a reconcile of one kind can end for kube: it was done.
type Done<K> = Result<(ObjectRef<K>, Action), controller::Error<Infallible, watcher::Error>>;

/// The resources of one kind that a watch shows, and when each is due.
///
/// Guarantees: each waits once, for the earliest time that it was added for, and is handed out in that order, so many at
/// a time. One that is added while it is reconciled is reconciled once more afterwards. What is gone is forgotten.
pub struct WorkQueue {
    kind: &'static str,
    concurrency: u16,
    schedule: Mutex<Schedule>,
    /// A whole list was seen.
    is_listed: AtomicBool,
}

impl WorkQueue {
    /// An empty one for this kind, which hands out so many at a time.
    pub fn new(kind: &'static str, concurrency: u16) -> Arc<Self> {
        Arc::new(Self { kind, concurrency, schedule: Mutex::default(), is_listed: AtomicBool::new(false) })
    }

    /// Adds a resource after this time. One that no watch shows is not added: the watch will.
    pub fn add_after(&self, address: &Address, delay: Duration) {
        if let Some(at) = Instant::now().checked_add(delay) {
            self.schedule().add(address, at);
        }
    }

    /// The resources that are due, as there is room: those whose `mark` the events change, and those woken.
    ///
    /// Failures end here: they were told, and the watch pauses after each. Nothing is handed out before the first whole
    /// list, for kube begins with nothing before it either.
    pub fn requests<K: Resource<DynamicType = ()> + 'static>(
        self: &Arc<Self>,
        events: BoxStream<'static, watcher::Result<watcher::Event<K>>>,
        woken: BoxStream<'static, Address>,
        inspect: impl Fn(&K) -> (Arc<Claimant>, u64) + Send + 'static,
    ) -> BoxStream<'static, ObjectRef<K>> {
        let (queue, seeing, adding) = (self.clone(), self.clone(), self.clone());
        let events = events.map(move |event| event.map_or((), |event| seeing.heard(&event, &inspect)));
        let woken = woken.map(move |address| adding.add_after(&address, Duration::ZERO));
        let mut changes = Box::pin(stream::select(events, woken));
        let mut timer = Box::pin(sleep_until(Instant::now()));
        stream::poll_fn(move |cx| {
            let was_listed = queue.is_listed.load(Ordering::Relaxed);
            while let Poll::Ready(Some(())) = changes.as_mut().poll_next(cx) {}
            if !was_listed {
                // kube notices a list when it asks next, and what it got before that it would begin in no order.
                if queue.is_listed.load(Ordering::Relaxed) {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
            queue.poll_due(timer.as_mut(), cx).map(|who| Some(reference(&who.address)))
        })
        .boxed()
    }

    fn heard<K: Resource<DynamicType = ()>>(
        &self,
        event: &watcher::Event<K>,
        inspect: impl Fn(&K) -> (Arc<Claimant>, u64),
    ) {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        match event {
            Apply(object) | InitApply(object) => {
                let (who, mark) = inspect(object);
                self.schedule().see(who, mark);
            }
            Delete(object) => {
                let address = self.address(&ObjectRef::from_obj(object));
                self.schedule().forget(&address, object.meta().uid.as_deref().unwrap_or_default());
            }
            InitDone => self.is_listed.store(true, Ordering::Relaxed),
            Init => {}
        }
    }

    fn poll_due(&self, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<Arc<Claimant>> {
        let mut schedule = self.schedule();
        schedule.notify(cx.waker());
        let Some(at) = schedule.next(self.concurrency.into()) else { return Poll::Pending };
        if at > Instant::now() {
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
            ready!(timer.poll(cx));
        }
        schedule.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Reconciles what is due until `stop`, then lets running reconciles end; `reconcile` answers after which time a
    /// resource is due again, if it is.
    pub async fn run<K, F>(
        self: Arc<Self>,
        requests: BoxStream<'static, ObjectRef<K>>,
        reader: ReflectedStore<K>,
        stop: CancellationToken,
        reconcile: impl Fn(Arc<K>) -> F + Send + Sync,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Option<Duration>> + Send + 'static,
    {
        let reconcile = |object: Arc<K>, queue: Arc<Self>| {
            let address = queue.address(&ObjectRef::from_obj(&*object));
            let next = reconcile(object);
            async move {
                if let Some(next) = next.await {
                    queue.add_after(&address, next);
                }
                Ok::<_, Infallible>(Action::await_change())
            }
        };
        let done = self.clone();
        let controller = Controller::for_stream(stream::pending(), reader.store.clone())
            .with_config(Config::default().concurrency(self.concurrency))
            .reconcile_on(requests)
            .graceful_shutdown_on(stop.clone().cancelled_owned())
            .run(reconcile, |_, error, _| match *error {}, self)
            .map(move |result| done.ended(&result));
        until_idle(controller, reader, stop).await;
    }

    /// kube is through with a resource, and takes another.
    fn ended<K: Resource<DynamicType = ()>>(&self, result: &Done<K>) {
        match result {
            Ok((object, _)) => self.schedule().done(&self.address(object)),
            Err(controller::Error::ObjectNotFound(object)) => self.schedule().done(&self.address(object)),
            // No reconcile and no queue of ours fails.
            Err(_) => {}
        }
    }

    fn address<K: Resource>(&self, object: &ObjectRef<K>) -> Address {
        let namespace = object.namespace.clone().unwrap_or_default();
        Address { kind: self.kind, namespace, name: object.name.clone() }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock()
    }
}

fn reference<K: Resource<DynamicType = ()>>(address: &Address) -> ObjectRef<K> {
    let reference = ObjectRef::new(&address.name);
    if address.namespace.is_empty() { reference } else { reference.within(&address.namespace) }
}

/// Runs a controller to its end. One that is stopped before its first list is complete would wait for that for ever
/// (kube 5.0.0); that, and what stands by, has nothing under way.
async fn until_idle<K>(controller: impl Stream, began: ReflectedStore<K>, stop: CancellationToken)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let stillborn = async {
        stop.cancelled().await;
        if began.is_filled() {
            future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = controller.for_each(|_| future::ready(())) => {}
        () = stillborn => {}
    }
}

#[cfg(test)]
mod tests;
