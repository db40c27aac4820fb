//! Connections that hold the same credential for the same place share its token, and nothing else is shared.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use crate::zitadel::tests::{
    Client, ClientConfig, Credential, DEADLINE, Fake, MemoryBudget, Reply, Secret, TestResult, Tokens,
    budget, parse_base_url,
};

fn machine(secret: &str) -> Arc<Secret> {
    Secret::new(Credential::ClientCredentials { client_id: "bot".to_owned(), client_secret: secret.into() })
}

/// Mints a token whenever it is asked to and takes all but the first.
fn server() -> Arc<Fake> {
    Fake::new(|number, request| match request.uri().path() {
        "/oauth/v2/token" => Reply::token(&format!("token-{number}"), 3600),
        _ if request.headers().get("authorization").is_some_and(|token| token == "Bearer token-1") => {
            Reply::error(401, 16, "AUTH-7fs1e")
        }
        _ => Reply::json(200, &serde_json::json!({"user": {"id": "user-1"}})),
    })
}

/// A client of a connection to this instance among those that share tokens.
fn among(
    tokens: &Arc<Tokens>,
    fake: &Arc<Fake>,
    domain: &str,
    secret: &Arc<Secret>,
) -> Result<Client, String> {
    let config = ClientConfig {
        base_url: parse_base_url("https://zitadel.example")?,
        external_domain: Some(domain.to_owned()),
        deadline: DEADLINE,
        memory: MemoryBudget::default().share(None),
        answered: false,
    };
    Client::new(config, fake.clone(), secret.clone(), budget(), Arc::default(), tokens.clone())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_shared_by_who_read_the_same_credential_from_a_secret_of_its_own() -> TestResult {
    let (tokens, fake) = (Arc::default(), server());
    let first = machine("s3cret");
    among(&tokens, &fake, "a.example", &first)?.reread_credential().await?;
    let second = machine("s3cret");
    among(&tokens, &fake, "a.example", &second)?.reread_credential().await?;
    assert_eq!((fake.count("/token"), first.loads(), second.loads()), (1, 1, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn another_credential_or_another_instance_has_a_token_of_its_own() -> TestResult {
    let (tokens, fake) = (Arc::default(), server());
    for (domain, secret) in [("a.example", "s3cret"), ("a.example", "other"), ("b.example", "s3cret")] {
        among(&tokens, &fake, domain, &machine(secret))?.reread_credential().await?;
    }
    assert_eq!(fake.count("/token"), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_connection_built_anew_goes_on_with_its_token_until_that_is_due() -> TestResult {
    let (tokens, fake, secret) = (Arc::default(), server(), machine("s3cret"));
    for _ in 0..3 {
        among(&tokens, &fake, "a.example", &secret)?.reread_credential().await?;
    }
    assert_eq!(fake.count("/token"), 1);
    advance(Duration::from_secs(3600 * 91 / 100)).await;
    among(&tokens, &fake, "a.example", &secret)?.reread_credential().await?;
    assert_eq!(fake.count("/token"), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_token_that_no_connection_uses_goes_with_the_next_that_is_minted() -> TestResult {
    let (tokens, fake, secret) = (Arc::default(), server(), machine("s3cret"));
    let used = among(&tokens, &fake, "a.example", &secret)?;
    used.reread_credential().await?;
    for domain in ["b.example", "c.example"] {
        among(&tokens, &fake, domain, &secret)?.reread_credential().await?;
    }
    for (domain, minted) in [("a.example", 3), ("c.example", 3), ("b.example", 4)] {
        among(&tokens, &fake, domain, &secret)?.reread_credential().await?;
        assert_eq!(fake.count("/token"), minted, "{domain}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_refused_is_replaced_once_for_all_who_share_it() -> TestResult {
    let (tokens, fake) = (Arc::default(), server());
    let [one, other] = [machine("s3cret"), machine("s3cret")];
    let one = among(&tokens, &fake, "a.example", &one)?;
    let other = among(&tokens, &fake, "a.example", &other)?;
    one.reread_credential().await?;
    other.reread_credential().await?;
    advance(Duration::from_secs(6)).await;
    one.me().await?;
    other.me().await?;
    assert_eq!((fake.count("/token"), fake.count("/me")), (2, 4));
    Ok(())
}
