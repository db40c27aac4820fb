//! Keyed children: objects whose key under a parent the spec chooses, such as the roles of a project. ZITADEL only lists
//! them, and lists are late: what a list does not show is there all the same where a create is refused, or an update taken.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::common::KeyStatus;
use crate::engine::decision::access::same_name;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Context, Driver, Kind};
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::values::Values;
use crate::engine::drivers::wire::Wire;
use crate::zitadel::{Child, ChildPaths, ChildRef, Details, Error};

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

impl<K: KeyedChildKind> Driver<K> for KeyedChild {
    async fn resolve_spec(resource: &K, _: &mut Values<'_>) -> Result<Desired, ReconcileError> {
        let fields = serde_json::to_value(resource.fields()).map_err(kube::Error::SerdeError)?;
        let fields = Wire::of::<K::Fields>().sent(fields);
        Ok(Desired { key: resource.key(), fields, ..Desired::default() })
    }

    fn keys(wanted: &Desired) -> BTreeSet<String> {
        BTreeSet::from([wanted.key.clone()])
    }

    fn recorded(own: &KeyStatus) -> BTreeSet<String> {
        own.key.iter().cloned().collect()
    }

    fn record(_: KeyStatus, keys: &BTreeSet<String>) -> KeyStatus {
        KeyStatus { key: keys.first().cloned() }
    }

    async fn observe(cx: Context<'_>, _: &str) -> Result<Option<Remote>, Error> {
        let Some(key) = cx.keys.first() else { return Ok(None) };
        let listed = cx.client.children(child::<K>(cx, key)).await?;
        let listed = listed.into_iter().find(|child| child.key == *key);
        if listed.is_none() {
            // The server lists nothing of a project that is elsewhere or was removed, too (contract-next §2).
            cx.client.project_in(cx.organization, cx.parent).await?;
        }
        Ok(listed.map(Remote::from))
    }

    fn diff(wanted: &Desired, remote: &Remote) -> Vec<String> {
        Wire::of::<K::Fields>().differing(&wanted.fields, &remote.fields)
    }

    async fn apply(cx: Context<'_>, wanted: &Desired, remote: Option<Remote>) -> Result<Remote, Error> {
        match remote {
            Some(remote) => update::<K>(cx, wanted, remote).await,
            None => add::<K>(cx, wanted).await,
        }
    }

    fn unlisted(keys: &BTreeSet<String>) -> Option<Remote> {
        keys.first().map(|key| Remote { key: key.clone(), ..Remote::default() })
    }

    async fn remove(_: &K, cx: Context<'_>, remote: &Remote) -> Result<(), Error> {
        match cx.client.remove_child(child::<K>(cx, &remote.key)).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn own(remote: &Remote) -> KeyStatus {
        KeyStatus { key: Some(remote.key.clone()) }
    }
}

/// That of this key, whether it is there or not.
fn child<'a, K: KeyedChildKind>(cx: Context<'a>, key: &'a str) -> ChildRef<'a> {
    ChildRef { paths: &K::PATHS, organization: cx.organization, project: cx.parent, key }
}

async fn update<K: KeyedChildKind>(
    cx: Context<'_>,
    wanted: &Desired,
    mut remote: Remote,
) -> Result<Remote, Error> {
    let outcome = cx.client.update_child(child::<K>(cx, &wanted.key), &wanted.fields).await;
    // An answer to nothing that changed has no date.
    remote.details.take(outcome)?;
    Ok(Remote { fields: wanted.fields.clone(), ..remote })
}

async fn add<K: KeyedChildKind>(cx: Context<'_>, wanted: &Desired) -> Result<Remote, Error> {
    let child = child::<K>(cx, &wanted.key);
    let taken = match cx.client.add_child(child, &wanted.fields).await {
        Ok(details) => return Ok(added(wanted, details)),
        Err(taken @ Error::AlreadyExists { .. }) => taken,
        Err(error) => return Err(error),
    };
    let there = cx.client.children(child).await?;
    if let Some(listed) = there.iter().find(|child| child.key == wanted.key) {
        return Ok(listed.clone().into());
    }
    if let Some(other) = there.iter().find(|child| same_name(&child.key, &wanted.key)) {
        let message = format!(
            "the key {:?} is taken by {:?}, which ZITADEL takes for the same: choose another key, or that one",
            wanted.key, other.key
        );
        return Err(Error::AlreadyExists { id: None, message });
    }
    // It is there, and the list is late: an update tells whether it is under this very key.
    match cx.client.update_child(child, &wanted.fields).await {
        Ok(details) => Ok(added(wanted, details)),
        Err(Error::Unchanged { .. }) => Ok(added(wanted, Details::default())),
        Err(Error::NotFound { .. }) => Err(taken),
        Err(error) => Err(error),
    }
}

/// The next read shows the date of the write as that of the change.
fn added(wanted: &Desired, details: Details) -> Remote {
    let details = Details { change_date: details.date(), ..details };
    Child { key: wanted.key.clone(), fields: wanted.fields.clone(), details }.into()
}
