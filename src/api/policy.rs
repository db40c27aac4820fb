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
    /// What the instance's policy is to be once the resource is deleted; `None`: it stays as it is.
    fn reset_on_delete(&self) -> Option<&Self::Fields> {
        None
    }
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

/// The resource of a policy: its fields, what every kind shares, and what else the spec says.
macro_rules! policy {
    (
        $(#[$about:meta])*
        $kind:literal, $short:literal, $doc:literal, [$($kube:tt)*], $common:ty,
        $spec:ident { $fields:ty $(, $(#[$meta:meta])* $more:ident: $type:ty)* }, $status:ident, $($reset:item)?
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
            doc = $doc
            $($kube)*
        )]
        #[serde(rename_all = "camelCase")]
        pub struct $spec {
            /// What every kind shares.
            #[serde(flatten)]
            pub common: $common,
            /// The policy.
            #[serde(flatten)]
            pub settings: $fields,
            $($(#[$meta])* pub $more: $type,)*
        }

        impl $crate::api::policy::PolicySpec for $spec {
            type Fields = $fields;

            fn fields(&self) -> &$fields {
                &self.settings
            }

            $($reset)?
        }

        #[doc = concat!("What the operator last saw and did of an `", $kind, "`.")]
        pub type $status = $crate::api::common::Status<$crate::api::policy::PolicyStatus<$fields>>;
    };
}
pub(super) use policy;

/// The resource of an organization's policy.
macro_rules! organization_policy {
    ($(#[$about:meta])* $kind:literal, $short:literal, $spec:ident { $($fields:tt)* }, $status:ident, $doc:literal) => {
        $crate::api::policy::policy! {
            $(#[$about])*
            $kind, $short, $doc,
            [, printcolumn(name = "Organization", type_ = "string", json_path = ".status.organizationId")],
            $crate::api::common::CommonSpec, $spec { $($fields)* }, $status,
        }
        $crate::api::common::in_organization!($spec);
    };
}
pub(super) use organization_policy;

/// The resource of the instance's policy, with the fields of that of an organization.
macro_rules! instance_policy {
    ($(#[$about:meta])* $kind:literal, $short:literal, $spec:ident { $fields:ty }, $status:ident, $doc:literal) => {
        $crate::api::policy::policy! {
            $(#[$about])*
            $kind, $short, $doc, [], $crate::api::common::ManagementSpec,
            $spec { $fields,
                /// With `deletionPolicy: Delete`: what the policy is to be once this resource is deleted. What is left out stays as it is then.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                reset_on_delete: Option<$fields>
            },
            $status,
            fn reset_on_delete(&self) -> Option<&$fields> {
                self.reset_on_delete.as_ref()
            }
        }
        $crate::api::common::in_instance!($spec);
    };
}
pub(super) use instance_policy;
