//! The `OrgFeatures` kind.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::common::{CommonSpec, Nothing, Status, in_organization};

/// Which login pages an organization's users see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginV2 {
    /// Send everybody to the second version, whatever an application asks for. Unset: false.
    #[serde(default)]
    pub required: bool,
    /// Where the second version is served. Unset: the instance's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^[!-~]+$"))]
    pub base_uri: Option<String>,
}

/// Feature flags of ZITADEL (the request of `PUT /v2/features/…`), of which at least one is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 64))]
pub struct Features {
    /// Log in with the settings of the default organization where no organization is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_default_org: Option<bool>,
    /// The API of user schemas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_schema: Option<bool>,
    /// The token exchange grant of OIDC (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_token_exchange: Option<bool>,
    /// Tell OIDC clients the inner errors too; may show details of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug_oidc_parent_error: Option<bool>,
    /// End a single session of the first login version by an ID token with `sid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_single_v1_session_termination: Option<bool>,
    /// Tell applications of ended sessions (OIDC back-channel logout).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_back_channel_logout: Option<bool>,
    /// Which login pages are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_v2: Option<LoginV2>,
    /// The newer permission check of resource APIs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_check_v2: Option<bool>,
    /// Let the console use version 2 of the user API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_use_v2_user_api: Option<bool>,
    /// Keep objects in relational tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_relational_tables: Option<bool>,
    /// Flags that this version of the operator does not know.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Features {
    /// Every flag that is set, known or not, by its name in the API and with its value there; a null is no flag.
    pub fn flags(&self) -> BTreeMap<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(flags)) => flags.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => BTreeMap::new(), // never: it is a struct with text for keys
        }
    }
}

/// What an organization's feature flags should be in ZITADEL.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "zitadel-operator.dev",
    version = "v1alpha1",
    kind = "OrgFeatures",
    plural = "orgfeatures",
    namespaced,
    shortname = "zorgfeat",
    status = "OrgFeaturesStatus",
    derive = "PartialEq",
    doc = "The feature flags of a ZITADEL organization: set, kept as specified, and reset with this resource. Where ZITADEL does not implement them, the reason of Ready is Unsupported.",
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organizationId")
)]
pub struct OrgFeaturesSpec {
    /// What every kind shares.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// The flags to set; all others are reset. One that is not listed here is sent as it is written, by its name in ZITADEL's API.
    pub features: Features,
}

in_organization!(OrgFeaturesSpec);

/// What the operator last saw and did of an organization's feature flags.
pub type OrgFeaturesStatus = Status<Nothing>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flags(features: Value) -> Value {
        let features: Features = serde_json::from_value(features).unwrap();
        serde_json::to_value(features.flags()).unwrap()
    }

    #[test]
    fn every_flag_that_is_present_is_sent_and_no_other() {
        for features in [
            json!({ "loginDefaultOrg": true }),
            json!({ "loginDefaultOrg": false, "consoleUseV2UserApi": true }),
            json!({ "oidcSingleV1SessionTermination": true, "debugOidcParentError": false }),
            json!({ "ofTomorrow": true, "improvedPerformance": ["IMPROVED_PERFORMANCE_PROJECT"] }),
            json!({ "loginV2": { "required": true, "baseUri": "https://login.example.com" } }),
        ] {
            assert_eq!(flags(features.clone()), features);
        }
    }

    #[test]
    fn a_null_is_no_flag() {
        assert_eq!(flags(json!({ "loginDefaultOrg": null, "ofTomorrow": null })), json!({}));
    }

    #[test]
    fn the_login_says_whether_it_is_required() {
        assert_eq!(flags(json!({ "loginV2": {} })), json!({ "loginV2": { "required": false } }));
    }
}
