//! Creating, changing and deleting.

use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::{Cause, Failure};
use super::kind::Kind;
use super::managers::{Author, apply, track};
use super::object::{
    bad_name, born, cleaned, confined, finalizers, forbidden, incoming, is_deleting, is_new_generation,
    merge_patch, meta,
};
use super::schema;
use super::secret;
use super::store::{Key, Store};

/// The status code and the body of an answer.
pub(super) type Answer = Result<(u16, Value), Failure>;

/// A write to one kind, by somebody.
pub(super) struct Writer<'a> {
    pub store: &'a mut Store,
    pub kind: Arc<Kind>,
    pub author: Author,
}

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchKind {
    Merge,
    Apply { force: bool },
}

impl Writer<'_> {
    pub(super) fn create(&mut self, index: usize, namespace: &str, body: Value) -> Answer {
        let mut object = incoming(body, &self.kind, namespace)?;
        if !meta(&object, "resourceVersion").is_empty() {
            return Err(Failure::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        object["metadata"].as_object_mut().and_then(|metadata| metadata.remove("managedFields"));
        self.insert(index, namespace, object)
    }

    fn insert(&mut self, index: usize, namespace: &str, mut object: Value) -> Answer {
        let uid = self.store.uid();
        if meta(&object, "name").is_empty() && !meta(&object, "generateName").is_empty() {
            let name = format!("{}{:0>5}", meta(&object, "generateName"), &uid[uid.len() - 3..]);
            object["metadata"]["name"] = name.into();
        }
        let name = meta(&object, "name").to_owned();
        self.admit(namespace, &name)?;
        born(&mut object, &self.kind, uid, self.store.now());
        let applied = !object["metadata"]["managedFields"].is_null();
        self.complete(&mut object, applied)?;
        let mut causes: Vec<Cause> = bad_name(&object).into_iter().collect();
        causes.extend(self.faults(&object, None));
        if !causes.is_empty() {
            return Err(Failure::invalid(&self.kind, &name, &causes));
        }
        let key = Key { kind: index, namespace: namespace.into(), name };
        if let Some(present) = self.store.objects.get(&key) {
            return Err(Failure::already_exists(&self.kind, &key.name, is_deleting(present)));
        }
        if !applied {
            track(&json!({}), &mut object, &self.kind, &self.author);
        }
        let unsettled = self.kind.custom && self.kind.status && !object["status"].is_null();
        let made = self.commit(key.clone(), Some(object));
        self.store.unsettled.extend(unsettled.then_some(key));
        Ok((201, made))
    }

    /// Nothing is made in a namespace that is missing or going.
    fn admit(&self, namespace: &str, name: &str) -> Result<(), Failure> {
        if !self.kind.namespaced {
            return Ok(());
        }
        match self.store.objects.get(&namespace_key(namespace)) {
            None => Err(Failure::not_found(&self.store.kinds[NAMESPACES], namespace)),
            Some(going) if is_deleting(going) => Err(Failure::terminating(&self.kind, name, namespace)),
            Some(_) => Ok(()),
        }
    }

    fn complete(&self, object: &mut Value, applied: bool) -> Result<(), Failure> {
        cleaned(object);
        if let Some(schema) = &self.kind.schema {
            schema::complete(object, schema, applied);
        }
        if self.kind.is_secret() { secret::complete(object) } else { Ok(()) }
    }

    fn faults(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        self.kind.schema.as_ref().map(|schema| schema::faults(object, old, schema)).unwrap_or_default()
    }

    fn commit(&mut self, key: Key, object: Option<Value>) -> Value {
        let Author { manager, subresource, .. } = &self.author;
        (*self.store.commit(key, object, manager, subresource)).clone()
    }

    pub(super) fn replace(&mut self, key: Key, body: Value) -> Answer {
        let body = incoming(body, &self.kind, &key.namespace)?;
        if !self.store.objects.contains_key(&key) && self.kind.create_on_update {
            let mut body = body;
            body["metadata"].as_object_mut().and_then(|metadata| metadata.remove("resourceVersion"));
            let namespace = key.namespace;
            return self.create(key.kind, &namespace, body);
        }
        let old = self.present(&key)?;
        self.change(key, &old, body, false)
    }

    pub(super) fn patch(&mut self, key: Key, how: PatchKind, patch: &Value) -> Answer {
        match (how, self.store.objects.get(&key).cloned()) {
            (PatchKind::Apply { .. }, None) if self.author.subresource.is_empty() => {
                let config = incoming(patch.clone(), &self.kind, &key.namespace)?;
                let object = apply(&json!({ "metadata": {} }), &config, &self.kind, &self.author, true)?;
                self.insert(key.kind, &key.namespace, object)
            }
            (_, None) => Err(Failure::not_found(&self.kind, &key.name)),
            (PatchKind::Merge, Some(old)) => {
                let mut new = (*old).clone();
                merge_patch(&mut new, patch);
                self.change(key, &old, new, false)
            }
            (PatchKind::Apply { force }, Some(old)) => {
                let config = incoming(patch.clone(), &self.kind, &key.namespace)?;
                let new = apply(&old, &config, &self.kind, &self.author, force)?;
                self.change(key, &old, new, true)
            }
        }
    }

    fn present(&self, key: &Key) -> Result<Arc<Value>, Failure> {
        let found = self.store.objects.get(key).cloned();
        found.ok_or_else(|| Failure::not_found(&self.kind, &key.name))
    }

    /// Stores what `old` becomes; `applied` says that the owners of the fields are in `new` already.
    fn change(&mut self, key: Key, old: &Value, new: Value, applied: bool) -> Answer {
        self.check_identity(&key, old, &new)?;
        let mut new = confined(old, new, &self.kind, &self.author.subresource);
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        self.complete(&mut new, applied)?;
        let mut causes = forbidden(old, &new, &self.kind);
        causes.extend(self.faults(&new, Some(old)));
        if !causes.is_empty() {
            return Err(Failure::invalid(&self.kind, &key.name, &causes));
        }
        if self.kind.is_secret() {
            secret::check(old, &new, &self.kind, &key.name)?;
        }
        if is_new_generation(old, &new, &self.kind) {
            raise_generation(&mut new);
        }
        if !applied {
            track(old, &mut new, &self.kind, &self.author);
        }
        if is_deleting(&new) && finalizers(&new).is_empty() && !self.kind.is_namespace() {
            self.vanish(key);
            return Ok((200, new));
        }
        let is_same = new == *old && !self.store.unsettled.contains(&key);
        let stored = if is_same { new } else { self.commit(key, Some(new)) };
        Ok((200, stored))
    }

    fn check_identity(&self, key: &Key, old: &Value, new: &Value) -> Result<(), Failure> {
        let name = meta(new, "name");
        if name != key.name {
            let url = &key.name;
            return Err(Failure::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({url})"
            )));
        }
        match meta(new, "resourceVersion") {
            "" if !self.kind.unconditional => Err(Failure::unversioned(&self.kind, name)),
            version if version.is_empty() || version == meta(old, "resourceVersion") => Ok(()),
            _ => Err(Failure::conflict(&self.kind, name)),
        }
    }

    pub(super) fn delete(&mut self, key: Key, options: &Value) -> Answer {
        let old = self.present(&key)?;
        self.check_preconditions(&key.name, &old, &options["preconditions"])?;
        if self.kind.is_namespace() {
            return Ok((200, self.terminate(&key, &old)));
        }
        if !finalizers(&old).is_empty() {
            return Ok((200, self.mark(key, &old)));
        }
        let mut details = json!({ "name": key.name, "kind": self.kind.plural, "uid": meta(&old, "uid") });
        if !self.kind.group.is_empty() {
            details["group"] = self.kind.group.clone().into();
        }
        self.vanish(key);
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
        Ok((200, super::with(status, "details", details)))
    }

    fn check_preconditions(&self, name: &str, old: &Value, wanted: &Value) -> Result<(), Failure> {
        let checks = [
            ("uid", "UID", "The object might have been deleted and then recreated"),
            ("resourceVersion", "ResourceVersion", "The object might have been modified"),
        ];
        for (field, called, hint) in checks {
            let is = meta(old, field);
            if let Some(wanted) = wanted[field].as_str().filter(|wanted| *wanted != is) {
                let why = format!(
                    "the {called} in the precondition ({wanted}) does not match the {called} in record ({is}). {hint}"
                );
                return Err(Failure::precondition(&self.kind, name, &why));
            }
        }
        Ok(())
    }

    /// Finalizers hold it: it is only marked, once.
    fn mark(&mut self, key: Key, old: &Value) -> Value {
        if is_deleting(old) {
            return old.clone();
        }
        let mut object = old.clone();
        object["metadata"]["deletionTimestamp"] = self.store.now().into();
        object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        if object["metadata"]["generation"].is_i64() {
            raise_generation(&mut object);
        }
        self.commit(key, Some(object))
    }

    /// What was in the namespace is deleted at once; finalizers may hold some of it, and with it the namespace.
    fn terminate(&mut self, key: &Key, old: &Value) -> Value {
        if is_deleting(old) {
            return old.clone();
        }
        let mut object = old.clone();
        object["metadata"]["deletionTimestamp"] = self.store.now().into();
        object["status"]["phase"] = "Terminating".into();
        let answer = self.commit(key.clone(), Some(object));
        let contents: Vec<Key> =
            self.store.objects.keys().filter(|one| one.namespace == key.name).cloned().collect();
        for inner in contents {
            let Some(object) = self.store.objects.get(&inner).cloned() else { continue };
            match finalizers(&object).is_empty() {
                true => drop(self.commit(inner, None)),
                false => drop(self.mark(inner, &object)),
            }
        }
        self.finish(&key.name);
        answer
    }

    fn vanish(&mut self, key: Key) {
        let namespace = key.namespace.clone();
        self.commit(key, None);
        self.finish(&namespace);
    }

    /// A namespace that is going is gone when the last object in it is.
    fn finish(&mut self, namespace: &str) {
        let key = namespace_key(namespace);
        let going = self.store.objects.get(&key).is_some_and(|object| is_deleting(object));
        if going && !self.store.objects.keys().any(|one| one.namespace == namespace) {
            self.commit(key, None);
        }
    }
}

/// The index of the kind `Namespace`: the first built-in one.
pub(super) const NAMESPACES: usize = 0;

fn namespace_key(name: &str) -> Key {
    Key { kind: NAMESPACES, namespace: String::new(), name: name.into() }
}

fn raise_generation(object: &mut Value) {
    let next = object["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
    object["metadata"]["generation"] = next.into();
}
