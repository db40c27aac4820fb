//! What a store keeps of a resource of a kind.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DeserializeGuard;

use crate::api::{ConditionType, FINALIZER, annotation};
use crate::engine::drivers::kind::Kind;
use crate::engine::kubernetes::stripped::{Stripped, strip_guarded};

/// What a condition without a type is.
const BOTH: [ConditionType; 2] = [ConditionType::Ready, ConditionType::Synced];

impl<K: Kind> Stripped for DeserializeGuard<K> {
    fn strip(&mut self) {
        strip_guarded(self);
        let Ok(object) = &mut self.0 else { return };
        object.strip();
        if let Some(status) = object.status_mut() {
            pack_conditions(&mut status.common.conditions);
        }
        let id = object.status().and_then(|status| status.common.id.clone());
        let meta = object.meta_mut();
        if let Some([ours]) = meta.finalizers.as_deref()
            && ours == FINALIZER
        {
            meta.finalizers = Some(Vec::new());
        }
        let only = |annotations: &BTreeMap<String, String>| {
            annotations.len() == 1 && id.is_some() && annotations.get(annotation::ID) == id.as_ref()
        };
        if meta.annotations.as_ref().is_some_and(only) {
            // The id that the status has too: a map of one takes as much as the rest of an object.
            meta.annotations = Some(BTreeMap::new());
        }
    }

    fn unpack(&mut self) {
        let Ok(object) = &mut self.0 else { return };
        if let Some(status) = object.status_mut() {
            unpack_conditions(&mut status.common.conditions);
        }
        if let Some(finalizers) = object.meta_mut().finalizers.as_mut().filter(|known| known.is_empty()) {
            finalizers.push(FINALIZER.to_owned());
        }
        let id = object.status().and_then(|status| status.common.id.clone());
        let empty = object.meta_mut().annotations.as_mut().filter(|annotations| annotations.is_empty());
        if let (Some(annotations), Some(id)) = (empty, id) {
            annotations.insert(annotation::ID.to_owned(), id);
        }
    }
}

/// The `Ready` and the `Synced` of a resource that has no others and says the same in both are kept once: without a type,
/// which no object in the cluster has.
fn pack_conditions(conditions: &mut Vec<Condition>) {
    if let [ready, synced] = conditions.as_mut_slice()
        && [&ready.type_, &synced.type_] == BOTH.map(ConditionType::as_str)
    {
        let types = [&mut ready.type_, &mut synced.type_].map(std::mem::take);
        if ready == synced {
            conditions.pop();
            conditions.shrink_to_fit();
        } else {
            [ready.type_, synced.type_] = types;
        }
    }
}

fn unpack_conditions(conditions: &mut Vec<Condition>) {
    if let [both] = conditions.as_slice()
        && both.type_.is_empty()
    {
        let of = |kind: ConditionType| Condition { type_: kind.as_str().to_owned(), ..both.clone() };
        *conditions = BOTH.map(of).into();
    }
}

#[cfg(test)]
mod tests {
    use kube::{Resource, ResourceExt};
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{OrgFeatures, OrgMetadata, Project};
    use crate::engine::kubernetes::stripped::{LONGEST_TEXT, Slim};

    fn read<K: Kind>(object: Value) -> DeserializeGuard<K> {
        serde_json::from_value::<Slim<DeserializeGuard<K>>>(object).unwrap().0
    }

    fn ballast() -> String {
        "x".repeat(200_000)
    }

    #[test]
    fn a_store_keeps_no_value_and_no_metadata_of_others() {
        let object: DeserializeGuard<OrgMetadata> = read(json!({
            "metadata": {
                "name": "acme", "namespace": "team", "uid": "1", "generation": 3,
                "finalizers": ["zitadel-operator.dev/finalizer", "other/finalizer"],
                "labels": { "app": "x" },
                "annotations": { "zitadel-operator.dev/paused": "true", "example.com/ballast": ballast() },
                "managedFields": [{ "manager": "kubectl", "fieldsV1": { "f:spec": {} } }],
                "ownerReferences": [{ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "2" }],
            },
            "spec": { "deletionPolicy": "Retain", "entries": [
                { "key": "large", "value": ballast() },
                { "key": "encoded", "base64": "aHVzaA==" },
                { "key": "elsewhere", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
            ]},
            "status": { "entries": [{ "key": "large" }] },
        }));
        let kept = serde_json::to_value(object.0.unwrap()).unwrap();
        assert_eq!(
            kept["spec"]["entries"],
            json!([{ "key": "elsewhere", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }])
        );
        assert_eq!(kept["spec"]["deletionPolicy"], "Retain");
        assert_eq!(kept["status"]["entries"], json!([{ "key": "large" }]));
        assert_eq!(
            kept["metadata"],
            json!({
                "name": "acme", "namespace": "team", "uid": "1", "generation": 3,
                "finalizers": ["zitadel-operator.dev/finalizer", ""],
                "annotations": { "zitadel-operator.dev/paused": "true" },
            })
        );
    }

    #[test]
    fn a_restored_object_has_the_whole_spec_again() {
        let whole =
            json!({ "metadata": { "name": "acme" }, "spec": { "entries": [{ "key": "a", "value": "v" }] } });
        let (mut kept, restored) = (read::<OrgMetadata>(whole.clone()).0.unwrap(), whole.clone());
        kept.restore(serde_json::from_value(restored).unwrap());
        assert_eq!(kept.spec, serde_json::from_value::<OrgMetadata>(whole).unwrap().spec);
        let whole = json!({ "metadata": { "name": "acme" }, "spec": { "features": { "new": [[], []] } } });
        let mut kept = read::<OrgFeatures>(whole.clone()).0.unwrap();
        assert!(kept.spec.features.flags().is_empty());
        kept.restore(serde_json::from_value(whole.clone()).unwrap());
        assert_eq!(kept.spec, serde_json::from_value::<OrgFeatures>(whole).unwrap().spec);
    }

    #[test]
    fn an_id_that_the_status_repeats_is_kept_once_and_shown_again() {
        for (annotations, kept) in [
            (json!({ "zitadel-operator.dev/id": "7" }), Some(0)),
            (json!({ "zitadel-operator.dev/id": "8" }), Some(1)),
            (json!({ "zitadel-operator.dev/id": "7", "zitadel-operator.dev/paused": "true" }), Some(2)),
            (json!({ "example.com/other": "7" }), None),
        ] {
            let object = json!({
                "metadata": { "name": "web", "annotations": annotations }, "spec": {},
                "status": { "id": "7", "conditions": [] },
            });
            let mut object = read::<Project>(object);
            assert_eq!(object.meta().annotations.as_ref().map(BTreeMap::len), kept, "{annotations}");
            object.strip();
            object.unpack();
            let ours = |(name, _): &(&String, &Value)| annotation::ALL.contains(&name.as_str());
            let expected = annotations.as_object().unwrap().iter().filter(ours).count();
            assert_eq!(object.annotations().len(), expected, "{annotations}");
        }
    }

    #[test]
    fn conditions_that_say_the_same_and_a_finalizer_alone_are_kept_once_and_shown_again() {
        let of = |kind: &str, message: &str| {
            json!({ "type": kind, "status": "True", "reason": "Available", "message": message,
                    "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 2 })
        };
        let ready = || of("Ready", "as specified");
        for (conditions, kept) in [
            (json!([ready(), of("Synced", "as specified")]), 1),
            (json!([ready(), of("Synced", "paused")]), 2),
            (json!([ready(), of("Stalled", "as specified")]), 2),
            (json!([ready()]), 1),
            (json!([ready(), of("Synced", "as specified"), of("Stalled", "")]), 3),
        ] {
            let whole = json!({
                "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Project",
                "metadata": { "name": "web", "finalizers": [FINALIZER] }, "spec": {},
                "status": { "conditions": conditions },
            });
            let mut object = read::<Project>(whole.clone());
            object.strip();
            let packed = object.0.as_ref().unwrap().status.as_ref().unwrap().common.conditions.clone();
            assert_eq!(packed.len(), kept, "{conditions}");
            for kind in BOTH {
                let shown = conditions.as_array().unwrap().iter().find(|c| c["type"] == kind.as_str());
                let message = kind.find(&packed).map(|condition| condition.message.as_str());
                assert_eq!(message, shown.and_then(|c| c["message"].as_str()), "{conditions}");
            }
            object.unpack();
            let shown = serde_json::to_value(object.0.unwrap()).unwrap();
            assert_eq!((&shown["status"], &shown["metadata"]), (&whole["status"], &whole["metadata"]));
        }
    }

    #[test]
    fn however_many_finalizers_and_annotations_there_are_few_are_kept() {
        let others = || (0..70_000).map(|n| format!("f/{n}"));
        let known = [annotation::ID, annotation::RECREATE].map(str::to_owned);
        let names = (0..1000).map(|n| format!("zitadel-operator.dev/{n}")).chain(known);
        let annotations: BTreeMap<String, &str> = names.map(|name| (name, "7")).collect();
        for (finalizers, kept) in [
            (others().collect(), &[""][..]),
            (others().chain([FINALIZER.to_owned()]).collect(), &[FINALIZER, ""]),
            (vec![FINALIZER.to_owned(); 2], &[FINALIZER]),
        ] {
            let metadata = json!({ "name": "web", "finalizers": finalizers, "annotations": annotations });
            let mut object = read::<Project>(json!({ "metadata": metadata, "spec": {} }));
            object.strip();
            object.unpack();
            let shown = object.meta().finalizers.as_ref().unwrap();
            assert!(shown == kept && shown.capacity() <= 4, "{} for {kept:?}", shown.len());
            assert_eq!(object.annotations().len(), 2);
        }
    }

    #[test]
    fn texts_that_anybody_may_write_are_cut() {
        let annotations = json!({ "zitadel-operator.dev/id": ballast() });
        let object = json!({ "metadata": { "name": "web", "annotations": annotations }, "spec": { "name": [ballast()] } });
        let object = read::<Project>(object);
        assert_eq!(object.annotations()["zitadel-operator.dev/id"].len(), LONGEST_TEXT);
        assert!(object.0.unwrap_err().error.len() <= LONGEST_TEXT);
    }
}
