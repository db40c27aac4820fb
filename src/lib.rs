//! Makes a ZITADEL instance follow Kubernetes custom resources.
