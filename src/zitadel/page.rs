//! Reads a paged `_search` to its end.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::zitadel::answer::parse;
use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::Details;
use crate::zitadel::error::Error;

/// Every version of every list allows this many a page.
const PAGE: usize = 100;
/// No list of this client is longer; more pages mean that the server repeats itself.
const MOST_PAGES: usize = 100;
/// No list is larger, in bytes as sent: whoever runs the server does not fill the operator's memory.
const LARGEST_LIST: usize = 8 * 1024 * 1024;
/// No list is longer.
const LONGEST_LIST: usize = 10_000;
/// No page is longer: an empty object takes three bytes of an answer and a hundred times as much in memory.
const LONGEST_PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
pub(crate) struct Page<T> {
    /// Always sent, also with an empty result: an answer without it is not an empty list.
    pub(crate) details: ListDetails,
    #[serde(default = "Vec::new", deserialize_with = "bounded")]
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
        timeout(deadline, self.holding().pages(queries, declare))
            .await
            .unwrap_or(Err(Error::Timeout { after: deadline }))
    }

    async fn pages<T: Item>(
        &self,
        queries: &[Value],
        declare: impl Fn(&Value) -> Result<Call, Error>,
    ) -> Result<Vec<T>, Error> {
        let (mut items, mut known) = (Vec::new(), HashSet::new());
        let (mut offset, mut size) = (0, 0);
        for _ in 0..MOST_PAGES {
            let query = json!({"offset": offset.to_string(), "limit": PAGE, "asc": true});
            let body = json!(Search { query, queries });
            let response = self.send(&declare(&body)?).await?;
            size += response.body().len();
            if size > LARGEST_LIST {
                return Err(Error::malformed(200, "its list is too large"));
            }
            let page: Page<T> = parse(&response)?.value;
            let total = page.details.total_result.parse::<usize>().ok();
            let received = page.result.len();
            for item in page.result {
                if known.insert(item.key()) {
                    items.push(item);
                }
            }
            if items.len() > LONGEST_LIST {
                return Err(Error::malformed(200, "its list is too large"));
            }
            offset += if received == 0 { PAGE } else { received };
            if total.map_or(received == 0, |total| offset >= total) {
                return Ok(items);
            }
        }
        Err(Error::malformed(200, "its list does not end"))
    }

    /// The items of a search in an organization.
    ///
    /// To find nothing, or what is another organization's, may be the doing of a header that was lost on the way.
    pub(crate) async fn search_in<T: Item>(
        &self,
        organization: &str,
        query: Value,
        declare: impl Fn(&Value) -> Result<Call, Error>,
        details: fn(&T) -> &Details,
    ) -> Result<Vec<T>, Error> {
        let found: Vec<T> =
            self.search(&[query], |body| declare(body)?.in_organization(organization)).await?;
        if found.is_empty() || found.iter().any(|item| details(item).resource_owner != organization) {
            self.doubt(organization).await?;
        }
        Ok(found)
    }
}

/// The query for what has this text in a field, in any letter case.
pub(crate) fn equal(query: &str, field: &str, text: &str) -> Value {
    json!({ query: { field: text, "method": "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE" } })
}

/// A list of at most [`LONGEST_PAGE`] items.
pub(crate) fn bounded<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    at_most::<D, T, LONGEST_PAGE>(deserializer)
}

/// A list of at most `MOST` items.
pub(crate) fn at_most<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(Items::<T, MOST>(PhantomData))
}

struct Items<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Items<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            if items.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            items.push(item);
        }
        Ok(items)
    }
}
