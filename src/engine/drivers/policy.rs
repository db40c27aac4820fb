//! Policies: an organization has its own or the instance's default. Nothing is found and no id is assigned; deleting the
//! resource resets the policy to the default.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use kube::core::object::HasSpec;
use serde_json::Value;

use crate::api::policy::{PolicySpec, PolicyStatus};
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Context, Driver, Kind, Report};
use crate::engine::drivers::values::Values;
use crate::engine::drivers::wire::{Fields, Wire};
use crate::zitadel::{self, Error, PolicyPaths, PolicySet};

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
    type Desired = Fields;
    type Remote = zitadel::Policy;

    async fn resolve_spec(resource: &K, _: &mut Values<'_>) -> Result<Fields, ReconcileError> {
        let spec = serde_json::to_value(resource.spec().fields()).map_err(kube::Error::SerdeError)?;
        Ok(wire::<K>().sent(spec))
    }

    async fn observe(cx: Context<'_>, organization: &str) -> Result<Option<zitadel::Policy>, Error> {
        let policy = cx.client.policy(&K::PATHS, organization).await?;
        if policy.is_default {
            // The server has it for an organization that was removed, too, and would let it be replaced (contract §2).
            cx.client.living_organization(organization).await?;
        }
        Ok(Some(policy))
    }

    fn is_default(remote: &zitadel::Policy) -> bool {
        remote.is_default
    }

    fn diff(wanted: &Fields, remote: &zitadel::Policy) -> Vec<String> {
        wire::<K>().differing(wanted, &remote.fields)
    }

    async fn apply(
        cx: Context<'_>,
        wanted: &Fields,
        remote: Option<zitadel::Policy>,
    ) -> Result<zitadel::Policy, Error> {
        match remote {
            Some(remote) => update::<K>(cx, wanted, remote).await,
            None => add::<K>(cx, wanted).await,
        }
    }

    async fn remove(cx: Context<'_>, _: &zitadel::Policy) -> Result<(), Error> {
        match cx.client.reset_policy(&K::PATHS, cx.organization).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(explained::<K>(error)),
        }
    }

    fn report(remote: &zitadel::Policy) -> Report {
        Report::of(&remote.details)
    }

    fn own(remote: &zitadel::Policy) -> PolicyStatus<FieldsOf<K>> {
        let effective = Some(wire::<K>().shown(&remote.fields).into());
        PolicyStatus { is_default: Some(remote.is_default), effective, of: PhantomData }
    }
}

fn wire<K: PolicyKind>() -> &'static Wire {
    Wire::of::<FieldsOf<K>>()
}

async fn update<K: PolicyKind>(
    cx: Context<'_>,
    wanted: &Fields,
    mut before: zitadel::Policy,
) -> Result<zitadel::Policy, Error> {
    let fields = wire::<K>().over(wanted, &before.fields);
    let mut differing = wire::<K>().differing(wanted, &before.fields);
    let mut is_known = !K::is_answered_by_others(wanted, &before.fields);
    let sets: Vec<&PolicySet> =
        K::PATHS.sets.iter().filter(|set| differing.iter().any(|field| field == set.field)).collect();
    differing.retain(|field| sets.iter().all(|set| field != set.field));
    if !differing.is_empty() {
        let outcome = cx.client.update_policy(&K::PATHS, cx.organization, &fields).await;
        is_known &= before.details.take(outcome.map_err(explained::<K>))?;
    }
    for set in sets {
        let (now, then) = (elements(&fields, set), elements(&before.fields, set));
        // The new ones first: there is never a moment without any.
        for element in now.difference(&then) {
            is_known &= before.details.take(add_element::<K>(cx, set, element).await)?;
        }
        for element in then.difference(&now) {
            let removed = cx.client.remove_from_policy((&K::PATHS, set), cx.organization, element).await;
            is_known &= before.details.take(already(removed))?;
        }
    }
    if !is_known {
        // What is "so already" was changed by somebody else meanwhile.
        return cx.client.policy(&K::PATHS, cx.organization).await;
    }
    Ok(zitadel::Policy { fields, ..before })
}

/// Answers what is in force then: where somebody was faster, theirs, which may need a confirmation that the default did not.
async fn add<K: PolicyKind>(cx: Context<'_>, wanted: &Fields) -> Result<zitadel::Policy, Error> {
    let fields = match wire::<K>().is_complete(wanted) {
        true => wanted.clone(),
        // What is not sent would be zero, and a set empty, instead of what is in force.
        false => wire::<K>().over(wanted, &cx.client.policy(&K::PATHS, cx.organization).await?.fields),
    };
    match cx.client.add_policy(&K::PATHS, cx.organization, &fields).await {
        Ok(_) => {}
        Err(Error::AlreadyExists { id: Some(id), .. }) if id == K::PATHS.exists => {}
        Err(error) => return Err(explained::<K>(error)),
    }
    cx.client.policy(&K::PATHS, cx.organization).await
}

/// The elements of a set, as ZITADEL names them.
fn elements<'a>(fields: &'a Fields, set: &PolicySet) -> BTreeSet<&'a str> {
    let elements = fields.get(set.field).and_then(Value::as_array).into_iter().flatten();
    elements.filter_map(Value::as_str).collect()
}

/// One that was added before there was an own policy is there and in no read (contract §8): it shows once it is added anew.
async fn add_element<K: PolicyKind>(
    cx: Context<'_>,
    set: &PolicySet,
    element: &str,
) -> Result<zitadel::Details, Error> {
    let (of, organization) = ((&K::PATHS, set), cx.organization);
    let mut outcome = cx.client.add_to_policy(of, organization, element).await;
    if matches!(&outcome, Err(Error::AlreadyExists { id: Some(id), .. }) if id == set.exists) {
        match cx.client.remove_from_policy(of, organization, element).await {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        outcome = cx.client.add_to_policy(of, organization, element).await;
    }
    outcome.map_err(|error| match error {
        Error::Invalid { id, message } => unknown(set, element, id, &message),
        error => error,
    })
}

/// The removal of what is gone.
fn already<T>(outcome: Result<T, Error>) -> Result<T, Error> {
    outcome.map_err(|error| match error {
        Error::NotFound { id, .. } => Error::Unchanged { id },
        error => error,
    })
}

fn explained<K: PolicyKind>(error: Error) -> Error {
    let refused = |id: &String| K::PATHS.sets.iter().find(|set| set.unknown == id);
    match error {
        Error::Invalid { id: Some(id), message } if let Some(set) = refused(&id) => {
            unknown(set, "an element", Some(id), &message)
        }
        error => K::explain(error),
    }
}

fn unknown(set: &PolicySet, element: &str, id: Option<String>, message: &str) -> Error {
    let message = format!(
        "this version of ZITADEL does not know {element} of {}: remove it from the spec, or upgrade ZITADEL; {message}",
        set.field
    );
    Error::Invalid { id, message }
}
