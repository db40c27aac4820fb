//! Two entries of an `OrgMetadata`.

use serde_json::json;

use super::{Api, Identity, Row, Shape, entry, sending};

const BULK: &str = "POST /management/v1/metadata/_bulk";

pub fn row() -> Row {
    Row {
        kind: "OrgMetadata",
        resource: "labels",
        parent: Some("Organization"),
        identity: Identity::Keys,
        fixed: json!({}),
        fields: vec![
            entry("entries[tier]", "tier", ["gold", "silver"]),
            entry("entries[region]", "region", ["eu", "us"]),
        ],
        beside: &[],
        api: Api {
            within: "$organization".into(),
            read: sending("POST /management/v1/metadata/_search", json!({})),
            shape: Shape::Entries("/result"),
            create: sending(BULK, json!("$fields")),
            id: "",
            change: sending(BULK, json!("$field")),
            remove: sending("DELETE /management/v1/metadata/_bulk", json!({ "keys": ["tier", "region"] })),
        },
        permissions: ["org.write", "org.write", "org.write"],
        is_retained: false,
        is_recreated: true,
        is_released: true,
    }
}
