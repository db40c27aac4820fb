//! `OrgFeatures`: the feature flags of an organization, through `v2/features/organization/{id}`.

use crate::api::org_features::Features;
use crate::api::{Nothing, OrgFeatures, Reason};
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Context, Driver, Kind, Permission, Verb};
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::values::Values;
use crate::engine::drivers::wire::Fields;
use crate::kinds::roles::{managers, viewers};
use crate::zitadel::{Error, OrganizationFeatures, permission};

impl Kind for OrgFeatures {
    type Driver = Self;
    type Own = Nothing;

    const KIND: &'static str = "OrgFeatures";
    const IDENTITY: Identity = Identity::Keyed;
    const BULKY: bool = true;
    const PERMISSIONS: &'static [Permission] = &[
        viewers(permission::ORG_READ, Verb::Read),
        viewers(permission::ORG_FEATURE_READ, Verb::Read),
        managers(permission::ORG_FEATURE_WRITE, Verb::Update),
        managers(permission::ORG_FEATURE_DELETE, Verb::Update),
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
    async fn resolve_spec(resource: &Self, _: &mut Values<'_>) -> Result<Desired, ReconcileError> {
        let fields: Fields = resource.spec.features.flags().into_iter().collect();
        match fields.is_empty() {
            false => Ok(Desired { fields, ..Desired::default() }),
            true => Err(ReconcileError::Stalled {
                reason: Reason::InvalidSpec,
                message: "spec.features sets no flag: set one, or delete this resource".into(),
            }),
        }
    }

    async fn observe(cx: Context<'_>, organization: &str) -> Result<Option<Remote>, Error> {
        let features = read(cx, organization).await?;
        if features.is_default {
            // The server looks at no organization.
            cx.client.living_organization(organization).await?;
        }
        Ok(Some(features))
    }

    fn diff(desired: &Desired, remote: &Remote) -> Vec<String> {
        let (wanted, there) = (&desired.fields, &remote.fields);
        let changed = wanted.iter().filter(|(flag, value)| there.get(*flag) != Some(value));
        let names = changed.map(|(flag, _)| flag).chain(surplus(wanted, there));
        names.map(|flag| format!("features.{flag}")).collect()
    }

    async fn apply(cx: Context<'_>, desired: &Desired, remote: Option<Remote>) -> Result<Remote, Error> {
        if remote.is_some_and(|remote| surplus(&desired.fields, &remote.fields).next().is_some()) {
            // There is no way to unset a single flag.
            cx.client.reset_organization_features(cx.organization).await?;
        }
        cx.client.set_organization_features(cx.organization, &desired.fields).await?;
        // Flags that the server does not know are dropped without a word.
        read(cx, cx.organization).await
    }

    async fn remove(_: &Self, cx: Context<'_>, _: &Remote) -> Result<(), Error> {
        match cx.client.reset_organization_features(cx.organization).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

async fn read(cx: Context<'_>, organization: &str) -> Result<Remote, Error> {
    let OrganizationFeatures { details, flags } = cx.client.organization_features(organization).await?;
    Ok(Remote { details, is_default: flags.is_empty(), fields: flags, ..Remote::default() })
}

/// The flags that are set and should not be.
fn surplus<'a>(wanted: &'a Fields, there: &'a Fields) -> impl Iterator<Item = &'a String> {
    there.keys().filter(|flag| !wanted.contains_key(*flag))
}
