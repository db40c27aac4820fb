//! An operator of some namespaces only, with the rights that docs/security.md says it needs.

use super::*;

/// The role for what is elsewhere, as the document has it.
fn elsewhere() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/security.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains("name: zitadel-operator-elsewhere")).unwrap();
    serde_saphyr::from_str(block).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_one_namespace_writes_and_reads_values_in_no_other() {
    const ACCOUNT: &str = "partial";
    const USER: &str = "system:serviceaccount:zitadel-operator:partial";
    let (cluster, zitadel) = (Cluster::install().await, double().await);
    let organization = zitadel.add_organization("acme");
    cluster.apply(&elsewhere());
    let account = format!("--serviceaccount={NAMESPACE}:{ACCOUNT}");
    for arguments in [
        ["create", "serviceaccount", ACCOUNT, "-n", NAMESPACE].as_slice(),
        &["create", "namespace", "followed"],
        &["create", "namespace", "other"],
        &["create", "clusterrolebinding", ACCOUNT, "--clusterrole=zitadel-operator-elsewhere", &account],
        &["create", "rolebinding", ACCOUNT, "-n", "followed", "--clusterrole=zitadel-operator", &account],
        &[
            "create",
            "rolebinding",
            "secrets",
            "-n",
            "followed",
            "--clusterrole=zitadel-operator-secret-reader",
            &account,
        ],
        &["create", "rolebinding", ACCOUNT, "-n", NAMESPACE, "--role=zitadel-operator", &account],
    ] {
        cluster.kubectl(arguments);
    }
    for kind in ["zproj", "zorgmeta", "zconn"] {
        assert!(!cluster.can(USER, &["patch", kind, "-n", "other"]), "{kind}");
    }
    assert!(!cluster.can(USER, &["get", "secrets", "-n", "other"]));

    let start = cluster.0.audit_mark().unwrap();
    let operator = cluster.run_operator_as(ACCOUNT, &["--watch-namespace", "followed"]);
    let (admin, endpoint) = (operator.admin(), endpoint(&zitadel));
    let mut shared = ours("ClusterConnection", "", "default", &endpoint);
    shared["spec"]["access"] = json!([{ "namespaceSelector": {}, "organizations": [{ "name": "acme" }] }]);
    cluster.apply(&secret(NAMESPACE, &zitadel.admin_token()));
    cluster.apply(&shared);
    cluster.apply(&secret("followed", &zitadel.admin_token()));
    cluster.apply(&ours("Connection", "followed", "own", &endpoint));
    cluster.apply(&ours("Project", "followed", "shared", &json!({})));
    cluster.apply(&ours("Project", "other", "left", &json!({})));
    cluster.wait_for_reason("followed", "zproj/shared", "Available");
    assert_eq!(zitadel.projects(&organization).len(), 1);
    assert_every_kind_works(&cluster, &zitadel, "followed");
    until_ready(&admin).await;
    // Events about what is in no namespace are in this one.
    let refused = cluster.refused_to(USER, start);
    assert!(refused.iter().all(|what| what == "create events default"), "{refused:?}");
    assert_eq!(operator.terminate().await.0.code(), Some(0));
}
