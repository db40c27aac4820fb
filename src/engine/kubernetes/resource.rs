//! The writes to a resource in Kubernetes, each guarded by its UID or resourceVersion. No other place writes one.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::address::Address;
use crate::api::{
    ConditionType, ConnectionRef, FINALIZER, OrganizationSelector, ProjectSelector, annotation,
};
use crate::engine::decision::error::ReconcileError;
use crate::engine::kubernetes::stripped::{OTHERS, strip_metadata};

/// The field manager of everything the operator applies.
pub const FIELD_MANAGER: &str = "zitadel-operator";

/// Bound of one call to the Kubernetes API; the client itself would retry for minutes.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often a status is applied over the writes of others before the resource is looked at anew.
const APPLY_ATTEMPTS: usize = 4;

/// One resource, to write to.
#[derive(Clone)]
pub struct Handle {
    api: Api<DynamicObject>,
    resource: ApiResource,
    /// Where it is.
    pub address: Address,
    /// Its metadata after the last write.
    pub meta: ObjectMeta,
    /// What its status proved after the last apply.
    proof: Option<Value>,
    /// Where its spec pointed when it was read; `None` where that is no matter of its status.
    spec_target: Option<SpecTarget>,
}

/// Where a spec points: what a status proves is true there only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpecTarget {
    #[serde(default)]
    connection_ref: ConnectionRef,
    #[serde(default)]
    organization: Option<OrganizationSelector>,
    #[serde(default)]
    project: Option<ProjectSelector>,
}

impl SpecTarget {
    /// This connection, and this project, or else this organization, where the kind has one.
    pub fn new(
        connection: &ConnectionRef,
        organization: Option<&OrganizationSelector>,
        project: Option<&ProjectSelector>,
    ) -> Self {
        // The organization of a project is said within.
        let organization = organization.filter(|_| project.is_none()).cloned();
        Self { connection_ref: connection.clone(), organization, project: project.cloned() }
    }
}

/// What the metadata should become.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataChange {
    /// Add or take off our finalizer.
    pub finalizer: Option<bool>,
    /// Set an annotation, or remove it with `None`.
    pub annotations: Vec<(&'static str, Option<String>)>,
}

/// Is our finalizer on it? A store keeps ours alone as an empty list.
pub(crate) fn is_protected(meta: &ObjectMeta) -> bool {
    meta.finalizers.as_ref().is_some_and(|known| known.is_empty() || known.iter().any(|one| one == FINALIZER))
}

impl Handle {
    /// A handle on a resource of type `K`.
    pub fn new<K: Resource<DynamicType = ()>>(
        client: kube::Client,
        kind: &'static str,
        meta: &ObjectMeta,
    ) -> Self {
        Self::of(client, ApiResource::erase::<K>(&()), kind, meta)
    }

    /// A handle on a resource of this type.
    pub fn of(client: kube::Client, resource: ApiResource, kind: &'static str, meta: &ObjectMeta) -> Self {
        let namespace = meta.namespace.clone().unwrap_or_default();
        let api = match meta.namespace.as_deref() {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let address = Address { kind, namespace, name: meta.name.clone().unwrap_or_default() };
        Self { api, resource, address, meta: meta.clone(), proof: None, spec_target: None }
    }

    /// The same of a resource that points there.
    pub fn at(self, spec_target: SpecTarget) -> Self {
        Self { spec_target: Some(spec_target), ..self }
    }

    /// Does the spec of `present` point elsewhere than when it was read?
    fn is_moved(&self, present: &Value) -> bool {
        self.spec_target.as_ref().is_some_and(|spec_target| {
            SpecTarget::deserialize(&present["spec"]).ok().as_ref() != Some(spec_target)
        })
    }

    /// The resource's UID.
    pub fn uid(&self) -> &str {
        self.meta.uid.as_deref().unwrap_or_default()
    }

    /// Is our finalizer on it?
    pub fn has_finalizer(&self) -> bool {
        is_protected(&self.meta)
    }

    /// Did a person pause it?
    pub fn is_paused(&self) -> bool {
        self.annotation(annotation::PAUSED) == Some("true")
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.meta.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Changes finalizer and annotations in one patch that fails if anybody wrote meanwhile. No difference, no call.
    ///
    /// Only what differs is named: the metadata known here lacks what was dropped from the store.
    ///
    /// # Errors
    /// [`ReconcileError::Stale`] if the resource changed or went.
    pub async fn change(&mut self, change: &MetadataChange) -> Result<(), ReconcileError> {
        if change.finalizer.is_some_and(|wanted| wanted != self.has_finalizer()) {
            self.complete_finalizers().await?;
        }
        let mut metadata = self.difference(change);
        if metadata.is_empty() {
            return Ok(());
        }
        // The API server answers 409 to a patch of another resourceVersion, and 422 to one of another UID alone.
        metadata.insert("resourceVersion".into(), json!(self.meta.resource_version));
        metadata.insert("uid".into(), json!(self.meta.uid));
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
        self.see(bounded(self.api.patch(&self.address.name, &params, &patch)).await?.metadata);
        Ok(())
    }

    /// Of the metadata as they are now no more is kept than in a store: a tenant may write megabytes of them.
    fn see(&mut self, mut meta: ObjectMeta) {
        meta.finalizers.take_if(|finalizers| finalizers.is_empty());
        strip_metadata(&mut meta);
        self.meta = meta;
    }

    /// A patch has to name the finalizers of others, which are read where the store has dropped them. One that was written
    /// after the store saw the resource is not lost: the patch that names none of it is refused.
    async fn complete_finalizers(&mut self) -> Result<(), ReconcileError> {
        if self.meta.finalizers.iter().flatten().any(|name| name == OTHERS) {
            let present = bounded(self.api.get_metadata_opt(&self.address.name)).await?;
            self.meta.finalizers = present.ok_or(ReconcileError::Stale)?.metadata.finalizers;
        }
        Ok(())
    }

    /// The fields of the metadata that the change touches, as a merge patch has them.
    fn difference(&self, change: &MetadataChange) -> Map<String, Value> {
        let mut metadata = Map::new();
        if let Some(wanted) = change.finalizer.filter(|wanted| *wanted != self.has_finalizer()) {
            let mut finalizers = self.meta.finalizers.clone().unwrap_or_default();
            finalizers.retain(|f| f != FINALIZER);
            finalizers.extend(wanted.then(|| FINALIZER.to_owned()));
            metadata.insert("finalizers".into(), json!(finalizers));
        }
        let differing =
            change.annotations.iter().filter(|(name, value)| self.annotation(name) != value.as_deref());
        let annotations: Map<String, Value> =
            differing.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        if !annotations.is_empty() {
            metadata.insert("annotations".into(), Value::Object(annotations));
        }
        metadata
    }

    /// Applies the status, the whole of what we own of it, made from what it was `before`.
    ///
    /// What another field manager wrote too would outlive the apply, a condition of ours as well as ownership that was lost:
    /// it is taken out.
    ///
    /// # Errors
    /// [`ReconcileError::Stale`] if the resource went, if another of that name took its place, if its spec points elsewhere, or if
    /// its status proves something else by now: what was made from an old view would take the only proof of ownership away.
    pub async fn apply_status(
        &mut self,
        known: KnownStatus,
        before: &impl Serialize,
        status: &impl Serialize,
    ) -> Result<(), ReconcileError> {
        let value = |status| serde_json::to_value(status).map_err(kube::Error::SerdeError);
        let (before, status) =
            (serde_json::to_value(before).map_err(kube::Error::SerdeError)?, value(status)?);
        self.apply_over(known, before, status).await
    }

    async fn apply_over(
        &mut self,
        known: KnownStatus,
        before: Value,
        status: Value,
    ) -> Result<(), ReconcileError> {
        let proved = self.proof.clone().unwrap_or_else(|| proof(before));
        let params = PatchParams::apply(FIELD_MANAGER).force();
        for _ in 0..APPLY_ATTEMPTS {
            let body = self.status_body(&status);
            match bounded(self.api.patch_status(&self.address.name, &params, &Patch::Apply(&body))).await {
                Ok(object) => {
                    self.see(object.metadata);
                    let leftover = has_leftover(&object.data, &body);
                    self.proof = Some(proof_of(known, if leftover { &body } else { &object.data })?);
                    return match leftover {
                        true => self.merge_status(&object.data, &cleared(status, &object.data)).await,
                        false => Ok(()),
                    };
                }
                // Somebody wrote meanwhile: the status is ours all the same, if the resource is still the same.
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    let present = self.read().await?.filter(|object| object.metadata.uid == self.meta.uid);
                    let present = present.ok_or(ReconcileError::Stale)?;
                    if self.is_moved(&present.data) || proof_of(known, &present.data)? != proved {
                        // With the metadata of before a later write meets the same refusal.
                        return Err(ReconcileError::Stale);
                    }
                    self.see(present.metadata);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(ReconcileError::Stale)
    }

    /// The API server checks the resourceVersion of an applied status, and not its UID.
    fn status_body(&self, status: &Value) -> Value {
        let ObjectMeta { namespace, uid, resource_version, .. } = &self.meta;
        json!({
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {
                "name": self.address.name, "namespace": namespace, "uid": uid, "resourceVersion": resource_version,
            },
            "status": status,
        })
    }

    /// Merges the status into that of `current`, keeping the conditions of others.
    ///
    /// Server-side apply refuses every write to a resource that does not fit its schema; this does not.
    ///
    /// # Errors
    /// [`ReconcileError::Stale`] if the resource changed or went.
    pub async fn merge_status(
        &mut self,
        current: &Value,
        status: &impl Serialize,
    ) -> Result<(), ReconcileError> {
        let mut status = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
        if let Some(own) = status["conditions"].as_array_mut() {
            own.extend(listed(current).filter(|condition| !is_ours(condition)).cloned());
        }
        let body = json!({ "metadata": { "resourceVersion": self.meta.resource_version }, "status": status });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
        let patch = Patch::Merge(&body);
        self.see(bounded(self.api.patch_status(&self.address.name, &params, &patch)).await?.metadata);
        Ok(())
    }

    /// What an event about it refers to.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.resource.api_version.clone()),
            kind: Some(self.resource.kind.clone()),
            namespace: self.meta.namespace.clone(),
            name: self.meta.name.clone(),
            uid: self.meta.uid.clone(),
            ..Default::default()
        }
    }

    /// The command that gives the object in ZITADEL up, so that a deletion goes through.
    pub fn free_command(&self) -> String {
        let Address { namespace, name, .. } = &self.address;
        let ApiResource { plural, group, .. } = &self.resource;
        format!(
            "kubectl patch {plural}.{group} -n {namespace} {name} --type merge -p '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'"
        )
    }

    /// Reads the resource as it is now, parsed; `None` if it is gone or does not parse.
    pub async fn read_whole<K>(&self) -> Result<Option<K>, ReconcileError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let client = self.api.clone().into_client();
        let api = Api::<DeserializeGuard<K>>::namespaced(client, &self.address.namespace);
        let present = bounded(api.get_opt(&self.address.name)).await?;
        Ok(present.and_then(|guard| guard.0.ok()))
    }

    /// Reads the resource as it is now; `None` if it is gone.
    pub async fn read(&self) -> Result<Option<DynamicObject>, ReconcileError> {
        Ok(bounded(self.api.get_opt(&self.address.name)).await?)
    }
}

/// What a kind knows of a status: whatever else is in it is left out.
pub type KnownStatus = fn(Value) -> serde_json::Result<Value>;

/// A status as `S` knows it.
///
/// # Errors
/// It is none.
pub fn known_as<S: Serialize + DeserializeOwned>(status: Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<S>(status)?)
}

/// A status without its conditions, which follow from the rest and are partly those of others.
fn proof(mut status: Value) -> Value {
    if let Some(fields) = status.as_object_mut() {
        fields.remove("conditions");
    }
    status
}

/// The same of a resource as the API server shows it.
fn proof_of(known: KnownStatus, object: &Value) -> Result<Value, ReconcileError> {
    let status = object.get("status").cloned().unwrap_or_else(|| json!({}));
    Ok(proof(known(status).map_err(kube::Error::SerdeError)?))
}

fn listed(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

fn is_ours(condition: &Value) -> bool {
    use ConditionType::{Ready, Reconciling, Stalled, Synced};
    [Ready, Synced, Stalled, Reconciling].iter().any(|kind| condition["type"] == kind.as_str())
}

/// Is there a condition of ours, or another field, that was not applied?
fn has_leftover(object: &Value, applied: &Value) -> bool {
    let was_applied = |one: &Value| listed(applied).any(|other| other["type"] == one["type"]);
    unapplied(object, &applied["status"]).next().is_some()
        || listed(object).any(|condition| is_ours(condition) && !was_applied(condition))
}

/// The fields of an object's status that this one does not have.
fn unapplied<'a>(object: &'a Value, status: &'a Value) -> impl Iterator<Item = &'a String> {
    let fields = object["status"].as_object().into_iter().flat_map(Map::keys);
    fields.filter(|field| status.get(field.as_str()).is_none())
}

/// The status as a merge patch that takes out whatever else the object's has.
fn cleared(mut status: Value, object: &Value) -> Value {
    let fields: Vec<String> = unapplied(object, &status).cloned().collect();
    for field in fields {
        status[field] = Value::Null;
    }
    status
}

/// A call to the Kubernetes API within its deadline.
pub(crate) async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(result) => result,
        Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
    }
}
