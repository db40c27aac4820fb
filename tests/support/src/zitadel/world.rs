//! What tests do behind the operator's back: set up organizations, edit, remove, look.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::api::{domain_policy, features, member, metadata, organization, project, user};
use super::behaviour::Behaviour;
use super::double::Double;
use super::failure::Outcome;
use super::model::{
    DomainPolicy, DomainSettings, Features, Metadata, Organization, Project, ProjectSettings, State,
};
use super::store::{Editor, Store, Tables};

/// A machine user and an access token of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Actor {
    /// User id.
    pub user: String,
    /// Personal access token; never shown by `Debug`.
    pub token: String,
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor").field("user", &self.user).finish_non_exhaustive()
    }
}

/// An organization with one user of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgWorld {
    /// Organization id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// With ORG_OWNER.
    pub owner: Actor,
    /// With ORG_OWNER_VIEWER.
    pub viewer: Actor,
    /// With ORG_PROJECT_CREATOR.
    pub creator: Actor,
    /// Without any membership.
    pub nobody: Actor,
}

/// Reads answer from what was there when it was taken, until it is released or dropped.
#[derive(Debug)]
pub struct Frozen(Double);

impl Frozen {
    /// Lets reads see the present again.
    pub fn release(self) {}
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.store().frozen = None;
    }
}

/// Controls of the instance as a whole.
impl Double {
    /// Changes knobs while it runs.
    pub fn configure(&self, change: impl FnOnce(&mut Behaviour)) {
        let mut store = self.store();
        change(&mut store.behaviour);
        store.settle();
    }

    /// The time by its clock.
    pub fn now(&self) -> Timestamp {
        self.store().clock.now()
    }

    /// From now on reads, not writes, see only what is there now.
    pub fn freeze(&self) -> Frozen {
        let mut store = self.store();
        store.frozen = Some(Arc::new(store.current().clone()));
        drop(store);
        Frozen(self.clone())
    }

    /// Puts another, empty instance behind the same URL. Credentials stay valid, as users of its default
    /// organization with the roles they had before, so that only the identity tells.
    ///
    /// # Panics
    /// Where two users had the same login name.
    pub fn replace_instance(&self) {
        let admin = self.inner.admin.user.clone();
        self.by(Self::setup, |store| store.replace_instance(&admin));
    }

    /// Brings back the instance that [`Self::replace_instance`] took away last.
    pub fn restore_instance(&self) {
        let mut store = self.store();
        if let Some(former) = store.former.pop() {
            store.instance = former;
        }
    }

    /// Gives the present instance another identity, as a restore or a migration can.
    pub fn renew_identity(&self) {
        let mut store = self.store();
        store.instance.project = store.ids.id();
    }

    /// From now on it says that it is the instance of another double, and has a copy of the organizations there with
    /// all that is in them. Users and credentials stay its own.
    pub fn impersonate(&self, other: &Self) {
        let theirs = other.inspect(Tables::clone);
        let identity = other.instance_identity();
        let mut store = self.store();
        store.instance.project = identity;
        let own = store.edit();
        own.organizations.extend(theirs.organizations);
        own.projects.extend(theirs.projects);
        own.metadata.extend(theirs.metadata);
        own.roles.extend(theirs.roles);
        own.policies.extend(theirs.policies);
        let organizations = |owner: &Option<String>| owner.is_some();
        own.own_policies
            .extend(theirs.own_policies.into_iter().filter(|((_, owner), _)| organizations(owner)));
        own.factors.extend(theirs.factors.into_iter().filter(|(_, owner, _)| organizations(owner)));
        own.features.extend(theirs.features);
        store.settle();
    }

    /// `iamProjectId` of the present instance.
    pub fn instance_identity(&self) -> String {
        self.store().instance.project.clone()
    }

    /// Id of the present instance's default organization.
    pub fn default_organization(&self) -> String {
        self.store().instance.default_organization.clone()
    }

    fn setup(store: &Store) -> Editor {
        store.writer.editor.clone()
    }

    pub(super) fn person(store: &Store) -> Editor {
        store.person.clone()
    }

    /// Writes as somebody, outside of any request.
    pub(super) fn by<T>(
        &self,
        editor: fn(&Store) -> Editor,
        write: impl FnOnce(&mut Store) -> Outcome<T>,
    ) -> T {
        let mut store = self.store();
        (store.writer.first, store.writer.meanwhile) = (store.events_written(), 0..0);
        store.writer.editor = editor(&store);
        let written = write(&mut store);
        store.settle();
        drop(store);
        written.unwrap_or_else(|failure| panic!("the double refused: {failure}"))
    }

    pub(super) fn inspect<T>(&self, read: impl FnOnce(&Tables) -> T) -> T {
        read(self.store().current())
    }
}

/// Users, roles and credentials. All panic where an id is unknown or a name taken.
impl Double {
    /// The administrator: IAM_OWNER, at home in the default organization.
    pub fn admin(&self) -> Actor {
        self.inner.admin.clone()
    }

    /// A personal access token of an IAM_OWNER.
    pub fn admin_token(&self) -> String {
        self.inner.admin.token.clone()
    }

    fn admin_editor(store: &Store) -> Editor {
        let admin = store.current().users.values().find(|user| user.name == "iam-admin");
        admin.map_or_else(|| store.person.clone(), |admin| store.editor(&admin.id))
    }

    /// A machine user named so in the organization, its user name made unique; roles that start with `IAM_`
    /// are granted in the instance, others in the organization.
    pub fn create_user(&self, organization: &str, name: &str, roles: &[&str]) -> Actor {
        let (instance, own): (Vec<&str>, Vec<&str>) = roles.iter().partition(|role| role.starts_with("IAM_"));
        self.by(Self::admin_editor, |store| {
            let user_name = format!("{name}{}", store.ids.suffix());
            let user = user::add(store, None, organization, &user_name, name)?.id;
            member::set(store, &user, Some(organization), &own)?;
            member::set(store, &user, None, &instance)?;
            let token = store.issue(&user, None);
            Ok(Actor { user, token })
        })
    }

    /// Gives the user exactly these roles in the organization, none to take its membership away.
    pub fn set_roles(&self, user: &str, organization: &str, roles: &[&str]) {
        self.by(Self::admin_editor, |store| member::set(store, user, Some(organization), roles));
    }

    /// Gives the user exactly these roles in the instance.
    pub fn set_instance_roles(&self, user: &str, roles: &[&str]) {
        self.by(Self::admin_editor, |store| member::set(store, user, None, roles));
    }

    /// A further personal access token, valid until the given time.
    pub fn issue_token(&self, user: &str, expires: Option<Timestamp>) -> String {
        self.store().issue(user, expires)
    }

    /// Makes a token invalid at once.
    pub fn revoke_token(&self, token: &str) {
        self.store().credentials.tokens.remove(token);
    }

    /// Makes every access token minted at `/oauth/v2/token`, but no personal one, expire now.
    pub fn expire_minted_tokens(&self) {
        let mut store = self.store();
        let now = store.clock.now();
        for token in store.credentials.tokens.values_mut().filter(|token| token.expires.is_some()) {
            token.expires = Some(now);
        }
    }

    /// A new machine key of the user: the key file as ZITADEL gives it out, once.
    pub fn create_machine_key(&self, user: &str) -> String {
        self.store().issue_key(user, None).1
    }

    /// Makes every machine key of the user invalid; tokens minted with them stay.
    pub fn remove_machine_keys(&self, user: &str) {
        self.store().credentials.keys.retain(|_, key| key.user != user);
    }

    /// A new client secret of the user: client id and secret. The one before becomes invalid.
    pub fn create_client_secret(&self, user: &str) -> (String, String) {
        let mut store = self.store();
        let tables = store.current();
        let known = &tables.users[user];
        let client = user::login_name(tables, &known.organization, &known.user_name);
        let secret = store.ids.token(64);
        store.credentials.secrets.insert(user.to_owned(), (secret.clone(), Instant::now()));
        (client, secret)
    }
}

/// Organizations and what belongs to them, edited by a person. All panic where an id is unknown, a name is
/// taken or nothing would change.
impl Double {
    /// An organization without users; its id.
    pub fn add_organization(&self, name: &str) -> String {
        self.by(Self::admin_editor, |store| organization::add(store, None, name)).id
    }

    /// One user of each kind for an organization.
    pub fn add_staff(&self, organization: &str) -> OrgWorld {
        let name = self.organization(organization).map(|found| found.name).unwrap_or_default();
        OrgWorld {
            id: organization.to_owned(),
            name,
            owner: self.create_user(organization, "owner", &["ORG_OWNER"]),
            viewer: self.create_user(organization, "viewer", &["ORG_OWNER_VIEWER"]),
            creator: self.create_user(organization, "creator", &["ORG_PROJECT_CREATOR"]),
            nobody: self.create_user(organization, "nobody", &[]),
        }
    }

    /// An organization with one user of each kind.
    pub fn create_organization(&self, name: &str) -> OrgWorld {
        let id = self.add_organization(name);
        self.add_staff(&id)
    }

    /// The organization, also one that was removed.
    pub fn organization(&self, id: &str) -> Option<Organization> {
        self.inspect(|tables| tables.organizations.get(id).map(|found| (**found).clone()))
    }

    /// Every organization that was not removed.
    pub fn organizations(&self) -> Vec<Organization> {
        let live = |found: &&Arc<Organization>| found.state != State::Removed;
        self.inspect(|tables| {
            tables.organizations.values().filter(live).map(|found| (**found).clone()).collect()
        })
    }

    /// Renames an organization.
    pub fn rename_organization(&self, id: &str, name: &str) {
        self.by(Self::person, |store| organization::rename(store, id, name));
    }

    /// Activates or deactivates an organization.
    pub fn set_organization_state(&self, id: &str, state: State) {
        self.by(Self::person, |store| organization::set_state(store, id, state));
    }

    /// Removes an organization with everything in it.
    pub fn remove_organization(&self, id: &str) {
        self.by(Self::person, |store| organization::remove(store, id));
    }

    /// A project with default settings; its id.
    pub fn create_project(&self, organization: &str, name: &str) -> String {
        let settings = ProjectSettings { name: name.to_owned(), ..ProjectSettings::default() };
        self.by(Self::person, |store| project::add(store, organization, settings)).id
    }

    /// The project as it is now, whatever lags.
    pub fn project(&self, id: &str) -> Option<Project> {
        self.inspect(|tables| tables.projects.get(id).map(|found| (**found).clone()))
    }

    /// The organization's projects as they are now, in the order of their making.
    pub fn projects(&self, organization: &str) -> Vec<Project> {
        let own = |found: &&Arc<Project>| found.organization == organization;
        self.inspect(|tables| tables.projects.values().filter(own).map(|found| (**found).clone()).collect())
    }

    /// Changes a project's settings.
    pub fn edit_project(&self, id: &str, edit: impl FnOnce(&mut ProjectSettings)) {
        self.by(Self::person, |store| {
            let known = store.current().projects[id].clone();
            let mut settings = known.settings.clone();
            edit(&mut settings);
            project::change(store, &known.organization, id, settings)
        });
    }

    /// Activates or deactivates a project.
    pub fn set_project_state(&self, id: &str, state: State) {
        self.by(Self::person, |store| {
            let owner = store.current().projects[id].organization.clone();
            project::set_state(store, &owner, id, state)
        });
    }

    /// Removes a project.
    pub fn delete_project(&self, id: &str) {
        self.by(Self::person, |store| {
            let owner = store.current().projects[id].organization.clone();
            project::remove(store, &owner, id)
        });
    }

    /// The organization's metadata.
    pub fn metadata(&self, organization: &str) -> BTreeMap<String, Metadata> {
        self.inspect(|tables| {
            let own = tables.metadata.iter().filter(|((owner, _), _)| owner == organization);
            own.map(|((_, key), metadata)| (key.clone(), (**metadata).clone())).collect()
        })
    }

    /// Sets one metadata value.
    pub fn set_metadata(&self, organization: &str, key: &str, value: &[u8]) {
        self.by(Self::person, |store| metadata::set(store, organization, key, value.to_vec()));
    }

    /// Removes one metadata value.
    pub fn remove_metadata(&self, organization: &str, key: &str) {
        self.by(Self::person, |store| metadata::remove(store, organization, key));
    }

    /// The organization's own domain policy, if it has one.
    pub fn domain_policy(&self, organization: &str) -> Option<DomainPolicy> {
        self.inspect(|tables| tables.policies.get(organization).cloned())
    }

    /// Sets the organization's own domain policy, or removes it.
    pub fn set_domain_policy(&self, organization: &str, settings: Option<DomainSettings>) {
        self.by(Self::person, |store| domain_policy::write(store, organization, settings));
    }

    /// The feature flags ever set on the organization.
    pub fn features(&self, organization: &str) -> Option<Features> {
        self.inspect(|tables| tables.features.get(organization).cloned())
    }

    /// Replaces the organization's feature flags.
    pub fn set_features(&self, organization: &str, flags: BTreeMap<String, Value>) {
        self.by(Self::person, |store| features::write(store, organization, flags));
    }
}
