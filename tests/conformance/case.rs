//! One object of a kind in a world: its resource, and what ZITADEL has of it.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, Mark, OrganizationFeatures, Request};

use super::rows::{Call, Identity, Row, merged, row};
use crate::subject::Subject;
use crate::waits::date;
use crate::world::World;

/// A world in which this kind works, without an operator yet.
pub async fn world_for(row: &Row) -> World {
    world_of(row, Behaviour::v4()).await
}

/// The same of a server line, where the double serves it.
pub async fn world_of(row: &Row, line: Behaviour) -> World {
    let world = World::without_operator().await;
    let organization_features =
        if row.is_released { line.organization_features } else { OrganizationFeatures::Implemented };
    world.zitadel.configure(|behaviour| *behaviour = Behaviour { organization_features, ..line });
    world
}

/// A world in which this kind works, and an operator runs.
pub async fn running(row: &Row) -> World {
    let mut world = world_for(row).await;
    world.start_operator().await;
    world
}

pub struct Case<'a> {
    /// With everything in its place.
    pub row: Row,
    pub world: &'a World,
    pub subject: Subject<'a>,
    /// The id of what it belongs to; empty for the instance.
    pub parent: String,
}

impl<'a> Case<'a> {
    /// The object of the resource with this name; it belongs to the world's organization, or to a new object there.
    pub async fn of(world: &'a World, row: &Row, resource: &'a str) -> Self {
        let parent = match row.parent {
            None => String::new(),
            Some("Organization") => world.organization.clone(),
            Some(kind) => make(world, kind, resource).await,
        };
        Self::within(world, row, resource, &parent)
    }

    /// The same of this parent.
    pub fn within(world: &'a World, row: &Row, resource: &'a str, parent: &str) -> Self {
        let organization = if row.parent == Some("Organization") { parent } else { &world.organization };
        // Names of organizations are unique in the instance.
        let row = row.placed(organization, parent, &format!("{resource}-{}", world.namespace));
        let subject = world.subject(row.kind, resource);
        Self { row, world, subject, parent: parent.to_owned() }
    }

    /// The same object for another resource.
    pub fn for_another(&self, resource: &'a str) -> Self {
        let subject = self.world.subject(self.row.kind, resource);
        Self { row: self.row.clone(), world: self.world, subject, parent: self.parent.clone() }
    }

    /// How a spec says to what it belongs, where nothing else does.
    fn selector(&self) -> Value {
        match self.row.parent {
            None | Some("Organization") => json!({}),
            Some(kind) => json!({ kind.to_lowercase(): { "id": self.parent } }),
        }
    }

    /// A spec in which these fields have their second value.
    pub fn spec(&self, second: &[&str]) -> Value {
        merged(self.row.spec(second), &self.selector())
    }

    /// Applies it with these fields second, and more.
    pub async fn apply(&self, second: &[&str], more: Value) -> Value {
        self.subject.apply(merged(self.spec(second), &more)).await
    }

    /// The same, for a resource whose deletion removes the object; waits until it is ready.
    pub async fn ready(&self, second: &[&str]) -> Value {
        self.apply(second, self.deleting()).await;
        self.until_ready().await
    }

    /// What a spec needs so that a deletion removes what was created.
    pub fn deleting(&self) -> Value {
        if self.row.is_retained { self.row.deleting() } else { json!({}) }
    }

    /// Asserts that ZITADEL has nothing of it any more, or what it was to go back to.
    pub async fn assert_gone(&self, id: &str) {
        let object = self.object(id).await;
        match self.row.identity {
            Identity::Always => self.assert_fields(&object, &self.row.names()),
            _ => assert_eq!(object, Value::Null),
        }
    }

    pub async fn until_ready(&self) -> Value {
        let ready = self.subject.until_ready().await;
        self.keep_in_mind(&id_of(&ready));
        ready
    }

    /// What a person makes, and has made, is removed in the end.
    fn keep_in_mind(&self, id: &str) {
        if self.row.kind == "Organization" {
            self.world.person.keep_in_mind(id);
        }
    }

    async fn call(&self, call: &Call, id: &str) -> (u16, Value) {
        let (method, path, body) = call.about(id);
        let method: Method = method.parse().expect("a method");
        self.world.person.call(method, &path, &self.row.api.within.replace("$id", id), body).await
    }

    async fn done(&self, call: &Call, id: &str) -> Value {
        let (status, answer) = self.call(call, id).await;
        assert!((200..300).contains(&status), "{call:?}: {status} {answer}");
        answer
    }

    /// What ZITADEL has; null if it has none.
    pub async fn object(&self, id: &str) -> Value {
        let (status, answer) = self.call(&self.row.api.read, id).await;
        assert!([200, 403, 404].contains(&status), "{status} {answer}");
        if status == 200 { self.row.object(&answer) } else { Value::Null }
    }

    /// Makes it as a person does; the id.
    pub async fn create(&self, second: &[&str]) -> String {
        let parts = self.row.fields.iter().filter(|field| field.calls.is_some());
        for part in parts.filter(|_| self.row.identity == Identity::Always) {
            // It may be so already.
            self.call(&self.row.change(part.name, second.contains(&part.name)), "").await;
        }
        let (status, made) = self.call(&self.row.create(second), "").await;
        let is_so_already = self.row.identity == Identity::Always && status == 400;
        assert!((200..300).contains(&status) || is_so_already, "{status} {made}");
        let id = made.pointer(self.row.api.id).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.keep_in_mind(&id);
        id
    }

    /// Brings one field to its second value, or back to its first, as a person does.
    pub async fn change(&self, id: &str, field: &str, second: bool) {
        self.done(&self.row.change(field, second), id).await;
    }

    /// Removes it as a person does.
    pub async fn remove(&self, id: &str) {
        self.done(&self.row.api.remove, id).await;
    }

    /// Asserts that it is as specified in ZITADEL, and that the status says of it what ZITADEL does.
    pub async fn assert_follows(&self, resource: &Value, second: &[&str]) {
        let object = self.object(&id_of(resource)).await;
        self.assert_fields(&object, second);
        let status = &resource["status"];
        let stamps = self.row.stamps(&object);
        let number = |stamp: &&Value| stamp["sequence"].as_str().unwrap_or_default().parse::<u64>().unwrap();
        let last = stamps.iter().max_by_key(number).expect("details");
        assert_eq!(status["sequence"], last["sequence"]);
        assert_eq!(status["changeDate"], date(&last["changeDate"]));
        if self.row.identity != Identity::Keys && !last["creationDate"].is_null() {
            assert_eq!(status["creationDate"], date(&last["creationDate"]));
        }
        let wanted = self.spec(second);
        for (name, value) in status["effective"].as_object().into_iter().flatten() {
            assert_eq!(*value, wanted[name], "effective {name}");
        }
    }

    /// Asserts what ZITADEL's object has.
    pub fn assert_fields(&self, object: &Value, second: &[&str]) {
        assert!(!object.is_null(), "it is not there");
        for field in &self.row.fields {
            assert_eq!(field.value(object), field.expected(second), "{} in {object}", field.name);
        }
    }

    /// The operator's writes since then, where they are counted.
    pub fn writes_since(&self, mark: Mark) -> Vec<Request> {
        self.world.writes_since(mark)
    }

    /// How many objects the operator created since then, where that is counted.
    pub fn creations_since(&self, mark: Mark) -> usize {
        let is_create =
            |call: &&Request| format!("{} {}", call.method, call.path) == self.row.api.create.line;
        self.writes_since(mark).iter().filter(is_create).count()
    }

    /// Asks for the deletion and waits for its end.
    pub async fn delete(&self) {
        self.subject.delete().await;
        self.subject.until_gone().await;
    }
}

/// Makes what an object can belong to; its id.
pub async fn make(world: &World, kind: &str, name: &str) -> String {
    match kind {
        "Organization" => world.another_organization(name).await,
        kind => Case::within(world, &row(kind), name, &world.organization).create(&[]).await,
    }
}

/// Removes what an object can belong to.
pub async fn unmake(world: &World, kind: &str, id: &str) {
    Case::within(world, &row(kind), "any", &world.organization).remove(id).await;
}

/// The id in the status of a resource; empty where there is none.
pub fn id_of(resource: &Value) -> String {
    resource["status"]["id"].as_str().unwrap_or_default().to_owned()
}
