//! Tells the service manager how the process is.

use sd_notify::NotifyState;

/// Notifies the service manager, if there is one (`NOTIFY_SOCKET`).
pub(super) fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be notified");
    }
}
