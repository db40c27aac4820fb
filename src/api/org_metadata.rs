//! The `OrgMetadata` kind.

use std::fmt;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::api::common::{CommonSpec, Status, in_organization};
use crate::api::connection::KeyReference;

/// Text that shows neither in `Debug` nor in an error.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Discreet(String);

impl Discreet {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Discreet {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Discreet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What is not text is not quoted: the error ends up in a condition.
impl<'de> Deserialize<'de> for Discreet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| de::Error::custom("a metadata value is not text"))
    }
}

/// Where a value is kept: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.secretKeyRef) != has(self.configMapKeyRef)",
    "set exactly one of secretKeyRef and configMapKeyRef"))]
pub struct ValueSource {
    /// A key of a Secret in the namespace of the resource; it needs the label `zitadel-operator.dev/allow: "true"`. Its bytes are the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyReference>,
    /// A key of a ConfigMap in the namespace of the resource, of its `data` or `binaryData`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyReference>,
}

/// A key and its value: exactly one of `value`, `base64` and `valueFrom`, of 1 to 500,000 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("[has(self.value), has(self.base64), has(self.valueFrom)].filter(x, x).size() == 1",
        "set exactly one of value, base64 and valueFrom"),
    validation = ("!self.key.startsWith('zitadel-operator.dev/')",
        "keys that begin with zitadel-operator.dev/ are the operator's own"),
    validation = ("!has(self.base64) || self.base64.size() < 666668 || self.base64.endsWith('=')",
        "ZITADEL takes at most 500000 bytes")
)]
pub struct MetadataEntry {
    /// The key, as ZITADEL compares it: letter by letter. Those that begin with `zitadel-operator.dev/` are the operator's own.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[^\x00-\x1F\x7F-\x9F]+$"))]
    pub key: String,
    /// The value as text, at most 500,000 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(min = 1, max = 500_000))]
    pub value: Option<Discreet>,
    /// The value as standard base64, with padding and without line breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "Option<String>",
        length(min = 4, max = 666_668),
        regex(pattern = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")
    )]
    pub base64: Option<Discreet>,
    /// The value as a Secret or ConfigMap keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueSource>,
}

/// What an organization's metadata should be in ZITADEL.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "zitadel-operator.dev",
    version = "v1alpha1",
    kind = "OrgMetadata",
    plural = "orgmetadata",
    namespaced,
    shortname = "zorgmeta",
    status = "OrgMetadataStatus",
    derive = "PartialEq",
    doc = "Metadata of a ZITADEL organization: the listed keys are set, kept as specified, and removed with this resource; keys that no resource lists are never touched.",
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organizationId")
)]
pub struct OrgMetadataSpec {
    /// What every kind shares.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// The keys and their values, at most 500: status and bookkeeping repeat the keys, and Kubernetes keeps at most 1.5 MiB an object. A key dropped from the list is removed in ZITADEL.
    #[schemars(
        length(max = 500),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"])
    )]
    pub entries: Vec<MetadataEntry>,
}

in_organization!(OrgMetadataSpec);

/// A key that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryStatus {
    /// The key.
    pub key: String,
    /// ZITADEL's sequence of the entry (uint64 as text).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// When the entry last changed in ZITADEL (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_date: Option<String>,
}

/// What metadata adds to the status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetadataStatus {
    /// The keys this resource owns in ZITADEL; never their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub entries: Vec<EntryStatus>,
}

/// What the operator last saw and did of an organization's metadata.
pub type OrgMetadataStatus = Status<MetadataStatus>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_show_neither_in_debug_nor_in_errors() {
        let spec =
            json!({ "entries": [{ "key": "a", "value": "hush" }, { "key": "b", "base64": "aHVzaA==" }] });
        let resource = OrgMetadata::new("acme", serde_json::from_value(spec).unwrap());
        let shown = format!("{resource:?}");
        assert!(shown.contains("\"b\"") && !shown.contains("hush") && !shown.contains("aHVzaA"), "{shown}");
        for value in [json!(4711), json!(["hush"]), json!({ "hush": 4711 })] {
            let entry = json!({ "key": "a", "value": value });
            let error = serde_json::from_value::<MetadataEntry>(entry).unwrap_err().to_string();
            assert!(!error.contains("hush") && !error.contains("4711"), "{error}");
        }
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        let spec =
            json!({ "entries": [{ "key": "a", "value": "hush" }, { "key": "b", "base64": "aHVzaA==" }] });
        let read: OrgMetadataSpec = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap()["entries"], spec["entries"]);
        assert_eq!(read.entries[0].value.as_ref().map(Discreet::reveal), Some("hush"));
    }
}
