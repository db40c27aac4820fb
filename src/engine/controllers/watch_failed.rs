//! What is said where the resources of a kind cannot be followed.

use kube::runtime::watcher;

use crate::engine::shared::Engine;
use crate::engine::watch::refusal::refusal;

impl Engine {
    /// Tells that what is new of a kind cannot be seen now; `definition` is the name of its CustomResourceDefinition. The
    /// pauses of the watch keep this rare.
    pub fn watch_failed(&self, kind: &'static str, definition: Option<&str>, error: &watcher::Error) {
        self.metrics.watch_failed(kind);
        let error = absent(definition, error).unwrap_or_else(|| cause(error));
        tracing::warn!(kind, error, "cannot be watched");
    }
}

/// What helps where the API server does not know the kind.
fn absent(definition: Option<&str>, error: &watcher::Error) -> Option<String> {
    let definition = definition.filter(|_| refusal(error) == Some(404))?;
    Some(format!(
        "the CustomResourceDefinition {definition} is not installed, or is an older one: zitadel-operator crds | kubectl apply --server-side -f -"
    ))
}

/// An error with the first of its causes, which not every error tells by itself.
fn cause(error: &dyn std::error::Error) -> String {
    let (message, mut first) = (error.to_string(), error);
    while let Some(source) = first.source() {
        first = source;
    }
    let first = first.to_string();
    if message.contains(&first) { message } else { format!("{message}: {first}") }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_definition_that_is_missing_is_named_with_what_installs_it() {
        let failed = |code| {
            let status = Status { code, message: "404 page not found".into(), ..Status::default() };
            watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
        };
        let message = absent(Some("orgmetadata.zitadel-operator.dev"), &failed(404)).unwrap();
        assert!(message.contains("orgmetadata.zitadel-operator.dev is not installed"), "{message}");
        assert_eq!((absent(Some("orgmetadata"), &failed(403)), absent(None, &failed(404))), (None, None));
    }
}
