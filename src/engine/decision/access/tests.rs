use serde_json::{Value, json};

use super::*;

fn ask(access: &Value, request: Request<'_>) -> bool {
    let grants: Vec<AccessGrant> = serde_json::from_value(access.clone()).unwrap();
    let labels = BTreeMap::from([("team".to_owned(), "acme".to_owned())]);
    granted(&grants, &labels, request)
}

fn read<'a>(id: &'a str, name: &'a str) -> Request<'a> {
    let (action, right) = (Action::Read, Right::Organization);
    Request { action, kind: "Project", right, id, name: Some(name), created: false }
}

#[test]
fn grants_are_namespace_times_organization_and_fail_closed() {
    let selector = json!({ "matchLabels": { "team": "acme" } });
    let foreign = json!({ "matchLabels": { "team": "beta" } });
    let broken = json!({ "matchExpressions": [{ "key": "team", "operator": "Nonsense" }] });
    let acme = json!([{ "name": "Acme" }, { "id": "7" }]);
    let rows = [
        (json!([]), "1", "acme", false),
        (json!([{ "namespaceSelector": selector, "organizations": acme }]), "1", "ACME", true),
        (json!([{ "namespaceSelector": selector, "organizations": acme }]), "7", "other", true),
        (json!([{ "namespaceSelector": selector, "organizations": acme }]), "8", "other", false),
        (json!([{ "namespaceSelector": selector, "organizations": acme }]), "Acme", "other", false),
        (json!([{ "namespaceSelector": foreign, "organizations": acme }]), "1", "acme", false),
        (json!([{ "namespaceSelector": {}, "organizations": [{ "all": true }] }]), "1", "x", true),
        (json!([{ "namespaceSelector": {}, "organizations": [{ "all": false }] }]), "1", "acme", false),
        (json!([{ "namespaceSelector": {}, "organizations": [{}] }]), "1", "acme", false),
        (json!([{ "namespaceSelector": {} }]), "1", "acme", false),
        (json!([{ "namespaceSelector": broken, "organizations": [{ "all": true }] }]), "1", "acme", false),
    ];
    for (access, id, name, expected) in rows {
        assert_eq!(ask(&access, read(id, name)), expected, "{access} {id} {name}");
    }
}

/// Every right, action, and way to hold the organization, under every combination of what a grant may say besides.
#[test]
fn a_plain_grant_gives_what_an_org_owner_may_and_each_field_gives_the_one_thing_more() {
    use Action::{Adopt, Create, Read, Remove, Update};
    for (fields, covered, created) in product() {
        let [kinds, creates, deletes, instance] = fields;
        let grant = json!([{
            "namespaceSelector": {},
            "organizations": if covered { json!([{ "id": "7" }]) } else { json!([]) },
            "kinds": if kinds { json!(["OrgDomainPolicy"]) } else { json!([]) },
            "createOrganizations": creates, "deleteOrganizations": deletes, "instance": instance,
        }]);
        for action in [Read, Create, Adopt, Update, Remove] {
            let given =
                |kind, right| ask(&grant, Request { action, kind, right, id: "7", name: None, created });
            let holds = covered || creates && created;
            let itself = match action {
                Create => creates,
                Read | Update => holds,
                Adopt | Remove => holds && (deletes || created),
            };
            let about = format!("{grant} {action:?} created={created}");
            assert_eq!(given("Project", Right::Organization), holds, "{about}");
            assert_eq!(given("OrgDomainPolicy", Right::Kind), holds && kinds, "{about}");
            assert!(!given("OrgLabelPolicy", Right::Kind), "{about}");
            assert_eq!(given("OrgDomainPolicy", Right::Instance), kinds && instance, "{about}");
            assert_eq!(given("Organization", Right::OrganizationItself), itself, "{about}");
        }
    }
}

#[test]
fn what_one_grant_says_is_no_part_of_another() {
    let access = json!([
        { "namespaceSelector": {}, "organizations": [{ "id": "7" }] },
        { "namespaceSelector": {}, "organizations": [{ "id": "8" }], "kinds": ["OrgDomainPolicy"], "deleteOrganizations": true },
    ]);
    for (id, expected) in [("7", false), ("8", true)] {
        let request = Request { right: Right::Kind, kind: "OrgDomainPolicy", ..read(id, "x") };
        assert_eq!(ask(&access, request), expected, "{id}");
        let removal = Request { right: Right::OrganizationItself, action: Action::Remove, ..read(id, "x") };
        assert_eq!(ask(&access, removal), expected, "{id}");
    }
}

fn product() -> impl Iterator<Item = ([bool; 4], bool, bool)> {
    (0..64_u8).map(|bits| {
        let bit = |index: u8| bits & (1 << index) != 0;
        ([bit(0), bit(1), bit(2), bit(3)], bit(4), bit(5))
    })
}
