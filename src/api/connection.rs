//! The `Connection` and `ClusterConnection` kinds: where ZITADEL is and how to log in.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::interval::Interval;

/// A key of a Secret that holds a personal access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenSecret {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key in the Secret.
    #[serde(default = "token_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn token_key() -> String {
    "token".into()
}

/// A key of a Secret that holds a service account key file as ZITADEL issues it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyFileSecret {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key in the Secret.
    #[serde(default = "key_file_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn key_file_key() -> String {
    "key.json".into()
}

/// Keys of a Secret that hold a client id and a client secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCredentialsSecret {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key of the client id.
    #[serde(default = "client_id_key")]
    #[schemars(length(min = 1, max = 253))]
    pub id_key: String,
    /// Key of the client secret.
    #[serde(default = "client_secret_key")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_key: String,
}

fn client_id_key() -> String {
    "client-id".into()
}

fn client_secret_key() -> String {
    "client-secret".into()
}

/// A key of a Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyReference {
    /// Name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// PEM certificates to trust besides the system's: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("[has(self.inline), has(self.configMapKeyRef), has(self.secretKeyRef)].filter(x, x).size() == 1",
    "set exactly one of inline, configMapKeyRef and secretKeyRef"))]
pub struct CaBundle {
    /// The certificates themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 262_144))]
    pub inline: Option<String>,
    /// A ConfigMap that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyReference>,
    /// A Secret that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyReference>,
}

/// An organization by id or by name: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("has(self.id) != has(self.name)", "set exactly one of id and name"))]
pub struct DefaultOrganization {
    /// The organization's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!-~]+$"))]
    pub id: Option<String>,
    /// The organization's name, compared without case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
}

/// How many calls ZITADEL gets from this connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Sustained calls a second.
    #[serde(default = "default_rate")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: i32,
    /// Calls that may come at once after a quiet time.
    #[serde(default = "default_burst")]
    #[schemars(range(min = 1, max = 10_000))]
    pub burst: i32,
}

fn default_rate() -> i32 {
    20
}

fn default_burst() -> i32 {
    40
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { requests_per_second: default_rate(), burst: default_burst() }
    }
}

/// The instance and credential of a connection, shared by both kinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Where ZITADEL answers, without path: `https://zitadel.example.com`, or an in-cluster Service.
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
    /// The instance's external domain (and port, if not the default one), when `url` is not under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub external_domain: Option<String>,
    /// Log in with a personal access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_access_token: Option<TokenSecret>,
    /// Log in with a service account key (JWT profile).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt_profile: Option<KeyFileSecret>,
    /// Log in with a client id and secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<ClientCredentialsSecret>,
    /// Certificates to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// The organization of resources that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_organization: Option<DefaultOrganization>,
    /// How often each resource is compared with ZITADEL when nothing else asks for it, ±10 %: `90s`, `10m` (default), `1h30m`; more than 0s, at most 168h.
    #[serde(default = "default_resync")]
    pub resync_interval: Interval,
    /// The call budget.
    #[serde(default)]
    pub rate_limit: RateLimit,
    /// Allow plain http to a host that is not loopback.
    #[serde(default)]
    pub insecure: bool,
    /// Instance ids that are this instance under an older identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 200)))]
    pub previous_instances: Vec<String>,
}

fn default_resync() -> Interval {
    std::time::Duration::from_secs(600).into()
}

/// Which organizations a grant covers: exactly one of `id`, `name` and `all: true`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = ("[has(self.id), has(self.name), has(self.all)].filter(x, x).size() == 1 && (!has(self.all) || self.all)",
    "set exactly one of id, name and all: true"))]
pub struct GrantedOrganization {
    /// The organization with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!-~]+$"))]
    pub id: Option<String>,
    /// The organization with this name, compared without case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// `true`: every organization of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// Which namespaces may use a `ClusterConnection` for which organizations, and for what.
///
/// A grant of an organization gives what ZITADEL gives an `ORG_OWNER` of it; each other field gives more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessGrant {
    /// The namespaces, by label; `{}` is all of them.
    pub namespace_selector: LabelSelector,
    /// The organizations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub organizations: Vec<GrantedOrganization>,
    /// Kinds for which ZITADEL asks for more than an `ORG_OWNER`, and that these namespaces may have in these organizations all the same, for example `OrgDomainPolicy`. Other kinds need not be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z0-9]*$")))]
    pub kinds: Vec<String>,
    /// Whether `Organization` resources of these namespaces may create organizations; unset: no. An organization that they created counts as one of `organizations`.
    // A default inside of a list differs for ever from what was applied, where Argo CD compares structurally.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_organizations: bool,
    /// Whether `Organization` resources of these namespaces may take over and remove those of `organizations` that they did not create; unset: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_organizations: bool,
    /// Whether these namespaces may have objects of the instance itself, of the kinds that `kinds` lists; unset: no. No kind of this version has any.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instance: bool,
}

const ONE_CREDENTIAL: (&str, &str) = (
    "[has(self.personalAccessToken), has(self.jwtProfile), has(self.clientCredentials)].filter(x, x).size() == 1",
    "set exactly one of personalAccessToken, jwtProfile and clientCredentials",
);
const SECURE_URL: (&str, &str) = (
    "self.url.startsWith('https://') || self.insecure || (isURL(self.url) && url(self.url).getHostname() in ['localhost', '127.0.0.1', '::1', '[::1]'])",
    "plain http sends the credential in the clear: use https, or say insecure: true",
);

const PLAIN_URL: (&str, &str) = (
    r"self.url.matches('^https?://[A-Za-z0-9._:\\[\\]-]+/?$')",
    "url is https:// (or http://), a host and, if need be, a port, without user, path or query: https://zitadel.example.com",
);
const BARE_DOMAIN: (&str, &str) = (
    r"!has(self.externalDomain) || self.externalDomain.matches('^[A-Za-z0-9.:\\[\\]-]+$')",
    "externalDomain is a host and, if need be, a port, without https:// and path: zitadel.example.com",
);

/// How a namespace reaches ZITADEL with a credential of its own.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "zitadel-operator.dev",
    version = "v1alpha1",
    kind = "Connection",
    namespaced,
    shortname = "zconn",
    status = "ConnectionStatus",
    derive = "PartialEq",
    doc = "Where ZITADEL is and how to log in, for the resources of one namespace; its Secrets are in that namespace.",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "User", type_ = "string", json_path = ".status.user.loginName"),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".status.credential.expiresAt",
        priority = 1
    )
)]
#[x_kube(validation = ONE_CREDENTIAL, validation = PLAIN_URL, validation = BARE_DOMAIN, validation = SECURE_URL)]
pub struct ConnectionSpec {
    /// The instance and credential.
    #[serde(flatten)]
    pub endpoint: Endpoint,
}

/// How many namespaces reach ZITADEL with one credential.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "zitadel-operator.dev",
    version = "v1alpha1",
    kind = "ClusterConnection",
    shortname = "zcconn",
    status = "ConnectionStatus",
    derive = "PartialEq",
    doc = "Where ZITADEL is and how to log in, shared by the namespaces it grants access to; its Secrets are in the operator's namespace.",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "User", type_ = "string", json_path = ".status.user.loginName"),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".status.credential.expiresAt",
        priority = 1
    )
)]
#[x_kube(validation = ONE_CREDENTIAL, validation = PLAIN_URL, validation = BARE_DOMAIN, validation = SECURE_URL)]
pub struct ClusterConnectionSpec {
    /// The instance and credential.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// Who may use it for what. Nothing matches: denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub access: Vec<AccessGrant>,
}

/// Who a connection's credential belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionUser {
    /// The user's id.
    pub id: String,
    /// The user's login name.
    pub login_name: String,
    /// The organization the user belongs to.
    pub organization_id: String,
}

/// Roles of a connection's user in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionMembership {
    /// The organization, or unset for the instance or a project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// The roles, for example `IAM_OWNER`.
    pub roles: Vec<String>,
}

/// What a connection logs in with: a personal access token, a key file of a service user (JWT profile), or a client id and secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialType {
    /// A personal access token.
    PersonalAccessToken,
    /// A key file of a service user.
    JwtProfile,
    /// A client id and secret.
    ClientCredentials,
}

/// What is known of a connection's credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionCredential {
    /// Which of the three it is.
    pub r#type: CredentialType,
    /// When it ends (RFC 3339), where it says so: a key file with an expiration date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Permissions that the resources of one kind need and the connection's user does not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissingPermissions {
    /// The kind.
    pub kind: String,
    /// The permissions, for example `project.write`.
    pub permissions: Vec<String>,
    /// The organizations in which they are missing, at most ten of them; none for what is missing in the instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organization_ids: Vec<String>,
}

/// What is known of a connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// `Ready`, `Synced`, and while they apply `Stalled` or `Reconciling`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation that `Ready` speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The instance it reaches (its `iamProjectId`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The server's version, where readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Who the credential belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ConnectionUser>,
    /// The roles of that user: those in the instance first, then by organization; 50 places at most, 20 roles in each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memberships: Vec<ConnectionMembership>,
    /// In how many more places that user has roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_memberships: Option<i64>,
    /// The credential in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<ConnectionCredential>,
    /// What that user lacks for the resources that use this connection, as of the last resync.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_permissions: Vec<MissingPermissions>,
    /// Echo of the `reconcile-requested-at` annotation last handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
