//! Reads a connection's credential and certificates from Kubernetes, by name, when they are needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::ObjectMeta;

use crate::api::ALLOW_LABEL;
use crate::api::connection::{CaBundle, Endpoint, KeyReference};
use crate::engine::kubernetes::resource::bounded;
use crate::engine::watch::sources::{SourceKind, Sources};
use crate::zitadel::{Credential, CredentialError, CredentialSource};

/// Where the Secrets and ConfigMaps of one connection are.
#[derive(Clone)]
pub struct SecretReader {
    /// The client to read them with.
    pub client: kube::Client,
    /// Their namespace: the connection's own, or the operator's for a `ClusterConnection`.
    pub namespace: String,
    /// The command that lets the operator read there.
    pub remedy: String,
    /// Where it is told what is read.
    pub sources: Arc<Sources>,
    /// Whether a Secret is read without the label.
    pub trusted: bool,
}

/// The keys of a Secret or ConfigMap.
pub type Data = BTreeMap<String, ByteString>;

/// Why something cannot be read from Kubernetes; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The object, its label or the key is not there.
    #[error("{0}")]
    Missing(String),
    /// The operator may not read it.
    #[error("{0}")]
    Forbidden(String),
    /// The Kubernetes API failed.
    #[error("{what} cannot be read: {source}")]
    Unavailable {
        /// Kind, namespace and name.
        what: String,
        /// Its answer.
        source: Box<kube::Error>,
    },
}

impl From<Unreadable> for CredentialError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Missing(message) | Unreadable::Forbidden(message) => Self::Missing(message),
            unavailable @ Unreadable::Unavailable { .. } => Self::Unavailable(unavailable.to_string()),
        }
    }
}

impl SecretReader {
    /// The keys of a Secret that carries the allow label, or needs none.
    ///
    /// # Errors
    /// Says the command that helps.
    pub async fn secret(&self, name: &str) -> Result<Data, Unreadable> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let secret =
            bounded(api.get_opt(name)).await.map_err(|error| self.unreadable("Secret", name, error))?;
        self.note(SourceKind::Secret, name, secret.as_ref().map(|secret| &secret.metadata));
        let secret = secret.ok_or_else(|| self.missing("Secret", name))?;
        let allowed = secret.metadata.labels.iter().flatten().any(|(k, v)| k == ALLOW_LABEL && v == "true");
        if !self.trusted && !allowed {
            let namespace = &self.namespace;
            return Err(Unreadable::Missing(format!(
                "Secret {namespace}/{name} does not allow the operator to read it: kubectl label secret -n {namespace} {name} {ALLOW_LABEL}=true"
            )));
        }
        Ok(secret.data.unwrap_or_default())
    }

    /// The keys of a ConfigMap, those of `binaryData` too.
    ///
    /// # Errors
    /// Says the command that helps.
    pub async fn config_map(&self, name: &str) -> Result<Data, Unreadable> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        let map =
            bounded(api.get_opt(name)).await.map_err(|error| self.unreadable("ConfigMap", name, error))?;
        self.note(SourceKind::ConfigMap, name, map.as_ref().map(|map| &map.metadata));
        let map = map.ok_or_else(|| self.missing("ConfigMap", name))?;
        let text = map.data.unwrap_or_default().into_iter().map(|(k, v)| (k, ByteString(v.into_bytes())));
        Ok(map.binary_data.unwrap_or_default().into_iter().chain(text).collect())
    }

    /// The bytes under a key.
    ///
    /// # Errors
    /// [`Unreadable::Missing`] without the key.
    pub fn pick(
        &self,
        kind: &str,
        data: Option<&Data>,
        reference: &KeyReference,
    ) -> Result<Vec<u8>, Unreadable> {
        let KeyReference { name, key } = reference;
        let bytes = data.and_then(|data| data.get(key)).map(|bytes| bytes.0.clone());
        let missing = || format!("{kind} {}/{name} has no key {key:?}", self.namespace);
        bytes.ok_or_else(|| Unreadable::Missing(missing()))
    }

    fn take(&self, data: &Data, name: &str, key: &str) -> Result<Vec<u8>, Unreadable> {
        self.pick("Secret", Some(data), &KeyReference { name: name.into(), key: key.into() })
    }

    /// The PEM certificates of a `caBundle`.
    pub async fn certificates(&self, bundle: &CaBundle) -> Result<Vec<u8>, CredentialError> {
        match bundle {
            CaBundle { inline: Some(pem), .. } => Ok(pem.clone().into_bytes()),
            CaBundle { config_map_key_ref: Some(reference), .. } => {
                Ok(self.pick("ConfigMap", Some(&self.config_map(&reference.name).await?), reference)?)
            }
            CaBundle { secret_key_ref: Some(reference), .. } => {
                Ok(self.pick("Secret", Some(&self.secret(&reference.name).await?), reference)?)
            }
            _ => Err(CredentialError::Invalid("caBundle names no certificates".into())),
        }
    }

    fn note(&self, kind: SourceKind, name: &str, found: Option<&ObjectMeta>) {
        let version = found.and_then(|found| found.resource_version.as_deref());
        self.sources.read(kind, &self.namespace, self.trusted, (name, version));
    }

    fn missing(&self, kind: &str, name: &str) -> Unreadable {
        // Without the label nobody would notice that it was created.
        let label = match kind {
            "Secret" if !self.trusted => format!(" with the label {ALLOW_LABEL}=true"),
            _ => String::new(),
        };
        Unreadable::Missing(format!("{kind} {}/{name} does not exist: create it{label}", self.namespace))
    }

    fn unreadable(&self, kind: &str, name: &str, error: kube::Error) -> Unreadable {
        let Self { namespace, remedy, .. } = self;
        match error {
            kube::Error::Api(status) if status.code == 403 => Unreadable::Forbidden(format!(
                "the operator may not read {kind} {namespace}/{name}; to allow it: {remedy}"
            )),
            error => Unreadable::Unavailable {
                what: format!("{kind} {namespace}/{name}"),
                source: Box::new(error),
            },
        }
    }
}

/// The credential of one connection.
#[derive(Clone)]
pub struct SecretCredential {
    /// Where its Secret is.
    pub secret_reader: SecretReader,
    /// Which Secret and keys.
    pub endpoint: Endpoint,
}

impl SecretCredential {
    async fn read(&self) -> Result<Credential, CredentialError> {
        let Endpoint { personal_access_token, jwt_profile, client_credentials, .. } = &self.endpoint;
        if let Some(secret) = personal_access_token {
            let data = self.secret_reader.secret(&secret.name).await?;
            return Credential::personal_access_token(&self.secret_reader.take(
                &data,
                &secret.name,
                &secret.key,
            )?);
        }
        if let Some(secret) = jwt_profile {
            let data = self.secret_reader.secret(&secret.name).await?;
            return Credential::jwt_profile(&self.secret_reader.take(&data, &secret.name, &secret.key)?);
        }
        let Some(secret) = client_credentials else {
            return Err(CredentialError::Invalid("the connection names no credential".into()));
        };
        let data = self.secret_reader.secret(&secret.name).await?;
        let id = self.secret_reader.take(&data, &secret.name, &secret.id_key)?;
        Credential::client_credentials(
            &id,
            &self.secret_reader.take(&data, &secret.name, &secret.secret_key)?,
        )
    }
}

impl CredentialSource for SecretCredential {
    fn load(&self) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        Box::pin(self.read())
    }
}
