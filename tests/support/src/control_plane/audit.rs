//! What was written to the API server, as its audit log tells it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use super::Error;

/// A moment in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditMark(u64);

/// One write (`create`, `update`, `patch`, `delete`, `deletecollection`), or anything that a service account of
/// the namespace `zitadel-operator` asked for, accepted or refused: what tests ask of an `audit.k8s.io/v1` Event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The Kubernetes verb.
    pub verb: String,
    /// Who asked.
    pub user: AuditUser,
    /// The client's `User-Agent`; empty if it sent none.
    #[serde(default)]
    pub user_agent: String,
    /// What it was about; empty for a path that is no resource.
    #[serde(default)]
    pub object_ref: AuditObject,
    /// What the server answered.
    pub response_status: AuditStatus,
}

/// The authenticated user of an [`AuditEntry`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditUser {
    /// `admin`, `system:serviceaccount:NAMESPACE:NAME`, …
    pub username: String,
}

/// The object of an [`AuditEntry`]; fields that do not apply are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditObject {
    /// The plural, such as `projects`.
    pub resource: String,
    /// `status`, `scale`, …
    pub subresource: String,
    /// The API group; empty for core resources.
    pub api_group: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name; empty when the server was to generate one.
    pub name: String,
}

/// The answer in an [`AuditEntry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditStatus {
    /// The HTTP status code.
    pub code: u16,
}

pub(super) fn mark(log: &Path) -> Result<AuditMark, Error> {
    log.metadata().map(|metadata| AuditMark(metadata.len())).map_err(Error::io("read", log))
}

pub(super) fn since(log: &Path, AuditMark(offset): AuditMark) -> Result<Vec<AuditEntry>, Error> {
    let text = read_from(log, offset).map_err(Error::io("read", log))?;
    // A line that is still being written has no end yet.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn read_from(log: &Path, offset: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
