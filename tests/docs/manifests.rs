//! The manifests in the documents are taken by the API server as they are.

use serde_json::Value;

use crate::documents;
use crate::links::blocks;
use crate::scene::Cluster;

const GROUP: &str = "zitadel-operator.dev/";

/// A namespace, and the name of what is in none: nothing of the same name is in the way.
const ELSEWHERE: &str = "documents";

#[tokio::test]
async fn every_manifest_of_ours_in_a_document_is_accepted() {
    let cluster = Cluster::shared().await;
    cluster.printed(&format!("kubectl create namespace {ELSEWHERE}"));
    let mut refused = Vec::new();
    let mut tried = 0;
    for document in documents() {
        let document = document.to_str().unwrap();
        for manifest in blocks(document, "yaml").iter().flat_map(|block| ours(document, block)) {
            let output = cluster.try_apply(&manifest.to_string(), &["--dry-run=server"]);
            tried += 1;
            if !output.status.success() || !output.stderr.is_empty() {
                refused.push(format!("{document}: {}\n{manifest}", String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(tried > 10, "{tried} manifests");
}

#[tokio::test]
async fn the_chart_takes_the_values_that_documents_show() {
    let cluster = Cluster::shared().await;
    let shown =
        blocks("docs/install.md", "yaml").into_iter().filter(|block| block.starts_with("# values.yaml"));
    let values: Vec<String> = shown.collect();
    assert!(values.len() > 2, "{values:?}");
    for values in values {
        let template = "helm template zitadel-operator charts/zitadel-operator --values - <<'END'";
        let rendered = cluster.printed(&format!("{template}\n{values}\nEND"));
        for manifest in ours("the chart", &rendered) {
            cluster.apply(&manifest.to_string(), &["--dry-run=server"]);
        }
    }
}

/// The documents of a block that are of our kinds, moved to where nothing else is.
fn ours(document: &str, block: &str) -> Vec<Value> {
    let all: Vec<Value> =
        serde_saphyr::from_multiple(block).unwrap_or_else(|error| panic!("{document}: {error}\n{block}"));
    let ours = all
        .into_iter()
        .filter(|object| object["apiVersion"].as_str().is_some_and(|version| version.starts_with(GROUP)));
    let moved = ours.map(|mut object| {
        // Other tests make and delete those of usual names meanwhile.
        let field = if object["kind"] == "ClusterConnection" { "name" } else { "namespace" };
        object["metadata"][field] = ELSEWHERE.into();
        object
    });
    moved.collect()
}
