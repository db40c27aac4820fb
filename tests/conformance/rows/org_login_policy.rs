//! An `OrgLoginPolicy`.

use serde_json::{Value, json};

use super::policy::owners_policy;
use super::{Field, Row, call, field, flag, sending};

const PATH: &str = "/management/v1/policies/login";
const SECOND_FACTORS: [&str; 2] = ["U2F", "SECOND_FACTOR_TYPE_U2F"];
const MULTI_FACTORS: [&str; 2] = ["U2FWithVerification", "MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION"];

fn lifetime(name: &'static str) -> Field {
    field(name, [json!("240h"), json!("12h")]).shown_as([json!("864000s"), json!("43200s")])
}

/// A set with these elements, and one more or not.
fn set(name: &'static str, path: &str, [element, sent]: [&str; 2], others: &[[&str; 2]]) -> Field {
    let remove = call(&format!("DELETE {path}/{sent}"));
    let add = sending(&format!("POST {path}"), json!({ "type": sent }));
    let names = |at: usize| others.iter().map(|other| other[at]).collect::<Vec<_>>();
    let with = |at: usize, one: &str| [json!(names(at)), json!([names(at), vec![one]].concat())];
    field(name, with(0, element)).shown_as(with(1, sent)).set_by([remove, add])
}

fn passwordless() -> Field {
    let names = ["PASSWORDLESS_TYPE_NOT_ALLOWED", "PASSWORDLESS_TYPE_ALLOWED"];
    let values = [json!("NotAllowed"), json!("Allowed")];
    let mut passwordless = field("passwordlessType", values).shown_as(names.map(Into::into));
    // The first is the zero value.
    passwordless.shown[0] = Value::Null;
    passwordless
}

/// All that the login policy at this path has; these second factors whatever its value is.
pub fn fields(path: &str, always: &[[&str; 2]]) -> Vec<Field> {
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
        set("secondFactors", &format!("{path}/second_factors"), SECOND_FACTORS, always),
        set("multiFactors", &format!("{path}/multi_factors"), MULTI_FACTORS, &[]),
    ];
    flags.into_iter().map(flag).chain(lifetimes.map(lifetime)).chain(others).collect()
}

pub fn row() -> Row {
    owners_policy("OrgLoginPolicy", "login", PATH, fields(PATH, &[]))
}
