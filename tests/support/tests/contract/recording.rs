//! The recordings, as `tests/contract` holds them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(crate) struct Recording {
    pub(crate) scenarios: BTreeMap<String, Vec<Step>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    pub(crate) name: String,
    #[serde(rename = "as")]
    pub(crate) actor: Option<String>,
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<Value>,
    pub(crate) raw_body: Option<String>,
    #[serde(default)]
    pub(crate) after_seconds: f64,
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) capture: BTreeMap<String, String>,
    pub(crate) response: Option<Value>,
    pub(crate) text: Option<String>,
    pub(crate) content_type: Option<String>,
    /// What it wrote; recorded for the kinds to come only.
    pub(crate) events: Option<Vec<Value>>,
}

impl Step {
    pub(crate) fn searches(&self) -> bool {
        self.path.ends_with("/_search")
    }
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../contract")
}

pub(crate) fn recording(line: &str) -> Recording {
    let text = std::fs::read_to_string(folder().join(format!("{line}.json"))).expect("a recording");
    serde_json::from_str(&text).expect("a recording in the known format")
}
