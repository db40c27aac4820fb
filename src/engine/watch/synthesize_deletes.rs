//! What went while a watch was broken, told like what is seen to go.

use std::collections::HashSet;

use futures::{Stream, StreamExt, stream};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};

/// The events, and before the end of each list a deletion of what the store had and the list does not show.
///
/// What has another UID under the same name is another resource: the one before is gone, and told so before it.
pub(crate) fn synthesize_deletes<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    store: Store<K>,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    use watcher::Event::{Delete, Init, InitApply, InitDone};
    let mut listed = HashSet::new();
    events.flat_map(move |event| {
        let mut gone = Vec::new();
        match &event {
            Ok(Init) => listed.clear(),
            Ok(InitApply(object)) => {
                listed.insert(object.uid());
                gone.extend(store.get(&ObjectRef::from_obj(object)));
                gone.retain(|known| known.uid() != object.uid());
            }
            Ok(InitDone) => {
                let listed = std::mem::take(&mut listed);
                gone = store.state();
                gone.retain(|object| !listed.contains(&object.uid()));
            }
            _ => {}
        }
        let gone = gone.into_iter().map(|object| Ok(Delete((*object).clone())));
        stream::iter(gone.chain(std::iter::once(event)))
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::runtime::WatchStreamExt;
    use kube::runtime::reflector::store;
    use watcher::Event::{self, Apply, Delete, Init, InitApply, InitDone};

    use super::*;

    fn namespace(name: &str, uid: &str) -> Namespace {
        let mut namespace = Namespace::default();
        (namespace.metadata.name, namespace.metadata.uid) = (Some(name.into()), Some(uid.into()));
        namespace
    }

    /// The UIDs of what is told to be gone.
    async fn gone(events: impl IntoIterator<Item = Event<Namespace>>) -> Vec<String> {
        let (reader, writer) = store();
        let events = stream::iter(events.into_iter().map(Ok).collect::<Vec<_>>());
        let synthesize_deletes = synthesize_deletes(events, reader).reflect(writer);
        let uids = synthesize_deletes.filter_map(async |event| match event {
            Ok(Delete(namespace)) => namespace.uid(),
            _ => None,
        });
        uids.collect().await
    }

    #[tokio::test]
    async fn what_a_relist_does_not_show_is_gone() {
        let first = [Init, InitApply(namespace("a", "1")), InitApply(namespace("b", "2")), InitDone];
        let later = [Apply(namespace("c", "3")), Init, InitApply(namespace("b", "2")), InitDone];
        assert_eq!(gone(first.clone().into_iter().chain(later)).await.len(), 2);
        let same = [Init, InitApply(namespace("b", "2")), InitApply(namespace("a", "1")), InitDone];
        assert_eq!(gone(first.into_iter().chain(same)).await, [""; 0]);
    }

    #[tokio::test]
    async fn what_was_made_anew_under_the_same_name_went_before() {
        let lists = ["1", "2"].map(|uid| [Init, InitApply(namespace("a", uid)), InitDone]);
        assert_eq!(gone(lists.into_iter().flatten()).await, ["1"]);
    }

    #[tokio::test]
    async fn a_list_that_broke_off_says_nothing() {
        let known = [Init, InitApply(namespace("a", "1")), InitApply(namespace("b", "2")), InitDone];
        let broken = [Init, InitApply(namespace("b", "2"))];
        let whole = [Init, InitApply(namespace("a", "1")), InitDone];
        assert_eq!(gone(known.into_iter().chain(broken).chain(whole)).await, ["2"]);
    }
}
