//! Values that a spec takes from the Secrets and ConfigMaps of its namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, stream};

use crate::api::Reason;
use crate::api::connection::KeyReference;
use crate::connection::credentials::{Data, SecretReader, Unreadable};
use crate::engine::decision::error::ReconcileError;
use crate::engine::kubernetes::bulk::{Bulk, READS_OF_NAMESPACE};
use crate::engine::watch::sources::SourceKind;
use crate::zitadel::Reservation;

/// The most bytes that all of a resource's values together may have.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Reads each Secret and ConfigMap at most once, and keeps of it only what was asked for.
pub struct Values<'a> {
    secret_reader: SecretReader,
    bulk: &'a Bulk,
    memory: Option<Arc<Reservation>>,
    known: BTreeMap<(SourceKind, String), Result<Data, Unreadable>>,
    given: usize,
}

impl<'a> Values<'a> {
    /// Nothing is read yet.
    pub fn new(secret_reader: SecretReader, bulk: &'a Bulk) -> Self {
        Self { secret_reader, bulk, memory: None, known: BTreeMap::new(), given: 0 }
    }

    /// What is read is held in this reservation.
    pub fn hold_in(&mut self, memory: Option<Arc<Reservation>>) {
        self.memory = memory;
    }

    /// Reads what these refer to, some at a time. What cannot be read is told to who asks for the value.
    ///
    /// # Errors
    /// `InvalidSpec` for values that are together larger than [`MOST_BYTES`].
    pub async fn read<'r>(
        &mut self,
        references: impl IntoIterator<Item = (SourceKind, &'r KeyReference)>,
    ) -> Result<(), ReconcileError> {
        let mut wanted: BTreeMap<(SourceKind, String), BTreeSet<String>> = BTreeMap::new();
        for (kind, KeyReference { name, key }) in references {
            wanted.entry((kind, name.clone())).or_default().insert(key.clone());
        }
        let (secret_reader, bulk, mut size) = (&self.secret_reader, self.bulk, 0);
        let read = |(source, keys): ((SourceKind, String), BTreeSet<String>)| async move {
            let data = source_of(secret_reader, bulk, &source).await.map(|mut data| {
                data.retain(|key, _| keys.contains(key));
                data
            });
            (source, data)
        };
        let mut answers = stream::iter(wanted.into_iter().map(read)).buffer_unordered(READS_OF_NAMESPACE);
        while let Some((source, data)) = answers.next().await {
            let length = data.iter().flat_map(BTreeMap::values).map(|value| value.0.len()).sum::<usize>();
            size += length;
            if size > MOST_BYTES {
                return Err(too_large());
            }
            if let Some(memory) = &self.memory {
                memory.grow(length).await;
            }
            self.known.insert(source, data);
        }
        Ok(())
    }

    /// The bytes under a key of a Secret that carries the allow label, or of the `data` or `binaryData` of a ConfigMap.
    ///
    /// # Errors
    /// `ReferenceNotFound` without the object, the label or the key, `CredentialsUnavailable` without the right to read
    /// it, `InvalidSpec` once all that was given is larger than [`MOST_BYTES`].
    pub fn value(&mut self, kind: SourceKind, reference: &KeyReference) -> Result<Vec<u8>, ReconcileError> {
        let source = (kind, reference.name.clone());
        let data = match self.known.remove(&source) {
            Some(Err(unreadable)) => return Err(unreadable.into()),
            known => known.and_then(Result::ok).unwrap_or_default(),
        };
        let value = self.secret_reader.pick(kind.name(), Some(&data), reference);
        self.known.insert(source, Ok(data));
        let value = value?;
        self.given += value.len();
        if self.given > MOST_BYTES { Err(too_large()) } else { Ok(value) }
    }
}

async fn source_of(
    secret_reader: &SecretReader,
    bulk: &Bulk,
    (kind, name): &(SourceKind, String),
) -> Result<Data, Unreadable> {
    let _turn = bulk.reading(&secret_reader.namespace).await;
    match kind {
        SourceKind::Secret => secret_reader.secret(name).await,
        SourceKind::ConfigMap => secret_reader.config_map(name).await,
    }
}

fn too_large() -> ReconcileError {
    let mebibytes = MOST_BYTES / 1024 / 1024;
    let message =
        format!("its values have more than {mebibytes} MiB together: spread them over several resources");
    ReconcileError::Stalled { reason: Reason::InvalidSpec, message }
}

impl From<Unreadable> for ReconcileError {
    fn from(unreadable: Unreadable) -> Self {
        let message = unreadable.to_string();
        match unreadable {
            Unreadable::Missing(_) => Self::Waiting { reason: Reason::ReferenceNotFound, message },
            Unreadable::Forbidden(_) => Self::Stalled { reason: Reason::CredentialsUnavailable, message },
            Unreadable::Unavailable { source, .. } => Self::Kubernetes(source),
        }
    }
}
