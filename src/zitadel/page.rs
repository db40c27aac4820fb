//! Reads a paged `_search` to its end.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::call::Call;
use super::client::Client;
use super::error::Error;

/// Every version of every list allows this many a page.
const PAGE: usize = 100;
/// No list of this client is longer; more pages mean that the server repeats itself.
const MOST_PAGES: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    /// Always sent, also with an empty result: an answer without it is not an empty list.
    pub(crate) details: ListDetails,
    #[serde(default = "Vec::new")]
    pub(crate) result: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListDetails {
    #[serde(default)]
    total_result: String,
}

impl ListDetails {
    /// How many items there are, where the server counts just those that it shows.
    pub(crate) fn count(&self) -> Result<usize, Error> {
        match self.total_result.as_str() {
            "" => Ok(0),
            total => total.parse().map_err(|_| Error::malformed(200, "its total is not a number")),
        }
    }
}

/// An item of a list, told from others by its id.
pub(crate) trait Item: DeserializeOwned {
    fn key(&self) -> String;
}

#[derive(Serialize)]
struct Search<'a> {
    query: Value,
    queries: &'a [Value],
}

impl Client {
    /// All items of a search, without repetitions. `declare` makes the call that sends a body.
    ///
    /// The total may count what the caller may not see, pages may be shorter than asked for: the list ends
    /// where the total is reached or, without a total, at an empty page. One deadline bounds all of it.
    pub(crate) async fn search<T: Item>(
        &self,
        queries: &[Value],
        declare: impl Fn(&Value) -> Result<Call, Error>,
    ) -> Result<Vec<T>, Error> {
        let deadline = self.deadline();
        timeout(deadline, self.pages(queries, declare))
            .await
            .unwrap_or(Err(Error::Timeout { after: deadline }))
    }

    async fn pages<T: Item>(
        &self,
        queries: &[Value],
        declare: impl Fn(&Value) -> Result<Call, Error>,
    ) -> Result<Vec<T>, Error> {
        let (mut items, mut known) = (Vec::new(), HashSet::new());
        let mut offset = 0;
        for _ in 0..MOST_PAGES {
            let query = json!({"offset": offset.to_string(), "limit": PAGE, "asc": true});
            let body = json!(Search { query, queries });
            let page: Page<T> = self.call(&declare(&body)?).await?.value;
            let total = page.details.total_result.parse::<usize>().ok();
            let received = page.result.len();
            for item in page.result {
                if known.insert(item.key()) {
                    items.push(item);
                }
            }
            offset += if received == 0 { PAGE } else { received };
            if total.map_or(received == 0, |total| offset >= total) {
                return Ok(items);
            }
        }
        Err(Error::malformed(200, "its list does not end"))
    }
}
