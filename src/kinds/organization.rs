//! `Organization`: one organization of the instance, through v2 `organizations` and management v1 `orgs/me`.

use kube::ResourceExt;

use crate::api::common::AdoptionPolicy;
use crate::api::organization::{OrganizationFields, OrganizationMark};
use crate::api::{DeletionPolicy, Organization, Origin, Reason, annotation};
use crate::engine::decision::access::Right;
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Clash, Context, Kind, Parent, Permission, Verb};
use crate::engine::drivers::object::{Object, ObjectKind};
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::wire::Fields;
use crate::engine::kubernetes::events::EventSpec;
use crate::kinds::guard::{self, Rewrite};
use crate::kinds::org_domain_policy::has_login_domain;
use crate::kinds::roles::{owners, viewers};
use crate::zitadel::{self, Created, Details, Error, ObjectPaths, RemoteState, permission};

impl ObjectKind for Organization {
    type Fields = OrganizationFields;

    const PATHS: ObjectPaths = zitadel::ORGANIZATION;

    fn fields(&self) -> &OrganizationFields {
        &self.spec.organization
    }

    fn check_name(name: &str) -> Result<(), ReconcileError> {
        if name.trim() == name {
            return Ok(());
        }
        // ZITADEL would cut them off, and the name would differ for ever.
        Err(ReconcileError::Stalled {
            reason: Reason::InvalidSpec,
            message: "the organization name begins or ends with blanks: correct spec.name".into(),
        })
    }

    async fn read(cx: Context<'_>, id: &str) -> Result<zitadel::Object, Error> {
        let zitadel::Organization { id, name, state, details, .. } =
            cx.client.living_organization(id).await?.value;
        let details = Details { resource_owner: id.clone(), ..details };
        Ok(zitadel::Object { id, details, name, state, fields: Fields::new() })
    }

    fn is_gone(error: &Error) -> bool {
        matches!(error, Error::OrganizationNotFound { .. })
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

    async fn create(cx: Context<'_>, wanted: &Desired) -> Result<Created, Error> {
        let Created { id, details } = cx.client.create_organization(&wanted.name, cx.uid).await?;
        let details = Details { resource_owner: id.clone(), ..details };
        Ok(Created { id, details })
    }

    fn organization_of<'a>(_: Context<'a>, id: &'a str) -> &'a str {
        id
    }

    async fn delete(cx: Context<'_>, id: &str) -> Result<(), Error> {
        match cx.client.delete_organization(id).await {
            Ok(_) | Err(Error::NotFound { .. } | Error::OrganizationNotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Kind for Organization {
    type Driver = Object;
    type Own = OrganizationMark;

    const KIND: &'static str = "Organization";
    /// Servers until v3 ignore the id that is asked for, so that the answer alone tells it.
    const IDENTITY: Identity = Identity::Assigned;
    const PARENT: Parent = Parent::Instance;
    const PERMISSIONS: &'static [Permission] = &[
        viewers(permission::ORG_READ, Verb::Read),
        viewers(permission::USER_READ, Verb::Update),
        owners(permission::ORG_WRITE, Verb::Update),
        owners(permission::ORG_DELETE, Verb::Delete),
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
        Some(self.spec.organization.name.clone().unwrap_or_else(|| self.name_any()))
    }

    async fn preflight(
        &self,
        cx: Context<'_>,
        remote: &Remote,
        desired: Option<&Desired>,
    ) -> Result<Option<EventSpec>, ReconcileError> {
        let Some(desired) = desired else {
            check_not_default(cx, &remote.id).await?;
            let deleted = (annotation::CONFIRM_DELETION, Reason::DeletionBlocked, "deleted");
            return guard::lockout(self, cx, &remote.id, deleted).await.map(|()| None);
        };
        if desired.state == RemoteState::Inactive && remote.state != desired.state {
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
async fn moves_login_names(cx: Context<'_>, desired: &Desired, remote: &Remote) -> Result<bool, Error> {
    let stays = zitadel::has_same_domain(&desired.name, &remote.name);
    Ok(!stays && has_login_domain(cx.client, &remote.id).await?)
}
