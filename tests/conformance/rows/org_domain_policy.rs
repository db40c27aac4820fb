//! An `OrgDomainPolicy`.

use serde_json::json;

use super::{Api, Identity, Row, Shape, call, flag, sending};

pub fn row() -> Row {
    Row {
        kind: "OrgDomainPolicy",
        resource: "logins",
        parent: Some("Organization"),
        identity: Identity::Setting,
        fixed: json!({}),
        fields: vec![
            flag("userLoginMustBeDomain"),
            flag("validateOrgDomains"),
            flag("smtpSenderAddressMatchesInstanceDomain"),
        ],
        beside: &["confirmAboveUsers"],
        api: Api {
            within: "$organization".into(),
            read: call("GET /management/v1/policies/domain"),
            shape: Shape::Object("/policy"),
            create: sending("POST /admin/v1/orgs/$organization/policies/domain", json!("$fields")),
            id: "",
            change: sending("PUT /admin/v1/orgs/$organization/policies/domain", json!("$fields")),
            remove: call("DELETE /admin/v1/orgs/$organization/policies/domain"),
        },
        permissions: ["iam.policy.write", "iam.policy.write", "iam.policy.delete"],
        is_retained: false,
        is_recreated: true,
        is_released: true,
    }
}
