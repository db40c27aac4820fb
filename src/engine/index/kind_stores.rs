//! The resources of one kind, as the cluster has them.

use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;

use crate::api::CommonStatus;
use crate::api::address::Address;
use crate::engine::drivers::kind::Kind;
use crate::engine::index::kinds::ResourceIndex;
use crate::engine::watch::reflected_store::ReflectedStore;

/// The stores of one kind.
pub(crate) struct KindStores<K: Kind> {
    /// One for each scope that is followed.
    pub(crate) readers: Vec<ReflectedStore<DeserializeGuard<K>>>,
}

impl<K: Kind> ResourceIndex for KindStores<K> {
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
