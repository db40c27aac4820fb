//! Values that a spec takes from the Secrets and ConfigMaps of its namespace.

use std::collections::HashMap;

use super::credentials::{Data, Unreadable, Vault};
use super::fault::Fault;
use crate::api::Reason;
use crate::api::connection::KeyReference;

/// Reads each Secret and ConfigMap at most once.
pub struct Values {
    vault: Vault,
    secrets: HashMap<String, Data>,
    config_maps: HashMap<String, Data>,
}

impl Values {
    /// Nothing is read yet.
    pub fn new(vault: Vault) -> Self {
        Self { vault, secrets: HashMap::new(), config_maps: HashMap::new() }
    }

    /// The bytes under a key of a Secret that carries the allow label.
    ///
    /// # Errors
    /// `ReferenceNotFound` without the Secret, its label or the key, `CredentialsUnavailable` without the right to read it.
    pub async fn secret(&mut self, reference: &KeyReference) -> Result<Vec<u8>, Fault> {
        if !self.secrets.contains_key(&reference.name) {
            let data = self.vault.secret(&reference.name).await?;
            self.secrets.insert(reference.name.clone(), data);
        }
        Ok(self.vault.pick("Secret", self.secrets.get(&reference.name), reference)?)
    }

    /// The bytes under a key of a ConfigMap, of its `data` or `binaryData`.
    ///
    /// # Errors
    /// As [`Values::secret`].
    pub async fn config_map(&mut self, reference: &KeyReference) -> Result<Vec<u8>, Fault> {
        if !self.config_maps.contains_key(&reference.name) {
            let data = self.vault.config_map(&reference.name).await?;
            self.config_maps.insert(reference.name.clone(), data);
        }
        Ok(self.vault.pick("ConfigMap", self.config_maps.get(&reference.name), reference)?)
    }
}

impl From<Unreadable> for Fault {
    fn from(unreadable: Unreadable) -> Self {
        let message = unreadable.to_string();
        match unreadable {
            Unreadable::Missing(_) => Self::Waiting { reason: Reason::ReferenceNotFound, message },
            Unreadable::Forbidden(_) => Self::Blocked { reason: Reason::CredentialsUnavailable, message },
            Unreadable::Unavailable { source, .. } => Self::Kubernetes(source),
        }
    }
}
