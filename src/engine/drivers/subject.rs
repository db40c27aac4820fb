//! A resource of any kind behind one interface, so that a reconcile is compiled once and not once a kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, ListParams};
use kube::core::DeserializeGuard;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::common::{AdoptionPolicy, ManagementSpec};
use crate::api::{CommonStatus, DeletionPolicy, OrganizationSelector, Origin, ProjectSelector, Status};
use crate::engine::decision::access::Right;
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Clash, Context, Driver, Kind, Parent, Permission};
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::values::Values;
use crate::engine::kubernetes::bulk::Bulk;
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::kubernetes::resource::{Handle, KnownStatus, known_as};
use crate::zitadel::Error;

/// What a status says besides what every kind's says.
pub type OwnStatus = Map<String, Value>;

/// What a kind is.
pub struct KindInfo {
    /// Its name.
    pub name: &'static str,
    /// How its objects get their identity.
    pub identity: Identity,
    /// What its objects are under.
    pub parent: Parent,
    /// As [`Kind::MANY_KEYS`].
    pub many_keys: bool,
    /// As [`Kind::BULKY`].
    pub bulky: bool,
    /// What it needs to be allowed, the last with the strongest role.
    pub permissions: &'static [Permission],
    /// The fields of a status that the kind knows.
    pub known_status: KnownStatus,
    right: fn() -> Right,
    default_deletion: fn(Option<Origin>) -> DeletionPolicy,
    resource: fn() -> ApiResource,
    crd_name: fn() -> &'static str,
}

impl KindInfo {
    const fn of<K: Kind>() -> Self {
        Self {
            name: K::KIND,
            identity: K::IDENTITY,
            parent: K::PARENT,
            many_keys: K::MANY_KEYS,
            bulky: K::BULKY,
            permissions: K::PERMISSIONS,
            known_status: known_as::<Status<K::Own>>,
            right: K::right,
            default_deletion: K::default_deletion,
            resource: || ApiResource::erase::<K>(&()),
            crd_name: K::crd_name,
        }
    }

    /// Of this kind.
    pub fn of_kind<K: Kind>() -> &'static Self {
        const { &Self::of::<K>() }
    }

    /// As [`Kind::right`].
    pub fn right(&self) -> Right {
        (self.right)()
    }

    /// Are its objects organizations, which others are in?
    pub fn is_organization(&self) -> bool {
        self.right() == Right::OrganizationItself
    }

    /// Is its object always there, so that a deletion changes it at most?
    pub fn is_always_there(&self) -> bool {
        self.identity == Identity::Keyed && self.parent == Parent::Instance
    }

    /// As [`Kind::default_deletion`].
    pub fn default_deletion(&self, origin: Option<Origin>) -> DeletionPolicy {
        (self.default_deletion)(origin)
    }

    /// As the Kubernetes API names it.
    pub fn resource(&self) -> ApiResource {
        (self.resource)()
    }

    /// The name of its CustomResourceDefinition.
    pub fn crd_name(&self) -> &'static str {
        (self.crd_name)()
    }

    /// What this status proves to be the resource's own: the object with this id, or keys under the parent with this id.
    /// What was given up has no origin any more.
    pub fn owned<'s>(&self, status: &'s CommonStatus) -> Option<&'s String> {
        let ids = [&status.id, &status.instance, &status.organization_id, &status.project_id];
        self.proof(ids).as_ref().filter(|_| status.origin.is_some())
    }

    /// Which of these proves what a resource owns: its object, or the instance, organization or project that its keys are
    /// under.
    pub fn proof<T>(&self, [object, instance, organization, project]: [T; 4]) -> T {
        match (self.identity, self.parent) {
            (Identity::Assigned, _) => object,
            (Identity::Keyed, Parent::Instance) => instance,
            (Identity::Keyed, Parent::Organization) => organization,
            (Identity::Keyed, Parent::Project) => project,
        }
    }

    /// Does this status prove that the resource owns something?
    pub fn is_owned(&self, status: &CommonStatus) -> bool {
        self.owned(status).is_some()
    }
}

/// One resource of any kind, and how its object is read and written: as [`Kind`] and [`Driver`].
pub trait Subject: Send + Sync + 'static {
    /// What its kind is.
    fn kind(&self) -> &'static KindInfo;
    /// Its metadata.
    fn meta(&self) -> &ObjectMeta;
    /// How it is managed.
    fn management(&self) -> &ManagementSpec;
    /// The organization that the spec names.
    fn organization(&self) -> Option<&OrganizationSelector>;
    /// The project that the spec names.
    fn project(&self) -> Option<&ProjectSelector>;
    /// Whether an object may be taken over by its name.
    fn adoption(&self) -> AdoptionPolicy;
    /// Whether the object is made again by itself when somebody removed it in ZITADEL.
    fn recreates(&self) -> bool;
    /// It as a claimant.
    fn claimant(&self) -> Claimant;
    /// Can it own nothing, whatever its status says?
    fn is_let_go(&self) -> bool;
    /// What its status says that every kind's says.
    fn common(&self) -> Option<&CommonStatus>;
    /// What its status says besides.
    fn own(&self) -> OwnStatus;
    /// As [`Kind::strip`].
    fn strip_values(&mut self);
    /// The same with its whole spec as it is now; `None` if it is gone or does not parse.
    fn whole<'a>(
        &'a self,
        handle: &'a Handle,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Subject>>, ReconcileError>>;
    /// Shows each resource of its kind that a list of all namespaces has.
    fn each<'a>(
        &'a self,
        bulk: &'a Bulk,
        client: kube::Client,
        list: ListParams,
        show: &'a mut (dyn FnMut(&dyn Subject) + Send),
    ) -> BoxFuture<'a, Result<(), ReconcileError>>;

    /// The spec with everything resolved.
    fn resolve_spec<'a>(
        &'a self,
        values: &'a mut Values<'_>,
    ) -> BoxFuture<'a, Result<Desired, ReconcileError>>;
    /// As [`Kind::preflight`].
    fn preflight<'a>(
        &'a self,
        cx: Context<'a>,
        remote: &'a Remote,
        desired: Option<&'a Desired>,
    ) -> BoxFuture<'a, Result<Option<EventSpec>, ReconcileError>>;
    /// As [`Driver::keys`].
    fn keys(&self, desired: &Desired) -> BTreeSet<String>;
    /// As [`Driver::without`].
    fn without(&self, desired: Desired, taken: &BTreeSet<&str>) -> Desired;
    /// As [`Driver::recorded`].
    fn recorded(&self, own: &OwnStatus) -> BTreeSet<String>;
    /// As [`Driver::record`].
    fn record(&self, own: OwnStatus, keys: &BTreeSet<String>) -> OwnStatus;
    /// As [`Driver::observe`].
    fn observe<'a>(&'a self, cx: Context<'a>, id: &'a str) -> BoxFuture<'a, Result<Option<Remote>, Error>>;
    /// As [`Driver::find`].
    fn find<'a>(&'a self, cx: Context<'a>, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>>;
    /// As [`Driver::clash`].
    fn clash<'a>(&'a self, cx: Context<'a>, name: &'a str) -> BoxFuture<'a, Result<Option<Clash>, Error>>;
    /// As [`Driver::diff`].
    fn diff(&self, desired: &Desired, remote: &Remote) -> Vec<String>;
    /// As [`Driver::apply`].
    fn apply<'a>(
        &'a self,
        cx: Context<'a>,
        desired: &'a Desired,
        remote: Option<Remote>,
    ) -> BoxFuture<'a, Result<Remote, Error>>;
    /// As [`Driver::unlisted`].
    fn unlisted(&self, keys: &BTreeSet<String>) -> Option<Remote>;
    /// As [`Driver::is_reset`].
    fn is_reset(&self, remote: &Remote) -> bool;
    /// As [`Driver::remove`].
    fn remove<'a>(&'a self, cx: Context<'a>, remote: &'a Remote) -> BoxFuture<'a, Result<(), Error>>;
    /// Was the object written by anybody since the status was?
    fn moved(&self, remote: &Remote) -> bool;
    /// As [`Driver::own`].
    fn own_of(&self, remote: &Remote) -> OwnStatus;
}

impl<K: Kind> Subject for K {
    fn kind(&self) -> &'static KindInfo {
        KindInfo::of_kind::<K>()
    }

    fn meta(&self) -> &ObjectMeta {
        kube::Resource::meta(self)
    }

    fn management(&self) -> &ManagementSpec {
        Kind::management(self)
    }

    fn organization(&self) -> Option<&OrganizationSelector> {
        Kind::organization(self)
    }

    fn project(&self) -> Option<&ProjectSelector> {
        Kind::project(self)
    }

    fn adoption(&self) -> AdoptionPolicy {
        Kind::adoption(self)
    }

    fn recreates(&self) -> bool {
        Kind::recreates(self)
    }

    fn claimant(&self) -> Claimant {
        Kind::claimant(self)
    }

    fn is_let_go(&self) -> bool {
        Kind::is_let_go(self)
    }

    fn common(&self) -> Option<&CommonStatus> {
        self.status().map(|status| &status.common)
    }

    fn own(&self) -> OwnStatus {
        self.status().map(|status| erased(&status.own)).unwrap_or_default()
    }

    fn strip_values(&mut self) {
        self.strip();
    }

    fn whole<'a>(
        &'a self,
        handle: &'a Handle,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Subject>>, ReconcileError>> {
        let read = async move {
            let Some(whole) = handle.read_whole::<K>().await? else { return Ok(None) };
            let same =
                |meta: &ObjectMeta| (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some());
            if same(kube::Resource::meta(&whole)) != same(kube::Resource::meta(self)) {
                return Ok(None);
            }
            let mut restored = self.clone();
            restored.restore(whole);
            Ok(Some(Arc::new(restored) as Arc<dyn Subject>))
        };
        read.boxed()
    }

    fn each<'a>(
        &'a self,
        bulk: &'a Bulk,
        client: kube::Client,
        list: ListParams,
        show: &'a mut (dyn FnMut(&dyn Subject) + Send),
    ) -> BoxFuture<'a, Result<(), ReconcileError>> {
        let each = |guard: DeserializeGuard<K>| guard.0.iter().for_each(|other| show(other));
        bulk.each(client, list, each).boxed()
    }

    fn resolve_spec<'a>(
        &'a self,
        values: &'a mut Values<'_>,
    ) -> BoxFuture<'a, Result<Desired, ReconcileError>> {
        K::Driver::resolve_spec(self, values).boxed()
    }

    fn preflight<'a>(
        &'a self,
        cx: Context<'a>,
        remote: &'a Remote,
        desired: Option<&'a Desired>,
    ) -> BoxFuture<'a, Result<Option<EventSpec>, ReconcileError>> {
        Kind::preflight(self, cx, remote, desired).boxed()
    }

    fn keys(&self, desired: &Desired) -> BTreeSet<String> {
        K::Driver::keys(desired)
    }

    fn without(&self, desired: Desired, taken: &BTreeSet<&str>) -> Desired {
        K::Driver::without(desired, taken)
    }

    fn recorded(&self, own: &OwnStatus) -> BTreeSet<String> {
        K::Driver::recorded(&typed::<K>(own))
    }

    fn record(&self, own: OwnStatus, keys: &BTreeSet<String>) -> OwnStatus {
        erased(&K::Driver::record(typed::<K>(&own), keys))
    }

    fn observe<'a>(&'a self, cx: Context<'a>, id: &'a str) -> BoxFuture<'a, Result<Option<Remote>, Error>> {
        K::Driver::observe(cx, id).boxed()
    }

    fn find<'a>(&'a self, cx: Context<'a>, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        K::Driver::find(cx, name).boxed()
    }

    fn clash<'a>(&'a self, cx: Context<'a>, name: &'a str) -> BoxFuture<'a, Result<Option<Clash>, Error>> {
        K::Driver::clash(cx, name).boxed()
    }

    fn diff(&self, desired: &Desired, remote: &Remote) -> Vec<String> {
        K::Driver::diff(desired, remote)
    }

    fn apply<'a>(
        &'a self,
        cx: Context<'a>,
        desired: &'a Desired,
        remote: Option<Remote>,
    ) -> BoxFuture<'a, Result<Remote, Error>> {
        K::Driver::apply(cx, desired, remote).boxed()
    }

    fn unlisted(&self, keys: &BTreeSet<String>) -> Option<Remote> {
        K::Driver::unlisted(keys)
    }

    fn is_reset(&self, remote: &Remote) -> bool {
        K::Driver::is_reset(self, remote)
    }

    fn remove<'a>(&'a self, cx: Context<'a>, remote: &'a Remote) -> BoxFuture<'a, Result<(), Error>> {
        K::Driver::remove(self, cx, remote).boxed()
    }

    fn moved(&self, remote: &Remote) -> bool {
        self.status().is_none_or(|status| K::Driver::moved(status, remote))
    }

    fn own_of(&self, remote: &Remote) -> OwnStatus {
        erased(&K::Driver::own(remote))
    }
}

fn erased(own: &impl Serialize) -> OwnStatus {
    match serde_json::to_value(own) {
        Ok(Value::Object(fields)) => fields,
        _ => OwnStatus::new(),
    }
}

fn typed<K: Kind>(own: &OwnStatus) -> K::Own {
    serde_json::from_value(Value::Object(own.clone())).unwrap_or_default()
}
