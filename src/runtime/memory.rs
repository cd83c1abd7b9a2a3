//! Memory that was freed goes back to the operating system also when nothing happens any more.
//!
//! The allocator (mimalloc, see `main.rs`) notes freed pages and returns them a second later, so that they can be used
//! again without a system call. It looks for pages whose second is over only when it frees a page itself. A process
//! that falls silent after a flood frees nothing, and would keep all of it. So one large piece is taken and freed
//! every second: freeing it is freeing a page. The piece is not written to, so it costs no memory.

use std::hint::black_box;
use std::time::Duration;

use super::task::{self, TaskGuard};

/// Between two looks. Freed memory is returned about two seconds after it was freed.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes of the piece. mimalloc 3 gives pages of their own to objects of more than 512 KiB (`MI_LARGE_MAX_OBJ_SIZE`).
const PIECE: usize = 1024 * 1024;

/// Returns freed memory from now on, until the guard is dropped.
pub fn give_back() -> TaskGuard {
    task::guarded(async {
        loop {
            tokio::time::sleep(EVERY).await;
            // The compiler may not leave out what is seen by a black box.
            drop(black_box(Vec::<u8>::with_capacity(PIECE)));
        }
    })
}
