//! Every policy that the double serves: fields, defaults, error ids and events.

use serde_json::{Value, json};

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Flag,
    Text,
    /// A uint32 that answers show as a string.
    Count,
    /// Shown also when zero.
    Duration,
    Choice(&'static [&'static str]),
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) wire: &'static str,
    pub(super) event: &'static str,
    pub(super) kind: Kind,
}

/// Error id and message.
pub(super) type Refusal = (&'static str, &'static str);

/// A policy.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What the names of its requests end with, after Add or Update.
    pub(super) request: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) factors: &'static [&'static Factors],
    /// What the instance begins with, as a write sends it.
    pub(super) default: fn() -> Value,
    /// Added, changed, removed.
    pub(super) events: [&'static str; 3],
    /// Without a last one: nothing removes the instance's.
    pub(super) instance_events: [&'static str; 3],
    /// 409 of a policy that is there.
    pub(super) exists: Refusal,
    /// 404 of an update without an own policy.
    pub(super) update_missing: Refusal,
    /// 404 of a removal without an own policy.
    pub(super) remove_missing: Refusal,
    /// 400 of an identical update.
    pub(super) unchanged: Refusal,
    /// The same of the instance's policy.
    pub(super) instance_unchanged: Refusal,
}

/// A list of factors of the login policy, with a resource of its own.
#[derive(Debug)]
pub(super) struct Factors {
    /// In the policy.
    pub(super) field: &'static str,
    /// What the names of its requests hold.
    pub(super) request: &'static str,
    /// By number, the first one unspecified.
    pub(super) names: &'static [&'static str],
    /// Added and removed.
    pub(super) events: [&'static str; 2],
    pub(super) instance_events: [&'static str; 2],
    /// 409 of a factor that is there.
    pub(super) exists: Refusal,
    /// 404 of the removal of one that is not.
    pub(super) missing: Refusal,
    pub(super) instance_exists: Refusal,
    pub(super) instance_missing: Refusal,
    /// 400 of a new policy with an unspecified one.
    pub(super) unspecified: Refusal,
}

macro_rules! fields {
    ($($wire:literal = $event:literal: $kind:expr,)*) => {
        &[$(Field { wire: $wire, event: $event, kind: $kind }),*]
    };
}

/// Name of the only factor that no server of before 2026 knows.
pub(super) const RECOVERY_CODES: &str = "SECOND_FACTOR_TYPE_RECOVERY_CODES";

pub(super) static SECOND_FACTORS: Factors = Factors {
    field: "secondFactors",
    request: "SecondFactor",
    names: &[
        "SECOND_FACTOR_TYPE_UNSPECIFIED",
        "SECOND_FACTOR_TYPE_OTP",
        "SECOND_FACTOR_TYPE_U2F",
        "SECOND_FACTOR_TYPE_OTP_EMAIL",
        "SECOND_FACTOR_TYPE_OTP_SMS",
        RECOVERY_CODES,
    ],
    events: ["org.policy.login.secondfactor.added", "org.policy.login.secondfactor.removed"],
    instance_events: [
        "instance.policy.login.secondfactor.added",
        "instance.policy.login.secondfactor.removed",
    ],
    exists: ("Org-2B0ps", "Multifactor already exists"),
    missing: ("Org-3M9od", "Multifactor not existing"),
    instance_exists: ("INSTANCE-2B0ps", "Errors.Instance.MFA.AlreadyExists"),
    instance_missing: ("INSTANCE-3M9od", "Multifactor not existing"),
    unspecified: ("Org-SFeea", "Errors.Org.LoginPolicy.MFA.Unspecified"),
};

pub(super) static MULTI_FACTORS: Factors = Factors {
    field: "multiFactors",
    request: "MultiFactor",
    names: &["MULTI_FACTOR_TYPE_UNSPECIFIED", "MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION"],
    events: ["org.policy.login.multifactor.added", "org.policy.login.multifactor.removed"],
    instance_events: ["instance.policy.login.multifactor.added", "instance.policy.login.multifactor.removed"],
    exists: ("Org-3M9od", "Multifactor already exists"),
    missing: ("Org-3M9df", "Multifactor not existing"),
    instance_exists: ("INSTANCE-3M9od", "Errors.Instance.MFA.AlreadyExists"),
    instance_missing: ("INSTANCE-3M9df", "Multifactor not existing"),
    unspecified: ("Org-WSfrg", "Errors.Org.LoginPolicy.MFA.Unspecified"),
};

pub(super) static LOGIN: Row = Row {
    name: "login",
    request: "CustomLoginPolicyRequest",
    fields: fields! {
        "allowUsernamePassword" = "allowUsernamePassword": Kind::Flag,
        "allowRegister" = "allowRegister": Kind::Flag,
        "allowExternalIdp" = "allowExternalIdp": Kind::Flag,
        "forceMfa" = "forceMFA": Kind::Flag,
        "forceMfaLocalOnly" = "forceMFALocalOnly": Kind::Flag,
        "passwordlessType" = "passwordlessType":
            Kind::Choice(&["PASSWORDLESS_TYPE_NOT_ALLOWED", "PASSWORDLESS_TYPE_ALLOWED"]),
        "hidePasswordReset" = "hidePasswordReset": Kind::Flag,
        "ignoreUnknownUsernames" = "ignoreUnknownUsernames": Kind::Flag,
        "defaultRedirectUri" = "defaultRedirectURI": Kind::Text,
        "passwordCheckLifetime" = "passwordCheckLifetime": Kind::Duration,
        "externalLoginCheckLifetime" = "externalLoginCheckLifetime": Kind::Duration,
        "mfaInitSkipLifetime" = "mfaInitSkipLifetime": Kind::Duration,
        "secondFactorCheckLifetime" = "secondFactorCheckLifetime": Kind::Duration,
        "multiFactorCheckLifetime" = "multiFactorCheckLifetime": Kind::Duration,
        "allowDomainDiscovery" = "allowDomainDiscovery": Kind::Flag,
        "disableLoginWithEmail" = "disableLoginWithEmail": Kind::Flag,
        "disableLoginWithPhone" = "disableLoginWithPhone": Kind::Flag,
    },
    factors: &[&SECOND_FACTORS, &MULTI_FACTORS],
    default: || {
        json!({
            "allowUsernamePassword": true,
            "allowRegister": true,
            "allowExternalIdp": true,
            "passwordlessType": "PASSWORDLESS_TYPE_ALLOWED",
            "passwordCheckLifetime": "864000s",
            "externalLoginCheckLifetime": "864000s",
            "mfaInitSkipLifetime": "2592000s",
            "secondFactorCheckLifetime": "64800s",
            "multiFactorCheckLifetime": "43200s",
            "allowDomainDiscovery": true,
            "secondFactors": ["SECOND_FACTOR_TYPE_OTP", "SECOND_FACTOR_TYPE_U2F"],
            "multiFactors": ["MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION"],
        })
    },
    events: ["org.policy.login.added", "org.policy.login.changed", "org.policy.login.removed"],
    instance_events: ["instance.policy.login.added", "instance.policy.login.changed", ""],
    exists: ("Org-Dgfb2", "Login Policy already exists"),
    update_missing: ("Org-M0sif", "Login Policy not found"),
    remove_missing: ("Org-GHB37", "Login Policy not found"),
    unchanged: ("Org-5M9vdd", "Errors.Org.LoginPolicy.NotChanged"),
    instance_unchanged: ("INSTANCE-5M9vdd", "Errors.IAM.LoginPolicy.NotChanged"),
};

pub(super) static LOCKOUT: Row = Row {
    name: "lockout",
    request: "CustomLockoutPolicyRequest",
    fields: fields! {
        "maxPasswordAttempts" = "maxPasswordAttempts": Kind::Count,
        "maxOtpAttempts" = "maxOTPAttempts": Kind::Count,
    },
    factors: &[],
    default: || json!({}),
    events: ["org.policy.lockout.added", "org.policy.lockout.changed", "org.policy.lockout.removed"],
    instance_events: ["instance.policy.lockout.added", "instance.policy.lockout.changed", ""],
    exists: ("ORG-0olDf", "Errors.ORG.LockoutPolicy.AlreadyExists"),
    update_missing: ("ORG-ADfs1", "Errors.Org.LockoutPolicy.NotFound"),
    remove_missing: ("ORG-D4zuz", "Errors.Org.LockoutPolicy.NotFound"),
    unchanged: ("ORG-0JFSr", "Errors.Org.LockoutPolicy.NotChanged"),
    instance_unchanged: ("INSTANCE-0psjF", "Errors.IAM.LockoutPolicy.NotChanged"),
};

/// Every policy.
pub(super) static ROWS: [&Row; 2] = [&LOGIN, &LOCKOUT];
