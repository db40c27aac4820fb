use super::*;
use crate::api::ConnectionKind;

fn shared(uid: &str) -> Claimant {
    Claimant { uid: uid.into(), address: address(uid), connection: ConnectionKind::ClusterConnection }
}

/// One that comes through a `Connection` of this namespace.
fn tenant(namespace: &str, uid: &str) -> Claimant {
    let address = Address { namespace: namespace.into(), ..address(uid) };
    Claimant { uid: uid.into(), address, connection: ConnectionKind::Connection }
}

fn address(name: &str) -> Address {
    Address { kind: "Project", namespace: "ns".into(), name: name.into() }
}

fn claim(target: &str) -> Claim {
    Claim::on_id("i", "Project", target)
}

fn acquire(claims: &Claims, claim: &Claim, claimant: &Claimant) -> Result<(), Claimant> {
    claims.acquire(claim, &Arc::new(claimant.clone()))
}

#[test]
fn a_claim_stays_with_its_holder_until_released() {
    for (a, b) in [(shared("a"), shared("b")), (tenant("ns", "a"), tenant("ns", "b"))] {
        let claims = Claims::default();
        acquire(&claims, &claim("p"), &a).unwrap();
        acquire(&claims, &claim("p"), &a).unwrap();
        assert_eq!(acquire(&claims, &claim("p"), &b).unwrap_err(), a);
        assert_eq!(claims.held_by_other(&claim("p"), &b), Some(a.clone()));
        assert_eq!(claims.held_by_other(&claim("p"), &a), None);
        claims.release("a");
        acquire(&claims, &claim("p"), &b).unwrap();
    }
}

#[test]
fn the_same_target_in_another_instance_is_another_claim() {
    let claims = Claims::default();
    acquire(&claims, &claim("p"), &shared("a")).unwrap();
    let elsewhere = Claim { instance: "j".into(), ..claim("p") };
    acquire(&claims, &elsewhere, &shared("b")).unwrap();
}

#[test]
fn who_holds_a_claim_in_the_end_does_not_depend_on_who_came_first() {
    let (cluster, tenant) = (shared("cluster"), tenant("ns", "tenant"));
    for order in [[&cluster, &tenant], [&tenant, &cluster]] {
        let claims = Claims::default();
        for claimant in order {
            let _ = acquire(&claims, &claim("p"), claimant);
        }
        assert_eq!(acquire(&claims, &claim("p"), &cluster), Ok(()));
        assert_eq!(acquire(&claims, &claim("p"), &tenant), Err(cluster.clone()));
    }
}

#[test]
fn what_the_server_of_a_tenant_says_binds_its_own_namespace_only() {
    let rows = [
        (shared("a"), shared("b"), true),
        (shared("a"), tenant("ns", "b"), true),
        (shared("a"), tenant("other", "b"), true),
        (tenant("ns", "a"), shared("b"), false),
        (tenant("ns", "a"), tenant("ns", "b"), true),
        (tenant("ns", "a"), tenant("other", "b"), false),
    ];
    for (holder, other, binds) in rows {
        let claims = Claims::default();
        acquire(&claims, &claim("p"), &holder).unwrap();
        assert_eq!(acquire(&claims, &claim("p"), &other).is_err(), binds, "{holder:?} {other:?}");
    }
}

#[test]
fn strangers_live_together_through_cluster_connections_only() {
    let elsewhere = |claimant: Claimant| Claimant {
        address: Address { namespace: "other".into(), ..claimant.address.clone() },
        ..claimant
    };
    let rows = [
        (shared("o"), shared("r"), true),
        (shared("o"), elsewhere(shared("r")), true),
        (shared("o"), tenant("ns", "r"), true),
        (shared("o"), tenant("other", "r"), false),
        (tenant("ns", "o"), shared("r"), true),
        (tenant("ns", "o"), elsewhere(shared("r")), false),
        (tenant("ns", "o"), tenant("ns", "r"), true),
        (tenant("ns", "o"), tenant("other", "r"), false),
    ];
    for (owner, member, has_member) in rows {
        assert_eq!(owner.has_member(&member), has_member, "{owner:?} {member:?}");
    }
}

#[test]
fn those_who_wait_are_told_once() {
    let claims = Claims::default();
    acquire(&claims, &claim("p"), &shared("a")).unwrap();
    claims.wait(&[claim("p")], &shared("b"));
    claims.wait(&[claim("p")], &shared("b"));
    assert_eq!(claims.release("a").len(), 1);
    assert!(claims.release("a").is_empty());
    assert!(claims.take_waiting(&claim("p"), &shared("a")).is_empty());
}

#[test]
fn who_is_gone_waits_no_more() {
    let claims = Claims::default();
    acquire(&claims, &claim("p"), &shared("a")).unwrap();
    claims.wait(&[claim("p"), claim("q")], &shared("b"));
    claims.release("b");
    assert!(claims.index().waiting.is_empty());
    assert!(claims.release("a").is_empty());
}

#[test]
fn who_waits_for_another_waits_for_what_was_before_no_more() {
    let claims = Claims::default();
    for name in ["p", "q"] {
        claims.wait(&[claim(name)], &shared("b"));
    }
    assert_eq!(
        claims.index().waiting.keys().map(|waiting| (**waiting).clone()).collect::<Vec<_>>(),
        [claim("q")]
    );
}

#[test]
fn a_tenant_wakes_nobody_but_its_own_namespace() {
    let (liar, in_same_namespace) = (tenant("ns", "liar"), tenant("ns", "neighbour"));
    let strangers = [shared("cluster"), tenant("other", "other")];
    let claims = Claims::default();
    for waiting in strangers.iter().chain([&in_same_namespace]) {
        claims.wait(&[claim("p")], waiting);
    }
    assert_eq!(claims.take_waiting(&claim("p"), &liar), HashSet::from([in_same_namespace.address]));
    assert_eq!(claims.take_waiting(&claim("p"), &shared("renamed")), strangers.map(|s| s.address).into());
}
