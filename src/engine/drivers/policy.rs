//! Policies: an organization has its own or the instance's default. Nothing is found and no id is assigned; deleting the
//! resource resets the policy to the default.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::common::PolicyStatus;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Context, Driver, Kind};
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::values::Values;
use crate::engine::drivers::wire::{Fields, Wire};
use crate::zitadel::{Error, PolicyPaths};

/// The driver of policies.
pub struct Policy;

/// A kind whose object is a policy.
pub trait PolicyKind: Kind<Driver = Policy, Own = PolicyStatus<Self::Fields>> {
    /// The policy as the spec says it, with ZITADEL's field names. What it leaves out is kept as it is.
    type Fields: Serialize + DeserializeOwned + JsonSchema + 'static;
    /// Where it is read and written.
    const PATHS: PolicyPaths;

    /// The policy that the spec wants.
    fn fields(&self) -> &Self::Fields;
    /// A failed write in the words of the kind.
    fn explain(error: Error) -> Error {
        error
    }
    /// Does the answer to this update tell of another object, so that the policy is read again?
    fn is_answered_by_others(_wanted: &Fields, _before: &Fields) -> bool {
        false
    }
}

impl<K: PolicyKind> Driver<K> for Policy {
    async fn resolve_spec(resource: &K, _: &mut Values<'_>) -> Result<Desired, ReconcileError> {
        let spec = serde_json::to_value(resource.fields()).map_err(kube::Error::SerdeError)?;
        Ok(Desired { fields: Wire::of::<K::Fields>().sent(spec), ..Desired::default() })
    }

    async fn observe(cx: Context<'_>, organization: &str) -> Result<Option<Remote>, Error> {
        let policy = cx.client.policy(&K::PATHS, organization).await?;
        if policy.is_default {
            // The server has it for an organization that was removed, too, and would let it be replaced (contract §2).
            cx.client.living_organization(organization).await?;
        }
        Ok(Some(policy.into()))
    }

    fn diff(wanted: &Desired, remote: &Remote) -> Vec<String> {
        Wire::of::<K::Fields>().differing(&wanted.fields, &remote.fields)
    }

    async fn apply(
        cx: Context<'_>,
        Desired { fields, .. }: &Desired,
        remote: Option<Remote>,
    ) -> Result<Remote, Error> {
        match remote {
            Some(remote) => update::<K>(cx, fields, remote).await,
            None => add::<K>(cx, fields).await,
        }
    }

    async fn remove(cx: Context<'_>, _: &Remote) -> Result<(), Error> {
        match cx.client.reset_policy(&K::PATHS, cx.organization).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(K::explain(error)),
        }
    }

    fn own(remote: &Remote) -> PolicyStatus<K::Fields> {
        let effective = serde_json::from_value(Wire::of::<K::Fields>().shown(&remote.fields)).ok();
        PolicyStatus { is_default: Some(remote.is_default), effective }
    }
}

async fn update<K: PolicyKind>(
    cx: Context<'_>,
    wanted: &Fields,
    mut before: Remote,
) -> Result<Remote, Error> {
    let fields = Wire::of::<K::Fields>().over(wanted, &before.fields);
    let outcome = cx.client.update_policy(&K::PATHS, cx.organization, &fields).await;
    let is_written = before.details.take(outcome.map_err(K::explain))?;
    if !is_written || K::is_answered_by_others(wanted, &before.fields) {
        // What is "so already" was changed by somebody else meanwhile.
        return Ok(cx.client.policy(&K::PATHS, cx.organization).await?.into());
    }
    Ok(Remote { fields, ..before })
}

/// Answers what is in force then: where somebody was faster, theirs, which may need a confirmation that the default did not.
async fn add<K: PolicyKind>(cx: Context<'_>, wanted: &Fields) -> Result<Remote, Error> {
    let wire = Wire::of::<K::Fields>();
    let fields = match wire.is_complete(wanted) {
        true => wanted.clone(),
        // What is not sent would be zero instead of what is in force.
        false => wire.over(wanted, &cx.client.policy(&K::PATHS, cx.organization).await?.fields),
    };
    match cx.client.add_policy(&K::PATHS, cx.organization, &fields).await {
        Ok(_) => {}
        Err(Error::AlreadyExists { id: Some(id), .. }) if id == K::PATHS.exists => {}
        Err(error) => return Err(K::explain(error)),
    }
    Ok(cx.client.policy(&K::PATHS, cx.organization).await?.into())
}
