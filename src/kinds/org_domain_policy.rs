//! `OrgDomainPolicy`: an organization's own domain policy, through admin v1 `orgs/{id}/policies/domain`.

use crate::api::org_domain_policy;
use crate::api::org_domain_policy::{DomainPolicyStatus, OrgDomainPolicyStatus};
use crate::api::{ManagementSpec, OrgDomainPolicy, OrganizationSelector};
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Context, Driver, Kind, Permission, Report, Verb};
use crate::engine::drivers::values::Values;
use crate::engine::kubernetes::events::EventSpec;
use crate::kinds::common::{differing, written};
use crate::kinds::guard;
use crate::kinds::guard::Rewrite;
use crate::zitadel::{Details, DomainPolicy, DomainPolicySettings, Error, permission};

impl Kind for OrgDomainPolicy {
    type Driver = Self;
    type Own = DomainPolicyStatus;

    const KIND: &'static str = "OrgDomainPolicy";
    const IDENTITY: Identity = Identity::Setting;
    const PERMISSIONS: &'static [Permission] = &[
        Permission::new(permission::ORG_READ, Verb::Read, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
        Permission::new(permission::USER_READ, Verb::Update, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
        Permission::new(permission::IAM_POLICY_READ, Verb::Delete, "IAM_OWNER or IAM_OWNER_VIEWER"),
        Permission::new(permission::IAM_POLICY_WRITE, Verb::Update, "IAM_OWNER"),
        Permission::new(permission::IAM_POLICY_DELETE, Verb::Delete, "IAM_OWNER"),
    ];

    fn management(&self) -> &ManagementSpec {
        &self.spec.common.management
    }

    fn organization(&self) -> Option<&OrganizationSelector> {
        self.spec.common.organization.as_deref()
    }

    fn status(&self) -> Option<&OrgDomainPolicyStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> Option<&mut OrgDomainPolicyStatus> {
        self.status.as_mut()
    }

    /// Flipping what is in effect renames every user of the organization.
    async fn preflight(
        &self,
        cx: Context<'_>,
        remote: &DomainPolicy,
        desired: Option<&DomainPolicySettings>,
    ) -> Result<Option<EventSpec>, ReconcileError> {
        let wanted = match desired {
            Some(desired) => *desired,
            None => cx.client.default_domain_policy().await?.settings,
        };
        if !renames(wanted, remote) {
            return Ok(None);
        }
        let value = &wanted.user_login_must_be_domain.to_string();
        let rewrite = Rewrite {
            organization: cx.organization,
            what: "userLoginMustBeDomain".into(),
            shown: value.clone(),
            value,
            above: self.spec.confirm_above_users,
        };
        guard::rewrite(self, cx, rewrite).await
    }
}

impl Driver<Self> for OrgDomainPolicy {
    type Desired = DomainPolicySettings;
    type Remote = DomainPolicy;

    async fn resolve_spec(
        resource: &Self,
        _: &mut Values<'_>,
    ) -> Result<DomainPolicySettings, ReconcileError> {
        let org_domain_policy::DomainPolicySettings {
            user_login_must_be_domain,
            validate_org_domains,
            smtp_sender_address_matches_instance_domain,
        } = resource.spec.settings;
        Ok(DomainPolicySettings {
            user_login_must_be_domain,
            validate_org_domains,
            smtp_sender_address_matches_instance_domain,
        })
    }

    async fn observe(cx: Context<'_>, organization: &str) -> Result<Option<DomainPolicy>, Error> {
        let policy = cx.client.domain_policy(organization).await?;
        if policy.is_default {
            // The server has it for an organization that was removed, too, and would let it be replaced (contract §2).
            cx.client.living_organization(organization).await?;
        }
        Ok(Some(policy))
    }

    fn is_default(remote: &DomainPolicy) -> bool {
        remote.is_default
    }

    fn diff(desired: &DomainPolicySettings, remote: &DomainPolicy) -> Vec<String> {
        let there = &remote.settings;
        let smtp = desired.smtp_sender_address_matches_instance_domain
            != there.smtp_sender_address_matches_instance_domain;
        differing([
            ("userLoginMustBeDomain", renames(*desired, remote)),
            ("validateOrgDomains", desired.validate_org_domains != there.validate_org_domains),
            ("smtpSenderAddressMatchesInstanceDomain", smtp),
        ])
    }

    async fn apply(
        cx: Context<'_>,
        desired: &DomainPolicySettings,
        remote: Option<DomainPolicy>,
    ) -> Result<DomainPolicy, Error> {
        let Some(before) = remote else { return add(cx, *desired).await };
        let mut details = Details::default();
        let outcome = cx.client.update_domain_policy(cx.organization, *desired).await;
        written(&mut details, outcome.map_err(colliding))?;
        if renames(*desired, &before) || details.sequence.is_empty() {
            // Where users were renamed the answer tells of one of them (contract §0.14).
            return cx.client.domain_policy(cx.organization).await;
        }
        let details = Details { creation_date: before.details.creation_date, ..details };
        Ok(DomainPolicy { details, settings: *desired, ..before })
    }

    async fn remove(cx: Context<'_>, _: &DomainPolicy) -> Result<(), Error> {
        match cx.client.reset_domain_policy(cx.organization).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(colliding(error)),
        }
    }

    fn report(remote: &DomainPolicy) -> Report {
        Report::of(&remote.details)
    }

    fn own(remote: &DomainPolicy) -> DomainPolicyStatus {
        let DomainPolicySettings {
            user_login_must_be_domain,
            validate_org_domains,
            smtp_sender_address_matches_instance_domain,
        } = remote.settings;
        let effective = org_domain_policy::DomainPolicySettings {
            user_login_must_be_domain,
            validate_org_domains,
            smtp_sender_address_matches_instance_domain,
        };
        DomainPolicyStatus { is_default: Some(remote.is_default), effective: Some(effective) }
    }
}

fn renames(desired: DomainPolicySettings, remote: &DomainPolicy) -> bool {
    desired.user_login_must_be_domain != remote.settings.user_login_must_be_domain
}

/// Answers what is in force then: where somebody was faster, theirs, which may need a confirmation that the default did not.
async fn add(cx: Context<'_>, desired: DomainPolicySettings) -> Result<DomainPolicy, Error> {
    match cx.client.add_domain_policy(cx.organization, desired).await {
        Ok(_) => {}
        Err(Error::AlreadyExists { id: Some(id), .. }) if id == "ORG-1M8ds" => {}
        Err(error) => return Err(colliding(error)),
    }
    cx.client.domain_policy(cx.organization).await
}

/// Only a user's new name can be taken (`V3-DKcYh`).
fn colliding(error: Error) -> Error {
    match error {
        Error::AlreadyExists { id, message } => Error::AlreadyExists {
            id,
            message: format!(
                "userLoginMustBeDomain renames every user, and one of the new names is taken: rename that user first; {message}"
            ),
        },
        error => error,
    }
}
