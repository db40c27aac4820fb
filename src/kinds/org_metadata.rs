//! `OrgMetadata`: the listed metadata of an organization, through management v1 `metadata`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::connection::KeyReference;
use crate::api::org_metadata::{EntryStatus, MetadataEntry, MetadataStatus, OrgMetadataStatus, ValueSource};
use crate::api::{GROUP, OrgMetadata, Reason};
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Context, Driver, Kind, Permission, Verb};
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::values::Values;
use crate::engine::watch::sources::SourceKind;
use crate::kinds::roles::{managers, viewers};
use crate::zitadel::{Details, Error, Metadata, permission};

/// The most bytes ZITADEL takes for a value.
const VALUE_LIMIT: usize = 500_000;

/// The entries that the spec wants.
type Wanted = BTreeMap<String, Vec<u8>>;

/// The entries of the resource, as ZITADEL has them.
type Present = BTreeMap<String, Metadata>;

impl Kind for OrgMetadata {
    type Driver = Self;
    type Own = MetadataStatus;

    const KIND: &'static str = "OrgMetadata";
    const IDENTITY: Identity = Identity::Keyed;
    const MANY_KEYS: bool = true;
    const BULKY: bool = true;
    const PERMISSIONS: &'static [Permission] =
        &[viewers(permission::ORG_READ, Verb::Read), managers(permission::ORG_WRITE, Verb::Update)];

    fn strip(&mut self) {
        // Where values come from is asked of the store.
        self.spec.entries.retain(|entry| entry.value_from.is_some());
        for entry in &mut self.spec.entries {
            (entry.value, entry.base64) = (None, None);
        }
        self.spec.entries.shrink_to_fit();
    }

    fn restore(&mut self, whole: Self) {
        self.spec = whole.spec;
    }

    fn sources(&self) -> Vec<(SourceKind, &str)> {
        let taken = self.spec.entries.iter().filter_map(taken);
        taken.map(|(kind, reference)| (kind, reference.name.as_str())).collect()
    }
}

impl Driver<Self> for OrgMetadata {
    async fn resolve_spec(resource: &Self, values: &mut Values<'_>) -> Result<Desired, ReconcileError> {
        if let Some(entry) = resource.spec.entries.iter().find(|entry| is_reserved(&entry.key)) {
            return Err(invalid(&entry.key, "it is the operator's own: choose another key"));
        }
        values.read(resource.spec.entries.iter().filter_map(taken)).await?;
        let entry = |entry: &MetadataEntry| Ok((entry.key.clone(), value(entry, values)?));
        let entries = resource.spec.entries.iter().map(entry).collect::<Result<_, ReconcileError>>()?;
        Ok(Desired { entries, ..Desired::default() })
    }

    fn keys(desired: &Desired) -> BTreeSet<String> {
        desired.entries.keys().cloned().collect()
    }

    fn without(mut desired: Desired, taken: &BTreeSet<&str>) -> Desired {
        desired.entries.retain(|key, _| !taken.contains(key.as_str()));
        desired
    }

    fn recorded(own: &MetadataStatus) -> BTreeSet<String> {
        own.entries.iter().map(|entry| entry.key.clone()).filter(|key| !is_reserved(key)).collect()
    }

    fn record(mut own: MetadataStatus, keys: &BTreeSet<String>) -> MetadataStatus {
        let known = Self::recorded(&own);
        let new = keys.difference(&known).cloned();
        own.entries.extend(new.map(|key| EntryStatus { key, ..Default::default() }));
        own.entries.sort_by(|a, b| a.key.cmp(&b.key));
        own
    }

    async fn observe(cx: Context<'_>, organization: &str) -> Result<Option<Remote>, Error> {
        let entries = cx.client.metadata(organization, |key| cx.keys.contains(key)).await?;
        let present: Present = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Ok(Some(present).filter(|present| cx.keys.is_empty() || !present.is_empty()).map(remote_of))
    }

    fn diff(desired: &Desired, remote: &Remote) -> Vec<String> {
        let (wanted, present) = (&desired.entries, &remote.entries);
        let changed = changes(wanted, present).into_iter().map(|(key, _)| key);
        changed.chain(dropped(wanted, present)).map(|key| format!("entries[{key}]")).collect()
    }

    async fn apply(cx: Context<'_>, desired: &Desired, remote: Option<Remote>) -> Result<Remote, Error> {
        let (wanted, mut present) = (&desired.entries, remote.unwrap_or_default().entries);
        let changed = changes(wanted, &present);
        let details = cx.client.set_metadata(cx.organization, &changed).await?;
        cx.client.remove_metadata(cx.organization, &dropped(wanted, &present)).await?;
        present.retain(|key, _| wanted.contains_key(key));
        match (changed.as_slice(), details) {
            ([], _) => {}
            ([(key, value)], Some(details)) => set(&mut present, key, value, details),
            // The answer to a bulk write has no sequence of its entries.
            _ => return Ok(Self::observe(cx, cx.organization).await?.unwrap_or_default()),
        }
        Ok(remote_of(present))
    }

    async fn remove(_: &Self, cx: Context<'_>, remote: &Remote) -> Result<(), Error> {
        let keys: Vec<&str> = remote.entries.keys().map(String::as_str).collect();
        match cx.client.remove_metadata(cx.organization, &keys).await {
            // Somebody removed one of them meanwhile, and so none went: the next look shows the rest.
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The newest of all tells neither of a removed entry nor of one that became this resource's.
    fn moved(status: &OrgMetadataStatus, remote: &Remote) -> bool {
        let present = |key: &str| remote.entries.get(key).map(|entry| entry.details.sequence.as_str());
        let mut known = status.own.entries.iter().filter(|entry| entry.sequence.is_some());
        known.any(|entry| entry.sequence.as_deref() != present(&entry.key))
    }

    fn own(remote: &Remote) -> MetadataStatus {
        let status = |entry: &Metadata| EntryStatus {
            key: entry.key.clone(),
            sequence: Some(entry.details.sequence.clone()).filter(|sequence| !sequence.is_empty()),
            change_date: entry.details.change_date.map(|date| date.to_string()),
        };
        MetadataStatus { entries: remote.entries.values().map(status).collect() }
    }
}

/// Is the key one of the operator's, which no resource sets, takes over or removes? An older version may have recorded it.
fn is_reserved(key: &str) -> bool {
    key.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'))
}

/// The status tells of the newest entry, and of no creation.
fn remote_of(entries: Present) -> Remote {
    let newest = entries.values().max_by_key(|entry| entry.details.sequence.parse::<u64>().unwrap_or(0));
    let details = newest.map(|entry| entry.details.clone()).unwrap_or_default();
    Remote { details: Details { creation_date: None, ..details }, entries, ..Remote::default() }
}

/// What has another value in ZITADEL, or none.
fn changes<'a>(desired: &'a Wanted, remote: &Present) -> Vec<(&'a str, &'a [u8])> {
    let differs = |key: &str, value: &[u8]| remote.get(key).is_none_or(|entry| entry.value != value);
    let entries = desired.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
    entries.filter(|(key, value)| differs(key, value)).collect()
}

/// What is the resource's and not in the spec any more.
fn dropped<'a>(desired: &Wanted, remote: &'a Present) -> Vec<&'a str> {
    remote.keys().filter(|key| !desired.contains_key(*key)).map(String::as_str).collect()
}

/// The next read shows the date of the write as that of the entry's change.
fn set(remote: &mut Present, key: &str, value: &[u8], details: Details) {
    let details = Details { change_date: details.date(), ..details };
    remote.insert(key.into(), Metadata { key: key.into(), value: value.into(), details });
}

/// Where the value is taken from, if not from the spec.
fn taken(entry: &MetadataEntry) -> Option<(SourceKind, &KeyReference)> {
    match entry.value_from.as_ref()? {
        ValueSource { secret_key_ref: Some(reference), .. } => Some((SourceKind::Secret, reference)),
        source => Some((SourceKind::ConfigMap, source.config_map_key_ref.as_ref()?)),
    }
}

fn value(entry: &MetadataEntry, values: &mut Values<'_>) -> Result<Vec<u8>, ReconcileError> {
    let value = match (&entry.value, &entry.base64, taken(entry)) {
        (Some(text), ..) => text.reveal().as_bytes().to_vec(),
        (_, Some(text), _) => STANDARD
            .decode(text.reveal())
            .map_err(|_| invalid(&entry.key, "its base64 is not standard base64 with padding"))?,
        (.., Some((kind, reference))) => {
            values.value(kind, reference).map_err(|error| named(&entry.key, error))?
        }
        _ => return Err(invalid(&entry.key, "it has no value: set value, base64 or valueFrom")),
    };
    let problem = |length| format!("its value has {length} bytes; ZITADEL takes 1 to {VALUE_LIMIT}");
    match value.len() {
        1..=VALUE_LIMIT => Ok(value),
        length => Err(invalid(&entry.key, &problem(length))),
    }
}

fn invalid(key: &str, problem: &str) -> ReconcileError {
    named(key, ReconcileError::Stalled { reason: Reason::InvalidSpec, message: problem.into() })
}

/// Says which entry it is about.
fn named(key: &str, error: ReconcileError) -> ReconcileError {
    let about = |message| format!("entry {key:?}: {message}");
    match error {
        ReconcileError::Stalled { reason, message } => {
            ReconcileError::Stalled { reason, message: about(message) }
        }
        ReconcileError::Waiting { reason, message } => {
            ReconcileError::Waiting { reason, message: about(message) }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(entries: &[(&str, &str)]) -> Remote {
        let entry = |(key, sequence): &(&str, &str)| {
            let details = Details { sequence: (*sequence).into(), ..Default::default() };
            ((*key).into(), Metadata { key: (*key).into(), details, ..Default::default() })
        };
        remote_of(entries.iter().map(entry).collect())
    }

    #[test]
    fn what_is_the_operators_own_is_reserved_and_what_was_recorded_of_it_is_left_alone() {
        let key = crate::engine::reconcile::mark::KEY;
        let own = OrgMetadata::own(&remote(&[("a", "3"), (key, "7")]));
        assert_eq!(OrgMetadata::recorded(&own), BTreeSet::from(["a".to_owned()]));
        for (key, reserved) in
            [(key, true), ("zitadel-operator.dev", false), ("zitadel-operator.development", false)]
        {
            assert_eq!(is_reserved(key), reserved, "{key}");
        }
    }

    #[test]
    fn somebody_wrote_where_an_entry_is_not_as_it_was_seen() {
        let own = OrgMetadata::own(&remote(&[("a", "3"), ("b", "7")]));
        let mut status = OrgMetadataStatus { own, ..Default::default() };
        status.own.entries.push(EntryStatus { key: "about to be written".into(), ..Default::default() });
        for (now, moved) in [
            (&[("a", "3"), ("b", "7")][..], false),
            (&[("a", "3"), ("b", "7"), ("freed by another", "9")], false),
            (&[("a", "3"), ("b", "8")], true),
            (&[("b", "7")], true),
            (&[], true),
        ] {
            assert_eq!(OrgMetadata::moved(&status, &remote(now)), moved, "{now:?}");
        }
    }
}
