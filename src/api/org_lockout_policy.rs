//! The `OrgLockoutPolicy` kind.

use crate::api::policy::{organization_policy, policy_fields};

policy_fields! {
    /// The settings of a lockout policy. What is left out stays as it is in effect.
    LockoutPolicySettings {
        /// After so many wrong passwords in a row a user is locked until somebody unlocks it; 0: never.
        #[schemars(range(min = 0, max = 1000))]
        max_password_attempts: i32,
        /// The same of one-time passwords.
        #[schemars(range(min = 0, max = 1000))]
        max_otp_attempts: i32,
    }
}

organization_policy! {
    /// What an organization's lockout policy should be in ZITADEL.
    "OrgLockoutPolicy", "zorglockout", OrgLockoutPolicySpec { LockoutPolicySettings }, OrgLockoutPolicyStatus,
    "The lockout policy of a ZITADEL organization, instead of the instance's default: what is set is kept as specified, the rest as it is in effect; reset to the default with this resource."
}
