//! Whether the organization header arrives is seen by owners in answers, and acted upon at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Request;
use serde_json::json;

use crate::zitadel::tests::{Client, Error, Fake, Reply, Secret, TestResult, client};

const ME: &str = "/management/v1/orgs/me";

/// A server of the user's organization `home`; `lost` takes the header off a request.
fn behind(
    lost: impl Fn(&Request<Bytes>) -> bool + Send + Sync + 'static,
) -> Result<(Client, Arc<Fake>), String> {
    let fake = Fake::new(move |_, request| {
        let asked = request.headers().get("x-zitadel-orgid").filter(|_| !lost(request));
        let reached = asked.and_then(|id| id.to_str().ok()).unwrap_or("home");
        let details = json!({"sequence": "1", "resourceOwner": reached});
        Reply::json(200, &json!({"org": {"id": reached, "state": "ORG_STATE_ACTIVE"}, "details": details}))
    });
    Ok((client(fake.clone(), Secret::pat("t"))?, fake))
}

fn is_write(request: &Request<Bytes>) -> bool {
    request.method() != "GET"
}

fn is_lost<T: std::fmt::Debug>(outcome: &Result<T, Error>, on_write: bool) -> bool {
    matches!(outcome, Err(Error::HeaderLost { on_write: found }) if *found == on_write)
}

async fn set(client: &Client, organization: &str) -> Result<(), Error> {
    client.set_metadata(organization, &[("k", b"v")]).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn one_read_proves_the_header_before_the_first_write_to_an_organization() -> TestResult {
    let (client, fake) = behind(|_| false)?;
    for (organization, proofs) in [("acme", 1), ("acme", 1), ("beta", 2), ("acme", 2)] {
        set(&client, organization).await?;
        assert_eq!(fake.count(ME), proofs, "{organization}");
    }
    client.organization("gamma").await?;
    set(&client, "gamma").await?;
    assert_eq!(fake.count(ME), 3, "a read of the organization is a proof");
    client.reread_credential().await?;
    set(&client, "acme").await?;
    assert_eq!(fake.count(ME), 4, "another user may have another organization");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_header_that_never_arrives_lets_no_write_leave() -> TestResult {
    let (client, fake) = behind(|_| true)?;
    assert!(is_lost(&set(&client, "acme").await, false));
    assert_eq!(fake.count("/k"), 0);
    assert!(is_lost(&client.metadata("acme", |_| true).await, false), "nothing more is sent");
    assert_eq!(fake.seen().len(), 1);
    assert!(set(&behind(|_| true)?.0, "home").await.is_ok(), "the user's own organization needs no header");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_writes_that_lose_the_header_the_first_is_the_last() -> TestResult {
    let (client, fake) = behind(is_write)?;
    let organizations = ["a", "b", "c", "d"];
    let writes = organizations.map(|organization| set(&client, organization));
    let outcomes = futures::future::join_all(writes).await;
    assert!(outcomes.iter().all(|outcome| is_lost(outcome, true)), "{outcomes:?}");
    assert_eq!(fake.count("/k"), 1);
    assert!(is_lost(&client.confirm_header(false).await, true), "reads prove nothing of writes");
    client.confirm_header(true).await?;
    assert!(is_lost(&set(&client, "a").await, true));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_reads_show_ends_with_two_reads_that_arrive() -> TestResult {
    let lost = Arc::new(AtomicBool::new(true));
    let losing = lost.clone();
    let (client, fake) = behind(move |_| losing.load(Ordering::SeqCst))?;
    assert!(is_lost(&client.organization("acme").await, false));
    assert!(client.is_header_news() && !client.is_header_news());
    assert!(is_lost(&client.confirm_header(false).await, false));
    lost.store(false, Ordering::SeqCst);
    client.confirm_header(false).await?;
    assert_eq!(fake.count(ME), 4);
    set(&client, "acme").await?;
    client.check_header()?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_message_names_header_and_remedy_and_no_organization() -> TestResult {
    for (on_write, remedy) in [(false, "pass the header on"), (true, "reconcile-requested-at")] {
        let message = Error::HeaderLost { on_write }.to_string();
        assert!(message.contains("x-zitadel-orgid") && message.contains(remedy), "{message}");
    }
    Ok(())
}
