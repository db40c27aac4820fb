//! Writes, and what of their answers is read.

use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::{Created, Details, Written};
use crate::zitadel::error::Error;

impl Client {
    /// A create of an object that has an id of its own.
    pub(crate) async fn create(&self, call: &Call) -> Result<Created, Error> {
        let created: Created = self.call(call).await?.value;
        match created.id.as_str() {
            "" => Err(Error::malformed(200, "it holds no id")),
            _ => Ok(created),
        }
    }

    /// Any other write.
    pub(crate) async fn write(&self, call: &Call) -> Result<Details, Error> {
        Ok(self.call::<Written>(call).await?.value.details)
    }
}
