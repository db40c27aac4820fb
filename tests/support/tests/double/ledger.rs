//! The ledger, roles, replaced instances, reproducibility.

use http::Method;
use serde_json::{Value, json};
use zitadel_operator_support::zitadel::{Behaviour, Double, Fingerprint};

use crate::{Bench, PROJECTS, error_id, parsed, request};

async fn identity(bench: &Bench) -> Value {
    bench.call(Method::GET, "/management/v1/iam", Value::Null).await.1["iamProjectId"].clone()
}

#[tokio::test]
async fn only_the_identity_reveals_a_replaced_instance() {
    let bench = Bench::new(Behaviour::v4());
    let (id, before) = (bench.create("web").await, identity(&bench).await);
    bench.double.replace_instance();
    let owner = &bench.acme.owner;
    let home_organization = request(&Method::GET, "/management/v1/iam", &owner.token, "", &Value::Null);
    let answer = bench.double.call(home_organization).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_ne!(parsed(&answer)["iamProjectId"], before);
    let read = request(&Method::GET, &format!("{PROJECTS}/{id}"), &owner.token, "", &Value::Null);
    assert_eq!(error_id(&parsed(&bench.double.call(read).await.expect("an answer"))), "QUERY-fk2fs");
    let in_acme = bench.call(Method::GET, &format!("{PROJECTS}/{id}"), Value::Null).await;
    assert_eq!(error_id(&in_acme.1), "AUTH-Bs7Ds");
    bench.double.restore_instance();
    assert_eq!(identity(&bench).await, before);
    assert_eq!(bench.call(Method::GET, &format!("{PROJECTS}/{id}"), Value::Null).await.0, 200);
}

#[tokio::test]
async fn the_ledger_tells_who_did_what() {
    let bench = Bench::new(Behaviour::v4());
    let (ledger, id) = (bench.double.ledger(), bench.create("web").await);
    let mark = ledger.mark();
    bench.call(Method::PUT, &format!("{PROJECTS}/{id}"), json!({"name": "web"})).await;
    bench.double.edit_project(&id, |settings| settings.has_project_check = true);
    bench.call(Method::DELETE, &format!("{PROJECTS}/{id}"), Value::Null).await;
    let since = ledger.since(mark);
    let seen: Vec<_> = since.iter().map(|r| (r.index, r.method.as_str(), r.committed, r.status)).collect();
    assert_eq!(seen, [(1, "PUT", 0, Some(200)), (2, "DELETE", 1, Some(200))]);
    assert_eq!(since[1].touched, [format!("project/{id}")]);
    assert_eq!(since[0].body, json!({"name": "web"}));
    assert_eq!(
        (since[0].actor.as_deref(), since[0].organization.as_deref()),
        (Some("owner"), Some(&*bench.acme.id))
    );
    assert_eq!(since[0].credential, Some(Fingerprint::of_token(&bench.acme.owner.token)));
    assert_ne!(since[0].credential, Some(Fingerprint::of_token(&bench.acme.viewer.token)));
    assert_eq!(since[0].host, "localhost:8080");
    assert_eq!((ledger.writes().len(), ledger.count(&Method::PUT, PROJECTS)), (2, 1));
    assert!(!format!("{:?} {:?}", bench.double, ledger).contains(&bench.acme.owner.token));
    ledger.clear();
    assert_eq!((ledger.requests().len(), ledger.since(mark).len()), (0, 0));
}

#[tokio::test]
async fn roles_come_and_go() {
    let bench = Bench::new(Behaviour::v4());
    let (user, acme) = (&bench.acme.owner.user, &bench.acme.id);
    let create = |name: &str| bench.call(Method::POST, PROJECTS, json!({"name": name}));
    bench.double.set_roles(user, acme, &["ORG_OWNER_VIEWER"]);
    assert_eq!(error_id(&create("a").await.1), "AUTH-5mWD2");
    bench.double.set_roles(user, acme, &[]);
    assert_eq!(error_id(&create("a").await.1), "AUTHZ-cdgFk");
    bench.double.set_instance_roles(user, &["IAM_OWNER"]);
    assert_eq!(create("a").await.0, 200);
    bench.double.revoke_token(&bench.acme.owner.token);
    assert_eq!(error_id(&create("b").await.1), "AUTH-7fs1e");
}

#[tokio::test]
async fn the_same_seed_and_epoch_give_the_same_run() {
    let run = || async {
        let epoch = "2026-01-01T00:00:00Z".parse().expect("a time");
        let double = Double::builder().seed(3).epoch(epoch).build();
        (double.create_organization("acme"), double.instance_identity(), double.now().as_second())
    };
    assert_eq!(run().await, run().await);
    assert_ne!(Double::builder().build().admin_token(), Double::builder().build().admin_token());
}
