//! Objects that have an id of their own, a name that is unique and a state: projects, and the writes of organizations.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::zitadel::answer::short;
use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::{Created, Details};
use crate::zitadel::error::Error;
use crate::zitadel::page::{Item, equal};
use crate::zitadel::permission;

/// Where objects of a kind are read and written, and what that needs.
#[derive(Clone, Copy, Debug)]
pub struct ObjectPaths {
    /// One of them, as messages say it: `a project`.
    pub one: &'static str,
    /// What the answer to a read calls it: `project`.
    pub key: &'static str,
    /// Where one is created (`POST`).
    pub collection: &'static str,
    /// Where they are searched (`POST`).
    pub search: &'static str,
    /// Where one is read (`GET`), replaced (`PUT`) and deleted (`DELETE`); without `{id}` the header alone names it.
    pub object: &'static str,
    /// Where one is deactivated (`POST`).
    pub deactivate: &'static str,
    /// Where one is reactivated (`POST`).
    pub reactivate: &'static str,
    /// The permission that a read and a search need.
    pub read: &'static str,
    /// The permission that a create needs.
    pub create: &'static str,
    /// The permission that an update and a change of the state need.
    pub write: &'static str,
    /// The permission that a deletion needs.
    pub delete: &'static str,
    /// The error id of a read (404) where no organization has it; any other is about one that is elsewhere.
    pub nowhere: &'static str,
}

impl ObjectPaths {
    /// The noun for one of them: `project`.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        self.one.split_once(' ').map_or(self.one, |(_, noun)| noun)
    }
}

/// Projects, through management v1, which is the same from v2 to v5 previews.
pub const PROJECT: ObjectPaths = ObjectPaths {
    one: "a project",
    key: "project",
    collection: "/management/v1/projects",
    search: "/management/v1/projects/_search",
    object: "/management/v1/projects/{id}",
    deactivate: "/management/v1/projects/{id}/_deactivate",
    reactivate: "/management/v1/projects/{id}/_reactivate",
    read: permission::PROJECT_READ,
    create: permission::PROJECT_CREATE,
    write: permission::PROJECT_WRITE,
    delete: permission::PROJECT_DELETE,
    nowhere: "QUERY-fk2fs",
};

/// An object, as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Object {
    /// Its id; never assume that it is a number.
    #[serde(deserialize_with = "short")]
    pub id: String,
    /// Its last write; `resource_owner` may be another organization than the one asked in.
    pub details: Details,
    /// Its name, unique whatever the letter case.
    #[serde(deserialize_with = "short")]
    pub name: String,
    /// Whether it is in use.
    pub state: RemoteState,
    /// The rest of it, as it is sent; what has the zero value is left out.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// The state of an object. Each kind has a prefix of its own (`PROJECT_STATE_ACTIVE`), organizations have two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum RemoteState {
    /// In use.
    Active,
    /// Deactivated.
    Inactive,
    /// Gone: v4 goes on answering for an organization that was removed, without a state.
    #[default]
    Removed,
    /// A state of a later version.
    Unknown,
}

impl From<String> for RemoteState {
    fn from(name: String) -> Self {
        match name.rsplit_once("STATE_").map(|(_, state)| state) {
            Some("ACTIVE") => Self::Active,
            Some("INACTIVE") => Self::Inactive,
            // To protobuf the first of its names and none at all are the same.
            Some("REMOVED" | "UNSPECIFIED") => Self::Removed,
            _ => Self::Unknown,
        }
    }
}

/// What a list says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Listed {
    /// Its id.
    #[serde(deserialize_with = "short")]
    pub id: String,
    /// Its last write.
    pub details: Details,
}

impl Item for Listed {
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Client {
    /// Creates an object in an organization. Not idempotent, never repeated here.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] (`V3-DKcYh`) when the name is taken.
    pub async fn create_object(
        &self,
        paths: &ObjectPaths,
        organization: &str,
        fields: &Map<String, Value>,
    ) -> Result<Created, Error> {
        let call = Call::new(Method::POST, paths.collection, &[], paths.create)?;
        self.create(&call.in_organization(organization)?.body(fields)?).await
    }

    /// The object, read after every write before.
    ///
    /// Servers before 3.4.8 and 4.12.2 answer for any organization: compare `details.resource_owner`.
    ///
    /// # Errors
    /// [`Error::NotFound`] ([`ObjectPaths::nowhere`], or another id where another organization has it);
    /// [`Error::Malformed`] for the answer of another object; [`Error::HeaderLost`] where it is the header that leads
    /// elsewhere.
    pub async fn object(&self, paths: &ObjectPaths, organization: &str, id: &str) -> Result<Object, Error> {
        let call = Call::new(Method::GET, paths.object, &[id], paths.read)?.in_organization(organization)?;
        let answer = self.call(&call).await.and_then(|answer| paths.read_answer(answer.value));
        if paths.is_elsewhere(organization, &answer) {
            self.doubt(organization).await?;
        }
        match answer? {
            object if object.id == id => Ok(object),
            _ => Err(Error::malformed(200, format!("it is about another {}", paths.noun()))),
        }
    }

    /// Objects of the organization with this name in any letter case.
    ///
    /// A stale projection: a hit is to be confirmed by [`Client::object`], a miss proves nothing.
    ///
    /// # Errors
    /// As any read.
    pub async fn objects_named(
        &self,
        paths: &ObjectPaths,
        organization: &str,
        name: &str,
    ) -> Result<Vec<Listed>, Error> {
        let call = |body: &Value| Call::search(paths.search, &[], paths.read, body);
        let named = equal("nameQuery", "name", name);
        self.search_in(organization, named, call, |object: &Listed| &object.details).await
    }

    /// Replaces all fields of an object. What is left out becomes zero.
    ///
    /// # Errors
    /// [`Error::Unchanged`], [`Error::NotFound`] (also in the wrong organization), [`Error::AlreadyExists`] (`V3-DKcYh`).
    pub async fn update_object(
        &self,
        paths: &ObjectPaths,
        organization: &str,
        id: &str,
        fields: &Map<String, Value>,
    ) -> Result<Details, Error> {
        let call = Call::new(Method::PUT, paths.object, &[id], paths.write)?.body(fields)?;
        self.write_object(paths, call, organization, id).await
    }

    /// Deactivates an object ([`RemoteState::Inactive`]) or reactivates it.
    ///
    /// # Errors
    /// [`Error::Unchanged`], [`Error::NotFound`] (also in the wrong organization).
    pub async fn set_object_state(
        &self,
        paths: &ObjectPaths,
        organization: &str,
        id: &str,
        state: RemoteState,
    ) -> Result<Details, Error> {
        let path = if state == RemoteState::Inactive { paths.deactivate } else { paths.reactivate };
        let call = Call::new(Method::POST, path, &[id], paths.write)?.empty_body()?;
        self.write_object(paths, call, organization, id).await
    }

    /// Deletes an object with all that is in it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none in this organization.
    pub async fn delete_object(
        &self,
        paths: &ObjectPaths,
        organization: &str,
        id: &str,
    ) -> Result<Details, Error> {
        let call = Call::new(Method::DELETE, paths.object, &[id], paths.delete)?;
        self.write_object(paths, call, organization, id).await
    }

    /// A write of one object. Where the path names it, that there is none, although there is, is said by another
    /// organization.
    async fn write_object(
        &self,
        paths: &ObjectPaths,
        call: Call,
        organization: &str,
        id: &str,
    ) -> Result<Details, Error> {
        let outcome = self.write(&call.in_organization(organization)?.serial(id)).await;
        if paths.object.ends_with("{id}")
            && let Err(Error::NotFound { .. }) = &outcome
            && let Ok(object) = self.object(paths, organization, id).await
            && object.details.resource_owner == organization
        {
            return Err(self.lose_header(organization));
        }
        outcome
    }
}

impl ObjectPaths {
    fn read_answer(&self, mut answer: Map<String, Value>) -> Result<Object, Error> {
        let object = answer.remove(self.key).unwrap_or_default();
        serde_json::from_value(object).map_err(|_| Error::malformed(200, "its JSON has another shape"))
    }

    /// Whether the object is said to be of another organization, which is also what the wrong one says.
    fn is_elsewhere(&self, organization: &str, answer: &Result<Object, Error>) -> bool {
        match answer {
            Ok(object) => object.details.resource_owner != organization,
            Err(Error::NotFound { id, .. }) => id != self.nowhere,
            Err(_) => false,
        }
    }
}
