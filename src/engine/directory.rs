//! The resources of one kind, as the cluster has them.

use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use super::Directory;
use super::address::Address;
use super::kind::Kind;
use super::watched::Watched;
use crate::api::CommonStatus;

/// The stores of one kind.
pub(super) struct Stores<K: Kind> {
    /// One for each scope that is followed.
    pub(super) readers: Vec<Watched<DeserializeGuard<K>>>,
}

impl<K: Kind> Directory for Stores<K> {
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
}
