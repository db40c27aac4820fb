//! An `OrgLoginPolicy`.

use serde_json::{Value, json};

use super::{Api, Field, Identity, Parent, Row, Shape, call, field, flag, sending};

fn lifetime(name: &'static str) -> Field {
    field(name, [json!("240h"), json!("12h")]).shown_as([json!("864000s"), json!("43200s")])
}

/// A set with one element or none.
fn set(name: &'static str, element: &str, sent: &str, lines: [&'static str; 2]) -> Field {
    let calls = [call(lines[0]), sending(lines[1], json!({ "type": sent }))];
    field(name, [json!([]), json!([element])]).shown_as([json!([]), json!([sent])]).set_by(calls)
}

pub fn row() -> Row {
    let passkeys = ["PASSWORDLESS_TYPE_NOT_ALLOWED", "PASSWORDLESS_TYPE_ALLOWED"];
    let mut passwordless =
        field("passwordlessType", [json!("NotAllowed"), json!("Allowed")]).shown_as(passkeys.map(Into::into));
    passwordless.shown[0] = Value::Null;
    Row {
        kind: "OrgLoginPolicy",
        resource: "login",
        parent: Parent::Organization,
        identity: Identity::Setting,
        base: json!({}),
        fields: vec![
            flag("allowUsernamePassword"),
            flag("allowRegister"),
            flag("allowExternalIdp"),
            flag("forceMfa"),
            flag("forceMfaLocalOnly"),
            passwordless,
            flag("hidePasswordReset"),
            flag("ignoreUnknownUsernames"),
            field("defaultRedirectUri", [json!(""), json!("https://example.com/after")]),
            lifetime("passwordCheckLifetime"),
            lifetime("externalLoginCheckLifetime"),
            lifetime("mfaInitSkipLifetime"),
            lifetime("secondFactorCheckLifetime"),
            lifetime("multiFactorCheckLifetime"),
            flag("allowDomainDiscovery"),
            flag("disableLoginWithEmail"),
            flag("disableLoginWithPhone"),
            set(
                "secondFactors",
                "U2F",
                "SECOND_FACTOR_TYPE_U2F",
                [
                    "DELETE /management/v1/policies/login/second_factors/SECOND_FACTOR_TYPE_U2F",
                    "POST /management/v1/policies/login/second_factors",
                ],
            ),
            set(
                "multiFactors",
                "U2FWithVerification",
                "MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION",
                [
                    "DELETE /management/v1/policies/login/multi_factors/MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION",
                    "POST /management/v1/policies/login/multi_factors",
                ],
            ),
        ],
        beside: &[],
        api: Api {
            within: "$organization",
            read: call("GET /management/v1/policies/login"),
            shape: Shape::Object("/policy"),
            create: sending("POST /management/v1/policies/login", json!("$fields")),
            id: "",
            change: sending("PUT /management/v1/policies/login", json!("$fields")),
            remove: call("DELETE /management/v1/policies/login"),
        },
        permissions: ["policy.write", "policy.write", "policy.delete"],
        is_retained: false,
        is_recreated: true,
        is_released: true,
    }
}
