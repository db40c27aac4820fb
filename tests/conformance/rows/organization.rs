//! An `Organization`.

use serde_json::json;

use super::{Api, Identity, Row, Shape, call, field, sending};

pub fn row() -> Row {
    let states = [json!("ORG_STATE_ACTIVE"), json!("ORG_STATE_INACTIVE")];
    let set_state = ["POST /management/v1/orgs/me/_reactivate", "POST /management/v1/orgs/me/_deactivate"];
    Row {
        kind: "Organization",
        resource: "shop",
        parent: None,
        identity: Identity::Assigned,
        fixed: json!({}),
        fields: vec![
            field("name", [json!("$name"), json!("$name~2")]),
            field("state", [json!("Active"), json!("Inactive")])
                .shown_as(states)
                .set_by(set_state.map(|line| sending(line, json!({})))),
        ],
        beside: &["confirmAboveUsers"],
        api: Api {
            within: "$id".into(),
            read: call("GET /management/v1/orgs/me"),
            shape: Shape::Object("/org"),
            create: sending("POST /v2/organizations", json!("$fields")),
            id: "/organizationId",
            change: sending("PUT /management/v1/orgs/me", json!("$fields")),
            remove: call("DELETE /management/v1/orgs/me"),
        },
        permissions: ["org.create", "org.write", "org.delete"],
        is_retained: true,
        is_recreated: false,
        is_released: true,
    }
}
