//! The kinds that are served: what the control plane needs to know of each.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// One served kind.
#[derive(Debug)]
pub(super) struct Kind {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub kind: String,
    pub namespaced: bool,
    /// Has a `status` subresource, so that other writes cannot touch it.
    pub status: bool,
    /// Defined by a CustomResourceDefinition: has a generation and a schema.
    pub custom: bool,
    /// A PUT may leave the resourceVersion out.
    pub unconditional: bool,
    /// A PUT makes what is missing.
    pub create_on_update: bool,
    /// What field selectors may name, as dotted paths.
    pub selectable: Vec<String>,
    /// What a custom resource must look like.
    pub schema: Option<JSONSchemaProps>,
    /// How fields are owned: the schema, with that of the metadata.
    pub ownership: JSONSchemaProps,
}

impl Kind {
    pub(super) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `projects.example.com`, as messages name the resource.
    pub(super) fn qualified(&self) -> String {
        with_group(&self.plural, &self.group)
    }

    /// `Project.example.com`, as messages name the kind.
    pub(super) fn kind_qualified(&self) -> String {
        with_group(&self.kind, &self.group)
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.plural == "namespaces"
    }

    pub(super) fn is_secret(&self) -> bool {
        self.group.is_empty() && self.plural == "secrets"
    }

    /// What the API server itself serves, so far as operators use it.
    pub(super) fn built_in() -> Vec<Self> {
        let mut kinds = vec![
            core("", "v1", "namespaces", "Namespace"),
            core("", "v1", "secrets", "Secret"),
            core("", "v1", "configmaps", "ConfigMap"),
            core("events.k8s.io", "v1", "events", "Event"),
            core("coordination.k8s.io", "v1", "leases", "Lease"),
        ];
        kinds[0] = Self { namespaced: false, status: true, ..core("", "v1", "namespaces", "Namespace") };
        kinds[3].create_on_update = true;
        let lease = &mut kinds[4];
        (lease.unconditional, lease.create_on_update) = (false, true);
        kinds
    }

    /// Every served version of a definition.
    pub(super) fn custom(crd: &CustomResourceDefinition) -> Vec<Self> {
        let served = crd.spec.versions.iter().filter(|version| version.served);
        let kinds = served.map(|version| {
            let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.clone());
            let selectable = version.selectable_fields.iter().flatten();
            Self {
                group: crd.spec.group.clone(),
                version: version.name.clone(),
                plural: crd.spec.names.plural.clone(),
                kind: crd.spec.names.kind.clone(),
                namespaced: crd.spec.scope == "Namespaced",
                status: version.subresources.as_ref().is_some_and(|sub| sub.status.is_some()),
                custom: true,
                unconditional: false,
                create_on_update: false,
                selectable: selectable.map(|field| field.json_path.trim_start_matches('.').into()).collect(),
                ownership: with_metadata(schema.clone().unwrap_or_default()),
                schema,
            }
        });
        kinds.collect()
    }
}

fn with_group(name: &str, group: &str) -> String {
    if group.is_empty() { name.into() } else { format!("{name}.{group}") }
}

fn core(group: &str, version: &str, plural: &str, kind: &str) -> Kind {
    Kind {
        group: group.into(),
        version: version.into(),
        plural: plural.into(),
        kind: kind.into(),
        namespaced: true,
        status: false,
        custom: false,
        unconditional: true,
        create_on_update: false,
        selectable: Vec::new(),
        schema: None,
        ownership: with_metadata(open()),
    }
}

fn open() -> JSONSchemaProps {
    JSONSchemaProps { x_kubernetes_preserve_unknown_fields: Some(true), ..Default::default() }
}

/// Labels and annotations are owned one by one, finalizers too, owners by their UID.
fn with_metadata(mut schema: JSONSchemaProps) -> JSONSchemaProps {
    let text = || JSONSchemaProps { type_: Some("string".into()), ..Default::default() };
    let map = JSONSchemaProps {
        type_: Some("object".into()),
        additional_properties: Some(JSONSchemaPropsOrBool::Schema(Box::new(text()))),
        ..Default::default()
    };
    let list = |kind: &str, keys: Option<Vec<String>>, item: JSONSchemaProps| JSONSchemaProps {
        type_: Some("array".into()),
        items: Some(JSONSchemaPropsOrArray::Schema(Box::new(item))),
        x_kubernetes_list_type: Some(kind.into()),
        x_kubernetes_list_map_keys: keys,
        ..Default::default()
    };
    let properties = BTreeMap::from([
        ("labels".to_owned(), map.clone()),
        ("annotations".to_owned(), map),
        ("finalizers".to_owned(), list("set", None, text())),
        ("ownerReferences".to_owned(), list("map", Some(vec!["uid".into()]), open())),
    ]);
    let metadata =
        JSONSchemaProps { type_: Some("object".into()), properties: Some(properties), ..Default::default() };
    schema.properties.get_or_insert_default().insert("metadata".into(), metadata);
    schema
}
