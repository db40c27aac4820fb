//! An `OrgLockoutPolicy`.

use serde_json::{Value, json};

use super::{Api, Field, Identity, Row, Shape, call, field, sending};

const PATH: &str = "/management/v1/policies/lockout";

/// The first is the zero value, and a number is shown as a text.
fn count(name: &'static str) -> Field {
    field(name, [json!(0), json!(5)]).shown_as([Value::Null, json!("5")])
}

pub fn row() -> Row {
    Row {
        kind: "OrgLockoutPolicy",
        resource: "lockout",
        parent: Some("Organization"),
        identity: Identity::Setting,
        fixed: json!({}),
        fields: vec![count("maxPasswordAttempts"), count("maxOtpAttempts")],
        beside: &[],
        api: Api {
            within: "$organization".into(),
            read: call(&format!("GET {PATH}")),
            shape: Shape::Object("/policy"),
            create: sending(&format!("POST {PATH}"), json!("$fields")),
            id: "",
            change: sending(&format!("PUT {PATH}"), json!("$fields")),
            remove: call(&format!("DELETE {PATH}")),
        },
        permissions: ["policy.write", "policy.write", "policy.delete"],
        is_retained: false,
        is_recreated: true,
        is_released: true,
    }
}
