//! The same through a `ClusterConnection`, whose user serves everybody: only an annotation of the connection confirms.
//!
//! Nobody retries within a test: what goes on after the word of the admin was woken.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::runtime::growth::Growth;

use super::*;
use crate::organization_grants::{grant, share_from, through_shared, unshare_from};
use crate::world::config;

const ADMIN: &str = "a cluster admin runs ";

fn without_retries() -> Config {
    let hours = Growth { base: Duration::from_secs(3600), cap: Duration::from_secs(7200) };
    Config { delays: Delays { slow: hours, ..config().delays }, ..config() }
}

/// A world whose `ClusterConnection` is a user of the world's organization, which the namespace is granted; the id of the user.
async fn shared_home(login: Login) -> (World, String) {
    let mut world = World::without_operator().await;
    let home_organization = world.namespace.clone();
    share_from(
        &world,
        &home_organization,
        json!([grant(&world, &json!([{ "id": world.organization }]), false)]),
    )
    .await;
    let own = world.zitadel.create_user(&world.organization, "operator", &["IAM_OWNER", "ORG_OWNER"]);
    let (values, credential) = match login {
        Login::Token => (json!({ "token": own.token }), json!({})),
        Login::ClientCredentials => {
            let (id, secret) = world.zitadel.create_client_secret(&own.user);
            let login =
                json!({ "personalAccessToken": null, "clientCredentials": { "name": home_organization } });
            (json!({ "client-id": id, "client-secret": secret }), login)
        }
    };
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &home_organization);
    let patch = Patch::Merge(json!({ "stringData": values }));
    secrets.patch(&home_organization, &PatchParams::default(), &patch).await.unwrap();
    connection(&world).patch(json!({ "spec": credential })).await;
    world.zitadel.ledger().clear();
    world.start_operator_of(without_retries(), &home_organization).await;
    connection(&world).until_ready().await;
    (world, own.user)
}

fn connection(world: &World) -> Subject<'_> {
    world.subject("ClusterConnection", &world.namespace)
}

fn message(resource: &Value) -> String {
    condition(resource, "Ready")["message"].as_str().unwrap().to_owned()
}

async fn end(world: &World, last: Subject<'_>) {
    last.patch(json!({ "spec": { "deletionPolicy": "Retain" } })).await;
    last.delete().await;
    last.until_gone().await;
    unshare_from(world, &world.namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_confirms_no_deactivation_of_the_home_of_a_cluster_connection_and_its_admin_does() {
    needs_double!("its own way into the data or the ledger");
    for login in [Login::Token, Login::ClientCredentials] {
        let (world, own) = shared_home(login).await;
        let annotations = json!({ "zitadel-operator.dev/id": world.organization });
        let spec = through_shared(&world, json!({ "name": "acme", "state": "Inactive" }));
        world.try_apply_annotated(ORGANIZATION, "home", annotations, spec).await.unwrap();
        let home_organization = world.subject(ORGANIZATION, "home");
        let (name, organization) = (&world.namespace, world.organization.as_str());
        let command = format!(
            "{ADMIN}kubectl annotate clusterconnections.zitadel-operator.dev {name} --overwrite {DEACTIVATION}={organization}"
        );
        let words = ["would be deactivated", &own, "locked out", &command];
        let blocked = assert_refused(&home_organization, (DEACTIVATION, organization), &words).await;
        assert!(!message(&blocked).contains(" -n "), "{blocked}");
        connection(&world).annotate(DEACTIVATION, "true").await;
        connection(&world).reconciled().await;
        home_organization.reconciled().await;
        world.assert_no_writes();
        run_command_of(&world, &blocked).await;
        home_organization.until_ready().await;
        assert_eq!(sent(&world, &Method::POST, "/orgs/me/_deactivate").len(), 1);
        end(&world, home_organization).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_of_many_users_and_of_the_client_id_needs_a_word_of_the_tenant_and_one_of_the_admin() {
    needs_double!("its own way into the data or the ledger");
    let (world, own) = shared_home(Login::ClientCredentials).await;
    let mut spec = policy(true, 0);
    spec["organization"] = json!({ "id": world.organization });
    world.apply("OrgDomainPolicy", "policy", through_shared(&world, spec)).await;
    let policies = policies(&world);
    let (tenants, admins) =
        (format!("policy --overwrite {USERS}=true; and {ADMIN}"), format!("--overwrite {OWN}=true"));
    let words = ["(confirmAboveUsers is 0)", &own, "its client id", &tenants, &admins];
    let blocked = assert_refused(&policies, (OWN, "true"), &words).await;
    let (of_tenant, of_admin) =
        message(&blocked).split_once("; and ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    world.run_command_of(&of_tenant).await;
    let lacks_one = |policy: &Value| !message(policy).contains(USERS) && message(policy).contains(OWN);
    let blocked = policies.until("lacked one word", lacks_one).await;
    assert_message(&blocked, &[&format!("to confirm it, {ADMIN}kubectl annotate clusterconnections")]);
    world.assert_no_writes();
    world.run_command_of(&of_admin).await;
    policies.until_ready().await;
    assert_eq!(sent(&world, &Method::POST, "/policies/domain").len(), 1);
    end(&world, policies).await;
}
