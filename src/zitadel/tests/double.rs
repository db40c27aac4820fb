//! The calls about organizations, metadata, policies and features against the double of every server line.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use serde_json::{Map, json};
use support::zitadel::{Behaviour, Double, OrganizationFeatures, OwnIds};

use crate::zitadel::tests::{
    Client, DEFAULT, DOMAIN, Error, INSTANCE_LOGIN, LOGIN, Policy, PolicyPaths, RemoteState, Secret,
    TestResult, Transport, TransportError, client_at,
};
use crate::zitadel::transport::BODY_LIMIT;

/// The double as a transport, with the bound of the real one.
struct Wire(Double);

impl Transport for Wire {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        async move {
            let dropped = |_| TransportError::Unreachable("connection closed".to_owned());
            let response = self.0.call(request).await.map_err(dropped)?;
            match response.body().len() > BODY_LIMIT {
                true => {
                    Err(TransportError::TooLarge { status: response.status().as_u16(), limit: BODY_LIMIT })
                }
                false => Ok(response),
            }
        }
        .boxed()
    }
}

fn connect(behaviour: Behaviour) -> Result<(Double, Client), String> {
    let double = Double::builder().behaviour(behaviour).build();
    let client = connect_as(&double, &double.admin_token())?;
    Ok((double, client))
}

fn connect_as(double: &Double, token: &str) -> Result<Client, String> {
    client_at("http://localhost", None, Arc::new(Wire(double.clone())), Secret::pat(token))
}

fn lines() -> [Behaviour; 3] {
    [Behaviour::v3(), Behaviour::v4(), Behaviour::v4_newer()]
}

/// The id of a refusal of any class.
fn id<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(
            Error::NotFound { id, .. } | Error::Unchanged { id } | Error::OrganizationNotFound { id, .. },
        ) => id,
        Err(Error::AlreadyExists { id, .. } | Error::Invalid { id, .. }) => id.unwrap_or_default(),
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_organization_lives_and_ends() -> TestResult {
    for behaviour in lines() {
        let honours_ids = behaviour.own_ids != OwnIds::Ignored;
        let (double, client) = connect(behaviour)?;
        let org = client.create_organization("Acme", "own-1").await?.id;
        assert_eq!(org == "own-1", honours_ids, "{org}");
        assert_eq!(id(client.create_organization("ACME", "own-2").await), "V3-DKcYh");
        if honours_ids {
            assert_eq!(id(client.create_organization("Other", "own-1").await), "ORG-laho2n");
        }
        let renamed = client.rename_organization(&org, "Acme Ltd").await?;
        assert_eq!(client.organization(&org).await?.value.details.sequence, renamed.sequence);
        assert_eq!(id(client.rename_organization(&org, "Acme Ltd").await), "ORG-4VSdf");
        client.deactivate_organization(&org).await?;
        assert_eq!(client.organization(&org).await?.value.state, RemoteState::Inactive);
        assert_eq!(id(client.deactivate_organization(&org).await), "EVENT-Dbs2g");
        client.reactivate_organization(&org).await?;
        assert_eq!(id(client.reactivate_organization(&org).await), "EVENT-bfnrh");
        client.delete_organization(&org).await?;
        assert_eq!(id(client.delete_organization(&org).await), "COMMA-aps2n");
        assert_eq!(id(client.delete_organization(&double.default_organization()).await), "COMMA-wG9p1");
        assert_eq!(id(client.rename_organization("404", "Acme").await), "AUTH-Bs7Ds");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn metadata_is_set_read_and_removed() -> TestResult {
    for behaviour in lines() {
        let (double, admin) = connect(behaviour)?;
        let acme = double.create_organization("acme");
        let client = connect_as(&double, &acme.owner.token)?;
        let written = client.set_metadata(&acme.id, &[("tier", b"gold\0")]).await?.ok_or("no details")?;
        let keys = ["a/b", "é ü", "_bulk", "_search", "50%", "a?b#c:d", ".."];
        for key in keys {
            client.set_metadata(&acme.id, &[(key, key.as_bytes())]).await?;
        }
        let read = client.metadata(&acme.id, |key| key != "50%").await?;
        assert_eq!(read.len(), keys.len());
        for entry in &read {
            let expected = if entry.key == "tier" { b"gold\0".as_slice() } else { entry.key.as_bytes() };
            assert_eq!(
                (entry.value.as_slice(), entry.details.resource_owner.as_str()),
                (expected, acme.id.as_str())
            );
        }
        let tier = read.iter().find(|entry| entry.key == "tier").ok_or("no tier")?;
        assert_eq!(tier.details.sequence, written.sequence);
        assert_eq!(id(client.remove_metadata(&acme.id, &["tier", "absent"]).await), "META-2npds");
        assert_eq!(double.metadata(&acme.id).len(), 8);
        client.remove_metadata(&acme.id, &["tier", "a/b", "é ü"]).await?;
        assert_eq!(client.metadata(&acme.id, |_| true).await?.len(), 5);
        assert_eq!(id(client.metadata("404", |_| true).await), "AUTH-Bs7Ds");
        assert_eq!(id(client.set_metadata(&acme.id, &[("k", b"")]).await), "");
        double.remove_organization(&acme.id);
        let gone = id(admin.set_metadata(&acme.id, &[("tier", b"gold")]).await);
        assert!(["COMMAND-QXPGs", "AUTH-Bs7Ds"].contains(&gone.as_str()), "{gone}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_key_is_found_among_large_values() -> TestResult {
    let (double, client) = connect(Behaviour::v4())?;
    let org = double.add_organization("acme");
    let (keys, value) = ((0..10).map(|i| format!("foreign-{i}")).collect::<Vec<_>>(), vec![b'v'; 500_000]);
    let entries: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), value.as_slice())).collect();
    assert_eq!(client.set_metadata(&org, &entries).await?, None);
    client.set_metadata(&org, &[("tier", b"gold")]).await?;
    let read = client.metadata(&org, |key| key == "tier").await?;
    assert_eq!(read.iter().map(|entry| entry.value.as_slice()).collect::<Vec<_>>(), [b"gold"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_the_instance_is_read_after_every_write_before() -> TestResult {
    for behaviour in lines() {
        let (_, client) = connect(behaviour.lagging(Duration::from_secs(5)))?;
        let before = client.policy(&INSTANCE_LOGIN, "").await?;
        let mut fields = before.fields.clone();
        fields.insert("hidePasswordReset".into(), true.into());
        let written = client.update_policy(&INSTANCE_LOGIN, "", &fields).await?;
        let late = PolicyPaths { refresh: None, ..INSTANCE_LOGIN };
        assert_eq!(client.policy(&late, "").await?.fields, before.fields);
        let read = client.policy(&INSTANCE_LOGIN, "").await?;
        assert_eq!((&read.fields, &read.details.sequence), (&fields, &written.sequence));
        assert!(!read.is_default);
        assert_eq!(id(client.update_policy(&INSTANCE_LOGIN, "", &fields).await), "INSTANCE-5M9vdd");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_domain_policy_is_added_changed_and_reset() -> TestResult {
    for behaviour in lines() {
        let (double, client) = connect(behaviour)?;
        let acme = double.create_organization("acme");
        let org = acme.id.as_str();
        let default = client.policy(&DEFAULT, "").await?;
        assert_eq!(client.policy(&DOMAIN, org).await?, Policy { is_default: true, ..default.clone() });
        let mut settings = default.fields.clone();
        settings.insert("validateOrgDomains".into(), true.into());
        assert_eq!(id(client.update_policy(&DOMAIN, org, &settings).await), "ORG-2N9sd");
        assert_eq!(id(client.reset_policy(&DOMAIN, org).await), "ORG-Dvsh3");
        let added = client.add_policy(&DOMAIN, org, &settings).await?;
        let read = client.policy(&DOMAIN, org).await?;
        assert_eq!((&read.fields, read.is_default), (&settings, false));
        assert_eq!(read.details.sequence, added.sequence);
        assert_eq!(id(client.add_policy(&DOMAIN, org, &settings).await), "ORG-1M8ds");
        assert_eq!(id(client.update_policy(&DOMAIN, org, &settings).await), "ORG-3M9ds");
        let is_domain = settings.remove("userLoginMustBeDomain").is_some();
        settings.extend((!is_domain).then(|| ("userLoginMustBeDomain".to_owned(), true.into())));
        client.update_policy(&DOMAIN, org, &settings).await?;
        let owner = connect_as(&double, &acme.owner.token)?;
        assert_eq!(owner.policy(&DOMAIN, org).await?.fields, settings);
        assert_eq!(owner.user_count(org).await?, 4);
        let denied = owner.reset_policy(&DOMAIN, org).await;
        assert!(
            matches!(&denied, Err(Error::PermissionDenied { permission: "iam.policy.delete", .. })),
            "{denied:?}"
        );
        client.reset_policy(&DOMAIN, org).await?;
        assert!(client.policy(&DOMAIN, org).await?.is_default);
        assert_eq!(id(client.policy(&DOMAIN, "404").await), "AUTH-Bs7Ds");
        assert_eq!(id(client.add_policy(&DOMAIN, "404", &settings).await), "AUTH-Bs7Ds");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_login_policy_and_its_factors_are_written_by_an_owner() -> TestResult {
    for behaviour in lines() {
        let (double, _) = connect(behaviour)?;
        let acme = double.create_organization("acme");
        let (client, org) = (connect_as(&double, &acme.owner.token)?, acme.id.as_str());
        let second = (&LOGIN, &LOGIN.sets[0]);
        let default = client.policy(&LOGIN, org).await?;
        assert!(default.is_default);
        assert_eq!(id(client.update_policy(&LOGIN, org, &default.fields).await), "Org-M0sif");
        assert_eq!(id(client.reset_policy(&LOGIN, org).await), "Org-GHB37");
        client.add_policy(&LOGIN, org, &default.fields).await?;
        assert_eq!(client.policy(&LOGIN, org).await?.fields, default.fields);
        assert_eq!(id(client.add_policy(&LOGIN, org, &default.fields).await), LOGIN.exists);
        assert_eq!(id(client.update_policy(&LOGIN, org, &default.fields).await), "Org-5M9vdd");
        let present = client.add_to_policy(second, org, "SECOND_FACTOR_TYPE_OTP").await;
        assert_eq!(id(present), LOGIN.sets[0].exists);
        let added = client.add_to_policy(second, org, "SECOND_FACTOR_TYPE_OTP_SMS").await?;
        assert_eq!(client.policy(&LOGIN, org).await?.details.sequence, added.sequence);
        client.remove_from_policy(second, org, "SECOND_FACTOR_TYPE_OTP_SMS").await?;
        let absent = client.remove_from_policy(second, org, "SECOND_FACTOR_TYPE_OTP_SMS").await;
        assert_eq!(id(absent), "Org-3M9od");
        let unknown = client.add_to_policy(second, org, "SECOND_FACTOR_TYPE_NEW").await;
        assert!(matches!(&unknown, Err(Error::Invalid { .. })), "{unknown:?}");
        client.reset_policy(&LOGIN, org).await?;
        assert_eq!(client.policy(&LOGIN, org).await?.fields, default.fields);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn features_are_unsupported_or_set_merged_and_reset() -> TestResult {
    for behaviour in lines() {
        let (double, client) = connect(behaviour)?;
        let org = double.add_organization("acme");
        let flags = Map::from_iter([("loginDefaultOrg".to_owned(), json!(true))]);
        let read = client.organization_features(&org).await;
        assert!(matches!(read, Err(Error::Unsupported { .. })), "{read:?}");
        let set = client.set_organization_features(&org, &flags).await;
        assert!(matches!(set, Err(Error::Unsupported { .. })), "{set:?}");
        let reset = client.reset_organization_features(&org).await;
        assert!(matches!(reset, Err(Error::Unsupported { .. })), "{reset:?}");

        double.configure(|behaviour| behaviour.organization_features = OrganizationFeatures::Implemented);
        assert!(client.organization_features(&org).await?.flags.is_empty());
        let written = client.set_organization_features(&org, &flags).await?;
        let more = Map::from_iter([("userSchema".to_owned(), json!(false))]);
        assert_ne!(client.set_organization_features(&org, &more).await?.sequence, written.sequence);
        let read = client.organization_features(&org).await?;
        assert_eq!(json!(read.flags), json!({"loginDefaultOrg": true, "userSchema": false}));
        assert_eq!(read.details.resource_owner, org);
        assert_eq!(id(client.set_organization_features(&org, &Map::new()).await), "COMMAND-Vigh1");
        client.reset_organization_features(&org).await?;
        client.reset_organization_features(&org).await?;
        assert!(client.organization_features(&org).await?.flags.is_empty());
    }
    Ok(())
}
