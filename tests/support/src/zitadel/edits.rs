//! Roles and policies, edited by a person. All panic where an id is unknown, a name is taken or nothing would change.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::{factor, policy, role};
use super::double::Double;
use super::json::Body;
use super::model::{Role, Stamp};
use super::policy::{read, shown};
use super::policy_rows::{Factors, ROWS, Row};

fn row(name: &str) -> &'static Row {
    ROWS.into_iter().find(|row| row.name == name).unwrap_or_else(|| panic!("unknown policy {name}"))
}

fn factors(name: &str) -> (&'static Factors, usize) {
    let rows = ROWS.into_iter().flat_map(|row| row.factors);
    let mut found = rows.filter_map(|row| Some((*row, row.names.iter().position(|known| *known == name)?)));
    found.next().unwrap_or_else(|| panic!("unknown factor {name}"))
}

/// Roles of projects.
impl Double {
    /// The project's roles as they are now, by key.
    pub fn roles(&self, project: &str) -> BTreeMap<String, Role> {
        self.inspect(|tables| {
            let own = tables.roles.iter().filter(|((of, _), _)| of == project);
            own.map(|((_, key), role)| (key.clone(), (**role).clone())).collect()
        })
    }

    /// Adds a role to a project, or changes the one with that key.
    pub fn set_role(&self, project: &str, key: &str, display_name: &str, group: &str) {
        let wanted = (key.to_owned(), display_name.to_owned(), group.to_owned());
        self.by(Self::person, |store| {
            let owner = store.current().projects[project].organization.clone();
            match store.current().roles.contains_key(&(project.to_owned(), key.to_owned())) {
                true => role::change(store, &owner, project, wanted).map(Some),
                false => role::add(store, &owner, project, vec![wanted]),
            }
        });
    }

    /// Removes a role from a project.
    pub fn remove_role(&self, project: &str, key: &str) {
        self.by(Self::person, |store| {
            let owner = store.current().projects[project].organization.clone();
            role::remove(store, &owner, project, key)
        });
    }
}

/// Policies but for the domain policy, by name: `login`, `lockout`. No organization stands for the instance.
impl Double {
    /// The organization's own policy, if it has one, with its factors, as an answer shows it, without details.
    pub fn policy(&self, name: &str, organization: Option<&str>) -> Option<Value> {
        let row = row(name);
        self.inspect(|tables| tables.policy(row.name, organization).map(|policy| shown(row, policy)))
    }

    /// Sequence and dates of the organization's own policy, if it has one.
    pub fn policy_stamp(&self, name: &str, organization: Option<&str>) -> Option<Stamp> {
        let row = row(name);
        self.inspect(|tables| tables.policy(row.name, organization).map(|policy| policy.stamp.clone()))
    }

    /// Sets the organization's own policy to that body of a request, or removes it, as nobody can that of the instance.
    /// Factors count for a new one only.
    pub fn set_policy(&self, name: &str, organization: Option<&str>, body: Option<&Value>) {
        let row = row(name);
        assert!(body.is_some() || organization.is_some(), "the instance's policy cannot be removed");
        self.by(Self::person, |store| {
            let Some(body) = body else { return policy::write(store, row, organization, None) };
            let body = Body::parse(body.to_string().as_bytes())?;
            match store.current().policy(row.name, organization) {
                Some(_) => policy::write(store, row, organization, Some(read(row, &body, "")?)),
                None => policy::install(store, row, organization, &body),
            }
        });
    }

    /// Adds a factor to the login policy, or removes it, by its name.
    pub fn set_factor(&self, organization: Option<&str>, name: &str, present: bool) {
        let (row, index) = factors(name);
        self.by(Self::person, |store| factor::set(store, row, organization, index, present));
    }
}
