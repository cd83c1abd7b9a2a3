//! Sends an operator's commands, again and again until an actor has carried them out.

use std::time::Duration;

use tokio::sync::oneshot;

use super::admin_command::AdminCommand;
pub use super::admin_command::{KeyCommand, ProviderCommand};
use super::child::Child;
use super::handle::Handle;
use super::message::supervisor::SupervisorMessage;
use crate::domain::ids::{KeyId, ProviderName};

/// How long a command is sent again while its actor is being restarted.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Sends commands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CommandSender {
    supervisor: Handle<SupervisorMessage>,
}

/// The actor does not run, and a command does not start it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("its actor failed too often and is kept down: release it first")]
pub struct ActorDown;

impl CommandSender {
    pub(crate) fn new(supervisor: Handle<SupervisorMessage>) -> Self {
        Self { supervisor }
    }

    /// Sends a command to a key; its status shows the change when this completes. The key must be configured at
    /// present.
    ///
    /// # Errors
    /// Its actor is down.
    pub async fn key(&self, key: &KeyId, order: KeyCommand) -> Result<(), ActorDown> {
        let place = usize::try_from(key.index).unwrap_or(usize::MAX);
        let child = Child::Key(key.provider.clone(), place.saturating_sub(1));
        self.send(AdminCommand::Key(child, order)).await
    }

    /// Sends a command to a provider, likewise.
    ///
    /// # Errors
    /// Its actor is down.
    pub async fn provider(
        &self,
        provider: &ProviderName,
        order: ProviderCommand,
    ) -> Result<(), ActorDown> {
        let child = Child::Provider(provider.clone());
        self.send(AdminCommand::Provider(child, order)).await
    }

    async fn send(&self, order: AdminCommand) -> Result<(), ActorDown> {
        let sending = async {
            loop {
                let (reply, done) = oneshot::channel();
                let message = SupervisorMessage::Manual(order.clone(), reply);
                if self.supervisor.send(message).is_ok() && done.await.is_ok() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, sending)
            .await
            .map_err(|_| ActorDown)
    }
}
