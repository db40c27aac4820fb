//! The resources of one kind, as the cluster has them.

use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use super::address::{Address, ConnectionKey};
use super::claims::Claimant;
use super::kind::{Kind, Scope};
use super::needs::{self, Need};
use super::status::Readiness;
use super::watched::Watched;
use super::{Directory, Having, Place};
use crate::api::{CommonStatus, ManagementPolicy};

/// The stores of one kind.
pub(super) struct Stores<K: Kind> {
    /// One for each scope that is followed.
    pub(super) readers: Vec<Watched<DeserializeGuard<K>>>,
}

impl<K: Kind> Directory for Stores<K> {
    fn list(&self, having: Having<'_>) -> Vec<Address> {
        let all = self.readers.iter().flat_map(|reader| reader.store.state());
        all.filter(|object| has(object, having)).map(|object| Address::of::<K>(&*object)).collect()
    }

    fn has_any(&self, having: Having<'_>) -> bool {
        self.readers.iter().any(|reader| reader.store.find(|object| has(object, having)).is_some())
    }

    fn status(&self, address: &Address) -> Option<CommonStatus> {
        let reference = ObjectRef::new(&address.name).within(&address.namespace);
        let sought = self.readers.iter().filter(|_| address.kind == K::KIND);
        let found = sought.filter_map(|reader| reader.store.get(&reference)).next()?;
        Some(
            found
                .0
                .as_ref()
                .ok()
                .and_then(|object| object.status())
                .map_or_else(CommonStatus::default, |s| s.common.clone()),
        )
    }

    fn readiness(&self) -> Vec<(&'static str, Readiness)> {
        let all = self.readers.iter().flat_map(|reader| reader.store.state());
        let conditions = |object: &K| object.status().map(|status| status.common.conditions.clone());
        all.map(|object| match &object.0 {
            Ok(object) => (K::KIND, Readiness::of(&conditions(object).unwrap_or_default())),
            Err(_) => (K::KIND, Readiness::MALFORMED),
        })
        .collect()
    }

    fn needs(&self, connection: &ConnectionKey) -> Vec<Need> {
        let all = self.readers.iter().flat_map(|reader| reader.store.state());
        let using = all.filter(|object| has(object, Having::Connection(connection)));
        needs::of::<K>(using.filter_map(|object| needs::use_of(object.0.as_ref().ok()?)))
    }
}

fn has<K: Kind>(object: &DeserializeGuard<K>, having: Having<'_>) -> bool {
    let namespace = object.namespace().unwrap_or_default();
    match (having, &object.0) {
        (Having::Namespace(name), _) => namespace == name,
        (Having::Connection(key), Ok(object)) => {
            *key == ConnectionKey::of(&object.management().connection_ref, &namespace)
        }
        // Nobody can say which connection it will need.
        (Having::Connection(key), Err(_)) => key.namespace == namespace,
        (Having::Organization { owner, place }, Ok(object)) => {
            let observes = object.management().management_policy == ManagementPolicy::Observe;
            K::SCOPE == Scope::Organization && !observes && lives_in(object, owner, place)
        }
        (Having::Source(source), Ok(object)) => {
            source.namespace == namespace && object.reads(source.kind, source.name)
        }
        (Having::Organization { .. } | Having::Source(_), Err(_)) => false,
    }
}

/// Is it bound to the organization, or does it point at the `Organization` that owns it?
fn lives_in<K: Kind>(object: &K, owner: &Claimant, place: Option<Place<'_>>) -> bool {
    let this = Claimant::of(object);
    let reference = object.organization().and_then(|selector| selector.r#ref.as_ref());
    let named = reference.is_some_and(|r| r.name == owner.address.name) && owner.is_neighbour(&this);
    let is_bound_to = |place: Place<'_>, status: &CommonStatus| {
        let is_here = |instance: &String| place.instances.contains(instance);
        status.organization_id.as_deref() == Some(place.id) && status.instance.as_ref().is_some_and(is_here)
    };
    let bound = place.zip(object.status()).is_some_and(|(place, status)| is_bound_to(place, &status.common));
    named || (bound && owner.houses(&this))
}
