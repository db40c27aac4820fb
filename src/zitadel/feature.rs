//! Features of an organization: `v2/features/organization/{id}`, or the same under `v2beta`.
//!
//! Every released server answers that they are not implemented: [`Error::Unsupported`].

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::zitadel::call::Call;
use crate::zitadel::client::Client;
use crate::zitadel::details::{Details, Written};
use crate::zitadel::error::Error;
use crate::zitadel::permission::{ORG_FEATURE_DELETE, ORG_FEATURE_READ, ORG_FEATURE_WRITE};

const FEATURES: &str = "/v2/features/organization/{organization}";
const FEATURES_BEFORE: &str = "/v2beta/features/organization/{organization}";

/// The features that an organization has set itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrganizationFeatures {
    /// The last write.
    pub details: Details,
    /// The flags set for the organization, none that is inherited, each as a write takes it: a bool, for
    /// `improvedPerformance` a list, for others an object.
    pub flags: Map<String, Value>,
}

#[derive(Deserialize)]
struct FeaturesAnswer {
    #[serde(default)]
    details: Details,
    #[serde(flatten)]
    flags: Map<String, Value>,
}

impl Client {
    /// The features of an organization, read after every write before (`GET`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] of every released server.
    pub async fn organization_features(&self, organization: &str) -> Result<OrganizationFeatures, Error> {
        let read = |path| feature_call(Method::GET, path, organization, ORG_FEATURE_READ);
        let FeaturesAnswer { details, flags } = self.either_version(read).await?;
        Ok(OrganizationFeatures { details, flags: own_flags(flags) })
    }

    /// Sets these flags of an organization and leaves its others as they are (`PUT`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] of every released server; [`Error::Invalid`] (`COMMAND-Vigh1`) when the server
    /// knows none of the flags.
    pub async fn set_organization_features(
        &self,
        organization: &str,
        flags: &Map<String, Value>,
    ) -> Result<Details, Error> {
        let write = |path| {
            let call = feature_call(Method::PUT, path, organization, ORG_FEATURE_WRITE)?;
            Ok(call.body(flags)?.serial(organization))
        };
        match self.either_version::<Written>(write).await {
            Err(Error::Invalid { id: Some(id), .. }) if id == "COMMAND-Vigh1" => {
                let names: Vec<&str> = flags.keys().map(String::as_str).collect();
                let message = format!("this version knows none of the flags {}", names.join(", "));
                Err(Error::Invalid { id: Some(id), message })
            }
            written => Ok(written?.details),
        }
    }

    /// Unsets every flag of an organization, also when none is set (`DELETE`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] of every released server.
    pub async fn reset_organization_features(&self, organization: &str) -> Result<Details, Error> {
        let write = |path| {
            let call = feature_call(Method::DELETE, path, organization, ORG_FEATURE_DELETE)?;
            Ok(call.serial(organization))
        };
        Ok(self.either_version::<Written>(write).await?.details)
    }

    /// Asks `v2`, and where that is not there or not implemented `v2beta`, which v5 removes.
    async fn either_version<T: DeserializeOwned>(
        &self,
        declare: impl Fn(&'static str) -> Result<Call, Error>,
    ) -> Result<T, Error> {
        let missing = match self.call(&declare(FEATURES)?).await {
            Err(error) if error.is_unrouted() || matches!(error, Error::Unsupported { .. }) => error,
            answer => return Ok(answer?.value),
        };
        match self.call(&declare(FEATURES_BEFORE)?).await {
            // v2beta asks for other permissions; what v2 said is about the feature itself.
            Err(error) if error.is_unrouted() || matches!(error, Error::PermissionDenied { .. }) => {
                Err(unreleased(missing))
            }
            answer => Ok(answer.map_err(unreleased)?.value),
        }
    }
}

/// Says of what is not implemented that no other server does it either.
fn unreleased(error: Error) -> Error {
    match error {
        Error::Unsupported { message } => Error::Unsupported {
            message: format!("no released ZITADEL implements the feature flags of organizations ({message})"),
        },
        error => error,
    }
}

fn feature_call(
    method: Method,
    path: &'static str,
    organization: &str,
    permission: &'static str,
) -> Result<Call, Error> {
    Ok(Call::new(method, path, &[organization], permission)?.in_organization(organization)?.by_path())
}

fn own_flags(sent: Map<String, Value>) -> Map<String, Value> {
    let own = |(name, flag): (String, Value)| own_flag(&name, flag).map(|flag| (name, flag));
    sent.into_iter().filter_map(own).collect()
}

/// The flag as a write takes it, if it is the organization's own; zero values are not sent.
fn own_flag(name: &str, flag: Value) -> Option<Value> {
    let Value::Object(mut fields) = flag else {
        return None;
    };
    if fields.remove("source")? != "SOURCE_ORGANIZATION" {
        return None;
    }
    Some(match name {
        "improvedPerformance" => fields.remove("executionPaths").unwrap_or_else(|| json!([])),
        "loginV2" => {
            fields.entry("required").or_insert(json!(false));
            Value::Object(fields)
        }
        _ => switch(&fields).unwrap_or(Value::Object(fields)),
    })
}

/// The value of a flag that is merely on or off.
fn switch(fields: &Map<String, Value>) -> Option<Value> {
    match fields.len() {
        0 => Some(json!(false)),
        1 => fields.get("enabled").cloned(),
        _ => None,
    }
}
