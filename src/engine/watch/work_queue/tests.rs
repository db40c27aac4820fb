use futures::channel::mpsc;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use watcher::Event::{self, Apply, Delete, Init, InitApply, InitDone};

use super::*;
use crate::api::ConnectionKind;

const KIND: &str = "ConfigMap";
const HOUR: Duration = Duration::from_secs(3600);

fn object(name: &str, uid: &str, generation: i64) -> ConfigMap {
    let mut object = ConfigMap::default();
    (object.metadata.name, object.metadata.namespace) = (Some(name.into()), Some("team".into()));
    (object.metadata.uid, object.metadata.generation) = (Some(uid.into()), Some(generation));
    object
}

/// One whose UID is its name.
fn new(name: &str, generation: i64) -> ConfigMap {
    object(name, name, generation)
}

fn address(name: &str) -> Address {
    Address { kind: KIND, namespace: "team".into(), name: name.into() }
}

fn inspect(object: &ConfigMap) -> (Arc<Claimant>, u64) {
    let (uid, address) = (object.uid().unwrap(), address(&object.name_any()));
    let who = Claimant { uid, address, connection: ConnectionKind::Connection };
    (Arc::new(who), object.metadata.generation.unwrap() as u64)
}

/// A queue, the watch that it follows, and what it hands out.
struct Fixture {
    queue: Arc<WorkQueue>,
    watch: mpsc::UnboundedSender<watcher::Result<Event<ConfigMap>>>,
    requests: Pin<Box<dyn Stream<Item = ObjectRef<ConfigMap>>>>,
}

impl Fixture {
    /// After a list of these.
    fn of(concurrency: u16, names: &[&str]) -> Self {
        let queue = WorkQueue::new(KIND, concurrency);
        let (watch, events) = mpsc::unbounded();
        let requests = Box::pin(queue.requests(events.boxed(), stream::pending().boxed(), inspect));
        let mut fixture = Self { queue, watch, requests };
        let listed = names.iter().map(|name| InitApply(new(name, 1)));
        fixture.show([Init].into_iter().chain(listed).chain([InitDone]));
        assert!(fixture.due().is_none(), "kube does not know of the list yet");
        fixture
    }

    fn show(&self, events: impl IntoIterator<Item = Event<ConfigMap>>) {
        events.into_iter().for_each(|event| self.watch.unbounded_send(Ok(event)).unwrap());
    }

    fn add(&self, name: &str, delay: Duration) {
        self.queue.add_after(&address(name), delay);
    }

    fn done(&self, name: &str) {
        self.queue.schedule().done(&address(name));
    }

    /// What is handed out now, if anything is.
    fn due(&mut self) -> Option<String> {
        self.requests.next().now_or_never().flatten().map(|request| request.name)
    }

    fn all_due(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.due()).collect()
    }

    /// The same, each reconciled at once.
    fn handled(&mut self) -> Vec<String> {
        let handle = |fixture: &mut Self| fixture.due().inspect(|name| fixture.done(name));
        std::iter::from_fn(|| handle(self)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_as_there_is_room_for_are_handed_out_in_the_order_added() {
    let mut fixture = Fixture::of(2, &["c", "a", "d", "b"]);
    assert_eq!(fixture.all_due(), ["c", "a"]);
    fixture.done("a");
    assert_eq!(fixture.all_due(), ["d"]);
    fixture.done("c");
    fixture.done("d");
    assert_eq!(fixture.all_due(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn each_waits_once_and_the_earlier_time_wins() {
    let mut fixture = Fixture::of(9, &["a"]);
    assert_eq!(fixture.handled(), ["a"]);
    for delay in [HOUR * 2, HOUR, HOUR * 3] {
        fixture.add("a", delay);
    }
    let begun = Instant::now();
    assert_eq!(fixture.requests.next().await.unwrap().name, "a");
    assert_eq!(begun.elapsed(), HOUR);
    fixture.done("a");
    tokio::time::advance(HOUR * 4).await;
    assert_eq!(fixture.due(), None);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_due_earlier_is_first_and_what_is_added_later_passes_nobody() {
    let mut fixture = Fixture::of(1, &["a", "b", "c"]);
    assert_eq!(fixture.handled(), ["a", "b", "c"]);
    fixture.add("a", HOUR);
    fixture.add("b", HOUR / 2);
    tokio::time::advance(HOUR).await;
    fixture.add("c", Duration::ZERO);
    assert_eq!(fixture.handled(), ["b", "a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_added_while_it_is_reconciled_is_reconciled_once_more_afterwards() {
    let mut fixture = Fixture::of(9, &["a"]);
    assert_eq!(fixture.due().unwrap(), "a");
    fixture.show([Apply(new("a", 2)), Apply(new("a", 3))]);
    fixture.add("a", Duration::ZERO);
    assert_eq!(fixture.due(), None);
    fixture.add("a", HOUR);
    fixture.done("a");
    assert_eq!(fixture.handled(), ["a"]);
    tokio::time::advance(HOUR * 2).await;
    assert_eq!(fixture.due(), None);
}

#[tokio::test(start_paused = true)]
async fn an_addition_wakes_whoever_waits_for_a_later_time() {
    let mut fixture = Fixture::of(9, &["a", "b"]);
    assert_eq!(fixture.handled(), ["a", "b"]);
    fixture.add("a", HOUR);
    let (queue, begun) = (fixture.queue.clone(), Instant::now());
    let adding = async {
        tokio::time::sleep(HOUR / 2).await;
        queue.add_after(&address("b"), Duration::ZERO);
    };
    let (request, ()) = tokio::join!(fixture.requests.next(), adding);
    assert_eq!((request.unwrap().name.as_str(), begun.elapsed()), ("b", HOUR / 2));
}

#[tokio::test(start_paused = true)]
async fn a_list_after_hours_is_a_change_of_what_changed_alone() {
    let mut fixture = Fixture::of(9, &["a", "b"]);
    assert_eq!(fixture.handled(), ["a", "b"]);
    tokio::time::advance(HOUR * 2).await;
    fixture.show([Init, InitApply(new("a", 1)), InitApply(new("b", 2)), InitDone]);
    assert_eq!(fixture.handled(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_forgotten() {
    let mut fixture = Fixture::of(9, &["a", "b"]);
    fixture.show([Delete(new("a", 1))]);
    assert_eq!(fixture.handled(), ["b"]);
    fixture.add("a", Duration::ZERO);
    assert_eq!(fixture.due(), None);
    fixture.show([Apply(new("a", 1))]);
    assert_eq!(fixture.handled(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_anew_while_the_one_before_is_reconciled_waits_for_that() {
    let mut fixture = Fixture::of(1, &["a"]);
    assert_eq!(fixture.due().unwrap(), "a");
    fixture.show([Delete(new("a", 1)), Apply(object("a", "anew", 1))]);
    assert_eq!(fixture.due(), None);
    fixture.done("a");
    assert_eq!(fixture.handled(), ["a"]);
    fixture.show([Delete(new("a", 1))]);
    fixture.add("a", Duration::ZERO);
    assert_eq!(fixture.due().unwrap(), "a", "the deletion was of the one before");
    fixture.show([Delete(object("a", "anew", 1)), Apply(new("b", 1))]);
    assert_eq!(fixture.due(), None);
    fixture.done("a");
    assert_eq!(fixture.handled(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_watch_stops_nothing() {
    let mut fixture = Fixture::of(9, &["a"]);
    fixture.watch.unbounded_send(Err(watcher::Error::NoResourceVersion)).unwrap();
    fixture.show([Apply(new("b", 1))]);
    assert_eq!(fixture.handled(), ["a", "b"]);
}
