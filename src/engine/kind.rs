//! What a kind tells the engine. Everything else about reconciling is the engine's.

use std::fmt::Debug;

use jiff::Timestamp;
use kube::core::NamespaceResourceScope;
use kube::{CustomResourceExt, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::plan::Identity;
use crate::api::common::AdoptionPolicy;
use crate::api::{CommonSpec, CommonStatus};
use crate::zitadel::{Client, Error};

/// What a kind needs to talk about one organization.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The API.
    pub client: &'a Client,
    /// The organization's id.
    pub organization: &'a str,
}

/// What the status says of an object in ZITADEL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The object's id.
    pub id: String,
    /// The organization that owns it, as the server says.
    pub owner: String,
    /// Its name, where the kind has one.
    pub name: String,
    /// Its sequence.
    pub sequence: String,
    /// When it was created.
    pub creation_date: Option<Timestamp>,
    /// When it last changed.
    pub change_date: Option<Timestamp>,
}

/// A permission that a kind needs, and who has it.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// ZITADEL's name of it.
    pub name: &'static str,
    /// Roles that carry it.
    pub roles: &'static str,
}

/// One kind of resource.
///
/// Contract: `observe` answers `None` only when the server said that the object is not there; `diff` is pure, and
/// empty after a successful `apply` of the same `Desired`; `apply` and `remove` are safe to repeat.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + CustomResourceExt
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// The spec with everything resolved.
    type Desired: Clone + Send + Sync;
    /// The object as ZITADEL has it.
    type Remote: Send + Sync;

    /// The kind's name.
    const KIND: &'static str;
    /// How its objects get their identity.
    const IDENTITY: Identity;
    /// What it needs to be allowed in the organization.
    const PERMISSIONS: &'static [Permission];

    /// The shared part of the spec.
    fn common(&self) -> &CommonSpec;
    /// The shared part of the status.
    fn status(&self) -> Option<&CommonStatus>;
    /// Whether an object may be taken over by its name.
    fn adoption(&self) -> AdoptionPolicy;

    /// Resolves the spec. Never called for a resource that is being deleted.
    fn desire(&self) -> Result<Self::Desired, Fault>;
    /// The name that must be free to create the object.
    fn name(desired: &Self::Desired) -> &str;
    /// The same under another name.
    fn named(desired: Self::Desired, name: &str) -> Self::Desired;

    /// Reads the object with certainty.
    fn observe(cx: Context<'_>, id: &str)
    -> impl Future<Output = Result<Option<Self::Remote>, Error>> + Send;
    /// Ids of objects that seem to have this name; may lag behind, proves nothing.
    fn find(cx: Context<'_>, name: &str) -> impl Future<Output = Result<Vec<String>, Error>> + Send;
    /// The spec fields in which the object differs.
    fn diff(desired: &Self::Desired, remote: &Self::Remote) -> Vec<&'static str>;
    /// Creates the object (`remote` is `None`) or brings it to the spec; answers what it is then.
    fn apply(
        cx: Context<'_>,
        desired: &Self::Desired,
        remote: Option<Self::Remote>,
    ) -> impl Future<Output = Result<Self::Remote, Error>> + Send;
    /// Removes the object; one that is gone already is fine.
    fn remove(cx: Context<'_>, remote: &Self::Remote) -> impl Future<Output = Result<(), Error>> + Send;
    /// What the status says of the object.
    fn report(remote: &Self::Remote) -> Report;
}
