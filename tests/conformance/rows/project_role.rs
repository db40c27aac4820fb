//! A `ProjectRole`, of a project that a person made.

use serde_json::json;

use super::{Api, Identity, Parent, Row, Shape, call, field, sending};

const ROLE: &str = "auditor";

pub fn row() -> Row {
    let query = json!({ "keyQuery": { "key": ROLE, "method": "TEXT_QUERY_METHOD_EQUALS" } });
    Row {
        kind: "ProjectRole",
        resource: "auditor",
        parent: Parent::Project,
        identity: Identity::Keys,
        base: json!({ "key": ROLE, "project": { "id": "$project" } }),
        fields: vec![
            field("displayName", [json!("Auditors"), json!("Inspectors")]),
            field("group", [json!("Staff"), json!("Finance")]),
        ],
        beside: &["key", "project"],
        api: Api {
            within: "$organization",
            read: sending(
                "POST /management/v1/projects/$project/roles/_search",
                json!({ "queries": [query] }),
            ),
            shape: Shape::Object("/result/0"),
            create: sending(
                "POST /management/v1/projects/$project/roles",
                json!(["$fields", { "roleKey": ROLE }]),
            ),
            id: "",
            change: sending("PUT /management/v1/projects/$project/roles/auditor", json!("$fields")),
            remove: call("DELETE /management/v1/projects/$project/roles/auditor"),
        },
        permissions: ["project.role.write", "project.role.write", "project.role.delete"],
        is_retained: false,
        is_recreated: true,
        is_released: true,
    }
}
