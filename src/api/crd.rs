//! The CustomResourceDefinitions as they are installed: what the derive gives, plus what all kinds share.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionVersion, JSON,
    JSONSchemaProps, JSONSchemaPropsOrArray, SelectableField, ValidationRule,
};
use serde_json::json;

/// Binds target organization and connection once the resource is bound (design 2.1).
const IMMUTABLE_BINDING: (&str, &str) = (
    "!has(oldSelf.status) || !has(oldSelf.status.organizationId) || (self.spec.connectionRef == oldSelf.spec.connectionRef \
     && has(self.spec.organization) == has(oldSelf.spec.organization) \
     && (!has(self.spec.organization) || self.spec.organization == oldSelf.spec.organization))",
    "organization and connectionRef are immutable once the resource is bound to an organization; delete it (with deletionPolicy Retain to keep the object in ZITADEL) and create another",
);

/// The same of what is in a project.
const IMMUTABLE_PROJECT: (&str, &str) = (
    "!has(oldSelf.status) || !has(oldSelf.status.projectId) || (self.spec.connectionRef == oldSelf.spec.connectionRef \
     && self.spec.project == oldSelf.spec.project)",
    "project and connectionRef are immutable once the resource is bound to a project; delete it (with deletionPolicy Retain to keep the object in ZITADEL) and create another",
);

/// A key is an object's identity, also before it is bound.
const IMMUTABLE_KEY: (&str, &str) = (
    "has(self.spec.key) == has(oldSelf.spec.key) && (!has(self.spec.key) || self.spec.key == oldSelf.spec.key)",
    "key is immutable; delete this resource and create another",
);

/// A Kubernetes name may be longer than ZITADEL's keys.
const KEY_FITS: (&str, &str) = (
    "has(self.spec.key) || self.metadata.name.size() <= 200",
    "metadata.name is longer than the 200 characters ZITADEL allows: set spec.key",
);

/// An organization stays where it was made.
const IMMUTABLE_CONNECTION: (&str, &str) = (
    "!has(oldSelf.status) || (!has(oldSelf.status.id) && !has(oldSelf.status.organizationId)) \
     || self.spec.connectionRef == oldSelf.spec.connectionRef",
    "connectionRef is immutable once the resource is bound to an organization; delete it (with deletionPolicy Retain to keep the organization in ZITADEL) and create another",
);

/// So does what is the instance's own.
const IMMUTABLE_INSTANCE: (&str, &str) = (
    "!has(oldSelf.status) || !has(oldSelf.status.instance) || self.spec.connectionRef == oldSelf.spec.connectionRef",
    "connectionRef is immutable once the resource is bound to an instance; delete it and create another",
);

/// There is no default to go back to.
const RESET_ON_DELETE: (&str, &str) = (
    "has(self.spec.resetOnDelete) ? has(self.spec.deletionPolicy) \
     : !has(self.spec.deletionPolicy) || self.spec.deletionPolicy != 'Delete'",
    "deletionPolicy Delete and resetOnDelete go together: it says what the policy is to be then, and does nothing alone",
);

/// What was begun through a connection is settled through it.
const IMMUTABLE_WHILE_CREATED: (&str, &str) = (
    "!has(oldSelf.status) || !has(oldSelf.status.pendingCreate) || self.spec.connectionRef == oldSelf.spec.connectionRef",
    "connectionRef is immutable while a create is pending in it (status.pendingCreate); wait until that is settled, or delete this resource (with deletionPolicy Retain if its ZITADEL is gone) and create another",
);

const PROJECT_ID: &str = ".status.projectId";

/// A Kubernetes name may be longer than ZITADEL's names.
const NAME_FITS: (&str, &str) = (
    "has(self.spec.name) || self.metadata.name.size() <= 200",
    "metadata.name is longer than the 200 characters ZITADEL allows: set spec.name",
);

/// The definition of a kind of connection.
pub fn connection(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    shared(crd, &[], &[])
}

/// The definition of a kind whose objects are the instance's own; `assigned`: the server gives them their id.
pub fn of_instance(crd: CustomResourceDefinition, assigned: bool) -> CustomResourceDefinition {
    if assigned {
        return workload(crd, &[&[IMMUTABLE_CONNECTION], rules_of(assigned)].concat());
    }
    let crd =
        ["organizationId", "organizationOrigin", "isDefault"].into_iter().fold(crd, without_status_field);
    selectable_by(workload(crd, &[IMMUTABLE_INSTANCE, RESET_ON_DELETE]), &[".status.instance"])
}

/// The definition of a kind whose objects are in an organization.
pub fn of_organization(crd: CustomResourceDefinition, assigned: bool) -> CustomResourceDefinition {
    let crd = workload(crd, &[&[IMMUTABLE_BINDING], rules_of(assigned)].concat());
    selectable_by(crd, &[".status.organizationId"])
}

/// The definition of a kind whose objects are in a project; the spec says their key unless the server gives them an id.
pub fn of_project(crd: CustomResourceDefinition, assigned: bool) -> CustomResourceDefinition {
    let own = if assigned { rules_of(assigned) } else { &[IMMUTABLE_KEY, KEY_FITS] };
    let crd = workload(crd, &[&[IMMUTABLE_PROJECT], own].concat());
    selectable_by(crd, &[".status.organizationId", PROJECT_ID])
}

fn rules_of(assigned: bool) -> &'static [(&'static str, &'static str)] {
    if assigned { &[IMMUTABLE_WHILE_CREATED, NAME_FITS] } else { &[] }
}

fn workload(crd: CustomResourceDefinition, rules: &[(&str, &str)]) -> CustomResourceDefinition {
    let is_in_project = rules.contains(&IMMUTABLE_PROJECT);
    let crd = if is_in_project { crd } else { without_status_field(crd, "projectId") };
    let columns =
        [("Sequence", "string", ".status.sequence", 0), ("Changed", "date", ".status.changeDate", 0)];
    selectable_by(shared(crd, rules, &columns), &[".spec.connectionRef.name", ".status.id"])
}

/// Without what other kinds alone say.
fn without_status_field(mut crd: CustomResourceDefinition, field: &str) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let root = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let status = root.and_then(|root| root.properties.as_mut()?.get_mut("status"));
        if let Some(fields) = status.and_then(|status| status.properties.as_mut()) {
            fields.remove(field);
        }
    }
    crd
}

fn selectable_by(mut crd: CustomResourceDefinition, paths: &[&str]) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let fields = version.selectable_fields.get_or_insert_default();
        fields.extend(paths.iter().map(|path| SelectableField { json_path: (*path).into() }));
    }
    crd
}

fn shared(
    mut crd: CustomResourceDefinition,
    rules: &[(&str, &str)],
    columns: &[(&str, &str, &str, i32)],
) -> CustomResourceDefinition {
    crd.spec.names.categories = Some(vec!["zitadel".into()]);
    for version in &mut crd.spec.versions {
        add_columns(version, columns);
        if let Some(root) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            drop_nullable(root);
            add_rules(root, rules);
            if let Some(status) = root.properties.as_mut().and_then(|p| p.get_mut("status")) {
                complete_status(status);
            }
        }
    }
    crd
}

/// READY and REASON first, then what the kind shows, AGE last.
fn add_columns(version: &mut CustomResourceDefinitionVersion, more: &[(&str, &str, &str, i32)]) {
    let condition = |field: &str| format!(".status.conditions[?(@.type=='Ready')].{field}");
    let mut columns = vec![
        column("Ready", "string", &condition("status"), 0),
        column("Reason", "string", &condition("reason"), 0),
    ];
    columns.extend(version.additional_printer_columns.take().unwrap_or_default());
    columns.extend(more.iter().map(|(name, kind, path, priority)| column(name, kind, path, *priority)));
    columns.push(column("Message", "string", &condition("message"), 1));
    columns.push(column("Age", "date", ".metadata.creationTimestamp", 0));
    version.additional_printer_columns = Some(columns);
}

fn column(name: &str, kind: &str, path: &str, priority: i32) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.into(),
        type_: kind.into(),
        json_path: path.into(),
        priority: (priority != 0).then_some(priority),
        ..Default::default()
    }
}

/// Without `nullable` the API server drops an explicit null, so that `has()` in a rule means "is set".
fn drop_nullable(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.enum_.iter_mut().for_each(|values| values.retain(|value| !value.0.is_null()));
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(drop_nullable);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        drop_nullable(items);
    }
}

fn add_rules(root: &mut JSONSchemaProps, rules: &[(&str, &str)]) {
    if rules.is_empty() {
        return;
    }
    let rules = rules.iter().map(|(rule, message)| ValidationRule {
        rule: (*rule).into(),
        message: Some((*message).into()),
        ..Default::default()
    });
    root.x_kubernetes_validations.get_or_insert_default().extend(rules);
}

/// The birth default makes GitOps health checks wait from the first second; the derive leaves conditions unbounded.
fn complete_status(status: &mut JSONSchemaProps) {
    let born = "1970-01-01T00:00:00Z";
    let pending = |kind: &str| {
        json!({ "type": kind, "status": "Unknown", "reason": "Pending",
                "message": "Waiting for the operator", "lastTransitionTime": born })
    };
    status.default = Some(JSON(json!({ "conditions": [pending("Ready")] })));
    if let Some(conditions) = status.properties.as_mut().and_then(|p| p.get_mut("conditions")) {
        conditions.x_kubernetes_list_type = Some("map".into());
        conditions.x_kubernetes_list_map_keys = Some(vec!["type".into()]);
        if let Some(JSONSchemaPropsOrArray::Schema(condition)) = &mut conditions.items {
            bound_condition(condition);
        }
    }
    if let Some(policy) = status.properties.as_mut().and_then(|p| p.get_mut("effective")) {
        unbind(policy);
    }
}

/// What a server has is told whatever it is: a status with a value that no spec may hold would be refused as a whole.
fn unbind(schema: &mut JSONSchemaProps) {
    let (items, properties) = (schema.items.take(), schema.properties.take());
    let (type_, description, required) =
        (schema.type_.take(), schema.description.take(), schema.required.take());
    *schema = JSONSchemaProps { items, properties, type_, description, required, ..Default::default() };
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(unbind);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        unbind(items);
    }
}

/// The bounds of `metav1.Condition` as core Kubernetes generates them.
fn bound_condition(condition: &mut JSONSchemaProps) {
    let Some(fields) = condition.properties.as_mut() else {
        return;
    };
    let mut bound = |name: &str, min: Option<i64>, max: i64, pattern: Option<&str>| {
        if let Some(field) = fields.get_mut(name) {
            (field.min_length, field.max_length) = (min, Some(max));
            field.pattern = pattern.map(Into::into);
        }
    };
    bound("message", None, 32_768, None);
    bound("reason", Some(1), 1024, Some("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"));
    bound("type", None, 316, None);
    if let Some(status) = fields.get_mut("status") {
        status.enum_ = Some(["True", "False", "Unknown"].map(|s| JSON(json!(s))).to_vec());
    }
}
