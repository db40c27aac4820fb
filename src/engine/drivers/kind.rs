//! What a kind tells the engine. Everything else about reconciling is the engine's.

use std::collections::BTreeSet;
use std::fmt::Debug;

use kube::core::NamespaceResourceScope;
use kube::core::object::{HasSpec, HasStatus};
use kube::{CustomResourceExt, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::address::Address;
use crate::api::common::{AdoptionPolicy, ManagementSpec, SharedSpec, Status};
use crate::api::{DeletionPolicy, ManagementPolicy, OrganizationSelector, Origin, ProjectSelector};
use crate::connection::confirmations::Confirmations;
use crate::connection::session::Session;
use crate::engine::decision::access::Right;
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::values::Values;
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::kubernetes::resource::is_protected;
use crate::engine::watch::sources::SourceKind;
use crate::zitadel::{Client, Error};

/// What a kind's objects are under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// The instance.
    Instance,
    /// An organization.
    Organization,
    /// A project of an organization.
    Project,
}

/// What a kind needs to talk about one object.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The connection.
    pub session: &'a Session,
    /// The API.
    pub client: &'a Client,
    /// The id of the organization; empty for an object of the instance.
    pub organization: &'a str,
    /// The id of the parent; empty where that is the instance.
    pub parent: &'a str,
    /// The resource's UID, from which a kind derives an id that it may choose.
    pub uid: &'a str,
    /// The keys under the parent that are this resource's: those of the spec, and those to be removed.
    pub keys: &'a BTreeSet<String>,
    /// What is confirmed for all who use a connection.
    pub confirmations: &'a Confirmations,
}

/// What is done to an object, each with permissions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Find and read it.
    Read,
    /// Make it.
    Create,
    /// Bring it to the spec.
    Update,
    /// Remove it.
    Delete,
}

/// A permission that a kind needs, and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// ZITADEL's name of it.
    pub name: &'static str,
    /// What it is needed for.
    pub verb: Verb,
    /// Roles that carry it.
    pub roles: &'static str,
}

impl Permission {
    /// One by ZITADEL's name of it.
    pub const fn new(name: &'static str, verb: Verb, roles: &'static str) -> Self {
        Self { name, verb, roles }
    }

    /// Does an `ORG_OWNER` of the organization have it?
    pub fn is_of_org_owner(&self) -> bool {
        self.roles.split([',', ' ']).any(|role| role == "ORG_OWNER")
    }
}

/// An object that keeps a name from being used, although it has another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Its id.
    pub id: String,
    /// What it has that follows from the name, such as `the domain acme.example.com`.
    pub what: String,
}

/// One kind of resource: what it is, who may have it, and what is special of it.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + CustomResourceExt
    + HasSpec<Spec: SharedSpec>
    + HasStatus<Status = Status<<Self as Kind>::Own>>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// How its objects are read and written.
    type Driver: Driver<Self>;
    /// What its status says besides what every kind's says.
    type Own: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync;

    /// The kind's name.
    const KIND: &'static str;
    /// How its objects get their identity.
    const IDENTITY: Identity;
    /// What its objects are under.
    const PARENT: Parent = Parent::Organization;
    /// Whether a resource owns each of the keys that it names; others may own keys beside them.
    const MANY_KEYS: bool = false;
    /// Whether the spec may hold values that no store keeps: a reconcile reads the resource once it is admitted.
    const BULKY: bool = false;
    /// What it needs to be allowed, the last with the strongest role.
    const PERMISSIONS: &'static [Permission];

    /// What a grant must say so that a namespace may have objects of this kind.
    fn right() -> Right {
        let beyond = |p: &Permission| p.verb != Verb::Read && !p.is_of_org_owner();
        match Self::PARENT {
            Parent::Instance => Right::Instance,
            Parent::Organization | Parent::Project if Self::PERMISSIONS.iter().any(beyond) => Right::Kind,
            Parent::Organization | Parent::Project => Right::Organization,
        }
    }
    /// How the resource is managed.
    fn management(&self) -> &ManagementSpec {
        self.spec().management()
    }
    /// The organization that the spec names.
    fn organization(&self) -> Option<&OrganizationSelector> {
        self.spec().organization()
    }
    /// The project that the spec names.
    fn project(&self) -> Option<&ProjectSelector> {
        self.spec().project()
    }
    /// Whether an object may be taken over by its name.
    fn adoption(&self) -> AdoptionPolicy {
        AdoptionPolicy::Never
    }
    /// What a deletion does where the spec does not say it.
    fn default_deletion(origin: Option<Origin>) -> DeletionPolicy {
        match origin {
            Some(Origin::Adopted) if Self::IDENTITY == Identity::Assigned => DeletionPolicy::Retain,
            _ => DeletionPolicy::Delete,
        }
    }
    /// Takes the values out of the spec that no store keeps; nothing else of it.
    fn strip(&mut self) {}
    /// Puts the spec of the same generation, whole, in the place of what was kept of it.
    fn restore(&mut self, _whole: Self) {}
    /// Whether the object is made again by itself when somebody removed it in ZITADEL.
    fn recreates(&self) -> bool {
        true
    }

    /// The Secrets and ConfigMaps of its namespace that the spec takes values from.
    fn sources(&self) -> Vec<(SourceKind, &str)> {
        Vec::new()
    }
    /// The name that its object is to have in ZITADEL, where others name it by that.
    fn object_name(&self) -> Option<String> {
        None
    }
    /// Refuses a write that a person must confirm first: to `desired`, or the removal. Answers what to warn of where it
    /// is done.
    fn preflight(
        &self,
        _cx: Context<'_>,
        _remote: &Remote,
        _desired: Option<&Desired>,
    ) -> impl Future<Output = Result<Option<EventSpec>, ReconcileError>> + Send {
        std::future::ready(Ok(None))
    }

    /// Where this resource of the kind is, whether it parsed or not.
    fn address_of(object: &impl ResourceExt) -> Address {
        Address {
            kind: Self::KIND,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }

    /// This resource as a claimant.
    fn claimant(&self) -> Claimant {
        Claimant {
            uid: self.uid().unwrap_or_default(),
            address: Self::address_of(self),
            connection: self.management().connection_ref.kind,
        }
    }

    /// Can the resource own nothing, whatever its status says: it only observes, or was deleted and released? No finalizer
    /// can be added to one under deletion, so that nobody makes it undone.
    fn is_let_go(&self) -> bool {
        let meta = self.meta();
        let observes = self.management().management_policy == ManagementPolicy::Observe;
        observes || meta.deletion_timestamp.is_some() && !is_protected(meta)
    }
}

/// How the objects of a shape are read and written.
///
/// Contract: `observe` answers `None` only when the server said that the object is not there; `diff` is pure, and empty after a successful `apply` of the same `Desired`; `apply` and `remove`
/// are safe to repeat.
pub trait Driver<K: Kind>: 'static {
    /// Resolves the spec; `values` reads the Secrets and ConfigMaps of its namespace. Never called for a resource that
    /// is being deleted.
    fn resolve_spec(
        resource: &K,
        values: &mut Values<'_>,
    ) -> impl Future<Output = Result<Desired, ReconcileError>> + Send;
    /// The keys that the spec names.
    fn keys(_desired: &Desired) -> BTreeSet<String> {
        the_only_key()
    }
    /// The same without the keys of others.
    fn without(desired: Desired, _taken: &BTreeSet<&str>) -> Desired {
        desired
    }
    /// The keys that the status of an owner proves.
    fn recorded(_own: &K::Own) -> BTreeSet<String> {
        the_only_key()
    }
    /// The status with these keys too, which are about to be written.
    fn record(own: K::Own, _keys: &BTreeSet<String>) -> K::Own {
        own
    }

    /// Reads the object with certainty; where the spec says its key, `id` is that of the parent.
    fn observe(cx: Context<'_>, id: &str) -> impl Future<Output = Result<Option<Remote>, Error>> + Send;
    /// Ids of objects that seem to have this name; may lag behind, proves nothing.
    fn find(_cx: Context<'_>, _name: &str) -> impl Future<Output = Result<Vec<String>, Error>> + Send {
        std::future::ready(Ok(Vec::new()))
    }
    /// The object that has what ZITADEL makes of this name, and what that is: it must be free as well.
    fn clash(_cx: Context<'_>, _name: &str) -> impl Future<Output = Result<Option<Clash>, Error>> + Send {
        std::future::ready(Ok(None))
    }
    /// The spec fields in which the object differs.
    fn diff(desired: &Desired, remote: &Remote) -> Vec<String>;
    /// Creates the object (`remote` is `None`) or brings it to the spec; answers what it is then.
    fn apply(
        cx: Context<'_>,
        desired: &Desired,
        remote: Option<Remote>,
    ) -> impl Future<Output = Result<Remote, Error>> + Send;
    /// The object of these keys as a removal needs it, where it may be there although no list shows it yet.
    fn unlisted(_keys: &BTreeSet<String>) -> Option<Remote> {
        None
    }
    /// Is this what a deletion leaves behind, so that nothing of the resource's own is there?
    fn is_reset(_resource: &K, remote: &Remote) -> bool {
        remote.is_default
    }
    /// Removes the object; one that is gone already is fine.
    fn remove(
        resource: &K,
        cx: Context<'_>,
        remote: &Remote,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Was it written by anybody since the status was?
    fn moved(status: &Status<K::Own>, remote: &Remote) -> bool {
        status.common.sequence.as_ref() != Some(&remote.details.sequence)
    }
    /// What the status says of it besides.
    fn own(_remote: &Remote) -> K::Own {
        K::Own::default()
    }
}

/// There is one object of the kind under a parent, and its key is empty.
fn the_only_key() -> BTreeSet<String> {
    BTreeSet::from([String::new()])
}
