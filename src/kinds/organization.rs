//! `Organization`: one organization of the instance, through v2 `organizations` and management v1 `orgs/me`.

use kube::ResourceExt;

use crate::api::common::AdoptionPolicy;
use crate::api::organization::{OrganizationMark, OrganizationState};
use crate::api::{DeletionPolicy, Organization, Origin, Reason, annotation};
use crate::engine::decision::access::Right;
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Clash, Context, Driver, Kind, Parent, Permission, Report, Verb};
use crate::engine::drivers::values::Values;
use crate::engine::kubernetes::events::EventSpec;
use crate::kinds::common::{differing, valid_name};
use crate::kinds::guard::{self, Rewrite};
use crate::kinds::org_domain_policy::has_login_domain;
use crate::zitadel::{self, Details, Error, permission};

/// An organization as the spec wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    name: String,
    state: zitadel::OrganizationState,
}

impl Kind for Organization {
    type Driver = Self;
    type Own = OrganizationMark;

    const KIND: &'static str = "Organization";
    /// Servers until v3 ignore the id that is asked for, so that the answer alone tells it.
    const IDENTITY: Identity = Identity::Assigned;
    const PARENT: Parent = Parent::Instance;
    const PERMISSIONS: &'static [Permission] = &[
        Permission::new(permission::ORG_READ, Verb::Read, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
        Permission::new(permission::USER_READ, Verb::Update, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
        Permission::new(permission::ORG_WRITE, Verb::Update, "ORG_OWNER or IAM_OWNER"),
        Permission::new(permission::ORG_DELETE, Verb::Delete, "ORG_OWNER or IAM_OWNER"),
        Permission::new(permission::ORG_CREATE, Verb::Create, "IAM_OWNER or IAM_ORG_MANAGER"),
    ];

    fn right() -> Right {
        Right::OrganizationItself
    }

    fn adoption(&self) -> AdoptionPolicy {
        self.spec.adoption_policy
    }

    /// Deleting an organization deletes its users.
    fn default_deletion(_: Option<Origin>) -> DeletionPolicy {
        DeletionPolicy::Retain
    }

    /// Its users went with it: only a person can want an empty one in its place.
    fn recreates(&self) -> bool {
        let owned = self.status.as_ref().and_then(|status| status.common.id.as_deref());
        let asked = self.annotations().get(annotation::RECREATE).map(String::as_str);
        asked.is_some() && asked == owned
    }

    fn object_name(&self) -> Option<String> {
        Some(self.spec.name.clone().unwrap_or_else(|| self.name_any()))
    }

    async fn preflight(
        &self,
        cx: Context<'_>,
        remote: &zitadel::Organization,
        desired: Option<&Desired>,
    ) -> Result<Option<EventSpec>, ReconcileError> {
        let Some(desired) = desired else {
            check_not_default(cx, &remote.id).await?;
            let deleted = (annotation::CONFIRM_DELETION, Reason::DeletionBlocked, "deleted");
            return guard::lockout(self, cx, &remote.id, deleted).await.map(|()| None);
        };
        if desired.state == zitadel::OrganizationState::Inactive && remote.state != desired.state {
            let inactive = (annotation::CONFIRM_DEACTIVATION, Reason::InvalidSpec, "deactivated");
            guard::lockout(self, cx, &remote.id, inactive).await?;
        }
        if !moves_login_names(cx, desired, remote).await? {
            return Ok(None);
        }
        let rewrite = Rewrite {
            organization: &remote.id,
            what: format!("the organization's name {:?}", remote.name),
            shown: format!("{:?}", desired.name),
            value: &desired.name,
            above: self.spec.confirm_above_users,
        };
        guard::rewrite(self, cx, rewrite).await
    }

    fn mark(own: &OrganizationMark) -> Option<&str> {
        own.mark.as_deref()
    }

    fn marked(_: OrganizationMark, mark: Option<String>) -> OrganizationMark {
        OrganizationMark { mark }
    }
}

impl Driver<Self> for Organization {
    type Desired = Desired;
    type Remote = zitadel::Organization;

    async fn resolve_spec(resource: &Self, _: &mut Values<'_>) -> Result<Desired, ReconcileError> {
        let name = valid_name("organization", resource.object_name().unwrap_or_default())?;
        if name.trim() != name {
            // ZITADEL would cut them off, and the name would differ for ever.
            return Err(ReconcileError::Stalled {
                reason: Reason::InvalidSpec,
                message: "the organization name begins or ends with blanks: correct spec.name".into(),
            });
        }
        let state = match resource.spec.state {
            OrganizationState::Active => zitadel::OrganizationState::Active,
            OrganizationState::Inactive => zitadel::OrganizationState::Inactive,
        };
        Ok(Desired { name, state })
    }

    fn name(desired: &Desired) -> &str {
        &desired.name
    }

    fn named(desired: Desired, name: &str) -> Desired {
        Desired { name: name.into(), ..desired }
    }

    async fn observe(cx: Context<'_>, id: &str) -> Result<Option<zitadel::Organization>, Error> {
        match cx.client.living_organization(id).await {
            Ok(answer) => Ok(Some(answer.value)),
            Err(Error::OrganizationNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The id it would have by its UID comes first: unlike the list it is never late.
    async fn find(cx: Context<'_>, name: &str) -> Result<Vec<String>, Error> {
        let found = cx.client.organizations_named(name).await?;
        let others = found.into_iter().map(|organization| organization.id).filter(|id| id != cx.uid);
        Ok([cx.uid.to_owned()].into_iter().chain(others).collect())
    }

    async fn clash(cx: Context<'_>, name: &str) -> Result<Option<Clash>, Error> {
        let label = zitadel::domain_label(name);
        if label.is_empty() {
            return Ok(None);
        }
        let has_it = |found: &zitadel::Organization| found.primary_domain.split('.').next() == Some(&label);
        let found = cx.client.organizations_at(&format!("{label}.")).await?.into_iter().find(has_it);
        Ok(found.map(|found| Clash { what: format!("the domain {}", found.primary_domain), id: found.id }))
    }

    fn diff(desired: &Desired, remote: &zitadel::Organization) -> Vec<String> {
        differing([("name", desired.name != remote.name), ("state", desired.state != remote.state)])
    }

    async fn apply(
        cx: Context<'_>,
        desired: &Desired,
        remote: Option<zitadel::Organization>,
    ) -> Result<zitadel::Organization, Error> {
        let Some(mut remote) = remote else {
            return create(cx, &desired.name).await;
        };
        if remote.name != desired.name {
            let outcome = cx.client.rename_organization(&remote.id, &desired.name).await;
            if !remote.details.take(outcome)? {
                return read_again(cx, &remote.id).await;
            }
            remote.name.clone_from(&desired.name);
        }
        if remote.state != desired.state {
            let outcome = match desired.state {
                zitadel::OrganizationState::Inactive => cx.client.deactivate_organization(&remote.id).await,
                _ => cx.client.reactivate_organization(&remote.id).await,
            };
            if !remote.details.take(outcome)? {
                return read_again(cx, &remote.id).await;
            }
            remote.state = desired.state;
        }
        Ok(remote)
    }

    async fn remove(cx: Context<'_>, remote: &zitadel::Organization) -> Result<(), Error> {
        match cx.client.delete_organization(&remote.id).await {
            Ok(_) | Err(Error::NotFound { .. } | Error::OrganizationNotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn report(remote: &zitadel::Organization) -> Report {
        Report {
            id: remote.id.clone(),
            owner: remote.id.clone(),
            name: remote.name.clone(),
            ..Report::of(&remote.details)
        }
    }
}

async fn check_not_default(cx: Context<'_>, id: &str) -> Result<(), ReconcileError> {
    if cx.client.instance().await?.value.default_org_id != id {
        return Ok(());
    }
    Err(ReconcileError::Stalled {
        reason: Reason::DeletionBlocked,
        message: format!(
            "{id} is the default organization of the instance, which ZITADEL never deletes: make another one the default first"
        ),
    })
}

/// The generated domain follows the name, and login names carry it where the policy in force says so.
async fn moves_login_names(
    cx: Context<'_>,
    desired: &Desired,
    remote: &zitadel::Organization,
) -> Result<bool, Error> {
    let stays = zitadel::has_same_domain(&desired.name, &remote.name);
    Ok(!stays && has_login_domain(cx.client, &remote.id).await?)
}

/// What is "so already" was changed by somebody else meanwhile.
async fn read_again(cx: Context<'_>, id: &str) -> Result<zitadel::Organization, Error> {
    Ok(cx.client.living_organization(id).await?.value)
}

/// A create answer has one date; the next GET shows it as both (contract §0.14).
async fn create(cx: Context<'_>, name: &str) -> Result<zitadel::Organization, Error> {
    let created = cx.client.create_organization(name, cx.uid).await?;
    let date = created.details.creation_date.or(created.details.change_date);
    Ok(zitadel::Organization {
        id: created.id,
        name: name.into(),
        primary_domain: String::new(),
        state: zitadel::OrganizationState::Active,
        details: Details { creation_date: date, change_date: date, ..created.details },
    })
}
