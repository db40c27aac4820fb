//! The mark in an organization that the operator made: it knows by it what a resource without status may have back.
//!
//! # Guarantees
//! Who has not the operator's key can make none, and one that is copied proves nothing in another organization, in
//! another instance, or for a resource of another namespace or name. It says the UID for people only: a restored
//! resource has a new one.

use serde::{Deserialize, Serialize};

use crate::engine::kubernetes::seal::Seal;

/// The metadata key of the mark.
pub const KEY: &str = "zitadel-operator.dev/created-by";

const VERSION: &str = "1";

/// What a mark says, and the proof of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    version: String,
    /// The instance that it was written to.
    pub instance: String,
    organization: String,
    namespace: String,
    name: String,
    uid: String,
    digest: String,
}

/// The resource that made an organization.
#[derive(Clone, Copy, Debug)]
pub struct Maker<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

impl Mark {
    /// The mark in an organization that this resource made.
    pub fn new(seal: &Seal, instance: &str, organization: &str, maker: Maker<'_>) -> Self {
        let mut mark = Self {
            version: VERSION.into(),
            instance: instance.into(),
            organization: organization.into(),
            namespace: maker.namespace.into(),
            name: maker.name.into(),
            uid: maker.uid.into(),
            digest: String::new(),
        };
        mark.digest = seal.digest(&mark.words(KEY));
        mark
    }

    /// What ZITADEL has, if that is a mark.
    pub fn parse(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    /// The value of the metadata.
    ///
    /// # Errors
    /// None that can happen.
    pub fn value(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Which mark this is: short, and of no use to who wants to make one.
    pub fn tag(&self, seal: &Seal) -> String {
        seal.digest(&self.words("tag")).chars().take(16).collect()
    }

    /// Does it prove that a resource of this namespace and name made this organization?
    pub fn proves(&self, seal: &Seal, organization: &str, maker: Maker<'_>) -> bool {
        let Self { version, organization: here, namespace, name, .. } = self;
        [version, here, namespace, name] == [VERSION, organization, maker.namespace, maker.name]
            && seal.verifies(&self.words(KEY), &self.digest)
    }

    fn words<'a>(&'a self, purpose: &'a str) -> [&'a str; 7] {
        let Self { version, instance, organization, namespace, name, uid, .. } = self;
        [purpose, version, instance, organization, namespace, name, uid]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::engine::kubernetes::seal::tests::seal;

    const ACME: Maker<'_> = Maker { namespace: "team-a", name: "acme", uid: "1" };

    fn other_key() -> Seal {
        seal(2)
    }

    fn parsed(mark: &Value) -> Option<Mark> {
        Mark::parse(mark.to_string().as_bytes())
    }

    #[test]
    fn a_mark_proves_its_organization_to_its_maker_and_nothing_else() {
        let seal = seal(1);
        let mark = Mark::parse(&Mark::new(&seal, "instance", "312", ACME).value().unwrap()).unwrap();
        assert!(mark.proves(&seal, "312", ACME));
        assert!(mark.proves(&seal, "312", Maker { uid: "of the restored one", ..ACME }));
        assert!(!mark.proves(&seal, "313", ACME));
        assert!(!mark.proves(&seal, "312", Maker { namespace: "team-b", ..ACME }));
        assert!(!mark.proves(&seal, "312", Maker { name: "globex", ..ACME }));
        assert!(!mark.proves(&other_key(), "312", ACME));
    }

    #[test]
    fn whoever_changes_a_word_of_it_makes_it_worthless() {
        let seal = seal(1);
        let value = Mark::new(&seal, "instance", "313", ACME).value().unwrap();
        let mark: Value = serde_json::from_slice(&value).unwrap();
        assert!(parsed(&mark).unwrap().proves(&seal, "313", ACME));
        for field in ["version", "instance", "organization", "namespace", "name", "uid", "digest"] {
            let mut forged = mark.clone();
            forged[field] = json!("312");
            let forged = parsed(&forged).unwrap();
            let maker = Maker { namespace: &forged.namespace, name: &forged.name, uid: &forged.uid };
            assert!(!forged.proves(&seal, &forged.organization, maker), "{field}");
        }
        for other in [json!({}), json!("312"), json!([mark]), json!({ "version": "1" })] {
            assert_eq!(parsed(&other), None);
        }
    }

    #[test]
    fn its_tag_follows_all_of_it_and_the_key_and_makes_no_mark() {
        let seal = seal(1);
        let mark = Mark::new(&seal, "instance", "312", ACME);
        let tag = mark.tag(&seal);
        assert_eq!((tag.len(), tag == Mark::new(&seal, "instance", "312", ACME).tag(&seal)), (16, true));
        assert_ne!(tag, mark.tag(&other_key()));
        for other in [
            Mark::new(&seal, "another", "312", ACME),
            Mark::new(&seal, "instance", "313", ACME),
            Mark::new(&seal, "instance", "312", Maker { uid: "2", ..ACME }),
        ] {
            assert_ne!(tag, other.tag(&seal));
        }
        assert!(!mark.digest.contains(&tag));
    }
}
