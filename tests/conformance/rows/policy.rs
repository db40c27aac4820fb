//! What the rows of policies have in common.

use serde_json::json;

use super::{Api, Field, Identity, Row, Shape, call, sending};

/// A policy at this path that the owners of an organization write.
pub fn owners_policy(kind: &'static str, resource: &'static str, path: &str, fields: Vec<Field>) -> Row {
    Row {
        kind,
        resource,
        parent: Some("Organization"),
        identity: Identity::Setting,
        fixed: json!({}),
        fields,
        beside: &[],
        api: Api {
            within: "$organization".into(),
            read: call(&format!("GET {path}")),
            shape: Shape::Object("/policy"),
            create: sending(&format!("POST {path}"), json!("$fields")),
            id: "",
            change: sending(&format!("PUT {path}"), json!("$fields")),
            remove: call(&format!("DELETE {path}")),
        },
        permissions: ["policy.write", "policy.write", "policy.delete"],
        is_retained: false,
        is_recreated: true,
        is_released: true,
    }
}
