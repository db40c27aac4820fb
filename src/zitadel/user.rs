//! The users of an organization.

use serde::Deserialize;
use serde_json::json;

use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::Details;
use crate::zitadel::error::Error;
use crate::zitadel::page::{ListDetails, bounded};
use crate::zitadel::permission::USER_READ;

#[derive(Deserialize)]
struct Counted {
    details: ListDetails,
    #[serde(default, deserialize_with = "bounded")]
    result: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    details: Details,
}

impl Client {
    /// How many users an organization has, as of a moment ago (`POST /management/v1/users/_search`).
    ///
    /// # Errors
    /// As any read.
    pub async fn user_count(&self, organization: &str) -> Result<u64, Error> {
        let path = "/management/v1/users/_search";
        let one = json!({"query": {"limit": 1}});
        let call = Call::search(path, &[], USER_READ, &one)?.in_organization(organization)?;
        let Counted { details, result } = self.call(&call).await?.value;
        match result.first() {
            Some(user) => self.compare_owner(organization, &user.details.resource_owner)?,
            None => self.doubt(organization).await?,
        }
        Ok(details.count()? as u64)
    }
}
