//! The resources as a table of plain text.

use std::fmt;

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

use super::examples::{Expected, expected};

const HEADER: [&str; 5] = ["KIND", "NAME", "READY", "REASON", "MESSAGE"];

/// One line a resource.
pub struct Table(Vec<Row>);

struct Row {
    cells: [String; 5],
    is_current: bool,
    expected: Expected,
}

impl Table {
    pub fn of(resources: &[DynamicObject]) -> Self {
        Self(resources.iter().map(Row::of).collect())
    }

    /// What is not in the state that its example should reach, a line each.
    pub fn unexpected(&self) -> Vec<String> {
        self.0.iter().filter(|row| !row.is_expected()).map(Row::complaint).collect()
    }
}

impl Row {
    fn of(resource: &DynamicObject) -> Self {
        let kind = resource.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
        let conditions = resource.data["status"]["conditions"].as_array();
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        let ready = ready.cloned().unwrap_or_default();
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        let expected = expected(&kind, &resource.name_any());
        let (reason, message) = (text("reason"), text("message"));
        let message = match expected.because.filter(|_| reason == expected.reason) {
            Some(because) => format!("as expected, {because}: {message}"),
            None => message,
        };
        let name =
            resource.namespace().into_iter().chain([resource.name_any()]).collect::<Vec<_>>().join("/");
        Self {
            cells: [kind, name, text("status"), reason, message],
            is_current: ready["observedGeneration"].as_i64() == resource.metadata.generation
                && ready["observedGeneration"] != Value::Null,
            expected,
        }
    }

    fn is_expected(&self) -> bool {
        self.is_current && self.cells[3] == self.expected.reason
    }

    fn complaint(&self) -> String {
        let [kind, name, ready, reason, message] = &self.cells;
        format!(
            "{kind} {name} should be {}, but Ready is {ready} ({reason}): {message}",
            self.expected.reason
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = HEADER.map(str::to_owned);
        let lines: Vec<&[String; 5]> =
            [&header].into_iter().chain(self.0.iter().map(|row| &row.cells)).collect();
        let width =
            |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 4] = std::array::from_fn(width);
        for [kind, name, ready, reason, message] in lines {
            let [a, b, c, d] = widths;
            writeln!(f, "{kind:a$}  {name:b$}  {ready:c$}  {reason:d$}  {message}")?;
        }
        Ok(())
    }
}
