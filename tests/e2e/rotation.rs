//! Credentials that are rotated, revoked, expired or wrong, of each type: recovered without a restart.
//!
//! Without the watch of the Secret only a refused token leads to it.

use std::time::Duration;

use serde_json::{Value, json};
use support::zitadel::{Actor, Mark, Request};
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::runtime::growth::Growth;

use crate::needs_double;
use crate::waits::{assert_message, condition, until_answered};
use crate::world::{CONNECTION, World, config};

const TOKEN_PATH: &str = "/oauth/v2/token";

/// The operator asks for no other token, and reads the Secret no sooner, than this after the last time.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);

/// What the connection logs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    Token,
    Key,
    Client,
}

const EACH: [Login; 3] = [Login::Token, Login::Key, Login::Client];

impl Login {
    /// The calls of the token endpoint that a new credential costs.
    fn mints(self) -> usize {
        usize::from(self != Self::Token)
    }

    fn spec(self) -> Value {
        let field = match self {
            Self::Token => "personalAccessToken",
            Self::Key => "jwtProfile",
            Self::Client => "clientCredentials",
        };
        let mut spec = json!({ "personalAccessToken": null });
        spec[field] = json!({ "name": CONNECTION });
        spec
    }
}

/// A world whose connection logs in as a user of its own.
struct Rotation {
    world: World,
    login: Login,
    user: Actor,
    token: String,
}

impl Rotation {
    async fn of(login: Login) -> Self {
        let world = World::without_operator().await;
        let user = world.zitadel.create_user(&world.organization, "operator", &["ORG_OWNER"]);
        let mut rotation = Self { token: user.token.clone(), world, login, user };
        let credential = rotation.issue();
        rotation.store(credential).await;
        rotation.world.patch_connection(login.spec()).await;
        rotation
    }

    /// One whose operator has made the project `web`.
    async fn settled(login: Login, watches: bool) -> Self {
        let mut rotation = Self::of(login).await;
        rotation.start(watches).await;
        rotation.world.project("web").apply(json!({})).await;
        rotation.world.project("web").until_ready().await;
        rotation.world.until_quiet().await;
        rotation
    }

    /// Starts an operator that does nothing again by itself, with or without the right to watch Secrets.
    async fn start(&mut self, watches: bool) {
        let never = Growth { base: Duration::from_secs(600), cap: Duration::from_secs(600) };
        let settings = config();
        let delays = Delays { slow: never, dependency: never, transient: never, ..settings.delays };
        if !watches {
            self.world.forbidden.withhold("list secrets");
            self.world.forbidden.withhold("watch secrets");
            self.world.forbidden.expect("list secrets *");
        }
        self.world.start_operator_with(Config { delays, ..settings }).await;
    }

    /// A new credential of the user, as it lies in a Secret.
    fn issue(&mut self) -> Value {
        let (zitadel, user) = (&self.world.zitadel, &self.user.user);
        match self.login {
            Login::Token => {
                self.token = zitadel.issue_token(user, None);
                json!({ "token": self.token })
            }
            Login::Key => json!({ "key.json": zitadel.create_machine_key(user) }),
            Login::Client => {
                let (id, secret) = zitadel.create_client_secret(user);
                json!({ "client-id": id, "client-secret": secret })
            }
        }
    }

    async fn store(&self, credential: Value) {
        self.world.store_secret(credential).await;
    }

    /// Makes every credential and token that was issued so far invalid.
    fn revoke(&self) {
        let (zitadel, user) = (&self.world.zitadel, &self.user.user);
        zitadel.revoke_token(&self.token);
        zitadel.remove_machine_keys(user);
        zitadel.create_client_secret(user);
        zitadel.expire_minted_tokens();
    }

    /// Has the project reconciled; what it came to, and what it cost.
    async fn reconcile(&self) -> (Value, Cost) {
        let mark = self.world.zitadel.ledger().mark();
        let asked = self.world.project("web").request().await;
        let handled = |p: &Value| p["status"]["lastHandledReconcileAt"] == asked.as_str();
        let web = self.world.project("web").until("was reconciled", handled).await;
        (web, self.cost(mark))
    }

    fn cost(&self, since: Mark) -> Cost {
        let calls = self.world.calls_since(since);
        let of = |wanted: &dyn Fn(&Request) -> bool| calls.iter().filter(|call| wanted(call)).count();
        Cost {
            answered: of(&|call| call.path != TOKEN_PATH && call.status != Some(401)),
            refused: of(&|call| call.status == Some(401)),
            mints: of(&|call| call.path == TOKEN_PATH),
        }
    }

    /// Waits until what the operator asked last is so long ago that it may ask again.
    async fn until_it_may_ask_again(&self) {
        let last = self.world.zitadel.ledger().requests().last().expect("a call").at;
        until_answered("long ago", async || {
            let age = self.world.zitadel.now().duration_since(last).unsigned_abs();
            (age > SHORTEST_INTERVAL, age)
        })
        .await;
    }

    /// Waits until the connection has this reason.
    async fn until_noticed(&self, reason: &str) -> Value {
        let inspect = async || {
            let connection = self.world.api("Connection").get(CONNECTION).await.unwrap();
            let connection = serde_json::to_value(connection).unwrap();
            (condition(&connection, "Synced")["reason"] == reason, connection)
        };
        self.until_seen(&format!("noticed as {reason}"), inspect).await
    }

    /// Waits until the connection has asked who it is, with a token of its present credential.
    async fn until_used_since(&self, mark: Mark) {
        let inspect = async || {
            let cost = self.cost(mark);
            (cost.answered > 0 && cost.mints >= self.login.mints(), cost)
        };
        self.until_seen("used", inspect).await;
    }

    /// Touches the Secret now and then meanwhile, for a watch that began only after the last change.
    async fn until_seen<T: std::fmt::Debug>(
        &self,
        what: &str,
        mut inspect: impl AsyncFnMut() -> (bool, T),
    ) -> T {
        let mut looks = 0;
        until_answered(what, async || {
            looks += 1;
            if looks % 20 == 0 {
                self.store(json!({ "touched": looks.to_string() })).await;
            }
            inspect().await
        })
        .await
    }
}

/// The operator's calls.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    /// Of the API, not refused.
    answered: usize,
    /// With 401.
    refused: usize,
    /// Of the token endpoint.
    mints: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_watch_a_rotated_credential_costs_one_refused_call() {
    needs_double!("the ledger");
    for login in EACH {
        let mut rotation = Rotation::settled(login, false).await;
        let (_, usual) = rotation.reconcile().await;
        rotation.revoke();
        let new = rotation.issue();
        rotation.store(new).await;
        let (web, cost) = rotation.reconcile().await;
        assert_eq!(condition(&web, "Synced")["status"], "True", "{login:?}");
        assert_eq!(cost, Cost { refused: 1, mints: login.mints(), ..usual }, "{login:?}");
        let (_, after) = rotation.reconcile().await;
        assert_eq!(after, usual, "{login:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_watch_a_rotated_credential_costs_no_refused_call() {
    needs_double!("the ledger");
    for login in EACH {
        let mut rotation = Rotation::settled(login, true).await;
        let (_, usual) = rotation.reconcile().await;
        let (mark, old) = (rotation.world.zitadel.ledger().mark(), rotation.token.clone());
        let new = rotation.issue();
        rotation.store(new).await;
        rotation.until_used_since(mark).await;
        rotation.world.until_quiet().await;
        assert_eq!((rotation.cost(mark).mints, rotation.cost(mark).refused), (login.mints(), 0), "{login:?}");
        if login == Login::Token {
            rotation.world.zitadel.revoke_token(&old);
        }
        let (web, cost) = rotation.reconcile().await;
        assert_eq!(condition(&web, "Synced")["status"], "True", "{login:?}");
        assert_eq!(cost, usual, "{login:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_credential_is_replaced_by_the_one_that_comes_later_at_the_price_of_one_refused_call() {
    needs_double!("the ledger");
    for login in EACH {
        let mut rotation = Rotation::settled(login, false).await;
        rotation.until_it_may_ask_again().await;
        rotation.revoke();
        let (web, _) = rotation.reconcile().await;
        assert_eq!(condition(&web, "Synced")["status"], "False", "{login:?}");
        assert_message(&web, &["put a valid one into the connection's Secret"]);
        let new = rotation.issue();
        rotation.store(new).await;
        rotation.until_it_may_ask_again().await;
        let (web, cost) = rotation.reconcile().await;
        assert_eq!(condition(&web, "Synced")["status"], "True", "{login:?}");
        assert_eq!((cost.refused, cost.mints), (1, login.mints()), "{login:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_renewed_before_it_ends_and_no_call_is_refused() {
    needs_double!("tokens that live for seconds");
    let mut rotation = Rotation::of(Login::Key).await;
    rotation.world.zitadel.configure(|behaviour| behaviour.token_lifetime = Duration::from_secs(8));
    rotation.start(true).await;
    rotation.world.project("web").apply(json!({})).await;
    rotation.world.project("web").until_ready().await;
    let mark = rotation.world.until_quiet().await;
    until_answered("renewed twice", async || {
        let (web, _) = rotation.reconcile().await;
        assert_eq!(condition(&web, "Synced")["status"], "True");
        let cost = rotation.cost(mark);
        (cost.mints >= 2, cost)
    })
    .await;
    assert_eq!(rotation.cost(mark).refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_credential_says_so_and_the_right_one_works_at_once() {
    needs_double!("the ledger");
    for (login, reason, words) in [
        (Login::Token, "Unauthorized", "put a valid one into the connection's Secret"),
        (Login::Key, "Unavailable", "the key is wrong, expired or deleted"),
        (Login::Client, "Unauthorized", "put a valid one into the connection's Secret"),
    ] {
        let mut rotation = Rotation::of(login).await;
        rotation.revoke();
        rotation.start(true).await;
        rotation.world.project("web").apply(json!({})).await;
        let connection = rotation.until_noticed(reason).await;
        assert_message(&connection, &[words]);
        rotation.until_it_may_ask_again().await;
        let mark = rotation.world.zitadel.ledger().mark();
        let new = rotation.issue();
        rotation.store(new).await;
        rotation.until_noticed("Available").await;
        rotation.world.project("web").until_ready().await;
        let cost = rotation.cost(mark);
        assert_eq!((cost.mints, cost.refused), (login.mints(), 0), "{login:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_key_says_so_without_quoting_it_and_the_right_one_works_at_once() {
    needs_double!("keys made by a test");
    let mut rotation = Rotation::of(Login::Key).await;
    rotation.store(json!({ "key.json": "c4n4ry" })).await;
    rotation.start(true).await;
    rotation.world.project("web").apply(json!({})).await;
    let connection = rotation.until_noticed("CredentialsUnavailable").await;
    assert_message(&connection, &["the key file is not a ZITADEL key"]);
    assert!(!connection["status"].to_string().contains("c4n4ry"));
    let key = rotation.issue();
    rotation.store(key).await;
    rotation.until_noticed("Available").await;
    rotation.world.project("web").until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_changed_goes_on_with_its_token() {
    needs_double!("the ledger");
    let rotation = Rotation::settled(Login::Key, true).await;
    let mark = rotation.world.zitadel.ledger().mark();
    rotation.world.patch_connection(json!({ "rateLimit": { "requestsPerSecond": 500 } })).await;
    let followed = |c: &Value| c["status"]["observedGeneration"] == c["metadata"]["generation"];
    rotation.world.until("Connection", CONNECTION, "followed the change", followed).await;
    let (web, _) = rotation.reconcile().await;
    assert_eq!(condition(&web, "Synced")["status"], "True");
    let cost = rotation.cost(mark);
    assert!(cost.answered > 0 && cost.mints == 0 && cost.refused == 0, "{cost:?}");
}
