use futures::FutureExt;
use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::*;
use crate::api::ConnectionKind;

const RATE: Rate = Rate { requests_per_second: 1000, burst: 1000 };

/// The limiters, and what is woken.
fn admissions(most: u16) -> (Arc<Admissions>, UnboundedReceiver<Address>) {
    let requeues = Arc::new(RequeueChannel::default());
    let woken = requeues.listen("Project", None);
    let admissions = Arc::new(Admissions::new(requeues, most, Default::default()));
    let served = admissions.clone();
    tokio::spawn(async move { served.serve().await });
    (admissions, woken)
}

fn key(namespace: &str) -> ConnectionKey {
    let kind =
        if namespace.is_empty() { ConnectionKind::ClusterConnection } else { ConnectionKind::Connection };
    ConnectionKey { kind, namespace: namespace.into(), name: "zitadel".into() }
}

fn project(namespace: &str, number: usize) -> Address {
    Address { kind: "Project", namespace: namespace.into(), name: number.to_string() }
}

fn admit(instance_limiter: &Arc<InstanceLimiter>, who: &Address) -> Option<Admission> {
    instance_limiter.admit(who, Urgency::Resync).ok()
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_refused_is_woken_when_there_is_room_and_has_its_turn() {
    let (admissions, mut woken) = admissions(2);
    let instance_limiter = admissions.instance_limiter(&key(""), RATE);
    let first = admit(&instance_limiter, &project("a", 0)).expect("room");
    let _second = admit(&instance_limiter, &project("a", 1)).expect("room");
    assert!(admit(&instance_limiter, &project("a", 2)).is_none());
    settle().await;
    assert!(woken.next().now_or_never().is_none());
    drop(first);
    assert_eq!(woken.next().await, Some(project("a", 2)));
    assert!(admit(&instance_limiter, &project("a", 3)).is_none(), "the turn is kept");
    assert!(admissions.grant(&project("a", 2), Some(&instance_limiter)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_takes_goes_to_the_next() {
    let (admissions, mut woken) = admissions(1);
    let instance_limiter = admissions.instance_limiter(&key(""), RATE);
    let first = admit(&instance_limiter, &project("a", 0)).expect("room");
    assert!(admit(&instance_limiter, &project("a", 1)).is_none());
    assert!(admit(&instance_limiter, &project("a", 2)).is_none());
    drop(first);
    assert_eq!(woken.next().await, Some(project("a", 1)));
    let given = Instant::now();
    assert_eq!(woken.next().await, Some(project("a", 2)));
    assert_eq!(given.elapsed().as_secs(), KEPT.as_secs());
    assert!(admissions.grant(&project("a", 1), Some(&instance_limiter)).is_none());
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_who_waits() {
    let (admissions, mut woken) = admissions(1);
    let instance_limiter = admissions.instance_limiter(&key(""), RATE);
    let first = admit(&instance_limiter, &project("a", 0)).expect("room");
    assert!(admit(&instance_limiter, &project("a", 1)).is_none());
    drop(first);
    assert!(admit(&instance_limiter, &project("b", 0)).is_none());
    assert_eq!(woken.next().await, Some(project("a", 1)));
    drop(admissions.grant(&project("a", 1), Some(&instance_limiter)));
    assert_eq!(woken.next().await, Some(project("b", 0)));
}

#[tokio::test(start_paused = true)]
async fn all_connections_of_a_tenant_share_four_seats_and_all_tenants_twelve() {
    let (admissions, _woken) = admissions(8);
    let instance_limiters =
        |namespace: &str| [(); 2].map(|()| admissions.instance_limiter(&key(namespace), RATE));
    let mut all = Vec::new();
    for namespace in ["a", "b", "c", "d"] {
        let seated: Vec<Admission> = instance_limiters(namespace)
            .iter()
            .flat_map(|instance_limiter| {
                (0..4).filter_map(|n| admit(instance_limiter, &project(namespace, n))).collect::<Vec<_>>()
            })
            .collect();
        all.push(seated.len());
        std::mem::forget(seated);
    }
    assert_eq!(all, [4, 4, 4, 0]);
    let shared = admissions.instance_limiter(&key(""), RATE);
    assert!(
        admit(&shared, &project("d", 0)).is_some(),
        "who shares a connection of the cluster takes no seat"
    );
}

#[tokio::test(start_paused = true)]
async fn a_free_seat_goes_to_the_tenant_that_has_fewest() {
    let (admissions, mut woken) = admissions(8);
    let (busy, quiet) =
        (admissions.instance_limiter(&key("a"), RATE), admissions.instance_limiter(&key("b"), RATE));
    let mut tenant_permits: Vec<Admission> = (0..4).filter_map(|n| admit(&busy, &project("a", n))).collect();
    let others: Vec<Arc<InstanceLimiter>> =
        ["c", "d"].map(|ns| admissions.instance_limiter(&key(ns), RATE)).into();
    let _others: Vec<Admission> = others
        .iter()
        .flat_map(|instance_limiter| (0..4).filter_map(|n| admit(instance_limiter, &project("x", n))))
        .collect();
    assert!(admit(&busy, &project("a", 9)).is_none());
    assert!(admit(&quiet, &project("b", 9)).is_none());
    settle().await;
    tenant_permits.pop();
    assert_eq!(woken.next().await, Some(project("b", 9)));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_at_a_gate_that_goes_are_woken() {
    let (admissions, mut woken) = admissions(1);
    let instance_limiter = admissions.instance_limiter(&key(""), RATE);
    let busy = admit(&instance_limiter, &project("a", 0)).expect("room");
    assert!(admit(&instance_limiter, &project("a", 1)).is_none());
    drop((instance_limiter, busy));
    assert_eq!(woken.next().await, Some(project("a", 1)));
}

#[tokio::test(start_paused = true)]
async fn seats_of_a_gate_that_goes_are_free_again() {
    let (admissions, mut woken) = admissions(8);
    let instance_limiter = admissions.instance_limiter(&key("a"), RATE);
    let mut tenant_permits: Vec<Admission> =
        (0..4).filter_map(|n| admit(&instance_limiter, &project("a", n))).collect();
    assert!(admit(&instance_limiter, &project("a", 4)).is_none());
    tenant_permits.pop();
    assert_eq!(woken.next().await, Some(project("a", 4)), "it has a turn");
    let anew = admissions.instance_limiter(&key("a"), RATE);
    drop((instance_limiter, tenant_permits));
    assert!(admissions.grant(&project("a", 4), Some(&anew)).is_none());
    assert_eq!((0..5).filter_map(|n| admit(&anew, &project("a", n))).collect::<Vec<_>>().len(), 4);
}

/// A tenant whose last permit is kept at one of its limiters for who was woken, while another waits at the other.
async fn kept_and_wanted()
-> (Arc<Admissions>, UnboundedReceiver<Address>, [Arc<InstanceLimiter>; 2], Vec<Admission>) {
    let (admissions, mut woken) = admissions(8);
    let instance_limiters =
        [admissions.instance_limiter(&key("a"), RATE), admissions.instance_limiter(&key("a"), RATE)];
    let [wanting, keeping] = &instance_limiters;
    let mut tenant_permits: Vec<Admission> =
        (0..4).filter_map(|n| admit(keeping, &project("a", n))).collect();
    assert!(admit(keeping, &project("a", 4)).is_none());
    tenant_permits.pop();
    assert_eq!(woken.next().await, Some(project("a", 4)));
    assert!(admit(wanting, &project("a", 9)).is_none());
    settle().await;
    (admissions, woken, instance_limiters, tenant_permits)
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_nobody_takes_goes_to_who_waits_at_another_gate() {
    let (_admissions, mut woken, _gates, _seats) = kept_and_wanted().await;
    assert_eq!(timeout(2 * KEPT, woken.next()).await, Ok(Some(project("a", 9))));
}

#[tokio::test(start_paused = true)]
async fn a_seat_of_who_is_gone_is_free_at_once() {
    let (admissions, mut woken, _gates, _seats) = kept_and_wanted().await;
    admissions.forget(&project("a", 4));
    assert_eq!(timeout(KEPT / 2, woken.next()).await, Ok(Some(project("a", 9))));
}

#[tokio::test(start_paused = true)]
async fn whoever_moves_to_another_connection_waits_at_the_first_no_more() {
    let (admissions, mut woken) = admissions(1);
    let (first, second) =
        (admissions.instance_limiter(&key(""), RATE), admissions.instance_limiter(&key(""), RATE));
    let busy = admit(&first, &project("a", 0)).expect("room");
    assert!(admit(&first, &project("a", 1)).is_none());
    assert!(admit(&first, &project("a", 2)).is_none());
    assert!(admissions.grant(&project("a", 1), Some(&second)).is_none());
    drop(busy);
    assert_eq!(woken.next().await, Some(project("a", 2)));
}

#[tokio::test(start_paused = true)]
async fn of_tenants_with_as_many_seats_the_one_that_waited_longest_is_next() {
    let (admissions, mut woken) = admissions(8);
    let instance_limiters: Vec<Arc<InstanceLimiter>> =
        (0..13).map(|n| admissions.instance_limiter(&key(&format!("ns{n:02}")), RATE)).collect();
    let of = |n: usize, number| project(&format!("ns{n:02}"), number);
    let mut tenant_permits: Vec<Admission> =
        (0..12).filter_map(|n| admit(&instance_limiters[n], &of(n, 0))).collect();
    assert_eq!(tenant_permits.len(), 12);
    for (n, instance_limiter) in instance_limiters.iter().enumerate() {
        assert!(admit(instance_limiter, &of(n, 1)).is_none());
    }
    drop(tenant_permits.remove(0));
    assert_eq!(woken.next().await, Some(of(12, 1)));
}

#[test]
fn connections_to_one_instance_share_a_rate_and_one_that_moves_leaves_it_to_the_others() {
    let admissions = Admissions::new(Arc::default(), 8, Default::default());
    let [one, two, three] = [(); 3].map(|()| admissions.instance_limiter(&key(""), RATE));
    let reaches = |instance_limiter: &Arc<InstanceLimiter>, instance| {
        admissions.share_rate(instance, &key(""), RATE, instance_limiter);
    };
    let share = |one: &Arc<InstanceLimiter>, other: &Arc<InstanceLimiter>| {
        Arc::ptr_eq(&one.budget.limiter(), &other.budget.limiter()) && Arc::ptr_eq(&one.rate(), &other.rate())
    };
    reaches(&one, "i");
    reaches(&two, "i");
    assert!(share(&one, &two));
    reaches(&one, "j");
    assert!(!share(&one, &two));
    reaches(&three, "i");
    assert!(share(&three, &two) && !share(&three, &one));
}

#[tokio::test(start_paused = true)]
async fn gates_of_cluster_connections_take_turns() {
    let (admissions, mut woken) = admissions(8);
    let instance_limiters =
        ["a", "b"].map(|namespace| (namespace, admissions.instance_limiter(&key(""), RATE)));
    for (namespace, instance_limiter) in &instance_limiters {
        admissions.share_rate("i", &key(""), RATE, instance_limiter);
        instance_limiter.budget().limiter().pause_for(Duration::from_secs(1));
        for number in 0..4 {
            assert!(admit(instance_limiter, &project(namespace, number)).is_none());
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let given: Vec<Address> = std::iter::from_fn(|| woken.next().now_or_never().flatten()).collect();
    let first: BTreeSet<&str> = given[2..4].iter().map(|who| who.namespace.as_str()).collect();
    assert_eq!((given.len(), first.len()), (8, 2), "{given:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_remembered_of_who_does_not_come_and_of_tenants_without_a_gate() {
    let (admissions, mut woken) = admissions(1);
    let instance_limiter = admissions.instance_limiter(&key("a"), RATE);
    let first = admit(&instance_limiter, &project("a", 0)).expect("room");
    assert!(admit(&instance_limiter, &project("a", 1)).is_none());
    drop(first);
    assert_eq!(woken.next().await, Some(project("a", 1)));
    tokio::time::sleep(2 * KEPT).await;
    assert!(admissions.shared.places.lock().is_empty());
    drop(instance_limiter);
    settle().await;
    assert!(admissions.shared.tenant_permits.lock().last.is_empty());
}

/// A limiter whose server does not answer, where a probe is due, and whoever is woken.
async fn broken() -> (Arc<Admissions>, Arc<InstanceLimiter>, UnboundedReceiver<Address>) {
    let (admissions, woken) = admissions(8);
    let instance_limiter = admissions.instance_limiter(&key(""), RATE);
    for _ in 0..5 {
        assert!(!instance_limiter.budget().ask(async { false }).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    (admissions, instance_limiter, woken)
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_probe_that_outlives_its_caller_lets_the_next_in() {
    for is_answered in [true, false] {
        let (_admissions, instance_limiter, mut woken) = broken().await;
        let caller = admit(&instance_limiter, &project("a", 0)).expect("a probe");
        let (budget, slow) = (instance_limiter.budget(), Duration::from_secs(10));
        let probe = async move {
            tokio::time::sleep(slow).await;
            is_answered
        };
        tokio::spawn(async move { budget.ask(probe).await });
        settle().await;
        drop(caller);
        assert!(admit(&instance_limiter, &project("a", 1)).is_none());
        assert_eq!(timeout(2 * slow, woken.next()).await, Ok(Some(project("a", 1))));
    }
}
