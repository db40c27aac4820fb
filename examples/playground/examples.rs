//! The manifests in `examples/`, and the state each is expected to reach.

use std::fs;
use std::path::Path;

use super::Result;
use super::zitadel::{Prepared, Zitadel};

/// The namespace of the examples.
pub const NAMESPACE: &str = "shop";

/// The organization that the examples name.
pub const ORGANIZATION: &str = "acme";

/// The project that an example imports, and the one that another observes.
pub const IMPORTED: &str = "Legacy portal";
pub const OBSERVED: &str = "Payments";

/// The reason of `Ready` that an example should reach, and why it is right where it is not `Available`.
#[derive(Clone, Copy)]
pub struct Expected {
    pub reason: &'static str,
    pub because: Option<&'static str>,
}

/// The examples that are not to become `Available`.
const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    ("Project", "payments", "DriftDetected", "it only compares"),
    ("OrgFeatures", "acme", "Unsupported", "no released ZITADEL implements feature flags of organizations"),
];

/// What a reader has to replace: the URL, the token and the id of the project to import.
const URL: &str = "url: https://zitadel.example.com";
const TOKEN: &str = "paste-a-personal-access-token";
const IMPORTED_ID: &str = "312909075211944345";

/// What this resource should become.
pub fn expected(kind: &str, name: &str) -> Expected {
    let exception = EXCEPTIONS.iter().find(|(k, n, ..)| (*k, *n) == (kind, name));
    exception.map_or(Expected { reason: "Available", because: None }, |(.., reason, because)| Expected {
        reason,
        because: Some(because),
    })
}

/// Name and content of every example, in the order of their names as `kubectl apply -f examples/` takes them.
pub fn filled_in(zitadel: &Zitadel, prepared: &Prepared) -> Result<Vec<(String, String)>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files: Vec<_> = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files
        .iter()
        .map(|path| Ok((name(path), fill_in(&fs::read_to_string(path)?, zitadel, prepared))))
        .collect()
}

fn fill_in(manifest: &str, zitadel: &Zitadel, prepared: &Prepared) -> String {
    let insecure = if zitadel.url.starts_with("http://") { "\n  insecure: true" } else { "" };
    let url = format!("url: {}{insecure}", zitadel.url);
    manifest.replace(URL, &url).replace(TOKEN, &zitadel.token).replace(IMPORTED_ID, &prepared.imported.id)
}
