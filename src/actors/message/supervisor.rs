//! Messages to the supervisor.

use tokio::sync::oneshot;

use crate::actors::admin_command::AdminCommand;
use crate::actors::child::Child;
use crate::actors::spec::TreeSpec;
use crate::domain::restart::Decision;

/// What the supervisor understands.
#[derive(Debug)]
pub enum SupervisorMessage {
    /// From the router: what to do with a child that ended. Lost with the router: the supervisor decides.
    Decided(Child, Decision),
    /// From the tree: bring everything in line with this, then answer. Lost: the answer's port closes and the
    /// tree asks again.
    Apply(Box<TreeSpec>, oneshot::Sender<()>),
    /// From the tree's guardian: answer when everything below has been started. Lost: the guardian stops waiting.
    Running(oneshot::Sender<()>),
    /// From an operator: a command for a child, which answers it. Lost: the answer's port closes and it is sent again.
    Manual(AdminCommand, oneshot::Sender<()>),
    /// From itself: the wait before a restart is over. Never lost while the supervisor lives.
    Respawn(Child),
}

impl SupervisorMessage {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Decided(..) => "Decided",
            Self::Apply(..) => "Apply",
            Self::Running(_) => "Running",
            Self::Manual(..) => "Manual",
            Self::Respawn(_) => "Respawn",
        }
    }
}
