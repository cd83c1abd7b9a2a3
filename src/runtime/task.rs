//! Background tasks: spawned here and nowhere else, so that each one has an owner.

use std::future::Future;

use tokio::runtime::RuntimeFlavor;
use tokio::task::{AbortHandle, JoinHandle};

/// Starts `work` on the current runtime and lets it run to its own end.
pub fn detach(work: impl Future<Output = ()> + Send + 'static) {
    drop(spawn(work));
}

/// Starts `work` on the current runtime; it is cancelled when the guard is dropped.
pub fn guarded(work: impl Future<Output = ()> + Send + 'static) -> TaskGuard {
    TaskGuard(spawn(work).abort_handle())
}

/// Starts `work` on the current runtime.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work)
}

/// Does what takes long without waiting, on this thread. Where the runtime has more threads, the other tasks of this one go
/// to another first.
pub fn long<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Handle::try_current();
    match runtime.map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Cancels its task when dropped.
#[derive(Debug)]
pub struct TaskGuard(AbortHandle);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}
