//! A right that is missing is noticed, and the rights are what they are said to be.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;

use crate::rights::{Forbidden, Rights};
use crate::waits::until_answered;
use crate::world::World;

/// The refusals of an operator whose account lacks a right.
async fn refused_without(right: &str, rights: Rights) -> (World, Vec<String>) {
    let mut world = World::without_operator().await;
    world.rights = rights;
    world.forbidden.withhold(right);
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let refused = until_answered("was refused", async || {
        let refused = world.forbidden.unexpected();
        (!refused.is_empty(), refused)
    })
    .await;
    world.stop_operator().await;
    (world, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_whose_operator_lacks_a_right_fails() {
    for rights in [Rights::Cluster, Rights::Namespaces] {
        let (world, refused) = refused_without("patch projects", rights).await;
        let what = format!("patch projects {}", world.namespace);
        assert_eq!(refused, [what.as_str()]);
        let ended = catch_unwind(AssertUnwindSafe(|| world.forbidden.end())).unwrap_err();
        assert!(ended.downcast_ref::<String>().unwrap().contains(&what));
        world.forbidden.expect(&what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_rights_in_the_cluster_it_asks_for_what_is_in_the_cluster() {
    let (world, refused) = refused_without("list projects", Rights::Cluster).await;
    assert_eq!(refused, ["list projects -"]);
    world.forbidden.expect("list projects -");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_rights_in_namespaces_it_asks_for_what_is_in_them() {
    let (world, refused) = refused_without("list projects", Rights::Namespaces).await;
    let here = format!("list projects {}", world.namespace);
    assert_eq!(refused, [here.as_str()]);
    world.forbidden.expect(&here);
}

#[test]
fn refusals_are_read_in_answers_and_in_logs_and_other_refusals_are_none() {
    let forbidden = Forbidden::default();
    let user = r#"User "system:serviceaccount:a:b""#;
    forbidden.read(&format!(r#"projects "web" is forbidden: {user} cannot patch resource "projects/status" in API group "zitadel-operator.dev" in the namespace "tenant""#));
    forbidden.read(&json!({ "error": format!(r#"{user} cannot list resource "namespaces" in API group "" at the cluster scope"#) }).to_string());
    forbidden.read(r#"events "e" is forbidden: unable to create new content in namespace tenant because it is being terminated"#);
    assert_eq!(forbidden.unexpected(), ["list namespaces -", "patch projects/status tenant"]);
    forbidden.expect("list * -");
    assert_eq!(forbidden.unexpected(), ["patch projects/status tenant"]);
}
