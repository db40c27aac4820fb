//! Metadata of an organization (`/management/v1/metadata`). Values may be secret: nothing here shows one.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::Details;
use crate::zitadel::error::Error;
use crate::zitadel::page::Page;
use crate::zitadel::page_limits::LONGEST_PAGE;
use crate::zitadel::permission::{ORG_READ, ORG_WRITE};

/// A page whose values are smaller than this lets the next one be twice as long: both stay far below 4 MiB.
const LIGHT_PAGE: usize = 1024 * 1024;
/// How much is sent at once, in decoded bytes; the server takes 4 MiB.
const CHUNK: usize = 3 * 1024 * 1024;
/// More pages than of any list that can be read in time, also of the largest values.
const MOST_PAGES: usize = 1000;
/// The most that is kept of a list, in bytes: the values of a resource before and after an edit of all of them.
const MOST_KEPT: usize = 16 * 1024 * 1024;
/// What an entry takes besides its texts, in bytes.
const ENTRY: usize = 64;
/// How often a list is read that changes meanwhile.
const READINGS: usize = 3;

/// One entry; `Debug` does not show its value.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// Its key: 1–200 characters, of any kind.
    pub key: String,
    /// Its value: 1–500,000 bytes.
    #[serde(default, deserialize_with = "decoded")]
    pub value: Vec<u8>,
    /// Its last write; the sequence is the organization's.
    #[serde(default)]
    pub details: Details,
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("key", &self.key)
            .field("value", &format_args!("[{} bytes]", self.value.len()))
            .field("details", &self.details)
            .finish()
    }
}

/// The answer to a bulk write, whose details are of one entry at most: v4.13 skips what is so already.
#[derive(Deserialize)]
struct Accepted {}

impl Client {
    /// The entries of an organization whose key is `wanted`, read after every write before
    /// (`POST /management/v1/metadata/_search`).
    ///
    /// Up to 1,000 entries in an answer of up to 4 MiB are one call, else pages shrink. A key that is missing from the result does not exist: a list
    /// that is not complete, or changes while its pages are read, is an error. One deadline bounds all of it.
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`); [`Error::Malformed`] for a list that keeps changing.
    pub async fn metadata(
        &self,
        organization: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Metadata>, Error> {
        let deadline = self.deadline();
        timeout(deadline, self.holding().read_metadata(organization, &wanted))
            .await
            .unwrap_or(Err(Error::Timeout { after: deadline }))
    }

    /// The entry with this key, read after every write before; `None` where the organization has none
    /// (`POST /management/v1/metadata/_search`: by path the server does not find every key).
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`); [`Error::HeaderLost`] for the entry of another organization.
    pub async fn metadata_entry(&self, organization: &str, key: &str) -> Result<Option<Metadata>, Error> {
        let query = json!({"keyQuery": {"key": key, "method": "TEXT_QUERY_METHOD_EQUALS"}});
        let body = json!({"query": {"limit": 1}, "queries": [query]});
        let call = Call::search("/management/v1/metadata/_search", &[], ORG_READ, &body)?;
        let page = self.call::<Page<Metadata>>(&call.in_organization(organization)?).await?.value;
        let found = page.result.into_iter().find(|entry| entry.key == key);
        let owner = found.as_ref().map(|entry| &entry.details.resource_owner);
        owner.map_or(Ok(()), |owner| self.compare_owner(organization, owner))?;
        Ok(found)
    }

    /// Sets entries, also to the values that they have (`POST /management/v1/metadata/{key}`, `_bulk`).
    ///
    /// One entry gives its own last write, several give none. Several go in chunks, each all or nothing: after
    /// an error those before it are set.
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] (`AUTH-Bs7Ds`, `COMMAND-QXPGs`); [`Error::Invalid`] for an empty value or
    /// one over 500,000 bytes.
    pub async fn set_metadata(
        &self,
        organization: &str,
        entries: &[(&str, &[u8])],
    ) -> Result<Option<Details>, Error> {
        if let [(key, value)] = entries
            && is_path_safe(key)
        {
            let call =
                metadata_call(Method::POST, key, organization, &json!({"value": STANDARD.encode(value)}))?;
            return self.write(&call).await.map(Some);
        }
        for chunk in chunks(entries) {
            let sent = |(key, value): &(&str, &[u8])| json!({"key": key, "value": STANDARD.encode(value)});
            let sent: Vec<Value> = chunk.iter().map(sent).collect();
            let call = metadata_call(Method::POST, "_bulk", organization, &json!({"metadata": sent}))?;
            self.call::<Accepted>(&call).await?;
        }
        Ok(None)
    }

    /// Removes entries, all or none (`DELETE /management/v1/metadata/_bulk`).
    ///
    /// # Errors
    /// [`Error::NotFound`] (`META-2npds`) when one of them does not exist; [`Error::OrganizationNotFound`]
    /// (`AUTH-Bs7Ds`, `COMMAND-QXPGs`).
    pub async fn remove_metadata(&self, organization: &str, keys: &[&str]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let call = metadata_call(Method::DELETE, "_bulk", organization, &json!({"keys": keys}))?;
        self.call::<Accepted>(&call).await.map(drop)
    }

    async fn read_metadata(
        &self,
        organization: &str,
        wanted: &impl Fn(&str) -> bool,
    ) -> Result<Vec<Metadata>, Error> {
        let mut limit = self.page_limits().of(organization);
        for _ in 0..READINGS {
            if let Some(entries) = self.read_pages(organization, wanted, &mut limit).await? {
                return Ok(entries);
            }
        }
        Err(Error::malformed(200, "its list changes while it is read"))
    }

    /// One reading, `None` where the pages are not of one list. `limit` follows the size of the entries.
    async fn read_pages(
        &self,
        organization: &str,
        wanted: &impl Fn(&str) -> bool,
        limit: &mut usize,
    ) -> Result<Option<Vec<Metadata>>, Error> {
        let mut reading = Reading::default();
        for _ in 0..MOST_PAGES {
            let overlap = reading.overlap(*limit);
            let call = page_call(organization, reading.known.len() - overlap, *limit)?;
            let page = match self.call::<Page<Metadata>>(&call).await {
                Err(Error::TooLarge) if *limit > 1 => {
                    *limit /= 2;
                    self.page_limits().remember(organization, *limit);
                    continue;
                }
                page => page?.value,
            };
            for entry in &page.result {
                self.compare_owner(organization, &entry.details.resource_owner)?;
            }
            if page.result.iter().map(|entry| entry.value.len()).sum::<usize>() < LIGHT_PAGE {
                *limit = LONGEST_PAGE.min(*limit * 2);
            }
            if reading.known.is_empty() {
                self.page_limits().remember(organization, *limit);
            }
            match reading.take(page, overlap, wanted)? {
                Progress::More => {}
                Progress::Complete if reading.known.is_empty() => {
                    self.doubt(organization).await?;
                    return Ok(Some(reading.kept));
                }
                Progress::Complete => return Ok(Some(reading.kept)),
                Progress::Changed => return Ok(None),
            }
        }
        Err(Error::malformed(200, "its list does not end"))
    }
}

/// A list on its way from first to last page. Lists have no order, but keep theirs while nobody writes.
#[derive(Default)]
struct Reading {
    known: HashSet<String>,
    last: String,
    total: Option<usize>,
    kept: Vec<Metadata>,
    /// The bytes of all entries, and of the values that are kept.
    size: usize,
}

enum Progress {
    More,
    Complete,
    /// The pages are not of one list.
    Changed,
}

impl Reading {
    /// How many known entries the next page begins with, to see that they are still where they were.
    fn overlap(&self, limit: usize) -> usize {
        usize::from(!self.known.is_empty() && limit > 1)
    }

    fn take(
        &mut self,
        page: Page<Metadata>,
        overlap: usize,
        wanted: &impl Fn(&str) -> bool,
    ) -> Result<Progress, Error> {
        let (count, before) = (page.details.count()?, self.known.len());
        let total = *self.total.get_or_insert(count);
        let mut entries = page.result.into_iter();
        let steady = entries.by_ref().take(overlap).all(|entry| entry.key == self.last);
        let fresh = entries.all(|entry| self.add(entry, wanted));
        if self.size > MOST_KEPT {
            return Err(Error::malformed(200, "its list is too large"));
        }
        let (now, grown) = (self.known.len(), self.known.len() > before);
        Ok(match now.cmp(&total) {
            _ if !steady || !fresh || count != total => Progress::Changed,
            Ordering::Equal => Progress::Complete,
            Ordering::Less if grown => Progress::More,
            _ => Progress::Changed,
        })
    }

    /// Whether the entry was new.
    fn add(&mut self, entry: Metadata, wanted: &impl Fn(&str) -> bool) -> bool {
        self.last.clone_from(&entry.key);
        let fresh = self.known.insert(entry.key.clone());
        self.size += entry.key.len() + ENTRY;
        if wanted(&entry.key) {
            self.size += entry.value.len();
            self.kept.push(entry);
        }
        fresh
    }
}

fn page_call(organization: &str, offset: usize, limit: usize) -> Result<Call, Error> {
    let body = json!({"query": {"offset": offset.to_string(), "limit": limit, "asc": true}});
    Call::search("/management/v1/metadata/_search", &[], ORG_READ, &body)?.in_organization(organization)
}

fn metadata_call(method: Method, key: &str, organization: &str, body: &Value) -> Result<Call, Error> {
    let call = Call::new(method, "/management/v1/metadata/{key}", &[key], ORG_WRITE)?;
    Ok(call.in_organization(organization)?.body(body)?.confidential().serial(organization))
}

/// Whether the server finds the key in a path: it refuses other characters, and some names are endpoints.
fn is_path_safe(key: &str) -> bool {
    let printable = key.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'/');
    printable && !matches!(key, "" | "." | ".." | "_bulk" | "_search")
}

/// Parts of at most [`CHUNK`] bytes, or of one entry.
fn chunks<'a, 'b>(mut entries: &'a [(&'b str, &'b [u8])]) -> Vec<&'a [(&'b str, &'b [u8])]> {
    let mut chunks = Vec::new();
    while !entries.is_empty() {
        let mut size = 0;
        let fits = |(key, value): &&(&str, &[u8])| {
            size += key.len() + value.len();
            size <= CHUNK
        };
        let (chunk, rest) = entries.split_at(entries.iter().take_while(fits).count().max(1));
        chunks.push(chunk);
        entries = rest;
    }
    chunks
}

fn decoded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(|_| serde::de::Error::custom("not base64"))
}
