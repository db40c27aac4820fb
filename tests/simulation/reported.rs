//! What a person reads: words that name the thing to do, or the thing that was done.

use serde_json::json;
use support::zitadel::InjectedFault;

use crate::deed::Deed::Delete;
use crate::refused::notes;
use crate::rules::{does, metadata, project, rule};
use crate::taken::reported;
use crate::world::CONNECTION;

/// ZITADEL keeps names unique; whoever runs a server need not.
#[test]
fn of_many_organizations_of_one_name_none_is_read_and_their_number_is_told() {
    rule(async |world| {
        let ids: Vec<String> = (0..40).map(|number| format!("twin-{number}")).collect();
        let twin = |id: &String| json!({ "id": id, "name": "twins", "state": "ORGANIZATION_STATE_ACTIVE" });
        let twins: Vec<_> = ids.iter().map(twin).collect();
        let list = json!({ "details": { "totalResult": "40" }, "result": twins });
        let answer =
            InjectedFault::answer(200).header("content-type", "application/json").body(list.to_string());
        world.zitadel.inject(answer.path("/v2/organizations/_search"));
        let mark = world.zitadel.ledger().mark();
        does(world, [project("web", json!({ "organization": { "name": "twins" } }))]).await;
        let calls = world.zitadel.ledger().since(mark).into_iter();
        let reads = calls.filter(|call| call.organization.as_ref().is_some_and(|id| ids.contains(id)));
        assert_eq!(reads.count(), 0);
        let message = reported(world, "Project", "web").await;
        assert!(message.contains("40 organizations are named \"twins\": name one by id"), "{message}");
    });
}

#[test]
fn a_secret_that_is_missing_is_to_be_created_with_its_label() {
    rule(async |world| {
        world.remove_secret(CONNECTION).await;
        does(world, [project("web", json!({}))]).await;
        let (project, connection) =
            (reported(world, "Project", "web").await, reported(world, "Connection", CONNECTION).await);
        for message in [project, connection] {
            let words = "does not exist: create it with the label zitadel-operator.dev/allow=true";
            assert!(message.contains(words), "{message}");
        }
    });
}

#[test]
fn a_setting_that_was_removed_is_told_with_its_organization() {
    rule(async |world| {
        does(world, [metadata("labels", &json!([{ "key": "tier", "value": "gold" }]))]).await;
        does(world, [Delete("OrgMetadata", "labels".into())]).await;
        let words = format!("removed the OrgMetadata of organization {}", world.acme);
        assert_eq!(notes(world, "Removed"), [words]);
    });
}
