//! Reads that lag, jump, freeze, or come in short pages.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use zitadel_operator_support::zitadel::Behaviour;

use crate::{Bench, PROJECTS, error_id};

#[tokio::test(start_paused = true)]
async fn lists_lag_while_single_reads_and_writes_do_not() {
    let bench = Bench::new(Behaviour::v4().lagging(Duration::from_secs(10)));
    let id = bench.create("web").await;
    assert_eq!(bench.call(Method::GET, &format!("{PROJECTS}/{id}"), Value::Null).await.0, 200);
    assert_eq!(bench.call(Method::POST, PROJECTS, json!({"name": "WEB"})).await.0, 409);
    sleep(Duration::from_millis(9_999)).await;
    assert_eq!(bench.listed().await, [""; 0]);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(bench.listed().await, ["web"]);
    bench.double.edit_project(&id, |settings| settings.name = "site".to_owned());
    bench.create("docs").await;
    sleep(Duration::from_secs(5)).await;
    bench.double.delete_project(&id);
    assert_eq!(bench.listed().await, ["web"]);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.listed().await, ["site", "docs"]);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.listed().await, ["docs"]);
}

#[tokio::test(start_paused = true)]
async fn single_reads_can_be_stale_too() {
    let bench =
        Bench::new(Behaviour { stale_reads: true, ..Behaviour::v4().lagging(Duration::from_secs(1)) });
    let id = bench.create("web").await;
    let path = format!("{PROJECTS}/{id}");
    assert_eq!(error_id(&bench.call(Method::GET, &path, Value::Null).await.1), "QUERY-fk2fs");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.call(Method::GET, &path, Value::Null).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_varying_lag_makes_reads_jump_back_and_forth() {
    let bench = Bench::new(Behaviour { lag_most: Duration::from_secs(10), ..Behaviour::v4() });
    bench.create("web").await;
    sleep(Duration::from_secs(5)).await;
    let mut seen = Vec::new();
    for _ in 0..50 {
        seen.push(bench.listed().await.len());
    }
    assert!(
        seen.windows(2).any(|pair| pair == [1, 0]) && seen.windows(2).any(|pair| pair == [0, 1]),
        "{seen:?}"
    );
    sleep(Duration::from_secs(5)).await;
    for _ in 0..50 {
        assert_eq!(bench.listed().await, ["web"]);
    }
}

#[tokio::test]
async fn a_frozen_view_lasts_until_released() {
    let bench = Bench::new(Behaviour::v4());
    let id = bench.create("web").await;
    let frozen = bench.double.freeze();
    bench.double.delete_project(&id);
    assert_eq!(bench.listed().await, ["web"]);
    assert_eq!(bench.call(Method::GET, &format!("{PROJECTS}/{id}"), Value::Null).await.0, 200);
    assert_eq!(bench.call(Method::DELETE, &format!("{PROJECTS}/{id}"), Value::Null).await.0, 404);
    frozen.release();
    assert_eq!(bench.listed().await, [""; 0]);
}

#[tokio::test]
async fn pages_can_be_short_and_totals_wrong() {
    let bench = Bench::new(Behaviour { page_cap: Some(2), overcount: 3, ..Behaviour::v4() });
    for name in ["a", "b", "c"] {
        bench.create(name).await;
    }
    let (_, first) =
        bench.call(Method::POST, "/management/v1/projects/_search", json!({"query": {"limit": 100}})).await;
    assert_eq!(first["result"].as_array().map(Vec::len), Some(2));
    assert_eq!(first["details"]["totalResult"], "6");
    let next = json!({"query": {"limit": 100, "offset": "2"}});
    let (_, second) = bench.call(Method::POST, "/management/v1/projects/_search", next).await;
    assert_eq!(second["result"][0]["name"], "c");
    bench.double.configure(|behaviour| behaviour.list_limits = true);
    let (status, refused) =
        bench.call(Method::POST, "/management/v1/projects/_search", json!({"query": {"limit": 1001}})).await;
    assert_eq!((status, error_id(&refused)), (400, "QUERY-4M0fs"));
}
