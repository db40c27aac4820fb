//! Policies: an organization has its own or the instance's default. Nothing is found and no id is assigned; deleting the
//! resource resets an organization's policy to the default, and the instance's to what the spec says, if it does.

use std::marker::PhantomData;

use kube::core::object::HasSpec;

use crate::api::policy::{PolicySpec, PolicyStatus};
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Context, Driver, Kind};
use crate::engine::drivers::policy_sets;
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::values::Values;
use crate::engine::drivers::wire::{Fields, Wire};
use crate::zitadel::{Error, PolicyPaths};

/// The driver of policies.
pub struct Policy;

/// The fields of a kind's policy.
pub type FieldsOf<K> = <<K as HasSpec>::Spec as PolicySpec>::Fields;

/// A kind whose object is a policy.
pub trait PolicyKind:
    Kind<Driver = Policy, Own = PolicyStatus<FieldsOf<Self>>> + HasSpec<Spec: PolicySpec>
{
    /// Where it is read and written.
    const PATHS: PolicyPaths;

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
        let fields = sent::<K>(resource.spec().fields()).map_err(kube::Error::SerdeError)?;
        Ok(Desired { fields, ..Desired::default() })
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
        wire::<K>().differing(&wanted.fields, &remote.fields)
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

    fn is_reset(resource: &K, remote: &Remote) -> bool {
        match resource.spec().reset_on_delete().map(sent::<K>) {
            _ if resource.meta().deletion_timestamp.is_none() || !K::PATHS.is_of_instance => {
                remote.is_default
            }
            Some(Ok(then)) => wire::<K>().differing(&then, &remote.fields).is_empty(),
            _ => true,
        }
    }

    async fn remove(resource: &K, cx: Context<'_>, remote: &Remote) -> Result<(), Error> {
        if let Some(then) = resource.spec().reset_on_delete() {
            let then = sent::<K>(then).map_err(|_| Error::invalid("a value that cannot be sent"))?;
            return update::<K>(cx, &then, remote.clone()).await.map(drop);
        }
        match cx.client.reset_policy(&K::PATHS, cx.organization).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(K::explain(error)),
        }
    }

    fn own(remote: &Remote) -> PolicyStatus<FieldsOf<K>> {
        let effective = Some(wire::<K>().shown(&remote.fields).into());
        let is_default = (!K::PATHS.is_of_instance).then_some(remote.is_default);
        PolicyStatus { is_default, effective, of: PhantomData }
    }
}

fn wire<K: PolicyKind>() -> &'static Wire {
    Wire::of::<FieldsOf<K>>()
}

/// As ZITADEL names them.
fn sent<K: PolicyKind>(fields: &FieldsOf<K>) -> serde_json::Result<Fields> {
    Ok(wire::<K>().sent(serde_json::to_value(fields)?))
}

async fn update<K: PolicyKind>(
    cx: Context<'_>,
    wanted: &Fields,
    mut before: Remote,
) -> Result<Remote, Error> {
    let fields = wire::<K>().over(wanted, &before.fields);
    let differing = wire::<K>().differing(wanted, &before.fields);
    let is_of_set = |field: &String| K::PATHS.sets.iter().any(|set| set.field == field);
    let (sets, others): (Vec<_>, Vec<_>) = differing.into_iter().partition(is_of_set);
    let mut is_known = !K::is_answered_by_others(wanted, &before.fields);
    if !others.is_empty() {
        let outcome = cx.client.update_policy(&K::PATHS, cx.organization, &fields).await;
        is_known &= before.details.take(outcome.map_err(K::explain))?;
    }
    for set in K::PATHS.sets.iter().filter(|set| sets.iter().any(|field| field == set.field)) {
        is_known &= policy_sets::update(cx, (&K::PATHS, set), &fields, &mut before).await?;
    }
    if !is_known {
        // What is "so already" was changed by somebody else meanwhile.
        return Ok(cx.client.policy(&K::PATHS, cx.organization).await?.into());
    }
    Ok(Remote { fields, ..before })
}

/// Answers what is in force then: where somebody was faster, theirs, which may need a confirmation that the default did not.
async fn add<K: PolicyKind>(cx: Context<'_>, wanted: &Fields) -> Result<Remote, Error> {
    let fields = match wire::<K>().is_complete(wanted) {
        true => wanted.clone(),
        // What is not sent would be zero, and a set empty, instead of what is in force.
        false => wire::<K>().over(wanted, &cx.client.policy(&K::PATHS, cx.organization).await?.fields),
    };
    match cx.client.add_policy(&K::PATHS, cx.organization, &fields).await {
        Ok(_) => {}
        Err(Error::AlreadyExists { id: Some(id), .. }) if id == K::PATHS.exists => {}
        Err(error) => return Err(K::explain(policy_sets::explained(&K::PATHS, error))),
    }
    Ok(cx.client.policy(&K::PATHS, cx.organization).await?.into())
}
