//! A person who works on ZITADEL behind the operator's back, over its API: on the double and on a real server alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::waits::until_answered;

const PROJECTS: &str = "/management/v1/projects";

/// The settings that an update of a project replaces.
const SETTINGS: [&str; 5] =
    ["name", "projectRoleAssertion", "projectRoleCheck", "hasProjectCheck", "privateLabelingSetting"];

/// Someone with an IAM_OWNER's token.
#[derive(Clone)]
pub struct Person {
    http: reqwest::Client,
    url: String,
    token: String,
    /// Those made and not yet removed.
    organizations: Arc<Mutex<BTreeSet<String>>>,
    /// Those made of this person's own organization.
    users: Arc<Mutex<BTreeSet<String>>>,
}

impl Person {
    pub fn new(url: &str, token: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.trim_end_matches('/').into(),
            token: token.into(),
            organizations: Arc::default(),
            users: Arc::default(),
        }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Somebody else on the same server.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.into(), ..self.clone() }
    }

    /// One call; status and body.
    pub async fn call(&self, method: Method, path: &str, organization: &str, body: Value) -> (u16, Value) {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .header("x-zitadel-orgid", organization)
            .header("content-type", "application/json")
            .body(if body.is_null() { String::new() } else { body.to_string() });
        let response = request.send().await.expect("ZITADEL answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("ZITADEL answers in full");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// One call that must succeed.
    pub async fn done(&self, method: Method, path: &str, organization: &str, body: Value) -> Value {
        let (status, answer) = self.call(method.clone(), path, organization, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// The identity of the instance.
    pub async fn instance(&self) -> String {
        let answer = self.done(Method::GET, "/management/v1/iam", "", Value::Null).await;
        answer["iamProjectId"].as_str().expect("an identity").into()
    }

    /// The organization's metadata by key, each entry as ZITADEL shows it. All of it must fit one answer.
    pub async fn metadata(&self, organization: &str) -> BTreeMap<String, Value> {
        let found = self.done(Method::POST, "/management/v1/metadata/_search", organization, json!({})).await;
        let entries = found["result"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| (entry["key"].as_str().unwrap_or_default().into(), entry)).collect()
    }

    pub async fn set_metadata(&self, organization: &str, key: &str, value: &[u8]) {
        let entry = json!({ "key": key, "value": STANDARD.encode(value) });
        let body = json!({ "metadata": [entry] });
        self.done(Method::POST, "/management/v1/metadata/_bulk", organization, body).await;
    }

    pub async fn remove_metadata(&self, organization: &str, keys: &[&str]) {
        let body = json!({ "keys": keys });
        self.done(Method::DELETE, "/management/v1/metadata/_bulk", organization, body).await;
    }
}

/// Users.
impl Person {
    /// The token of a new IAM_OWNER, who lives where this person does and goes with all that this person made.
    pub async fn hire_owner(&self, name: &str) -> String {
        let user = json!({ "userName": name, "name": name });
        let made = self.done(Method::POST, "/management/v1/users/machine", "", user).await;
        let id = text(&made, "userId");
        self.users.lock().unwrap().insert(id.clone());
        let member = json!({ "userId": id, "roles": ["IAM_OWNER"] });
        self.done(Method::POST, "/admin/v1/members", "", member).await;
        let (_, token) = self.add_token("", &id).await;
        let owner = self.with_token(&token);
        until_answered("an owner of the instance", async || {
            let (status, answer) = owner.call(Method::POST, "/admin/v1/orgs/_search", "", json!({})).await;
            (status == 200, (status, answer))
        })
        .await;
        token
    }

    /// A further token of a user, once it is accepted: its id and itself.
    pub async fn add_token(&self, organization: &str, user: &str) -> (String, String) {
        let path = format!("/management/v1/users/{user}/pats");
        let added = self.done(Method::POST, &path, organization, json!({})).await;
        let (id, token) = (text(&added, "tokenId"), text(&added, "token"));
        let user = self.with_token(&token);
        until_answered("accepted", async || {
            let (status, _) = user.call(Method::GET, "/auth/v1/users/me", "", Value::Null).await;
            (status == 200, status)
        })
        .await;
        (id, token)
    }
}

/// A text in an answer.
pub fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).into()
}

/// Organizations.
impl Person {
    /// A new organization; its id.
    pub async fn create_organization(&self, name: &str) -> String {
        let (status, created) =
            self.call(Method::POST, "/v2/organizations", "", json!({ "name": name })).await;
        assert_eq!(status, 201, "{created}");
        let id: String = created["organizationId"].as_str().expect("an id").into();
        self.organizations.lock().unwrap().insert(id.clone());
        id
    }

    /// Removes this organization too in the end.
    pub fn keep_in_mind(&self, organization: &str) {
        self.organizations.lock().unwrap().insert(organization.into());
    }

    pub async fn organization_name(&self, id: &str) -> String {
        let mine = self.done(Method::GET, "/management/v1/orgs/me", id, Value::Null).await;
        mine["org"]["name"].as_str().expect("a name").into()
    }

    pub async fn deactivate_organization(&self, id: &str) {
        self.done(Method::POST, "/management/v1/orgs/me/_deactivate", id, json!({})).await;
    }

    /// Removes an organization with everything in it.
    pub async fn remove_organization(&self, id: &str) {
        self.done(Method::DELETE, "/management/v1/orgs/me", id, json!({})).await;
        self.organizations.lock().unwrap().remove(id);
    }

    /// Removes every organization and user that this person made; says which one stays.
    pub async fn clean_up(&self) {
        let organizations = std::mem::take(&mut *self.organizations.lock().unwrap());
        let users = std::mem::take(&mut *self.users.lock().unwrap());
        let organizations = organizations.into_iter().map(|id| ("/management/v1/orgs/me".to_owned(), id));
        let users = users.into_iter().map(|id| (format!("/management/v1/users/{id}"), String::new()));
        for (path, organization) in organizations.chain(users) {
            let (status, answer) = self.call(Method::DELETE, &path, &organization, json!({})).await;
            if status != 200 {
                eprintln!("{path} {organization} was left behind: {answer}");
            }
        }
    }
}

/// Projects.
impl Person {
    /// A project with default settings; its id.
    pub async fn create_project(&self, organization: &str, name: &str) -> String {
        let created = self.done(Method::POST, PROJECTS, organization, json!({ "name": name })).await;
        created["id"].as_str().expect("an id").into()
    }

    /// The project as ZITADEL has it; null if it has none.
    pub async fn project(&self, organization: &str, id: &str) -> Value {
        let (status, answer) =
            self.call(Method::GET, &format!("{PROJECTS}/{id}"), organization, json!({})).await;
        assert!(status == 200 || status == 404, "{status} {answer}");
        answer["project"].clone()
    }

    /// Replaces all settings of a project.
    pub async fn update_project(&self, organization: &str, id: &str, settings: Value) {
        self.done(Method::PUT, &format!("{PROJECTS}/{id}"), organization, settings).await;
    }

    /// Changes one setting of a project.
    pub async fn edit_project(&self, organization: &str, id: &str, setting: &str, value: Value) {
        let present = self.project(organization, id).await;
        let mut settings = json!({});
        for name in SETTINGS {
            settings[name] = present[name].clone();
        }
        settings[setting] = value;
        self.update_project(organization, id, settings).await;
    }

    /// Names of the organization's projects, as the list shows them: a moment late on a real server.
    pub async fn listed_projects(&self, organization: &str) -> Vec<String> {
        let found = self.done(Method::POST, &format!("{PROJECTS}/_search"), organization, json!({})).await;
        let names = found["result"].as_array().cloned().unwrap_or_default();
        names.iter().map(|project| project["name"].as_str().unwrap_or_default().into()).collect()
    }

    /// Everything that ever happened to projects of the organization, the oldest first. Unlike a list, it is never
    /// late.
    async fn events(&self, organization: &str) -> Vec<Value> {
        let wanted = json!({
            "resourceOwner": organization, "aggregateTypes": ["project"], "asc": true, "limit": 1000,
        });
        let found = self.done(Method::POST, "/admin/v1/events/_search", "", wanted).await;
        found["events"].as_array().cloned().unwrap_or_default()
    }

    /// The types of all events of the organization's projects: what was ever written there, by anybody.
    pub async fn history(&self, organization: &str) -> Vec<String> {
        let events = self.events(organization).await;
        events.iter().map(|event| event["type"]["type"].as_str().expect("a type").into()).collect()
    }

    /// The organization's projects as they are now, in the order of their making.
    pub async fn projects(&self, organization: &str) -> Vec<Value> {
        let mut live = Vec::new();
        for event in self.events(organization).await {
            if event["type"]["type"] == "project.added" {
                let id = event["aggregate"]["id"].as_str().expect("an id");
                live.push(self.project(organization, id).await);
            }
        }
        live.retain(|project| !project.is_null());
        live
    }
}

/// Domain policies of organizations.
impl Person {
    /// The policy in force in an organization.
    pub async fn domain_policy(&self, organization: &str) -> Value {
        let path = "/management/v1/policies/domain";
        self.done(Method::GET, path, organization, Value::Null).await["policy"].clone()
    }
}
