//! A name that is in use is told with what it is in use by.

use serde_json::{Value, json};

use crate::deed::Deed::{Apply, Wait};
use crate::rules::{LATER, does, reason, rule};
use crate::world::World;

fn organization(resource: &str, name: &str) -> crate::deed::Deed {
    Apply("Organization", resource.into(), json!({ "name": name }).into())
}

pub async fn reported(world: &World, kind: &str, name: &str) -> String {
    let conditions = world.get(kind, name).await["status"]["conditions"].clone();
    let ready = conditions.as_array().into_iter().flatten().find(|condition| condition["type"] == "Ready");
    ready.map(|ready| &ready["message"]).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[test]
fn a_domain_that_two_names_make_is_told_and_whose_it_is() {
    rule(async |world| {
        does(
            world,
            [organization("first", "Dom X"), Wait(LATER), organization("second", "dom-x"), Wait(LATER)],
        )
        .await;
        assert_eq!(reason(world, "Organization", "second").await, "Conflict");
        let message = reported(world, "Organization", "second").await;
        assert!(
            message.contains("the domain dom-x.localhost") && message.contains("team/first"),
            "{message}"
        );
    });
}

#[test]
fn a_domain_of_an_organization_without_a_resource_is_told_by_its_id() {
    rule(async |world| {
        let theirs = world.zitadel.add_organization("Dom X");
        does(world, [organization("second", "dom-x"), Wait(LATER)]).await;
        let message = reported(world, "Organization", "second").await;
        assert!(message.contains("the domain dom-x.localhost") && message.contains(&theirs), "{message}");
        world.zitadel.rename_organization(&theirs, "elsewhere");
        does(world, [Wait(LATER)]).await;
        assert_eq!(reason(world, "Organization", "second").await, "Available");
    });
}

#[test]
fn a_rename_that_meets_one_of_our_own_names_it() {
    rule(async |world| {
        for kind in ["Organization", "Project"] {
            let named =
                |resource: &str, name: &str| Apply(kind, resource.into(), json!({ "name": name }).into());
            does(world, [named("first", "a"), named("second", "b"), Wait(LATER)]).await;
            does(world, [named("second", "a"), Wait(LATER)]).await;
            assert_eq!(reason(world, kind, "second").await, "Conflict");
            let message = reported(world, kind, "second").await;
            assert!(message.contains("the name \"a\"") && message.contains("team/first"), "{message}");
            assert!(!world.get(kind, "second").await["status"]["id"].is_null(), "it keeps its bond");
        }
    });
}
