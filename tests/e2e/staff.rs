//! Machine users that a person makes over ZITADEL's API, what they may do and what they log in with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::person::{Person, text};
use crate::waits::until_answered;
use crate::world::{World, real_zitadel};

/// A personal access token.
pub struct Token {
    id: String,
    pub secret: String,
}

/// A machine key.
pub struct Key {
    id: String,
    /// As ZITADEL gives it out, once.
    pub file: String,
}

/// A machine user of the world's organization.
pub struct User {
    person: Person,
    organization: String,
    pub id: String,
    /// Its first token.
    pub token: Token,
}

impl World {
    /// A new machine user with this role in the organization, or with none.
    pub async fn hire(&self, name: &str, role: Option<&str>) -> User {
        let (person, organization) = (self.person.clone(), self.organization.clone());
        // User names are unique in the instance.
        let user = json!({ "userName": format!("{name}-{}", self.namespace), "name": name });
        let made = person.done(Method::POST, "/management/v1/users/machine", &organization, user).await;
        let id = text(&made, "userId");
        let token = add_token(&person, &organization, &id).await;
        let user = User { person, organization, id, token };
        if let Some(role) = role {
            user.grant(role).await;
        }
        user
    }

    /// Lets the connection log in as a new user with this role.
    pub async fn log_in_as(&self, name: &str, role: Option<&str>) -> User {
        let user = self.hire(name, role).await;
        self.store_token(&user.token.secret).await;
        user
    }
}

impl User {
    fn path(&self, what: &str) -> String {
        format!("/management/v1/users/{}/{what}", self.id)
    }

    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        self.person.done(method, path, &self.organization, body).await
    }

    /// Makes it a member of the organization.
    pub async fn grant(&self, role: &str) {
        let member = json!({ "userId": self.id, "roles": [role] });
        self.done(Method::POST, "/management/v1/orgs/me/members", member).await;
        self.until_permitted(role == "ORG_OWNER", false).await;
    }

    /// Gives it another role in the organization, or its first.
    pub async fn change_role(&self, role: &str) {
        let path = format!("/management/v1/orgs/me/members/{}", self.id);
        let roles = json!({ "roles": [role] });
        match self.person.call(Method::PUT, &path, &self.organization, roles).await {
            (200, _) => self.until_permitted(role == "ORG_OWNER", false).await,
            (404, _) => self.grant(role).await,
            (status, answer) => panic!("{path}: {status} {answer}"),
        }
    }

    /// Gives it this role, in the instance where it begins with `IAM_`, in place of any other there.
    pub async fn set_role(&self, world: &World, role: &str) {
        if !role.starts_with("IAM_") {
            return self.change_role(role).await;
        }
        if real_zitadel().is_none() {
            return world.zitadel.set_instance_roles(&self.id, &[role]);
        }
        let (path, roles) = (format!("/admin/v1/members/{}", self.id), json!([role]));
        let (status, _) = self.person.call(Method::PUT, &path, "", json!({ "roles": roles })).await;
        if status != 200 {
            let member = json!({ "userId": self.id, "roles": roles });
            self.person.done(Method::POST, "/admin/v1/members", "", member).await;
        }
        self.until_has("iam.write", role == "IAM_OWNER").await;
    }

    /// Takes this role away.
    pub async fn lose_role(&self, world: &World, role: &str) {
        if !role.starts_with("IAM_") {
            return self.dismiss().await;
        }
        if real_zitadel().is_none() {
            return world.zitadel.set_instance_roles(&self.id, &[]);
        }
        self.person.done(Method::DELETE, &format!("/admin/v1/members/{}", self.id), "", Value::Null).await;
        self.until_has("iam.write", false).await;
    }

    /// Takes the membership away.
    pub async fn dismiss(&self) {
        let path = format!("/management/v1/orgs/me/members/{}", self.id);
        self.done(Method::DELETE, &path, Value::Null).await;
        self.until_permitted(false, true).await;
    }

    /// Waits until the server goes by the new role, which may take a moment.
    async fn until_permitted(&self, to_write: bool, to_nothing: bool) {
        let path = "/auth/v1/permissions/zitadel/me/_search";
        let user = self.person.with_token(&self.token.secret);
        until_answered("permitted", async || {
            let (status, answer) = user.call(Method::POST, path, &self.organization, json!({})).await;
            let all = answer["result"].as_array().cloned().unwrap_or_default();
            let writes = all.contains(&json!("project.write"));
            (status == 200 && writes == to_write && all.is_empty() == to_nothing, (status, answer))
        })
        .await;
    }

    /// Waits until the server goes by a role in the instance.
    async fn until_has(&self, permission: &str, expected: bool) {
        let path = "/auth/v1/permissions/zitadel/me/_search";
        let user = self.person.with_token(&self.token.secret);
        until_answered("permitted", async || {
            let (_, answer) = user.call(Method::POST, path, &self.organization, json!({})).await;
            let all = answer["result"].as_array().cloned().unwrap_or_default();
            (all.contains(&json!(permission)) == expected, answer)
        })
        .await;
    }

    /// A further token.
    pub async fn add_token(&self) -> Token {
        add_token(&self.person, &self.organization, &self.id).await
    }

    /// Makes a token invalid.
    pub async fn revoke(&self, token: &Token) {
        self.done(Method::DELETE, &self.path(&format!("pats/{}", token.id)), Value::Null).await;
        let user = self.person.with_token(&token.secret);
        until_answered("refused", async || {
            let (status, _) = user.call(Method::GET, "/auth/v1/users/me", "", Value::Null).await;
            (status == 401, status)
        })
        .await;
    }

    /// A new machine key.
    pub async fn add_key(&self) -> Key {
        self.add_key_of(json!({ "type": "KEY_TYPE_JSON" })).await
    }

    /// A new machine key that ends then.
    pub async fn add_key_until(&self, end: &str) -> Key {
        self.add_key_of(json!({ "type": "KEY_TYPE_JSON", "expirationDate": end })).await
    }

    async fn add_key_of(&self, body: Value) -> Key {
        let added = self.done(Method::POST, &self.path("keys"), body).await;
        let file = STANDARD.decode(text(&added, "keyDetails")).expect("base64");
        Key { id: text(&added, "keyId"), file: String::from_utf8(file).expect("a key file") }
    }

    /// Makes a key invalid.
    pub async fn remove_key(&self, key: &Key) {
        let path = self.path(&format!("keys/{}", key.id));
        self.done(Method::DELETE, &path, Value::Null).await;
        until_answered("removed", async || {
            let (status, _) = self.person.call(Method::GET, &path, &self.organization, Value::Null).await;
            (status == 404, status)
        })
        .await;
    }
}

async fn add_token(person: &Person, organization: &str, user: &str) -> Token {
    let (id, secret) = person.add_token(organization, user).await;
    Token { id, secret }
}
