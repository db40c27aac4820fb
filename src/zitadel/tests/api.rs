use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use crate::zitadel::tests::{
    Client, Error, Fake, InstanceIdentity, Organization, PROJECT, RemoteState, Reply, Secret, TestResult,
    client, object, permission, recordings,
};

/// A client that is answered with this JSON.
pub(super) fn answered(body: &Value) -> Result<Client, String> {
    client(Fake::always(Reply::json(200, body)), Secret::pat("t"))
}

/// The owner that an answer names.
pub(super) fn owner(body: &Value) -> &str {
    body["details"]["resourceOwner"].as_str().unwrap_or("org")
}

/// The recorded 200 answers of every server line to one method and path (a prefix when it ends in `*`).
pub(super) fn answers(method: &Method, path: &str) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let steps = recordings()?;
    let fits = |step: &&Value| {
        let asked = step["path"].as_str().unwrap_or_default();
        let found = path.strip_suffix('*').map_or(asked == path, |prefix| {
            asked.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        });
        found && step["method"] == method.as_str() && step["status"] == 200
    };
    let found: Vec<Value> = steps.iter().filter(fits).map(|step| step["response"].clone()).collect();
    if found.is_empty() { Err(format!("nothing recorded for {method} {path}").into()) } else { Ok(found) }
}

#[tokio::test(start_paused = true)]
async fn recorded_projects_are_read() -> TestResult {
    let mut states = BTreeSet::new();
    for body in answers(&Method::GET, "/management/v1/projects/*")? {
        let sent = &body["project"];
        let id = sent["id"].as_str().ok_or("no id")?;
        let project = answered(&body)?.object(&PROJECT, "org", id).await?;
        assert_eq!(Some(project.name.as_str()), sent["name"].as_str());
        assert_eq!(Some(project.details.resource_owner.as_str()), sent["details"]["resourceOwner"].as_str());
        assert_eq!(project.details.sequence, "42");
        assert_eq!(
            project.details.change_date.map(|date| date.to_string()).as_deref(),
            Some("2026-11-21T10:00:00.123456Z")
        );
        let mut rest = object(sent.clone());
        rest.retain(|field, _| !["id", "details", "name", "state"].contains(&field.as_str()));
        assert_eq!(project.fields, rest);
        states.insert(format!("{:?}", project.state));
    }
    assert_eq!(states.len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn recorded_writes_of_projects_are_read() -> TestResult {
    let settings = Map::new();
    for body in answers(&Method::POST, "/management/v1/projects")? {
        let created = answered(&body)?.create_object(&PROJECT, owner(&body), &settings).await?;
        assert_eq!(Some(created.id.as_str()), body["id"].as_str());
        assert!(created.details.creation_date.is_some());
    }
    for body in answers(&Method::PUT, "/management/v1/projects/*")? {
        assert!(
            answered(&body)?
                .update_object(&PROJECT, owner(&body), "1", &settings)
                .await?
                .change_date
                .is_some()
        );
    }
    for body in answers(&Method::DELETE, "/management/v1/projects/*")? {
        assert_eq!(answered(&body)?.delete_object(&PROJECT, owner(&body), "1").await?.sequence, "42");
    }
    for action in ["_deactivate", "_reactivate"] {
        for body in answers(&Method::POST, &format!("/management/v1/projects/{{project}}/{action}"))? {
            let client = answered(&body)?;
            let details = match action {
                "_deactivate" => {
                    client.set_object_state(&PROJECT, owner(&body), "1", RemoteState::Inactive).await?
                }
                _ => client.set_object_state(&PROJECT, owner(&body), "1", RemoteState::Active).await?,
            };
            assert_eq!(details.sequence, "42");
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn recorded_organizations_and_identities_are_read() -> TestResult {
    for body in answers(&Method::GET, "/management/v1/orgs/me")? {
        let id = body["org"]["id"].as_str().ok_or("no id")?;
        let organization = answered(&body)?.organization(id).await?.value;
        assert_eq!(Some(organization.name.as_str()), body["org"]["name"].as_str());
        assert_eq!(organization.state == RemoteState::Removed, body["org"]["state"].is_null());
    }
    for body in answers(&Method::GET, "/management/v1/iam")? {
        let instance: InstanceIdentity = answered(&body)?.instance().await?.value;
        assert_eq!(
            (instance.iam_project_id.as_str(), instance.default_org_id.as_str()),
            ("<id>", "{default_org}")
        );
    }
    for body in answers(&Method::GET, "/auth/v1/users/me")? {
        let user = answered(&body)?.me().await?;
        assert_eq!(Some(user.login_name.as_str()), body["user"]["preferredLoginName"].as_str());
        assert_eq!(user.resource_owner, "{default_org}");
    }
    for body in answers(&Method::GET, "/admin/v1/instances/me")? {
        assert_eq!(Some(answered(&body)?.version().await?.as_str()), body["instance"]["version"].as_str());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn recorded_lists_are_read() -> TestResult {
    for body in answers(&Method::POST, "/v2/organizations/_search")? {
        let found = body["result"].as_array().map_or(0, Vec::len);
        let organizations = answered(&body)?.organizations_named("acme").await?;
        assert_eq!(organizations.len(), found);
        assert!(organizations.iter().all(|organization| organization.state == RemoteState::Active));
    }
    for body in answers(&Method::POST, "/auth/v1/memberships/me/_search")? {
        let found = body["result"].as_array().map_or(0, Vec::len);
        let memberships = answered(&body)?.memberships().await?;
        assert!(memberships.len() <= found && memberships.is_empty() == (found == 0));
        assert!(memberships.iter().all(|one| one.iam != one.org_id.is_some() && !one.roles.is_empty()));
    }
    for body in answers(&Method::POST, "/auth/v1/permissions/zitadel/me/_search")? {
        let permissions = answered(&body)?.permissions(Some("org")).await?;
        let listed = body["result"].as_array().map_or(&[][..], Vec::as_slice);
        let needed = listed.iter().filter_map(Value::as_str).filter(|name| permission::ALL.contains(name));
        assert_eq!(permissions, needed.collect());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_servers_time_comes_with_a_read() -> TestResult {
    let body = json!({"org": {"id": "1"}}).to_string();
    let fake = Fake::always(Reply::raw(200, &[("date", "Sun, 22 Nov 2026 02:00:00 GMT")], &body));
    let answer = client(fake, Secret::pat("t"))?.organization("1").await?;
    assert_eq!(answer.server_time.map(|time| time.to_string()).as_deref(), Some("2026-11-22T02:00:00Z"));
    assert_eq!(answer.value, Organization { id: "1".to_owned(), ..Organization::default() });
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_state_and_a_setting_of_a_later_version_are_read() -> TestResult {
    let project = json!({"id": "1", "state": "PROJECT_STATE_NEW", "privateLabelingSetting": "PRIVATE_LABELING_SETTING_NEW"});
    let read = answered(&json!({"project": project}))?.object(&PROJECT, "org", "1").await?;
    assert_eq!(read.state, RemoteState::Unknown);
    assert_eq!(read.fields["privateLabelingSetting"], "PRIVATE_LABELING_SETTING_NEW");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_removed_organization_has_no_state() -> TestResult {
    for state in [json!(null), json!("ORG_STATE_REMOVED"), json!("ORG_STATE_UNSPECIFIED")] {
        let mut org = json!({"id": "1", "name": "acme", "state": state});
        if org["state"].is_null() {
            org = json!({"id": "1", "name": "acme"});
        }
        let read: Organization = answered(&json!({"org": org}))?.organization("1").await?.value;
        assert_eq!(read.state, RemoteState::Removed);
    }
    let inactive = json!({"org": {"id": "1", "state": "ORG_STATE_INACTIVE"}});
    assert_eq!(answered(&inactive)?.organization("1").await?.value.state, RemoteState::Inactive);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_organization_state_of_a_later_version_is_neither_life_nor_absence() -> TestResult {
    for state in ["ORG_STATE_LOCKED", "ORGANIZATION_STATE_", "", "LOCKED"] {
        let client = answered(&json!({"org": {"id": "1", "name": "acme", "state": state}}))?;
        assert_eq!(client.organization("1").await?.value.state, RemoteState::Unknown, "{state}");
        let refused = client.living_organization("1").await;
        assert!(matches!(refused, Err(Error::Malformed { status: 200, .. })), "{state}: {refused:?}");
    }
    Ok(())
}

/// A list of `items`, of which the server shows those in `visible` and at most `most` a page.
fn list(
    items: usize,
    most: usize,
    total: usize,
    visible: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> Arc<Fake> {
    Fake::new(move |_, request| {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let offset: usize =
            body["query"]["offset"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        let limit = usize::try_from(body["query"]["limit"].as_u64().unwrap_or_default())
            .unwrap_or_default()
            .min(most);
        let page: Vec<Value> = (offset..items.min(offset + limit))
            .filter(|i| visible(*i))
            .map(|i| json!({"id": i.to_string()}))
            .collect();
        Reply::json(200, &json!({"details": {"totalResult": total.to_string()}, "result": page}))
    })
}

#[tokio::test(start_paused = true)]
async fn lists_are_read_to_the_end_whatever_the_pages() -> TestResult {
    let all = |_| true;
    for (fake, expected) in [
        (list(0, 100, 0, all), 0),
        (list(1, 100, 1, all), 1),
        (list(250, 100, 250, all), 250),
        (list(250, 7, 250, all), 250),
        (list(30, 100, 45, all), 30),
        (list(250, 100, 250, |i| !(10..90).contains(&i)), 170),
        (list(250, 100, 250, |i| i >= 200), 50),
    ] {
        let found = client(fake.clone(), Secret::pat("t"))?.objects_named(&PROJECT, "org", "web").await?;
        let ids: BTreeSet<_> = found.iter().map(|project| &project.id).collect();
        assert_eq!((found.len(), ids.len()), (expected, expected), "{} requests", fake.seen().len());
    }
    let endless = Fake::always(Reply::json(
        200,
        &json!({"details": {"totalResult": "18446744073709551615"}, "result": [{"id": "1"}]}),
    ));
    assert!(matches!(
        client(endless, Secret::pat("t"))?.objects_named(&PROJECT, "org", "web").await,
        Err(Error::Malformed { .. } | Error::Timeout { .. })
    ));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_list_details_is_not_an_empty_list() -> TestResult {
    assert!(matches!(
        answered(&json!({}))?.objects_named(&PROJECT, "org", "web").await,
        Err(Error::Malformed { .. })
    ));
    assert!(matches!(answered(&json!({}))?.organizations_named("acme").await, Err(Error::Malformed { .. })));
    assert!(matches!(answered(&json!({}))?.instance().await, Err(Error::Malformed { .. })));
    assert!(matches!(
        answered(&json!({}))?.create_object(&PROJECT, "org", &Map::new()).await,
        Err(Error::Malformed { .. })
    ));
    Ok(())
}
