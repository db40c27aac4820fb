//! What the stores keep of an object: what is decided upon before it is reconciled, and nothing that may be large.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::Event;
use serde::{Deserialize, Deserializer};

use crate::api::{ClusterConnection, Connection, FINALIZER, annotation};

/// More bytes of an annotation, or of the error of an object that does not parse, tell nothing.
pub(crate) const LONGEST_TEXT: usize = 1024;

/// Stands for the finalizers of others, of which there may be tens of thousands: no finalizer is empty.
pub const OTHERS: &str = "";

/// An object of which a store keeps a part.
pub trait Stripped: Resource<DynamicType = ()> {
    /// Takes out what is not kept; a second time changes nothing.
    fn strip(&mut self);
    /// Puts in again what the rest of it tells.
    fn unpack(&mut self) {}
}

impl Stripped for DeserializeGuard<Connection> {
    fn strip(&mut self) {
        strip_guarded(self);
    }
}

impl Stripped for DeserializeGuard<ClusterConnection> {
    fn strip(&mut self) {
        strip_guarded(self);
    }
}

impl Stripped for PartialObjectMeta<Namespace> {
    fn strip(&mut self) {
        // Grants select by labels.
        let labels = self.metadata.labels.take();
        strip_metadata(&mut self.metadata);
        self.metadata.labels = labels;
    }
}

pub(crate) fn strip_guarded<K: Resource<DynamicType = ()>>(object: &mut DeserializeGuard<K>) {
    strip_metadata(object.meta_mut());
    if let Err(invalid) = &mut object.0 {
        cut(&mut invalid.error);
    }
}

/// The annotations that the operator knows stay, and our finalizer. Whoever changes that needs those of others, and reads
/// them anew.
pub(crate) fn strip_metadata(meta: &mut ObjectMeta) {
    (meta.managed_fields, meta.labels, meta.owner_references) = (None, None, None);
    if let Some(annotations) = meta.annotations.as_mut().filter(|annotations| !annotations.is_empty()) {
        annotations.retain(|name, _| annotation::ALL.contains(&name.as_str()));
        annotations.values_mut().for_each(cut);
        meta.annotations.take_if(|annotations| annotations.is_empty());
    }
    if let Some(finalizers) = &mut meta.finalizers {
        let ours = finalizers.iter().any(|name| name == FINALIZER).then_some(FINALIZER);
        let others = finalizers.iter().any(|name| name != FINALIZER).then_some(OTHERS);
        *finalizers = ours.into_iter().chain(others).map(str::to_owned).collect();
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(LONGEST_TEXT));
    text.shrink_to_fit();
}

/// An object that is stripped as soon as it is read: of a page of a list only one is whole at a time.
#[derive(Clone, Debug)]
pub struct Slim<K>(pub K);

impl<'de, K: Stripped + Deserialize<'de>> Deserialize<'de> for Slim<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = K::deserialize(deserializer)?;
        object.strip();
        Ok(Self(object))
    }
}

impl<K: Stripped> Resource for Slim<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

/// The event of the object itself.
pub fn unwrapped<K>(event: Event<Slim<K>>) -> Event<K> {
    match event {
        Event::Apply(Slim(object)) => Event::Apply(object),
        Event::Delete(Slim(object)) => Event::Delete(object),
        Event::InitApply(Slim(object)) => Event::InitApply(object),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}
