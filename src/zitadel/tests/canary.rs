use http::Request;
use serde_json::Value;

use crate::zitadel::tests::{Credential, DEADLINE, Fake, Reply, Secret, TestResult, client, key_file};

const CANARY: &str = "c4n4ry-s3cr3t";

#[tokio::test(start_paused = true)]
async fn no_debug_or_display_shows_a_secret() -> TestResult {
    let echo = format!("<html>{CANARY}</html>");
    let quoted = format!(r#"{{"code":3,"message":"bad {CANARY}","details":[{{"id":"X-{CANARY}"}}]}}"#);
    let oauth = format!(r#"{{"error":"invalid_client","error_description":"bad {CANARY}"}}"#);
    let replies = [
        Reply::raw(200, &[], &echo),
        Reply::raw(200, &[], &format!(r#"{{"user":{{"id":["{CANARY}"]}}}}"#)),
        Reply::raw(500, &[], &echo),
        Reply::raw(302, &[("location", CANARY)], &echo),
        Reply::raw(400, &[], &quoted),
        Reply::raw(401, &[], &quoted),
        Reply::raw(403, &[], &quoted),
        Reply::raw(404, &[], &quoted),
        Reply::raw(400, &[], &oauth),
        Reply::raw(500, &[], &oauth),
        Reply::refused(),
        Reply::raw(200, &[], "{}").after(DEADLINE * 2),
    ];
    let credentials = [
        Credential::personal_access_token(CANARY.as_bytes())?,
        Credential::client_credentials(b"bot", CANARY.as_bytes())?,
    ];
    for (reply, credential) in
        replies.iter().flat_map(|reply| credentials.iter().map(move |one| (reply, one)))
    {
        let fake = Fake::always(reply.clone());
        let client = client(fake.clone(), Secret::new(credential.clone()))?;
        let outcome = client.me().await;
        let Err(error) = &outcome else {
            return Err(format!("{outcome:?}").into());
        };
        let shown = format!("{outcome:?} {error} {client:?} {credential:?}");
        assert!(!shown.contains(CANARY), "{shown}");
        let heads: String =
            fake.seen().into_iter().map(|sent| format!("{:?}", Request::map(sent, drop))).collect();
        assert!(!heads.contains(CANARY), "{heads}");
    }
    Ok(())
}

#[test]
fn no_debug_shows_a_key() -> TestResult {
    let (file, _) = key_file("2999-01-01T00:00:00Z")?;
    let credential = Credential::jwt_profile(&file)?;
    assert_eq!(format!("{credential:?}"), "JwtProfile(user user-1, key key-1)");
    let mut confused: Value = serde_json::from_slice(&file)?;
    confused["keyId"] = confused["key"].clone();
    let refused = Credential::jwt_profile(confused.to_string().as_bytes());
    assert!(refused.is_err_and(|error| !error.to_string().contains("PRIVATE KEY")));
    Ok(())
}
