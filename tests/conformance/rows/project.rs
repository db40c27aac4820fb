//! A `Project`.

use serde_json::json;

use super::{Api, Identity, Row, Shape, call, field, flag, sending};

pub fn row() -> Row {
    let settings = [
        "PRIVATE_LABELING_SETTING_UNSPECIFIED",
        "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY",
    ];
    let states = [json!("PROJECT_STATE_ACTIVE"), json!("PROJECT_STATE_INACTIVE")];
    let set_state =
        ["POST /management/v1/projects/$id/_reactivate", "POST /management/v1/projects/$id/_deactivate"];
    Row {
        kind: "Project",
        resource: "web",
        parent: Some("Organization"),
        identity: Identity::Assigned,
        fixed: json!({}),
        fields: vec![
            field("name", [json!("$name"), json!("$name~2")]),
            flag("projectRoleAssertion"),
            flag("projectRoleCheck"),
            flag("hasProjectCheck"),
            field(
                "privateLabelingSetting",
                [json!("Unspecified"), json!("EnforceProjectResourceOwnerPolicy")],
            )
            .shown_as(settings.map(Into::into)),
            field("state", [json!("Active"), json!("Inactive")])
                .shown_as(states)
                .set_by(set_state.map(|line| sending(line, json!({})))),
        ],
        beside: &[],
        api: Api {
            within: "$organization".into(),
            read: call("GET /management/v1/projects/$id"),
            shape: Shape::Object("/project"),
            create: sending("POST /management/v1/projects", json!("$fields")),
            id: "/id",
            change: sending("PUT /management/v1/projects/$id", json!("$fields")),
            remove: call("DELETE /management/v1/projects/$id"),
        },
        permissions: ["project.create", "project.write", "project.delete"],
        is_retained: false,
        is_recreated: true,
        is_released: true,
    }
}
