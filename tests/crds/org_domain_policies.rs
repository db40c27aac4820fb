//! Which `OrgDomainPolicy`s the API server takes.

use serde_json::{Value, json};

use crate::cluster::{fresh_name, shared};
use crate::kinds::{minimal, with};

const KIND: &str = "OrgDomainPolicy";

#[tokio::test]
async fn more_than_100_users_need_a_confirmation_unless_it_says_otherwise() {
    let cluster = shared().await;
    let stored = cluster.try_create(KIND, &fresh_name(), &minimal(KIND)).await.unwrap();
    assert_eq!(stored["spec"]["confirmAboveUsers"], 100);
    let above = |users: Value| with(KIND, &json!({ "confirmAboveUsers": users }));
    cluster.accepts(KIND, [json!(0), json!(1_000_000_000)].map(above)).await;
    let wrong = [json!(-1), json!(1_000_000_001), json!("100"), json!(1.5)];
    cluster.refuses(KIND, wrong.map(above), "spec.confirmAboveUsers").await;
}

/// ZITADEL would take one that is left out for false.
#[tokio::test]
async fn none_of_the_three_settings_may_be_left_out() {
    let cluster = shared().await;
    for setting in ["userLoginMustBeDomain", "validateOrgDomains", "smtpSenderAddressMatchesInstanceDomain"] {
        cluster.accepts(KIND, [true, false].map(|value| with(KIND, &json!({ setting: value })))).await;
        let mut without = minimal(KIND);
        without.as_object_mut().unwrap().remove(setting);
        let null = with(KIND, &json!({ setting: null }));
        cluster.refuses(KIND, [without, null], &format!("spec.{setting}: Required value")).await;
        cluster.refuses(KIND, [with(KIND, &json!({ setting: "true" }))], &format!("spec.{setting}")).await;
    }
}
