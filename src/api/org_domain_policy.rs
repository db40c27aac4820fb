//! The `OrgDomainPolicy` kind.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::{CommonSpec, PolicyStatus, Status, default_confirm_above, in_organization};

/// The three settings of a domain policy. ZITADEL replaces all of them at once, so none may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainPolicySettings {
    /// Users log in with the organization's domain behind their name. Where this flips what is in effect, ZITADEL renames every user of the organization, machine users included.
    pub user_login_must_be_domain: bool,
    /// A domain must be proved by DNS or HTTP before the organization may use it.
    pub validate_org_domains: bool,
    /// The sender's address of mails must be of one of the instance's domains.
    pub smtp_sender_address_matches_instance_domain: bool,
}

/// What an organization's domain policy should be in ZITADEL.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "zitadel-operator.dev",
    version = "v1alpha1",
    kind = "OrgDomainPolicy",
    namespaced,
    shortname = "zorgdom",
    status = "OrgDomainPolicyStatus",
    derive = "PartialEq",
    doc = "The domain policy of a ZITADEL organization, instead of the instance's default: set, kept as specified, and reset to the default with this resource.",
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organizationId")
)]
#[serde(rename_all = "camelCase")]
pub struct OrgDomainPolicySpec {
    /// What every kind shares.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// The policy.
    #[serde(flatten)]
    pub settings: DomainPolicySettings,
    /// A write that renames every user waits for the annotation `zitadel-operator.dev/confirm-username-rewrite` in an organization with more users than this, machine users included. The default is 100; 0 always waits where there is a user.
    #[serde(default = "default_confirm_above")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub confirm_above_users: i32,
}

in_organization!(OrgDomainPolicySpec);

/// What the operator last saw and did of an organization's domain policy.
pub type OrgDomainPolicyStatus = Status<PolicyStatus<DomainPolicySettings>>;
