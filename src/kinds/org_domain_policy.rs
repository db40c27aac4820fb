//! `OrgDomainPolicy`: an organization's own domain policy, through admin v1 `orgs/{id}/policies/domain`.

use crate::api::OrgDomainPolicy;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Context, Kind, Permission, Verb};
use crate::engine::drivers::policy::PolicyKind;
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::wire::Fields;
use crate::engine::kubernetes::events::EventSpec;
use crate::kinds::guard::{self, Rewrite};
use crate::kinds::policy::policy;
use crate::kinds::roles::viewers;
use crate::zitadel::{Client, Error, PolicyPaths, permission};

const RENAMES: &str = "userLoginMustBeDomain";
const DEFAULT: PolicyPaths = PolicyPaths::of_instance("/admin/v1/policies/domain", &[]);

impl PolicyKind for OrgDomainPolicy {
    const PATHS: PolicyPaths = PolicyPaths {
        in_force: ("/management/v1/policies/domain", permission::AUTHENTICATED),
        own: "/admin/v1/orgs/{organization}/policies/domain",
        write: permission::IAM_POLICY_WRITE,
        delete: permission::IAM_POLICY_DELETE,
        ..PolicyPaths::of_owners("", "ORG-1M8ds", &[])
    };

    /// Only a user's new name can be taken (`V3-DKcYh`).
    fn explain(error: Error) -> Error {
        let Error::AlreadyExists { id, message } = error else { return error };
        let message = format!(
            "userLoginMustBeDomain renames every user, and one of the new names is taken: rename that user first; {message}"
        );
        Error::AlreadyExists { id, message }
    }

    /// Where users were renamed the answer tells of one of them (contract §0.14).
    fn is_answered_by_others(wanted: &Fields, before: &Fields) -> bool {
        is_login_domain(wanted) != is_login_domain(before)
    }
}

const PERMISSIONS: &[Permission] = &[
    viewers(permission::ORG_READ, Verb::Read),
    viewers(permission::USER_READ, Verb::Update),
    Permission::new(permission::IAM_POLICY_READ, Verb::Delete, "IAM_OWNER or IAM_OWNER_VIEWER"),
    Permission::new(permission::IAM_POLICY_WRITE, Verb::Update, "IAM_OWNER"),
    Permission::new(permission::IAM_POLICY_DELETE, Verb::Delete, "IAM_OWNER"),
];

impl Kind for OrgDomainPolicy {
    policy!(OrgDomainPolicy, PERMISSIONS);

    /// Flipping what is in effect renames every user of the organization.
    async fn preflight(
        &self,
        cx: Context<'_>,
        remote: &Remote,
        desired: Option<&Desired>,
    ) -> Result<Option<EventSpec>, ReconcileError> {
        let wanted = match desired {
            Some(desired) => is_login_domain(&desired.fields),
            None => is_login_domain(&cx.client.policy(&DEFAULT, "").await?.fields),
        };
        if wanted == is_login_domain(&remote.fields) {
            return Ok(None);
        }
        let value = &wanted.to_string();
        let (what, shown, above) = (RENAMES.into(), value.clone(), self.spec.confirm_above_users);
        guard::rewrite(self, cx, Rewrite { organization: cx.organization, what, shown, value, above }).await
    }
}

/// Do the login names in this organization carry its domain?
pub(super) async fn has_login_domain(client: &Client, organization: &str) -> Result<bool, Error> {
    Ok(is_login_domain(&client.policy(&OrgDomainPolicy::PATHS, organization).await?.fields))
}

fn is_login_domain(fields: &Fields) -> bool {
    fields.get(RENAMES).and_then(serde_json::Value::as_bool).unwrap_or_default()
}
