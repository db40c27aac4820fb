//! Rules of the server that the recordings do not show.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use zitadel_operator_support::zitadel::{Behaviour, DomainSettings, OrganizationFeatures, OwnIds, State};

use crate::{Bench, PROJECTS, error_id, header, parsed, request};

#[tokio::test]
async fn writes_return_what_the_next_read_shows() {
    let bench = Bench::new(Behaviour::v4());
    let id = bench.create("web").await;
    let path = format!("{PROJECTS}/{id}");
    let (_, written) = bench.call(Method::PUT, &path, json!({"name": "site"})).await;
    let (_, read) = bench.call(Method::GET, &path, Value::Null).await;
    for field in ["sequence", "changeDate"] {
        assert_eq!(read["project"]["details"][field], written["details"][field]);
    }
    assert_eq!(written["details"]["sequence"], "2");
    bench.call(Method::POST, &format!("{path}/roles"), json!({"roleKey": "r", "displayName": "R"})).await;
    let (_, after_role) = bench.call(Method::GET, &path, Value::Null).await;
    assert_eq!(after_role["project"]["details"], read["project"]["details"]);
    let (_, written) = bench.call(Method::PUT, &path, json!({"name": "site2"})).await;
    assert_eq!(written["details"]["sequence"], "4");
}

#[tokio::test]
async fn metadata_and_domain_policy_share_the_sequence_of_their_organization() {
    let bench = Bench::new(Behaviour::v4());
    let sequence =
        |body: &Value| body["details"]["sequence"].as_str().and_then(|s| s.parse::<u64>().ok()).expect("one");
    let (_, first) = bench.call(Method::POST, "/management/v1/metadata/k", json!({"value": "dg=="})).await;
    bench.double.set_domain_policy(&bench.acme.id, Some(DomainSettings::default()));
    let (_, second) = bench.call(Method::POST, "/management/v1/metadata/k", json!({"value": "dg=="})).await;
    assert_eq!(sequence(&second), sequence(&first) + 2);
    let organization = bench.double.organization(&bench.acme.id).expect("acme");
    assert!(organization.stamp.sequence < sequence(&first));
}

#[tokio::test(start_paused = true)]
async fn overlapping_writes_to_one_aggregate_fail_but_one() {
    let bench = Bench::new(Behaviour { write_duration: Duration::from_millis(20), ..Behaviour::v4() });
    let id = bench.create("web").await;
    let path = format!("{PROJECTS}/{id}");
    let names = ["a", "b", "c", "d"];
    let answers = join_all(names.map(|name| bench.call(Method::PUT, &path, json!({"name": name})))).await;
    let failed: Vec<&Value> =
        answers.iter().filter(|(status, _)| *status == 500).map(|(_, body)| body).collect();
    assert_eq!(failed.len(), 3);
    for body in failed {
        assert_eq!(body["code"], 2);
        assert!(body["message"].as_str().is_some_and(|text| text.contains("SQLSTATE 23505")));
        assert_eq!(body["details"], Value::Null);
    }
    let creations =
        join_all(["e", "f", "g"].map(|name| bench.call(Method::POST, PROJECTS, json!({"name": name})))).await;
    assert!(creations.iter().all(|(status, _)| *status == 200));
    assert_eq!(bench.call(Method::PUT, &path, json!({"name": "later"})).await.0, 200);
}

#[tokio::test]
async fn organization_features_can_work() {
    let features = OrganizationFeatures::Implemented;
    let bench = Bench::new(Behaviour { organization_features: features, ..Behaviour::v4() });
    let path = format!("/v2/features/organization/{}", bench.acme.id);
    let (status, first) =
        bench.call(Method::PUT, &path, json!({"loginDefaultOrg": true, "userSchema": false})).await;
    assert_eq!((status, &first["details"]["sequence"]), (200, &json!("1")));
    let beta = path.replace("/v2/", "/v2beta/");
    let (_, second) = bench.call(Method::PUT, &beta, json!({"userSchema": true})).await;
    assert_eq!(second["details"]["sequence"], "2");
    let (_, same) = bench.call(Method::PUT, &path, json!({"userSchema": true})).await;
    assert_eq!(same, second);
    let (_, read) = bench.call(Method::GET, &path, Value::Null).await;
    assert_eq!(read["loginDefaultOrg"], json!({"enabled": true, "source": "SOURCE_ORGANIZATION"}));
    assert_eq!(read["userSchema"]["enabled"], true);
    let (status, _) = bench.call(Method::PUT, &path, json!({})).await;
    assert_eq!(status, 400);
    let (_, reset) = bench.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(reset["details"]["sequence"], "3");
    assert_eq!(bench.double.features(&bench.acme.id).map(|features| features.flags), Some(BTreeMap::new()));
    assert_eq!(bench.call(Method::GET, &path, Value::Null).await.1, reset);
}

#[tokio::test]
async fn features_that_are_no_switch_are_shown_in_their_own_shape_and_unknown_ones_are_dropped() {
    let features = OrganizationFeatures::Implemented;
    let bench = Bench::new(Behaviour { organization_features: features, ..Behaviour::v4() });
    let path = format!("/v2/features/organization/{}", bench.acme.id);
    let flags = json!({"loginV2": {"baseUri": "https://l"}, "improvedPerformance": ["A"], "nope": true});
    assert_eq!(bench.call(Method::PUT, &path, flags).await.0, 200);
    let (_, read) = bench.call(Method::GET, &path, Value::Null).await;
    assert_eq!(read["loginV2"], json!({"baseUri": "https://l", "source": "SOURCE_ORGANIZATION"}));
    assert_eq!(
        read["improvedPerformance"],
        json!({"executionPaths": ["A"], "source": "SOURCE_ORGANIZATION"})
    );
    assert_eq!(read["nope"], Value::Null);
    assert_eq!(bench.call(Method::PUT, &path, json!({"nope": true})).await.0, 400);
    assert_eq!(bench.call(Method::PUT, &path, json!({"userSchema": "yes"})).await.0, 400);
}

#[tokio::test]
async fn an_organization_id_is_chosen_where_the_line_allows() {
    let cases =
        [(OwnIds::Ignored, None), (OwnIds::OrgId, Some("old")), (OwnIds::OrganizationId, Some("new"))];
    for (own_ids, expected) in cases {
        let bench = Bench::new(Behaviour { own_ids, ..Behaviour::v4() });
        let body = json!({"name": "own", "orgId": "old", "organizationId": "new"});
        let create = || request(&Method::POST, "/v2/organizations", &bench.double.admin().token, "", &body);
        let created = parsed(&bench.double.call(create()).await.expect("an answer"));
        let id = created["organizationId"].as_str().expect("an id");
        assert!(expected.map_or(id.len() == 18, |expected| id == expected), "{own_ids:?}: {id}");
        let again = bench.double.call(create()).await.expect("an answer");
        assert_eq!(again.status(), 409);
        bench.double.remove_organization(id);
        assert_eq!(bench.double.call(create()).await.expect("an answer").status(), 201);
    }
}

/// Its organization comes with four events; ZITADEL stamps a write once, with the time of its database statement.
#[tokio::test]
async fn the_events_of_one_write_have_one_time() {
    let bench = Bench::new(Behaviour::v4());
    let body = json!({"name": "own"});
    let create = request(&Method::POST, "/v2/organizations", &bench.double.admin().token, "", &body);
    let answer = parsed(&bench.double.call(create).await.expect("an answer"));
    let organization = bench.double.organization(answer["organizationId"].as_str().expect("an id"));
    let stamp = organization.expect("an organization").stamp;
    assert_eq!((stamp.sequence, stamp.created), (4, stamp.changed));
    bench.double.rename_organization(&stamp.owner, "renamed");
    let renamed = bench.double.organization(&stamp.owner).expect("an organization").stamp;
    assert!(renamed.changed > renamed.created, "another write, another time");
}

#[tokio::test]
async fn removal_of_an_organization_takes_everything_in_it() {
    let bench = Bench::new(Behaviour::v4());
    let id = bench.create("web").await;
    bench.double.set_metadata(&bench.acme.id, "k", b"v");
    bench.double.set_organization_state(&bench.acme.id, State::Inactive);
    assert_eq!(bench.create("while inactive").await.len(), 18);
    bench.double.remove_organization(&bench.acme.id);
    assert_eq!((bench.double.project(&id), bench.double.metadata(&bench.acme.id)), (None, BTreeMap::new()));
    assert_eq!(error_id(&bench.call(Method::GET, "/management/v1/iam", Value::Null).await.1), "AUTH-7fs1e");
    assert!(bench.double.organizations().iter().all(|organization| organization.id != bench.acme.id));
    bench.double.create_organization("acme");
}

#[tokio::test]
async fn a_flipped_domain_policy_renames_users_and_reports_the_last_event() {
    let bench = Bench::new(Behaviour::v4());
    let path = format!("/admin/v1/orgs/{}/policies/domain", bench.acme.id);
    let as_admin = |method: Method, body: Value| {
        bench.double.call(request(&method, &path, &bench.double.admin().token, "", &body))
    };
    as_admin(Method::POST, json!({"userLoginMustBeDomain": true})).await.expect("an answer");
    let mark = bench.double.ledger().mark();
    let reset = as_admin(Method::DELETE, Value::Null).await.expect("an answer");
    assert_eq!(parsed(&reset)["details"]["sequence"], "3", "of the last user: added, renamed, renamed back");
    assert_eq!(bench.double.ledger().since(mark)[0].committed, 1 + 4);
}

#[tokio::test]
async fn paths_are_cleaned_and_large_requests_refused() {
    let bench = Bench::new(Behaviour::v4());
    let moved = bench.send(Method::GET, "/management/v1//iam", Value::Null).await.expect("an answer");
    assert_eq!((moved.status().as_u16(), header(&moved, "location")), (301, "/management/v1/iam"));
    let moved = bench.send(Method::GET, "/management/v1/metadata/..", Value::Null).await.expect("an answer");
    assert_eq!(moved.status(), 301);
    let value = "YWFh".repeat(500_000 / 3);
    let entries = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"key": format!("k{n}"), "value": value})).collect()
    };
    let bulk = |count| {
        bench.call(Method::POST, "/management/v1/metadata/_bulk", json!({"metadata": entries(count)}))
    };
    assert_eq!(bulk(7).await.0, 200);
    assert_eq!(bulk(9).await.0, 429);
}

#[tokio::test]
async fn a_nul_character_is_an_error_of_the_database() {
    let bench = Bench::new(Behaviour::v4());
    let (status, refused) = bench.call(Method::POST, PROJECTS, json!({"name": "a\u{0}b"})).await;
    assert_eq!((status, &refused["code"]), (500, &json!(2)));
    assert_eq!(bench.call(Method::POST, PROJECTS, json!({"name": "a\nb"})).await.0, 200);
    let binary = json!({"value": "AAA="});
    assert_eq!(bench.call(Method::POST, "/management/v1/metadata/k", binary).await.0, 200);
}
