//! Keyed children: what is found under a parent by a key that its creator chose.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::zitadel::answer::short;
use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::Details;
use crate::zitadel::error::Error;
use crate::zitadel::object::{Object, PROJECT};
use crate::zitadel::page::{Item, equal};

/// Where the children of a project are listed and written, and what that needs.
#[derive(Clone, Copy, Debug)]
pub struct ChildPaths {
    /// Where one is added (`POST`).
    pub add: &'static str,
    /// The field of an addition that holds the key.
    pub key: &'static str,
    /// One of them, by its key (`PUT`, `DELETE`).
    pub one: &'static str,
    /// The search (`POST`), and the name of its query by key.
    pub search: (&'static str, &'static str),
    /// The permission that listing needs.
    pub read: &'static str,
    /// The permission that adding and updating need.
    pub write: &'static str,
    /// The permission that removing needs.
    pub delete: &'static str,
    /// The error id of adding to a project that is elsewhere or gone (400).
    pub no_parent: &'static str,
}

/// A keyed child, as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Child {
    /// Its key.
    #[serde(deserialize_with = "short")]
    pub key: String,
    /// Its last write.
    pub details: Details,
    /// Its other fields as they are sent; those of the zero value are left out.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl Item for Child {
    fn key(&self) -> String {
        self.key.clone()
    }
}

/// One keyed child, which may be there or not: what it is, and where.
#[derive(Clone, Copy, Debug)]
pub struct ChildRef<'a> {
    /// Where its like are listed and written.
    pub paths: &'a ChildPaths,
    /// The organization of the project.
    pub organization: &'a str,
    /// The project.
    pub project: &'a str,
    /// Its key under the project.
    pub key: &'a str,
}

impl ChildRef<'_> {
    /// Writes to a project and to what is in it collide, so they are serial.
    fn write(self, method: Method, path: &'static str, permission: &'static str) -> Result<Call, Error> {
        let call = Call::new(method, path, &[self.project, self.key], permission)?;
        Ok(call.in_organization(self.organization)?.serial(self.project))
    }
}

impl Client {
    /// Children with this key in any letter case (`POST …/_search`).
    ///
    /// A stale projection: a miss proves nothing. A project that is elsewhere or gone has none.
    ///
    /// # Errors
    /// As any read.
    pub async fn children(&self, child: ChildRef<'_>) -> Result<Vec<Child>, Error> {
        let ChildRef { paths, organization, project, key } = child;
        let (path, query) = paths.search;
        let call = |body: &Value| Call::search(path, &[project], paths.read, body);
        self.search_in(organization, equal(query, "key", key), call, |child: &Child| &child.details).await
    }

    /// Adds a child to its project.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] (`V3-DKcYh`) where the key is taken in any letter case; [`Error::ProjectNotFound`].
    pub async fn add_child(
        &self,
        child: ChildRef<'_>,
        fields: &Map<String, Value>,
    ) -> Result<Details, Error> {
        let ChildRef { paths, organization, project, key } = child;
        let mut body = fields.clone();
        body.insert(paths.key.into(), json!(key));
        let call = child.write(Method::POST, paths.add, paths.write)?.body(&body)?;
        match self.write(&call).await {
            Err(Error::Invalid { id: Some(id), .. }) if id == paths.no_parent => {
                Err(project_not_found(organization, project))
            }
            outcome => outcome,
        }
    }

    /// Replaces all fields of a child.
    ///
    /// # Errors
    /// [`Error::Unchanged`], [`Error::NotFound`] without it, or without the project in this organization.
    pub async fn update_child(
        &self,
        child: ChildRef<'_>,
        fields: &Map<String, Value>,
    ) -> Result<Details, Error> {
        self.write(&child.write(Method::PUT, child.paths.one, child.paths.write)?.body(fields)?).await
    }

    /// Removes a child.
    ///
    /// # Errors
    /// [`Error::NotFound`] without it, but v4 answers as if it had removed it.
    pub async fn remove_child(&self, child: ChildRef<'_>) -> Result<Details, Error> {
        self.write(&child.write(Method::DELETE, child.paths.one, child.paths.delete)?).await
    }

    /// A project that is in this organization, read after every write before.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`] for one that is elsewhere or gone.
    pub async fn project_in(&self, organization: &str, id: &str) -> Result<Object, Error> {
        match self.object(&PROJECT, organization, id).await {
            Ok(project) if project.details.resource_owner == organization => Ok(project),
            Ok(_) | Err(Error::NotFound { .. }) => Err(project_not_found(organization, id)),
            Err(error) => Err(error),
        }
    }
}

fn project_not_found(organization: &str, project: &str) -> Error {
    Error::ProjectNotFound { project: project.into(), organization: organization.into() }
}
