//! The ZITADEL side: what the examples find there, made through its API as a person would.

use std::time::{Duration, Instant};

use kube::api::DynamicObject;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::Result;
use super::examples::{IMPORTED, OBSERVED, ORGANIZATION};
use super::removal::Removal;

/// A new organization shows in searches after a while.
const VISIBLE_WITHIN: Duration = Duration::from_secs(30);

/// A ZITADEL and a token of an IAM_OWNER.
pub struct Zitadel {
    pub url: String,
    pub token: String,
    /// What stands for the token in a command line.
    pub shown_token: String,
    http: reqwest::Client,
}

/// Something the examples need.
pub struct Needed {
    pub id: String,
    made: bool,
}

/// What the examples need.
pub struct Prepared {
    pub organization: String,
    made_organization: bool,
    pub imported: Needed,
    observed: Needed,
}

impl Zitadel {
    pub fn new(url: &str, token: &str, shown_token: String) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { url: url.trim_end_matches('/').into(), token: token.into(), shown_token, http })
    }

    /// Makes the organization and the two projects, where they are not there yet.
    ///
    /// Fails where the examples would overwrite settings of an organization that is there.
    pub async fn prepare(&self) -> Result<Prepared> {
        let known = self.find_organization().await?;
        let made_organization = known.is_none();
        let organization = match known {
            Some(id) => {
                self.check_untouched(&id).await?;
                id
            }
            None => self.make_organization().await?,
        };
        let imported = self.project(&organization, IMPORTED).await?;
        let observed = self.project(&organization, OBSERVED).await?;
        Ok(Prepared { organization, made_organization, imported, observed })
    }

    async fn check_untouched(&self, organization: &str) -> Result<()> {
        let organization = Some(organization);
        let mut own = Vec::new();
        for policy in ["domain", "login"] {
            let path = format!("/management/v1/policies/{policy}");
            let answer = self.call(Method::GET, &path, organization, None).await?;
            own.extend((answer["policy"]["isDefault"] != true).then(|| format!("a {policy} policy")));
        }
        let one = json!({ "query": { "limit": 1 } });
        let found =
            self.call(Method::POST, "/management/v1/metadata/_search", organization, Some(one)).await?;
        own.extend((!found["result"].is_null()).then(|| "metadata".to_owned()));
        if own.is_empty() {
            return Ok(());
        }
        let what = own.join(" and ");
        let place = format!("organization {ORGANIZATION} of {}", self.url);
        Err(format!("{place} has {what} of its own, which the examples might overwrite: remove it first")
            .into())
    }

    /// Removes what was made here, by this program and by the operator; what was only taken over stays.
    pub async fn clean_up(&self, prepared: &Prepared, resources: &[DynamicObject]) -> Result<()> {
        let mut removals: Vec<Removal> = resources.iter().rev().flat_map(Removal::of_resource).collect();
        let needed = [&prepared.imported, &prepared.observed].into_iter().filter(|needed| needed.made);
        removals.extend(needed.map(|needed| Removal::of_project(&prepared.organization, &needed.id)));
        if prepared.made_organization {
            removals.push(Removal::of_organization(&prepared.organization));
        }
        let mut failures = Vec::new();
        for removal in removals {
            failures.extend(self.remove(removal).await.err().map(|error| error.to_string()));
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(format!("not everything was removed:\n{}", failures.join("\n")).into()),
        }
    }

    /// What is gone already, alone or with its organization, is fine.
    async fn remove(&self, Removal { path, organization, body }: Removal) -> Result<()> {
        let (status, answer) = self.send(Method::DELETE, &path, Some(&organization), body).await?;
        let gone = status == StatusCode::NOT_FOUND || answer["details"][0]["id"] == "AUTH-Bs7Ds";
        match status.is_success() || gone {
            true => Ok(()),
            false => Err(format!("DELETE {path} in organization {organization}: {status}: {answer}").into()),
        }
    }

    async fn find_organization(&self) -> Result<Option<String>> {
        let query = by_name(ORGANIZATION);
        let found = self.call(Method::POST, "/v2/organizations/_search", None, Some(query)).await?;
        Ok(found["result"][0]["id"].as_str().map(str::to_owned))
    }

    async fn make_organization(&self) -> Result<String> {
        let body = json!({ "name": ORGANIZATION });
        let made = self.call(Method::POST, "/management/v1/orgs", None, Some(body)).await?;
        let started = Instant::now();
        while self.find_organization().await?.is_none() && started.elapsed() < VISIBLE_WITHIN {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        text(&made["id"])
    }

    async fn project(&self, organization: &str, name: &str) -> Result<Needed> {
        let body = Some(json!({ "name": name }));
        let (status, made) =
            self.send(Method::POST, "/management/v1/projects", Some(organization), body).await?;
        if status.is_success() {
            return Ok(Needed { id: text(&made["id"])?, made: true });
        }
        let query = by_name(name);
        let path = "/management/v1/projects/_search";
        let found = self.call(Method::POST, path, Some(organization), Some(query)).await?;
        match found["result"][0]["id"].as_str() {
            Some(id) => Ok(Needed { id: id.to_owned(), made: false }),
            None => Err(format!("project {name:?} cannot be made: {status}: {made}").into()),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        organization: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value> {
        let (status, answer) = self.send(method.clone(), path, organization, body).await?;
        match status.is_success() {
            true => Ok(answer),
            false => Err(format!("{method} {}{path}: {status}: {answer}", self.url).into()),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        organization: Option<&str>,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(organization) = organization {
            request = request.header("x-zitadel-orgid", organization);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }
}

fn by_name(name: &str) -> Value {
    json!({ "queries": [{ "nameQuery": { "name": name, "method": "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE" } }] })
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "ZITADEL answered without an id".into())
}
