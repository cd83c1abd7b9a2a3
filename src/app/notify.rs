//! Tells the service manager how the process is.

use sd_notify::NotifyState;

/// Notifies the service manager, if there is one (`NOTIFY_SOCKET`).
pub(super) fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be notified");
    }
}

/// Another configuration is being read.
pub(super) fn reloading() {
    // The time is asked for by systemd 253 and later.
    let now = NotifyState::monotonic_usec_now();
    tell(&[vec![NotifyState::Reloading], now.into_iter().collect()].concat());
}

/// The process serves, by one configuration or another.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}
