//! Keyed children: objects whose key under a parent the spec chooses, such as the roles of a project. ZITADEL only lists
//! them, and lists are late: what a list does not show is there all the same where a create is refused, or an update taken.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::common::KeyStatus;
use crate::engine::decision::access::same_name;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Context, Driver, Kind, Report};
use crate::engine::drivers::values::Values;
use crate::engine::drivers::wire::{Fields, Wire};
use crate::zitadel::{Child, ChildPaths, Details, Error};

/// The driver of keyed children.
pub struct KeyedChild;

/// A kind whose objects are keyed children.
pub trait KeyedChildKind: Kind<Driver = KeyedChild, Own = KeyStatus> {
    /// The object besides its key, with ZITADEL's field names.
    type Fields: Serialize + JsonSchema + 'static;
    /// Where it is listed and written.
    const PATHS: ChildPaths;

    /// The key under the parent, which never changes.
    fn key(&self) -> String;
    /// The object that the spec wants; what it leaves out is cleared.
    fn fields(&self) -> Self::Fields;
}

/// A keyed child as the spec wants it.
#[derive(Clone)]
pub struct Wanted {
    key: String,
    fields: Fields,
}

impl<K: KeyedChildKind> Driver<K> for KeyedChild {
    type Desired = Wanted;
    type Remote = Child;

    async fn resolve_spec(resource: &K, _: &mut Values<'_>) -> Result<Wanted, ReconcileError> {
        let fields = serde_json::to_value(resource.fields()).map_err(kube::Error::SerdeError)?;
        Ok(Wanted { key: resource.key(), fields: Wire::of::<K::Fields>().sent(fields) })
    }

    fn keys(wanted: &Wanted) -> BTreeSet<String> {
        BTreeSet::from([wanted.key.clone()])
    }

    fn recorded(own: &KeyStatus) -> BTreeSet<String> {
        own.key.iter().cloned().collect()
    }

    fn record(_: KeyStatus, keys: &BTreeSet<String>) -> KeyStatus {
        KeyStatus { key: keys.first().cloned() }
    }

    async fn observe(cx: Context<'_>, _: &str) -> Result<Option<Child>, Error> {
        let Some(key) = cx.keys.first() else { return Ok(None) };
        let listed = listed::<K>(cx, key).await?.into_iter().find(|child| child.key == *key);
        if listed.is_none() {
            // The server lists nothing of a project that is elsewhere or was removed, too (contract-next §2).
            cx.client.project_in(cx.organization, cx.parent).await?;
        }
        Ok(listed)
    }

    fn diff(wanted: &Wanted, remote: &Child) -> Vec<String> {
        Wire::of::<K::Fields>().differing(&wanted.fields, &remote.fields)
    }

    async fn apply(cx: Context<'_>, wanted: &Wanted, remote: Option<Child>) -> Result<Child, Error> {
        match remote {
            Some(remote) => update::<K>(cx, wanted, remote).await,
            None => add::<K>(cx, wanted).await,
        }
    }

    fn unlisted(keys: &BTreeSet<String>) -> Option<Child> {
        keys.first().map(|key| Child { key: key.clone(), ..Child::default() })
    }

    async fn remove(cx: Context<'_>, remote: &Child) -> Result<(), Error> {
        match cx.client.remove_child(&K::PATHS, (cx.organization, cx.parent), &remote.key).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn report(remote: &Child) -> Report {
        Report { owner: remote.details.resource_owner.clone(), ..Report::of(&remote.details) }
    }

    fn own(remote: &Child) -> KeyStatus {
        KeyStatus { key: Some(remote.key.clone()) }
    }
}

/// Those of this key, in any letter case.
async fn listed<K: KeyedChildKind>(cx: Context<'_>, key: &str) -> Result<Vec<Child>, Error> {
    cx.client.children(&K::PATHS, (cx.organization, cx.parent), key).await
}

async fn update<K: KeyedChildKind>(
    cx: Context<'_>,
    wanted: &Wanted,
    mut remote: Child,
) -> Result<Child, Error> {
    let parents = (cx.organization, cx.parent);
    let outcome = cx.client.update_child(&K::PATHS, parents, &wanted.key, &wanted.fields).await;
    // An answer to nothing that changed has no date.
    remote.details.take(outcome)?;
    Ok(Child { fields: wanted.fields.clone(), ..remote })
}

async fn add<K: KeyedChildKind>(cx: Context<'_>, wanted: &Wanted) -> Result<Child, Error> {
    let parents = (cx.organization, cx.parent);
    let taken = match cx.client.add_child(&K::PATHS, parents, &wanted.key, &wanted.fields).await {
        Ok(details) => return Ok(added(wanted, details)),
        Err(Error::AlreadyExists { id, message }) => Error::AlreadyExists { id, message },
        Err(error) => return Err(error),
    };
    let there = listed::<K>(cx, &wanted.key).await?;
    if let Some(listed) = there.iter().find(|child| child.key == wanted.key) {
        return Ok(listed.clone());
    }
    if let Some(other) = there.iter().find(|child| same_name(&child.key, &wanted.key)) {
        let message = format!(
            "the key {:?} is taken by {:?}, which ZITADEL takes for the same: choose another key, or that one",
            wanted.key, other.key
        );
        return Err(Error::AlreadyExists { id: None, message });
    }
    // It is there, and the list is late: an update tells whether it is under this very key.
    match cx.client.update_child(&K::PATHS, parents, &wanted.key, &wanted.fields).await {
        Ok(details) => Ok(added(wanted, details)),
        Err(Error::Unchanged { .. }) => Ok(added(wanted, Details::default())),
        Err(Error::NotFound { .. }) => Err(taken),
        Err(error) => Err(error),
    }
}

/// A write answers with one date; the next read shows it as the change (contract §0.14).
fn added(wanted: &Wanted, details: Details) -> Child {
    let date = details.change_date.or(details.creation_date);
    let details = Details { change_date: date, ..details };
    Child { key: wanted.key.clone(), fields: wanted.fields.clone(), details }
}
