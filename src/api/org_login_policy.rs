//! The `OrgLoginPolicy` kind.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::lifetime::Lifetime;
use crate::api::policy::{enumerations, organization_policy, policy_fields};

/// Server-side apply would drop a list of the type `set` that becomes empty, and with it the wish for none.
fn once_each() -> Value {
    json!([{ "rule": "self.all(x, self.exists_one(y, x == y))", "message": "name each once" }])
}

policy_fields! {
    /// The settings of a login policy. What is left out stays as it is in effect.
    LoginPolicySettings {
        /// Users may log in with a user name and a password.
        allow_username_password: bool,
        /// People may register themselves in the organization.
        allow_register: bool,
        /// Users may log in through the identity providers of the policy.
        allow_external_idp: bool,
        /// Every login needs a second factor.
        force_mfa: bool,
        /// A login with a password needs a second factor; one through an identity provider does not.
        force_mfa_local_only: bool,
        /// `Allowed`: users may log in with a passkey instead of a password. `NotAllowed`: they may not.
        passwordless_type: PasswordlessType,
        /// The login does not offer to reset a forgotten password.
        hide_password_reset: bool,
        /// The login asks for a password whether it knows the user name or not, so that nobody learns who is there.
        ignore_unknown_usernames: bool,
        /// Where a login ends that no application began, as one from a mail. Empty: at ZITADEL's own pages.
        #[schemars(length(max = 2048))]
        default_redirect_uri: String,
        /// How long a checked password counts, such as `240h`.
        password_check_lifetime: Lifetime,
        /// How long a login through an identity provider counts.
        external_login_check_lifetime: Lifetime,
        /// After how long a user who skipped the setup of a second factor is asked again; `0s`: never.
        mfa_init_skip_lifetime: Lifetime,
        /// How long a checked second factor counts.
        second_factor_check_lifetime: Lifetime,
        /// How long a checked passkey counts.
        multi_factor_check_lifetime: Lifetime,
        /// The domain behind an unknown user name leads to the registration of the organization that has it.
        allow_domain_discovery: bool,
        /// Users may not log in with their verified email address.
        disable_login_with_email: bool,
        /// Users may not log in with their verified phone number.
        disable_login_with_phone: bool,
        /// Which second factors users may set up: exactly these, also none. Left out: those in effect.
        #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = once_each()))]
        second_factors: BTreeSet<SecondFactorType>,
        /// What counts as several factors at once: exactly these, also none. Left out: those in effect.
        #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = once_each()))]
        multi_factors: BTreeSet<MultiFactorType>,
    }
}

enumerations! {
    /// Whether passkeys replace passwords: `NotAllowed` or `Allowed`.
    PasswordlessType: NotAllowed, Allowed;
    /// `Otp` (an authenticator app), `U2F` (a security key), `OtpEmail`, `OtpSms`, or since v4 `RecoveryCodes`.
    SecondFactorType: Otp, U2F, OtpEmail, OtpSms, RecoveryCodes;
    /// `U2FWithVerification`: a passkey.
    MultiFactorType: U2FWithVerification;
}

organization_policy! {
    /// What an organization's login policy should be in ZITADEL.
    "OrgLoginPolicy", "zorglogin", OrgLoginPolicySpec { LoginPolicySettings }, OrgLoginPolicyStatus,
    "The login policy of a ZITADEL organization, instead of the instance's default: what is set is kept as specified, the rest as it is in effect; reset to the default with this resource."
}
