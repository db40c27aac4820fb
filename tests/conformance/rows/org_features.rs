//! An `OrgFeatures`, which no released server implements.

use serde_json::{Value, json};

use super::{Api, Field, Identity, Row, Shape, call, sending};

const PATH: &str = "PUT /v2/features/organization/$organization";

/// A flag with this value in the spec and in requests; reads have it in a field of the flag.
fn of(name: &'static str, values: [Value; 2], shown: &str) -> Field {
    let flag = name.strip_prefix("features.").expect("a flag");
    let sent = values.map(|value| json!({ flag: value }));
    let at = format!("/{flag}/{shown}");
    let shown = sent.clone().map(|sent| match &sent[flag] {
        Value::Object(fields) => fields[shown].clone(),
        switch => switch.clone(),
    });
    let spec = sent.clone().map(|sent| json!({ "features": sent }));
    Field { name, spec, sent, at, shown, calls: None }
}

fn switch(name: &'static str) -> Field {
    of(name, [json!(false), json!(true)], "enabled")
}

pub fn row() -> Row {
    let login = ["https://one.example", "https://two.example"];
    let login = login.map(|base| json!({ "required": true, "baseUri": base }));
    Row {
        kind: "OrgFeatures",
        resource: "flags",
        parent: Some("Organization"),
        identity: Identity::Setting,
        fixed: json!({}),
        fields: vec![
            switch("features.loginDefaultOrg"),
            switch("features.userSchema"),
            switch("features.oidcTokenExchange"),
            switch("features.debugOidcParentError"),
            switch("features.oidcSingleV1SessionTermination"),
            switch("features.enableBackChannelLogout"),
            switch("features.permissionCheckV2"),
            switch("features.consoleUseV2UserApi"),
            switch("features.enableRelationalTables"),
            of("features.loginV2", login, "baseUri"),
        ],
        beside: &[],
        api: Api {
            within: "$organization".into(),
            read: call("GET /v2/features/organization/$organization"),
            shape: Shape::Flags,
            create: sending(PATH, json!("$fields")),
            id: "",
            change: sending(PATH, json!("$field")),
            remove: call("DELETE /v2/features/organization/$organization"),
        },
        permissions: ["org.feature.write", "org.feature.write", "org.feature.delete"],
        is_retained: false,
        is_recreated: true,
        is_released: false,
    }
}
