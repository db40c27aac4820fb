//! What the API server answers to who lists or watches.

use kube::runtime::watcher;

/// The status with which the API server refused to list or to watch.
pub(crate) fn refusal(error: &watcher::Error) -> Option<u16> {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status)) | WatchStartFailed(kube::Error::Api(status)) => {
            Some(status.code)
        }
        _ => None,
    }
}
