//! What the calls about organizations, metadata, policies and features send, and how they read recordings.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Map, Value, json};

use crate::zitadel::tests::api::{answered, answers, owner};
use crate::zitadel::tests::{
    Client, DEFAULT, DOMAIN, Error, Fake, LOGIN, Policy, Reply, Secret, TestResult, client, object,
    recordings,
};

const POLICY: &str = "/admin/v1/orgs/org/policies/domain";
const FEATURES: &str = "/v2/features/organization/org";

/// Method, path, organization header and JSON body (null without one) of a request.
fn shape(request: &Request<Bytes>) -> (String, String, String, Value) {
    let organization = request.headers().get("x-zitadel-orgid").and_then(|id| id.to_str().ok());
    let body = serde_json::from_slice(request.body()).unwrap_or_default();
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    (method, path, organization.unwrap_or_default().to_owned(), body)
}

async fn call_everything(client: &Client) -> Result<(), Error> {
    let settings = object(
        json!({ "userLoginMustBeDomain": false, "validateOrgDomains": true, "smtpSenderAddressMatchesInstanceDomain": false }),
    );
    let flags = Map::from_iter([("loginDefaultOrg".to_owned(), json!(true))]);
    client.create_organization("Acme", "own").await?;
    client.rename_organization("org", "Acme").await?;
    client.deactivate_organization("org").await?;
    client.reactivate_organization("org").await?;
    client.delete_organization("org").await?;
    client.set_metadata("org", &[("a key?", b"gold")]).await?;
    client.set_metadata("org", &[("a/b", b"1")]).await?;
    client.set_metadata("org", &[("one", b"1"), ("two", b"\xff")]).await?;
    client.remove_metadata("org", &["one", "a/b"]).await?;
    client.metadata("org", |_| true).await?;
    client.policy(&DOMAIN, "org").await?;
    client.policy(&DEFAULT, "").await?;
    client.add_policy(&DOMAIN, "org", &settings).await?;
    client.update_policy(&DOMAIN, "org", &settings).await?;
    client.reset_policy(&DOMAIN, "org").await?;
    client.add_policy(&LOGIN, "org", &object(json!({ "forceMfa": true }))).await?;
    client.add_to_policy((&LOGIN, &LOGIN.sets[0]), "org", "SECOND_FACTOR_TYPE_OTP").await?;
    client.remove_from_policy((&LOGIN, &LOGIN.sets[1]), "org", "a/b").await?;
    client.user_count("org").await?;
    client.organization_features("org").await?;
    client.set_organization_features("org", &flags).await?;
    client.reset_organization_features("org").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_call_has_its_path_organization_and_body() -> TestResult {
    let answer = json!({
        "organizationId": "own", "details": {"sequence": "2", "totalResult": "0"}, "policy": {}, "result": [],
    });
    let fake = Fake::always(Reply::json(200, &answer));
    call_everything(&client(fake.clone(), Secret::pat("t"))?).await?;
    let settings = json!({
        "userLoginMustBeDomain": false, "validateOrgDomains": true, "smtpSenderAddressMatchesInstanceDomain": false,
    });
    let first_page = json!({"query": {"offset": "0", "limit": 1000, "asc": true}});
    let (me, metadata, login) =
        ("/management/v1/orgs/me", "/management/v1/metadata", "/management/v1/policies/login");
    let path = |base: &str, rest: &str| format!("{base}{rest}");
    let rows = [
        (
            "POST",
            "/v2/organizations".to_owned(),
            "",
            json!({"name": "Acme", "orgId": "own", "organizationId": "own"}),
        ),
        ("PUT", path(me, ""), "org", json!({"name": "Acme"})),
        ("POST", path(me, "/_deactivate"), "org", json!({})),
        ("POST", path(me, "/_reactivate"), "org", json!({})),
        ("DELETE", "/admin/v1/orgs/org".to_owned(), "", json!(null)),
        ("POST", path(metadata, "/a%20key%3F"), "org", json!({"value": "Z29sZA=="})),
        ("POST", path(metadata, "/_bulk"), "org", json!({"metadata": [{"key": "a/b", "value": "MQ=="}]})),
        (
            "POST",
            path(metadata, "/_bulk"),
            "org",
            json!({"metadata": [{"key": "one", "value": "MQ=="}, {"key": "two", "value": "/w=="}]}),
        ),
        ("DELETE", path(metadata, "/_bulk"), "org", json!({"keys": ["one", "a/b"]})),
        ("POST", path(metadata, "/_search"), "org", first_page),
        ("GET", path("/management/v1/policies/domain", ""), "org", json!(null)),
        ("GET", path("/admin/v1/policies/domain", ""), "", json!(null)),
        ("POST", path(POLICY, ""), "org", settings.clone()),
        ("PUT", path(POLICY, ""), "org", settings),
        ("DELETE", path(POLICY, ""), "org", json!(null)),
        ("POST", path(login, ""), "org", json!({"forceMfa": true})),
        ("POST", path(login, "/second_factors"), "org", json!({"type": "SECOND_FACTOR_TYPE_OTP"})),
        ("DELETE", path(login, "/multi_factors/a%2Fb"), "org", json!(null)),
        ("POST", path("/management/v1/users/_search", ""), "org", json!({"query": {"limit": 1}})),
        ("GET", path(FEATURES, ""), "org", json!(null)),
        ("PUT", path(FEATURES, ""), "org", json!({"loginDefaultOrg": true})),
        ("DELETE", path(FEATURES, ""), "org", json!(null)),
    ];
    let rows = rows.map(|(method, path, org, body)| (method.to_owned(), path, org.to_owned(), body));
    let seen: Vec<_> = fake.seen().iter().map(shape).collect();
    assert_eq!(seen, rows);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_denial_names_the_permission_of_the_call() -> TestResult {
    let fake = Fake::always(Reply::error(403, 7, "AUTH-5mWD2"));
    let client = client(fake, Secret::pat("t"))?;
    let settings = object(json!({}));
    let flags = Map::new();
    let denials = [
        ("org.create", client.create_organization("Acme", "own").await.map(drop)),
        ("org.write", client.rename_organization("org", "Acme").await.map(drop)),
        ("org.delete", client.delete_organization("org").await.map(drop)),
        ("org.write", client.set_metadata("org", &[("k", b"v")]).await.map(drop)),
        ("org.write", client.remove_metadata("org", &["k"]).await),
        ("org.read", client.metadata("org", |_| true).await.map(drop)),
        ("iam.policy.read", client.policy(&DEFAULT, "").await.map(drop)),
        ("iam.policy.write", client.add_policy(&DOMAIN, "org", &settings).await.map(drop)),
        ("iam.policy.write", client.update_policy(&DOMAIN, "org", &settings).await.map(drop)),
        ("iam.policy.delete", client.reset_policy(&DOMAIN, "org").await.map(drop)),
        ("policy.read", client.policy(&LOGIN, "org").await.map(drop)),
        ("policy.write", client.update_policy(&LOGIN, "org", &settings).await.map(drop)),
        ("policy.write", client.add_to_policy((&LOGIN, &LOGIN.sets[0]), "org", "X").await.map(drop)),
        ("policy.write", client.remove_from_policy((&LOGIN, &LOGIN.sets[0]), "org", "X").await.map(drop)),
        ("policy.delete", client.reset_policy(&LOGIN, "org").await.map(drop)),
        ("user.read", client.user_count("org").await.map(drop)),
        ("org.feature.read", client.organization_features("org").await.map(drop)),
        ("org.feature.write", client.set_organization_features("org", &flags).await.map(drop)),
        ("org.feature.delete", client.reset_organization_features("org").await.map(drop)),
    ];
    for (expected, denial) in denials {
        let matches =
            matches!(&denial, Err(Error::PermissionDenied { permission, .. }) if *permission == expected);
        assert!(matches, "{expected}: {denial:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn recorded_writes_of_organizations_are_read() -> TestResult {
    let creates: Vec<Value> = recordings()?
        .into_iter()
        .filter(|step| step["path"] == "/v2/organizations" && step["status"] == 201)
        .collect();
    assert!(creates.len() > 4, "{}", creates.len());
    for step in creates {
        let fake = Fake::always(Reply::json(201, &step["response"]));
        let created = client(fake, Secret::pat("t"))?.create_organization("Acme", "asked for").await?;
        assert_eq!(Some(created.id.as_str()), step["response"]["organizationId"].as_str());
        assert!(created.details.change_date.is_some());
    }
    let me = "/management/v1/orgs/me";
    for body in answers(&Method::PUT, me)? {
        assert!(answered(&body)?.rename_organization(owner(&body), "Acme").await?.creation_date.is_some());
    }
    for body in answers(&Method::POST, "/management/v1/orgs/me/*")? {
        assert_eq!(answered(&body)?.deactivate_organization(owner(&body)).await?.sequence, "42");
        assert_eq!(answered(&body)?.reactivate_organization(owner(&body)).await?.sequence, "42");
    }
    for body in answers(&Method::DELETE, me)? {
        assert_eq!(answered(&body)?.delete_organization("org").await?.resource_owner, "<id>");
    }
    let nameless = answered(&json!({"details": {}}))?.create_organization("Acme", "own").await;
    assert!(matches!(nameless, Err(Error::Malformed { .. })), "{nameless:?}");
    Ok(())
}

fn settings(policy: &Value) -> Map<String, Value> {
    let mut fields = object(policy.clone());
    fields.retain(|name, _| !["details", "isDefault"].contains(&name.as_str()));
    fields
}

#[tokio::test(start_paused = true)]
async fn recorded_domain_policies_are_read() -> TestResult {
    let own = answers(&Method::GET, "/management/v1/policies/domain")?;
    let admin = answers(&Method::GET, "/admin/v1/orgs/{acme}/policies/domain")?;
    let mut met = [0, 0];
    for body in own.iter().chain(&admin) {
        let (sent, read) = (&body["policy"], answered(body)?.policy(&DOMAIN, "{acme}").await?);
        assert_eq!((read.fields, read.is_default), (settings(sent), sent["isDefault"] == true));
        assert_eq!(Some(read.details.resource_owner.as_str()), sent["details"]["resourceOwner"].as_str());
        assert!(read.details.creation_date.is_some() && read.details.change_date.is_some());
        met[usize::from(read.is_default)] += 1;
    }
    assert!(met.iter().all(|count| *count > 1), "{met:?}");
    for body in answers(&Method::GET, "/admin/v1/policies/domain")? {
        let Policy { fields: read, is_default, .. } = answered(&body)?.policy(&DEFAULT, "").await?;
        assert_eq!((read, is_default), (settings(&body["policy"]), false));
    }
    let foreign = json!({"policy": {"details": {"resourceOwner": "instance"}}});
    assert!(answered(&foreign)?.policy(&DOMAIN, "org").await?.is_default);
    assert!(matches!(answered(&json!({}))?.policy(&DOMAIN, "org").await, Err(Error::Malformed { .. })));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn users_are_counted() -> TestResult {
    for body in answers(&Method::POST, "/management/v1/users/_search")? {
        let total = body["details"]["totalResult"].as_str().ok_or("no total")?.parse::<u64>()?;
        assert_eq!(answered(&body)?.user_count("{acme}").await?, total);
    }
    assert_eq!(answered(&json!({"details": {}}))?.user_count("org").await?, 0);
    for body in [json!({}), json!({"details": {"totalResult": "many"}})] {
        assert!(matches!(answered(&body)?.user_count("org").await, Err(Error::Malformed { .. })), "{body}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_the_organizations_own_flags_are_read_as_a_write_takes_them() -> TestResult {
    let own = |mut fields: Value| {
        fields["source"] = json!("SOURCE_ORGANIZATION");
        fields
    };
    let body = json!({
        "details": {"sequence": "7", "changeDate": "2026-11-21T10:00:00Z", "resourceOwner": "org"},
        "loginDefaultOrg": own(json!({"enabled": true})),
        "userSchema": own(json!({})),
        "debugOidcParentError": {"enabled": true, "source": "SOURCE_INSTANCE"},
        "oidcTokenExchange": {"enabled": true},
        "permissionCheckV2": {},
        "improvedPerformance": own(json!({"executionPaths": ["IMPROVED_PERFORMANCE_PROJECT"]})),
        "loginV2": own(json!({"baseUri": "https://login.example"})),
        "laterFlag": own(json!({"mode": "strict"})),
        "notAFlag": "SOURCE_ORGANIZATION",
    });
    let features = answered(&body)?.organization_features("org").await?;
    assert_eq!((features.details.sequence.as_str(), features.details.resource_owner.as_str()), ("7", "org"));
    let expected = json!({
        "loginDefaultOrg": true,
        "userSchema": false,
        "improvedPerformance": ["IMPROVED_PERFORMANCE_PROJECT"],
        "loginV2": {"baseUri": "https://login.example", "required": false},
        "laterFlag": {"mode": "strict"},
    });
    assert_eq!(json!(features.flags), expected);
    let emptied = json!({"improvedPerformance": own(json!({})), "loginV2": own(json!({"required": true}))});
    let flags = answered(&emptied)?.organization_features("org").await?.flags;
    assert_eq!(json!(flags), json!({"improvedPerformance": [], "loginV2": {"required": true}}));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn features_fall_back_to_v2beta_where_v2_lacks_them() -> TestResult {
    let unimplemented =
        json!({"code": 2, "message": "rpc error: code = Unimplemented desc = method X not implemented"});
    let (v3, v4) = (Reply::json(501, &json!({"code": 12, "message": "m"})), Reply::json(500, &unimplemented));
    let absent = Reply::json(404, &json!({"code": 5, "message": "Not Found"}));
    let found = Reply::json(200, &json!({"details": {"sequence": "9"}}));
    let denied = Reply::error(403, 7, "AUTH-5mWD2");
    let cases = [
        (&found, &denied, "Ok"),
        (&v3, &found, "Ok"),
        (&v4, &found, "Ok"),
        (&absent, &found, "Ok"),
        (&v4, &v4, "Unsupported"),
        (&v3, &absent, "Unsupported"),
        (&v3, &denied, "Unsupported"),
        (&absent, &v3, "Unsupported"),
        (&absent, &absent, "UnknownEndpoint"),
        (&denied, &found, "PermissionDenied"),
        (&v4, &Reply::refused(), "Unreachable"),
    ];
    for ((v2, v2beta, expected), answered) in cases.into_iter().flat_map(|case| [(case, false), (case, true)])
    {
        let (first, second) = (v2.clone(), v2beta.clone());
        let fake = Fake::new(move |_, request| match request.uri().path().starts_with("/v2beta/") {
            true => second.clone(),
            false => first.clone(),
        });
        let client = client(fake.clone(), Secret::pat("t0ken"))?;
        if answered {
            client.remember_answer();
        }
        let expected = if answered && expected == "UnknownEndpoint" { "Unavailable" } else { expected };
        let read = client.organization_features("org").await;
        let set = client.set_organization_features("org", &Map::new()).await;
        let reset = client.reset_organization_features("org").await;
        for (outcome, call) in [(read.map(drop), "get"), (set.map(drop), "set"), (reset.map(drop), "reset")] {
            let shown = outcome.as_ref().map_or_else(|error| format!("{error:?}"), |()| "Ok".to_owned());
            assert!(shown.starts_with(expected), "{call}: {shown} instead of {expected}");
        }
        let beta = fake.seen().iter().filter(|sent| sent.uri().path().starts_with("/v2beta/")).count();
        assert_eq!(
            beta > 0,
            ![&found, &denied].into_iter().any(|final_answer| std::ptr::eq(v2, final_answer))
        );
    }
    Ok(())
}
