//! Objects: ZITADEL gives each an id, and keeps names unique; an object is active or not. Found by name, read by id.

use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::api::Reason;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Clash, Context, Driver, Kind};
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::values::Values;
use crate::engine::drivers::wire::{Fields, Wire};
use crate::zitadel::{self, Created, Details, Error, ObjectPaths, RemoteState};

/// The driver of objects.
pub struct Object;

/// A kind whose object has an assigned id. The calls are those of [`ObjectKind::PATHS`] unless a kind has its own.
pub trait ObjectKind: Kind<Driver = Object> {
    /// The object as the spec says it, with ZITADEL's field names: `name` (unset: that of the resource), `state` where it
    /// has one, and what an update replaces. What it leaves out is kept as it is.
    type Fields: Serialize + JsonSchema + 'static;
    /// Where it is read and written.
    const PATHS: ObjectPaths;

    /// The object that the spec wants.
    fn fields(&self) -> &Self::Fields;
    /// Refuses a name that ZITADEL takes and then changes.
    fn check_name(_name: &str) -> Result<(), ReconcileError> {
        Ok(())
    }

    /// The object with this id.
    fn read(cx: Context<'_>, id: &str) -> impl Future<Output = Result<zitadel::Object, Error>> + Send {
        cx.client.object(&Self::PATHS, cx.organization, id)
    }
    /// Does a read that failed so say that the object is not there?
    fn is_gone(error: &Error) -> bool {
        matches!(error, Error::NotFound { .. })
    }
    /// Ids of objects that seem to have this name; may lag behind.
    fn find(cx: Context<'_>, name: &str) -> impl Future<Output = Result<Vec<String>, Error>> + Send {
        async move {
            let found = cx.client.objects_named(&Self::PATHS, cx.organization, name).await?;
            Ok(found.into_iter().map(|object| object.id).collect())
        }
    }
    /// As [`Driver::clash`].
    fn clash(_cx: Context<'_>, _name: &str) -> impl Future<Output = Result<Option<Clash>, Error>> + Send {
        std::future::ready(Ok(None))
    }
    /// Creates the object; it is active then.
    fn create(cx: Context<'_>, wanted: &Desired) -> impl Future<Output = Result<Created, Error>> + Send {
        async move { cx.client.create_object(&Self::PATHS, cx.organization, &body(wanted)).await }
    }
    /// The organization that the writes of an object name.
    fn organization_of<'a>(cx: Context<'a>, _id: &'a str) -> &'a str {
        cx.organization
    }
    /// Deletes the object; one that is gone already is fine.
    fn delete(cx: Context<'_>, id: &str) -> impl Future<Output = Result<(), Error>> + Send {
        async move {
            match cx.client.delete_object(&Self::PATHS, cx.organization, id).await {
                Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        }
    }
}

impl<K: ObjectKind> Driver<K> for Object {
    async fn resolve_spec(resource: &K, _: &mut Values<'_>) -> Result<Desired, ReconcileError> {
        let spec = serde_json::to_value(resource.fields()).map_err(kube::Error::SerdeError)?;
        let desired = desired(Wire::of::<K::Fields>().sent(spec), || resource.name_any());
        check_name(K::PATHS.noun(), &desired.name)?;
        K::check_name(&desired.name)?;
        Ok(desired)
    }

    async fn observe(cx: Context<'_>, id: &str) -> Result<Option<Remote>, Error> {
        match read::<K>(cx, id).await {
            Err(error) if K::is_gone(&error) => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    fn find(cx: Context<'_>, name: &str) -> impl Future<Output = Result<Vec<String>, Error>> + Send {
        K::find(cx, name)
    }

    fn clash(cx: Context<'_>, name: &str) -> impl Future<Output = Result<Option<Clash>, Error>> + Send {
        K::clash(cx, name)
    }

    fn diff(desired: &Desired, remote: &Remote) -> Vec<String> {
        let name = (desired.name != remote.name).then(|| "name".into());
        let state = (desired.state != remote.state).then(|| "state".into());
        let fields = Wire::of::<K::Fields>().differing(&desired.fields, &remote.fields);
        name.into_iter().chain(fields).chain(state).collect()
    }

    async fn apply(cx: Context<'_>, desired: &Desired, remote: Option<Remote>) -> Result<Remote, Error> {
        let Some(mut remote) = remote else { return Ok(made(desired, K::create(cx, desired).await?)) };
        let (wire, organization) = (Wire::of::<K::Fields>(), K::organization_of(cx, &remote.id));
        let fields = wire.over(&desired.fields, &remote.fields);
        if desired.name != remote.name || !wire.differing(&desired.fields, &remote.fields).is_empty() {
            let wanted = Desired { fields, ..desired.clone() };
            let outcome = cx.client.update_object(&K::PATHS, organization, &remote.id, &body(&wanted)).await;
            if !remote.details.take(outcome)? {
                return read::<K>(cx, &remote.id).await;
            }
            (remote.name, remote.fields) = (wanted.name, wanted.fields);
        }
        if desired.state != remote.state {
            let state = desired.state;
            let outcome = cx.client.set_object_state(&K::PATHS, organization, &remote.id, state).await;
            if !remote.details.take(outcome)? {
                return read::<K>(cx, &remote.id).await;
            }
            remote.state = state;
        }
        Ok(remote)
    }

    fn remove(_: &K, cx: Context<'_>, remote: &Remote) -> impl Future<Output = Result<(), Error>> + Send {
        K::delete(cx, &remote.id)
    }
}

async fn read<K: ObjectKind>(cx: Context<'_>, id: &str) -> Result<Remote, Error> {
    in_known_state(K::PATHS.one, K::read(cx, id).await?.into())
}

/// Any other state is neither life nor absence.
fn in_known_state(one: &str, object: Remote) -> Result<Remote, Error> {
    match object.state {
        RemoteState::Active | RemoteState::Inactive => Ok(object),
        RemoteState::Removed | RemoteState::Unknown => Err(Error::unknown_state(one)),
    }
}

/// A create answers with one date; the next read shows it as both.
fn made(desired: &Desired, Created { id, details }: Created) -> Remote {
    let Desired { name, fields, .. } = desired.clone();
    let date = details.date();
    let details = Details { creation_date: date, change_date: date, ..details };
    zitadel::Object { id, details, name, state: RemoteState::Active, fields }.into()
}

/// All that a create or an update sends.
fn body(desired: &Desired) -> Fields {
    let name = ("name".to_owned(), Value::from(desired.name.as_str()));
    desired.fields.clone().into_iter().chain([name]).collect()
}

/// Takes name and state out of what the spec says.
fn desired(mut fields: Fields, unnamed: impl FnOnce() -> String) -> Desired {
    let mut take = |field| match fields.remove(field) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (name, state) = (take("name"), take("state"));
    let state = state.map_or(RemoteState::Active, RemoteState::from);
    Desired { name: name.unwrap_or_else(unnamed), state, fields, ..Desired::default() }
}

/// The longest name ZITADEL takes, in characters.
const NAME_LIMIT: usize = 200;

/// The CRD refuses these names too; an object may have been stored before it did.
fn check_name(noun: &str, name: &str) -> Result<(), ReconcileError> {
    let length = name.chars().count();
    let problem = match name {
        _ if !(1..=NAME_LIMIT).contains(&length) => {
            format!("the {noun} name has {length} characters; ZITADEL takes 1 to {NAME_LIMIT}: set spec.name")
        }
        _ if name.chars().any(char::is_control) => {
            format!("the {noun} name holds a control character: correct spec.name")
        }
        _ => return Ok(()),
    };
    Err(ReconcileError::Stalled { reason: Reason::InvalidSpec, message: problem })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Project;
    use crate::api::project::{PrivateLabelingSetting, ProjectFields};

    fn wanted(spec: ProjectFields) -> Desired {
        let spec = serde_json::to_value(spec).unwrap();
        desired(Wire::of::<ProjectFields>().sent(spec), || "web".into())
    }

    fn there(object: Value) -> Remote {
        serde_json::from_value::<zitadel::Object>(object).unwrap().into()
    }

    fn diff(desired: &Desired, remote: &Remote) -> Vec<String> {
        <Object as Driver<Project>>::diff(desired, remote)
    }

    #[test]
    fn a_spec_is_sent_whole_under_the_names_of_zitadel() {
        let spec = ProjectFields {
            project_role_check: true,
            private_labeling_setting: PrivateLabelingSetting::AllowLoginUserResourceOwnerPolicy,
            ..Default::default()
        };
        assert_eq!(
            Value::Object(body(&wanted(spec))),
            json!({
                "name": "web", "projectRoleAssertion": false, "projectRoleCheck": true, "hasProjectCheck": false,
                "privateLabelingSetting": "PRIVATE_LABELING_SETTING_ALLOW_LOGIN_USER_RESOURCE_OWNER_POLICY",
            })
        );
    }

    #[test]
    fn every_field_of_the_spec_shows_in_the_difference() {
        let desired = wanted(ProjectFields::default());
        let same = there(json!({ "id": "1", "name": "web", "state": "PROJECT_STATE_ACTIVE", "newer": 1 }));
        assert!(diff(&desired, &same).is_empty());
        let other = there(json!({
            "name": "WEB", "state": "PROJECT_STATE_INACTIVE", "projectRoleAssertion": true, "projectRoleCheck": true,
            "hasProjectCheck": true, "privateLabelingSetting": "PRIVATE_LABELING_SETTING_NEWER",
        }));
        let all = [
            "name",
            "hasProjectCheck",
            "privateLabelingSetting",
            "projectRoleAssertion",
            "projectRoleCheck",
            "state",
        ];
        assert_eq!(diff(&desired, &other), all);
    }

    #[test]
    fn an_object_in_a_state_of_a_later_version_is_neither_there_nor_gone() {
        for (state, known) in [("ACTIVE", true), ("INACTIVE", true), ("REMOVED", false), ("LOCKED", false)] {
            let object = there(json!({ "id": "1", "state": format!("PROJECT_STATE_{state}") }));
            let outcome = in_known_state("a project", object).map(|object| object.id);
            let refused = Err(Error::unknown_state("a project"));
            assert_eq!(outcome, if known { Ok("1".to_owned()) } else { refused }, "{state}");
        }
        assert!(in_known_state("a project", there(json!({ "id": "1" }))).is_err());
    }

    #[test]
    fn an_object_just_made_is_as_the_next_read_shows_it() {
        let date = |second| jiff::Timestamp::from_second(second).ok();
        for (creation_date, change_date) in [(date(1), None), (None, date(1))] {
            let details = Details { creation_date, change_date, ..Default::default() };
            let desired = wanted(ProjectFields::default());
            let object = made(&desired, Created { id: "1".into(), details });
            assert_eq!((object.details.creation_date, object.details.change_date), (date(1), date(1)));
            assert!(diff(&desired, &object).is_empty());
        }
    }

    #[test]
    fn names_zitadel_would_refuse_are_never_sent() {
        for (name, fine) in [
            ("é".repeat(200), true),
            ("é".repeat(201), false),
            (String::new(), false),
            ("a\0b".into(), false),
            ("a\nb".into(), false),
            (" web ".into(), true),
        ] {
            assert_eq!(check_name("project", &name).is_ok(), fine, "{name:?}");
        }
    }
}
