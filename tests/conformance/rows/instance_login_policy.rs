//! An `InstanceLoginPolicy`.

use serde_json::json;

use super::org_login_policy::{self, fields};
use super::{Api, Identity, Row, call, sending};

const PATH: &str = "/admin/v1/policies/login";
const OTP: [&str; 2] = ["Otp", "SECOND_FACTOR_TYPE_OTP"];

pub fn row() -> Row {
    let twin = org_login_policy::row();
    let write = sending(&format!("PUT {PATH}"), json!("$fields"));
    Row {
        kind: "InstanceLoginPolicy",
        parent: None,
        identity: Identity::Always,
        fields: fields(PATH, &[OTP]),
        beside: &["resetOnDelete"],
        // Read as the twin it is up to date.
        api: Api { create: write.clone(), change: write, remove: call(""), ..twin.api },
        permissions: ["iam.policy.write"; 3],
        is_retained: true,
        ..twin
    }
}
