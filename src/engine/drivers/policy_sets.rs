//! Sets in policies: ZITADEL takes them with a new policy, and changes them one element at a time afterwards.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::engine::drivers::kind::Context;
use crate::engine::drivers::remote::Remote;
use crate::engine::drivers::wire::Fields;
use crate::zitadel::{Details, Error, PolicyPaths, PolicySet};

/// A set, and the paths of its policy.
type SetOf<'a> = (&'a PolicyPaths, &'a PolicySet);

/// Makes a set of the policy what `fields` says. `false`: somebody else did a part of it, so that only a read shows when.
///
/// # Errors
/// [`Error::Invalid`] for an element that the server does not know; nothing is removed then.
pub(super) async fn update(
    cx: Context<'_>,
    of: SetOf<'_>,
    fields: &Fields,
    policy: &mut Remote,
) -> Result<bool, Error> {
    let (then, now) = (elements(&policy.fields, of.1), elements(fields, of.1));
    let mut is_known = true;
    // The new ones first: there is never a moment without any.
    for element in now.difference(&then) {
        let outcome = add(cx, of, element).await;
        is_known &= policy.details.take(outcome.map_err(|error| unknown(of.1, element, error)))?;
    }
    for element in then.difference(&now) {
        let outcome = cx.client.remove_from_policy(of, cx.organization, element).await;
        is_known &= policy.details.take(outcome.or_else(already_gone))?;
    }
    Ok(is_known)
}

/// The refusal of a new policy, where one of its elements is the cause.
pub(super) fn explained(paths: &PolicyPaths, error: Error) -> Error {
    let cause = match &error {
        Error::Invalid { id: Some(id), .. } => paths.sets.iter().find(|set| set.unknown == id),
        _ => None,
    };
    match cause {
        Some(set) => unknown(set, "an element", error),
        None => error,
    }
}

/// As ZITADEL names them.
fn elements<'a>(fields: &'a Fields, set: &PolicySet) -> BTreeSet<&'a str> {
    let elements = fields.get(set.field).and_then(Value::as_array).into_iter().flatten();
    elements.filter_map(Value::as_str).collect()
}

/// An element that was added before there was an own policy is there and in no read (contract §8): it shows once it is
/// added anew. The instance always has a policy.
async fn add(cx: Context<'_>, of: SetOf<'_>, element: &str) -> Result<Details, Error> {
    let outcome = cx.client.add_to_policy(of, cx.organization, element).await;
    if !matches!(&outcome, Err(Error::AlreadyExists { id: Some(id), .. }) if id == of.1.exists) {
        return outcome;
    }
    if of.0.is_of_instance {
        return Err(Error::Unchanged { id: of.1.exists.to_owned() });
    }
    match cx.client.remove_from_policy(of, cx.organization, element).await {
        Ok(_) | Err(Error::NotFound { .. }) => cx.client.add_to_policy(of, cx.organization, element).await,
        Err(error) => Err(error),
    }
}

fn already_gone(error: Error) -> Result<Details, Error> {
    match error {
        Error::NotFound { id, .. } => Err(Error::Unchanged { id }),
        error => Err(error),
    }
}

fn unknown(set: &PolicySet, element: &str, error: Error) -> Error {
    let Error::Invalid { id, message } = error else { return error };
    let message = format!(
        "this version of ZITADEL does not know {element} of {}: remove it from the spec, or upgrade ZITADEL; {message}",
        set.field
    );
    Error::Invalid { id, message }
}
