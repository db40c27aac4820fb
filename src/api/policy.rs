//! What every kind shares whose object is a policy.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::Value;

/// The spec of a policy.
pub trait PolicySpec {
    /// The policy with ZITADEL's field names. What it leaves out is kept as it is.
    type Fields: Serialize + JsonSchema + 'static;

    /// The policy that is wanted.
    fn fields(&self) -> &Self::Fields;
}

/// A policy as a spec would say it, and what no spec can say. A store keeps one for every resource: as a text it takes a
/// fifth of what it takes as a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective(Box<str>);

impl From<Value> for Effective {
    fn from(policy: Value) -> Self {
        Self(policy.to_string().into())
    }
}

impl Serialize for Effective {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<Value>(&self.0).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Effective {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map_err(de::Error::custom).map(Self::from)
    }
}

/// What the status of a policy adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct PolicyStatus<Fields> {
    /// Whether the organization has no policy of its own, so that the instance's default is in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_default: Option<bool>,
    /// The policy in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Fields>")]
    pub effective: Option<Effective>,
    /// Whose fields the schema has.
    #[serde(skip)]
    pub of: PhantomData<fn() -> Fields>,
}

/// The fields of a policy, each of which a spec may leave out.
macro_rules! policy_fields {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$meta])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)+
        }
    };
}
pub(super) use policy_fields;

/// Enumerations by ZITADEL's names of their values, without the name of the type before each. What the values mean is
/// said of the type: a schema has no place for more.
macro_rules! enumerations {
    ($($(#[$doc:meta])* $name:ident: $($value:ident),+;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[allow(missing_docs)]
        pub enum $name { $($value),+ }
    )+};
}
pub(super) use enumerations;

/// The resource of an organization's policy: its fields, what every kind shares, and what else the spec says.
macro_rules! organization_policy {
    (
        $(#[$about:meta])*
        $kind:literal, $short:literal, $spec:ident { $fields:ty $(, $(#[$meta:meta])* $more:ident: $type:ty)* }, $status:ident,
        $doc:literal
    ) => {
        $(#[$about])*
        #[derive(kube::CustomResource, Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[kube(
            group = "zitadel-operator.dev",
            version = "v1alpha1",
            kind = $kind,
            namespaced,
            shortname = $short,
            status = $status,
            derive = "PartialEq",
            doc = $doc,
            printcolumn(name = "Organization", type_ = "string", json_path = ".status.organizationId")
        )]
        #[serde(rename_all = "camelCase")]
        pub struct $spec {
            /// What every kind shares.
            #[serde(flatten)]
            pub common: $crate::api::common::CommonSpec,
            /// The policy.
            #[serde(flatten)]
            pub settings: $fields,
            $($(#[$meta])* pub $more: $type,)*
        }

        $crate::api::common::in_organization!($spec);

        impl $crate::api::policy::PolicySpec for $spec {
            type Fields = $fields;

            fn fields(&self) -> &$fields {
                &self.settings
            }
        }

        #[doc = concat!("What the operator last saw and did of an `", $kind, "`.")]
        pub type $status = $crate::api::common::Status<$crate::api::policy::PolicyStatus<$fields>>;
    };
}
pub(super) use organization_policy;
