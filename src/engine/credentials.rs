//! Reads a connection's credential and certificates from Kubernetes, by name, when they are needed.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use super::resource::bounded;
use crate::api::ALLOW_LABEL;
use crate::api::connection::{CaBundle, Endpoint, KeyReference};
use crate::zitadel::{Credential, CredentialError, CredentialSource};

/// The ClusterRole that a namespace binds to let the operator read, and whom it binds it to: as the manifests name them.
const SECRET_READER: &str = "zitadel-operator-secret-reader";
const SERVICE_ACCOUNT: &str = "zitadel-operator";

/// Where the Secrets and ConfigMaps of one connection are.
#[derive(Clone)]
pub struct Vault {
    /// The client to read them with.
    pub client: kube::Client,
    /// Their namespace: the connection's own, or the operator's for a `ClusterConnection`.
    pub namespace: String,
    /// The operator's own namespace: only there a Secret needs no label to be read.
    pub operator_namespace: String,
}

type Data = BTreeMap<String, ByteString>;

impl Vault {
    async fn secret(&self, name: &str) -> Result<Data, CredentialError> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let secret =
            bounded(api.get_opt(name)).await.map_err(|error| self.unreadable("Secret", name, &error))?;
        let secret = secret.ok_or_else(|| self.missing("Secret", name))?;
        let allowed = secret.metadata.labels.iter().flatten().any(|(k, v)| k == ALLOW_LABEL && v == "true");
        if self.namespace != self.operator_namespace && !allowed {
            let namespace = &self.namespace;
            return Err(CredentialError::Missing(format!(
                "Secret {namespace}/{name} does not allow the operator to read it: kubectl label secret -n {namespace} {name} {ALLOW_LABEL}=true"
            )));
        }
        Ok(secret.data.unwrap_or_default())
    }

    async fn config_map(&self, reference: &KeyReference) -> Result<Vec<u8>, CredentialError> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        let name = &reference.name;
        let map =
            bounded(api.get_opt(name)).await.map_err(|error| self.unreadable("ConfigMap", name, &error))?;
        let map = map.ok_or_else(|| self.missing("ConfigMap", name))?;
        let text = map.data.unwrap_or_default().remove(&reference.key).map(String::into_bytes);
        let bytes = || map.binary_data.unwrap_or_default().remove(&reference.key).map(|bytes| bytes.0);
        text.or_else(bytes).ok_or_else(|| self.no_key("ConfigMap", name, &reference.key))
    }

    fn take(&self, data: &mut Data, name: &str, key: &str) -> Result<Vec<u8>, CredentialError> {
        data.remove(key).map(|bytes| bytes.0).ok_or_else(|| self.no_key("Secret", name, key))
    }

    /// The PEM certificates of a `caBundle`.
    pub async fn certificates(&self, bundle: &CaBundle) -> Result<Vec<u8>, CredentialError> {
        match bundle {
            CaBundle { inline: Some(pem), .. } => Ok(pem.clone().into_bytes()),
            CaBundle { config_map_key_ref: Some(reference), .. } => self.config_map(reference).await,
            CaBundle { secret_key_ref: Some(KeyReference { name, key }), .. } => {
                self.take(&mut self.secret(name).await?, name, key)
            }
            _ => Err(CredentialError::Invalid("caBundle names no certificates".into())),
        }
    }

    fn missing(&self, kind: &str, name: &str) -> CredentialError {
        CredentialError::Missing(format!("{kind} {}/{name} does not exist", self.namespace))
    }

    fn no_key(&self, kind: &str, name: &str, key: &str) -> CredentialError {
        CredentialError::Missing(format!("{kind} {}/{name} has no key {key:?}", self.namespace))
    }

    fn unreadable(&self, kind: &str, name: &str, error: &kube::Error) -> CredentialError {
        let Self { namespace, operator_namespace, .. } = self;
        match error {
            kube::Error::Api(status) if status.code == 403 => CredentialError::Missing(format!(
                "the operator may not read {kind} {namespace}/{name}; to allow it: kubectl create rolebinding {SECRET_READER} -n {namespace} \
                 --clusterrole={SECRET_READER} --serviceaccount={operator_namespace}:{SERVICE_ACCOUNT}"
            )),
            _ => CredentialError::Unavailable(format!("{kind} {namespace}/{name} cannot be read: {error}")),
        }
    }
}

/// The credential of one connection.
#[derive(Clone)]
pub struct SecretCredential {
    /// Where its Secret is.
    pub vault: Vault,
    /// Which Secret and keys.
    pub endpoint: Endpoint,
}

impl SecretCredential {
    async fn read(&self) -> Result<Credential, CredentialError> {
        let Endpoint { personal_access_token, jwt_profile, client_credentials, .. } = &self.endpoint;
        if let Some(secret) = personal_access_token {
            let mut data = self.vault.secret(&secret.name).await?;
            return Credential::personal_access_token(&self.vault.take(
                &mut data,
                &secret.name,
                &secret.key,
            )?);
        }
        if let Some(secret) = jwt_profile {
            let mut data = self.vault.secret(&secret.name).await?;
            return Credential::jwt_profile(&self.vault.take(&mut data, &secret.name, &secret.key)?);
        }
        let Some(secret) = client_credentials else {
            return Err(CredentialError::Invalid("the connection names no credential".into()));
        };
        let mut data = self.vault.secret(&secret.name).await?;
        let id = self.vault.take(&mut data, &secret.name, &secret.id_key)?;
        Credential::client_credentials(&id, &self.vault.take(&mut data, &secret.name, &secret.secret_key)?)
    }
}

impl CredentialSource for SecretCredential {
    fn load(&self) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        Box::pin(self.read())
    }
}
