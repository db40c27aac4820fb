//! An `InstanceLoginPolicy`.

use serde_json::json;

use super::org_login_policy::{MULTI_FACTORS, SECOND_FACTORS, fields, set};
use super::{Api, Identity, Row, Shape, call, sending};

const PATH: &str = "/admin/v1/policies/login";
const OTP: [&str; 2] = ["Otp", "SECOND_FACTOR_TYPE_OTP"];

pub fn row() -> Row {
    Row {
        kind: "InstanceLoginPolicy",
        resource: "login",
        parent: None,
        identity: Identity::Always,
        fixed: json!({}),
        fields: [
            fields(),
            vec![
                set("secondFactors", &format!("{PATH}/second_factors"), SECOND_FACTORS, &[OTP]),
                set("multiFactors", &format!("{PATH}/multi_factors"), MULTI_FACTORS, &[]),
            ],
        ]
        .concat(),
        beside: &["resetOnDelete"],
        api: Api {
            within: "$organization".into(),
            // Read here it is up to date.
            read: call("GET /management/v1/policies/login"),
            shape: Shape::Object("/policy"),
            create: sending(&format!("PUT {PATH}"), json!("$fields")),
            id: "",
            change: sending(&format!("PUT {PATH}"), json!("$fields")),
            remove: call(""),
        },
        permissions: ["iam.policy.write"; 3],
        is_retained: true,
        is_recreated: true,
        is_released: true,
    }
}
