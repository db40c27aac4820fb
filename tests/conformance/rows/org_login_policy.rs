//! An `OrgLoginPolicy`.

use serde_json::{Value, json};

use super::{Api, Field, Identity, Row, Shape, call, field, flag, sending};

const PATH: &str = "/management/v1/policies/login";

fn lifetime(name: &'static str) -> Field {
    field(name, [json!("240h"), json!("12h")]).shown_as([json!("864000s"), json!("43200s")])
}

/// A set with one element or none.
fn set(name: &'static str, at: &str, element: &str, sent: &str) -> Field {
    let remove = call(&format!("DELETE {PATH}/{at}/{sent}"));
    let add = sending(&format!("POST {PATH}/{at}"), json!({ "type": sent }));
    field(name, [json!([]), json!([element])]).shown_as([json!([]), json!([sent])]).set_by([remove, add])
}

fn passwordless() -> Field {
    let names = ["PASSWORDLESS_TYPE_NOT_ALLOWED", "PASSWORDLESS_TYPE_ALLOWED"];
    let values = [json!("NotAllowed"), json!("Allowed")];
    let mut passwordless = field("passwordlessType", values).shown_as(names.map(Into::into));
    // The first is the zero value.
    passwordless.shown[0] = Value::Null;
    passwordless
}

fn fields() -> Vec<Field> {
    let flags = [
        "allowUsernamePassword",
        "allowRegister",
        "allowExternalIdp",
        "forceMfa",
        "forceMfaLocalOnly",
        "hidePasswordReset",
        "ignoreUnknownUsernames",
        "allowDomainDiscovery",
        "disableLoginWithEmail",
        "disableLoginWithPhone",
    ];
    let lifetimes = [
        "passwordCheckLifetime",
        "externalLoginCheckLifetime",
        "mfaInitSkipLifetime",
        "secondFactorCheckLifetime",
        "multiFactorCheckLifetime",
    ];
    let others = [
        passwordless(),
        field("defaultRedirectUri", [json!(""), json!("https://example.com/after")]),
        set("secondFactors", "second_factors", "U2F", "SECOND_FACTOR_TYPE_U2F"),
        set(
            "multiFactors",
            "multi_factors",
            "U2FWithVerification",
            "MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION",
        ),
    ];
    flags.into_iter().map(flag).chain(lifetimes.map(lifetime)).chain(others).collect()
}

pub fn row() -> Row {
    Row {
        kind: "OrgLoginPolicy",
        resource: "login",
        parent: Some("Organization"),
        identity: Identity::Setting,
        fixed: json!({}),
        fields: fields(),
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
