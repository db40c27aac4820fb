//! Setting up an instance: default organization, administrator, default policies; and replacing one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::api::iam::INSTANCE_NAME;
use super::api::{member, organization, policy, user};
use super::failure::Outcome;
use super::json::Body;
use super::model::{DomainPolicy, DomainSettings, Stamp};
use super::policy_rows::ROWS;
use super::store::{Aggregate, Editor, Instance, Store, Tables};

const ADMIN_LOGIN: &str = "iam-admin@zitadel.localhost";

impl Store {
    /// Who a user is as the editor of events.
    pub(super) fn editor(&self, user: &str) -> Editor {
        let known = self.current().users.get(user);
        Editor { id: user.to_owned(), name: known.map(|user| user.name.clone()).unwrap_or_default() }
    }

    /// Opens an empty instance with its administrator, whose user id it returns.
    pub(super) fn open_instance(&mut self, admin: Option<String>) -> Outcome<String> {
        let at = self.clock.now();
        self.instance = Instance::new(&mut self.ids, at);
        let id = self.instance.id.clone();
        let settings = DomainSettings::default();
        let moment =
            self.push(&Aggregate::of("instance", &id, &id), "instance.policy.domain.added", json!({}))?;
        self.edit().default_policy = Some(DomainPolicy { settings, stamp: Stamp::new(moment, &id) });
        for row in ROWS {
            let default = Body::parse((row.default)().to_string().as_bytes())?;
            policy::install(self, row, None, &default)?;
        }
        let default = organization::add(self, None, INSTANCE_NAME)?.id;
        self.instance.default_organization.clone_from(&default);
        let admin = user::add(self, admin, &default, ADMIN_LOGIN, "iam-admin")?.id;
        member::set(self, &admin, None, &["IAM_OWNER"])?;
        member::set(self, &admin, Some(&default), &["ORG_OWNER"])?;
        Ok(admin)
    }

    /// Puts an empty instance in the place of the present one. Its users are those of the present one, all of
    /// them at home in the new default organization and with the roles there that they had anywhere before.
    pub(super) fn replace_instance(&mut self, admin: &str) -> Outcome<()> {
        let before = self.current().clone();
        let fresh = Instance::new(&mut self.ids, self.clock.now());
        self.former.push(std::mem::replace(&mut self.instance, fresh));
        self.open_instance(Some(admin.to_owned()))?;
        let default = self.instance.default_organization.clone();
        for known in before.users.values().filter(|known| known.id != admin) {
            user::add(self, Some(known.id.clone()), &default, &known.user_name, &known.name)?;
        }
        for ((user, scope), roles) in roles_of(&before).into_iter().filter(|((user, _), _)| user != admin) {
            let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
            member::set(self, &user, scope.then_some(default.as_str()), &roles)?;
        }
        Ok(())
    }
}

/// All roles of each user, those in organizations (true) apart from those in the instance (false).
fn roles_of(tables: &Tables) -> BTreeMap<(String, bool), BTreeSet<String>> {
    let mut all: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for ((user, scope), member) in &tables.members {
        all.entry((user.clone(), scope.is_some())).or_default().extend(member.roles.iter().cloned());
    }
    all
}
