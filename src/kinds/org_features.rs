//! `OrgFeatures`: the feature flags of an organization, through `v2/features/organization/{id}`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::org_features::Features;
use crate::api::{Nothing, OrgFeatures, Reason};
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Context, Driver, Kind, Permission, Report, Verb};
use crate::engine::drivers::values::Values;
use crate::zitadel::{Error, OrganizationFeatures, permission};

const MANAGERS: &str = "ORG_OWNER, ORG_SETTINGS_MANAGER or IAM_OWNER";

type Desired = BTreeMap<String, Value>;

impl Kind for OrgFeatures {
    type Driver = Self;
    type Own = Nothing;

    const KIND: &'static str = "OrgFeatures";
    const IDENTITY: Identity = Identity::Keyed;
    const BULKY: bool = true;
    const PERMISSIONS: &'static [Permission] = &[
        Permission::new(permission::ORG_READ, Verb::Read, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
        Permission::new(permission::ORG_FEATURE_READ, Verb::Read, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
        Permission::new(permission::ORG_FEATURE_WRITE, Verb::Update, MANAGERS),
        Permission::new(permission::ORG_FEATURE_DELETE, Verb::Update, MANAGERS),
    ];

    fn strip(&mut self) {
        // Unknown flags may be anything.
        self.spec.features = Features::default();
    }

    fn restore(&mut self, whole: Self) {
        self.spec = whole.spec;
    }
}

impl Driver<Self> for OrgFeatures {
    type Desired = Desired;
    type Remote = OrganizationFeatures;

    async fn resolve_spec(resource: &Self, _: &mut Values<'_>) -> Result<Desired, ReconcileError> {
        let flags = resource.spec.features.flags();
        match flags.is_empty() {
            false => Ok(flags),
            true => Err(ReconcileError::Stalled {
                reason: Reason::InvalidSpec,
                message: "spec.features sets no flag: set one, or delete this resource".into(),
            }),
        }
    }

    async fn observe(cx: Context<'_>, organization: &str) -> Result<Option<OrganizationFeatures>, Error> {
        let features = cx.client.organization_features(organization).await?;
        if features.flags.is_empty() {
            // The server looks at no organization.
            cx.client.living_organization(organization).await?;
        }
        Ok(Some(features))
    }

    fn is_default(remote: &OrganizationFeatures) -> bool {
        remote.flags.is_empty()
    }

    fn diff(desired: &Desired, remote: &OrganizationFeatures) -> Vec<String> {
        let changed = desired.iter().filter(|(flag, value)| remote.flags.get(*flag) != Some(value));
        let names = changed.map(|(flag, _)| flag).chain(surplus(desired, remote));
        names.map(|flag| format!("features.{flag}")).collect()
    }

    async fn apply(
        cx: Context<'_>,
        desired: &Desired,
        remote: Option<OrganizationFeatures>,
    ) -> Result<OrganizationFeatures, Error> {
        if remote.is_some_and(|remote| surplus(desired, &remote).next().is_some()) {
            // There is no way to unset a single flag.
            cx.client.reset_organization_features(cx.organization).await?;
        }
        cx.client.set_organization_features(cx.organization, desired).await?;
        // Flags that the server does not know are dropped without a word.
        cx.client.organization_features(cx.organization).await
    }

    async fn remove(cx: Context<'_>, _: &OrganizationFeatures) -> Result<(), Error> {
        match cx.client.reset_organization_features(cx.organization).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn report(remote: &OrganizationFeatures) -> Report {
        Report::of(&remote.details)
    }
}

/// The flags that are set and should not be.
fn surplus<'a>(desired: &'a Desired, remote: &'a OrganizationFeatures) -> impl Iterator<Item = &'a String> {
    remote.flags.keys().filter(|flag| !desired.contains_key(*flag))
}
