//! A `ProjectRole`.

use serde_json::json;

use super::{Api, Identity, Row, Shape, call, field, sending};

pub fn row() -> Row {
    let [name, group] = [("displayName", ["Auditors", "Inspectors"]), ("group", ["Staff", "Finance"])]
        .map(|(name, values)| field(name, values.map(|value| json!(value))));
    Row {
        kind: "ProjectRole",
        resource: "auditor",
        parent: Some("Project"),
        identity: Identity::Keys,
        fixed: json!({ "key": "$name" }),
        fields: vec![name.inside("$name"), group.inside("$name")],
        beside: &["key"],
        api: Api {
            within: "$organization".into(),
            read: sending("POST /management/v1/projects/$parent/roles/_search", json!({})),
            shape: Shape::Entries("/result"),
            create: sending(
                "POST /management/v1/projects/$parent/roles",
                json!({ "roleKey": "$name", "$fields": true }),
            ),
            id: "",
            change: sending("PUT /management/v1/projects/$parent/roles/$name", json!("$fields")),
            remove: call("DELETE /management/v1/projects/$parent/roles/$name"),
        },
        permissions: ["project.role.write", "project.role.write", "project.role.delete"],
        is_retained: false,
        is_recreated: true,
        is_released: true,
    }
}
