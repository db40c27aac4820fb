//! What people see with kubectl.

use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::cluster::{Cluster, fresh_name, shared};
use crate::kinds::{RESIDENTS, minimal, with};
use zitadel_operator::kinds::definitions;

async fn object(cluster: &Cluster, name: &str) -> Value {
    serde_json::to_value(cluster.api("Project").get(name).await.unwrap()).unwrap()
}

fn header(table: &str) -> Vec<&str> {
    table.lines().next().unwrap().split_whitespace().collect()
}

#[tokio::test]
async fn a_new_resource_says_that_it_waits() {
    let cluster = shared().await;
    let name = fresh_name();
    cluster.apply("Project", &name, &json!({}), false).await.unwrap();
    let born = object(&cluster, &name).await;
    let ready = &born["status"]["conditions"][0];
    assert_eq!(
        (&ready["type"], &ready["status"], &ready["reason"]),
        (&json!("Ready"), &json!("Unknown"), &json!("Pending"))
    );
}

#[tokio::test]
async fn a_status_written_by_a_person_is_dropped() {
    let cluster = shared().await;
    let name = fresh_name();
    let manifest = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Project",
        "metadata": { "name": name, "namespace": "default" }, "spec": {},
        "status": { "id": "1", "organizationId": "2", "instance": "3" },
    });
    for arguments in
        [["apply", "-f", "-"].as_slice(), &["apply", "--server-side", "--force-conflicts", "-f", "-"]]
    {
        let output = cluster.pipe(arguments, &manifest.to_string());
        assert!(output.status.success(), "{output:?}");
        let stored = object(&cluster, &name).await;
        assert_eq!(stored["status"].as_object().unwrap().keys().collect::<Vec<_>>(), ["conditions"]);
    }
}

#[tokio::test]
async fn kubectl_explain_describes_every_field_of_every_kind() {
    let cluster = shared().await;
    for plural in definitions().into_iter().map(|crd| crd.spec.names.plural) {
        let text = cluster.printed(&["explain", &format!("{plural}.spec"), "--recursive"]);
        assert!(text.contains("GROUP:      zitadel-operator.dev"), "{text}");
        let described = cluster.printed(&["explain", &format!("{plural}.spec")]);
        assert!(!described.contains("<no description>"), "{described}");
        let kind = cluster.printed(&["explain", &plural]);
        assert!(!kind.contains("Auto-generated"), "{kind}");
    }
}

#[tokio::test]
async fn the_table_says_first_whether_it_is_ready_and_why() {
    let cluster = shared().await;
    let name = fresh_name();
    cluster.apply("Project", &name, &json!({}), false).await.unwrap();
    let table = cluster.printed(&["get", "zproj", &name]);
    assert_eq!(header(&table), ["NAME", "READY", "REASON", "ID", "SEQUENCE", "CHANGED", "AGE"]);
    let wide = cluster.printed(&["get", "zproj", &name, "-o", "wide"]);
    assert_eq!(header(&wide), ["NAME", "READY", "REASON", "ID", "SEQUENCE", "CHANGED", "MESSAGE", "AGE"]);
    for (kind, short, identity) in [
        ("Organization", "zorg", &["ID"][..]),
        ("ProjectRole", "zrole", &["KEY", "PROJECT"]),
        ("OrgMetadata", "zorgmeta", &["ORGANIZATION"]),
        ("OrgDomainPolicy", "zorgdom", &["ORGANIZATION"]),
        ("OrgFeatures", "zorgfeat", &["ORGANIZATION"]),
        ("OrgLoginPolicy", "zorglogin", &["ORGANIZATION"]),
    ] {
        cluster.apply(kind, &name, &minimal(kind), false).await.unwrap();
        let columns = [&["NAME", "READY", "REASON"], identity, &["SEQUENCE", "CHANGED", "AGE"]].concat();
        assert_eq!(header(&cluster.printed(&["get", short, &name])), columns);
    }
    let spec = json!({ "url": "https://zitadel.example.com", "personalAccessToken": { "name": "zitadel" } });
    for (kind, short) in [("Connection", "zconn"), ("ClusterConnection", "zcconn")] {
        cluster.apply(kind, &name, &spec, false).await.unwrap();
        assert_eq!(
            header(&cluster.printed(&["get", short, &name])),
            ["NAME", "READY", "REASON", "URL", "USER", "AGE"]
        );
    }
}

#[tokio::test]
async fn one_category_lists_them_all() {
    let cluster = shared().await;
    let listed = cluster.printed(&["api-resources", "--categories=zitadel", "-o", "name"]);
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    let mut all: Vec<String> = definitions().into_iter().map(|crd| crd.metadata.name.unwrap()).collect();
    all.sort_unstable();
    assert_eq!(listed, all);
}

#[tokio::test]
async fn resources_can_be_selected_by_name_connection_and_id() {
    let cluster = shared().await;
    let (wanted, other) = (fresh_name(), fresh_name());
    let spec = json!({ "name": "only-this", "connectionRef": { "name": "only-this" } });
    cluster.apply("Project", &wanted, &spec, false).await.unwrap();
    cluster.apply("Project", &other, &json!({ "name": "another" }), false).await.unwrap();
    let status = r#"{"status":{"id":"only-this","organizationId":"only-this"}}"#;
    cluster.printed(&["patch", "zproj", &wanted, "--subresource=status", "--type=merge", "-p", status]);
    for field in ["spec.name", "spec.connectionRef.name", "status.id", "status.organizationId"] {
        let selector = format!("--field-selector={field}=only-this");
        assert_eq!(
            cluster.printed(&["get", "zproj", &selector, "-o", "name"]).trim(),
            format!("project.zitadel-operator.dev/{wanted}")
        );
    }
}

#[tokio::test]
async fn every_kind_can_be_selected_by_connection_and_id_and_residents_by_organization() {
    let cluster = shared().await;
    let (wanted, other) = (fresh_name(), fresh_name());
    for kind in RESIDENTS.into_iter().chain(["Organization"]) {
        let spec = with(kind, &json!({ "connectionRef": { "name": wanted } }));
        cluster.apply(kind, &wanted, &spec, false).await.unwrap();
        cluster.apply(kind, &other, &minimal(kind), false).await.unwrap();
        let status = json!({ "id": wanted, "organizationId": wanted });
        cluster.apply_status(kind, &wanted, &status).await.unwrap();
        let organization = RESIDENTS.contains(&kind).then_some("status.organizationId");
        for field in ["spec.connectionRef.name", "status.id"].into_iter().chain(organization) {
            assert_eq!(selected(&cluster, kind, field, &wanted).await, [wanted.as_str()], "{kind} {field}");
        }
    }
}

#[tokio::test]
async fn organizations_can_be_selected_by_name() {
    let cluster = shared().await;
    let (wanted, other) = (fresh_name(), fresh_name());
    cluster.apply("Organization", &wanted, &json!({ "name": wanted }), false).await.unwrap();
    cluster.apply("Organization", &other, &json!({ "name": "another" }), false).await.unwrap();
    assert_eq!(selected(&cluster, "Organization", "spec.name", &wanted).await, [wanted.as_str()]);
}

/// The names of the resources whose field has this value.
async fn selected(cluster: &Cluster, kind: &str, field: &str, value: &str) -> Vec<String> {
    let selector = ListParams::default().fields(&format!("{field}={value}"));
    cluster.api(kind).list(&selector).await.unwrap().iter().map(ResourceExt::name_any).collect()
}
