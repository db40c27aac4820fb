//! The `OrgDomainPolicy` kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::default_confirm_above;
use crate::api::policy::organization_policy;

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

organization_policy! {
    /// What an organization's domain policy should be in ZITADEL.
    "OrgDomainPolicy", "zorgdom", OrgDomainPolicySpec { DomainPolicySettings,
        /// A write that renames every user waits for the annotation `zitadel-operator.dev/confirm-username-rewrite` in an organization with more users than this, machine users included. The default is 100; 0 always waits where there is a user.
        #[serde(default = "default_confirm_above")]
        #[schemars(range(min = 0, max = 1_000_000_000))]
        confirm_above_users: i32
    }, OrgDomainPolicyStatus,
    "The domain policy of a ZITADEL organization, instead of the instance's default: set, kept as specified, and reset to the default with this resource."
}
