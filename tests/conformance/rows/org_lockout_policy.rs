//! An `OrgLockoutPolicy`.

use serde_json::{Value, json};

use super::policy::owners_policy;
use super::{Field, Row, field};

/// The first is the zero value, and a number is shown as a text.
fn count(name: &'static str) -> Field {
    field(name, [json!(0), json!(5)]).shown_as([Value::Null, json!("5")])
}

pub fn row() -> Row {
    let fields = vec![count("maxPasswordAttempts"), count("maxOtpAttempts")];
    owners_policy("OrgLockoutPolicy", "lockout", "/management/v1/policies/lockout", fields)
}
