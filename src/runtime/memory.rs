//! Memory that was freed goes back to the operating system also when nothing happens any more.
//!
//! The allocator (mimalloc, see `main.rs`) gives each thread a heap of its own and returns free pages a second after
//! they became free. Both happen only while a thread allocates:
//!
//! - Pages whose second is over are looked for when a thread frees a page. A process that falls silent after a flood
//!   frees nothing, and would keep all of it. So one large piece is taken and freed every second: freeing it is freeing
//!   a page. The piece is not written to, so it costs no memory.
//! - What one thread took and another freed stays with the heap it was taken from until that heap is collected, which
//!   mimalloc does at every 10,000th allocation that is not small. A thread that sleeps never comes to it. So whenever
//!   resident memory has changed by some mebibytes, each of the runtime's threads makes these allocations.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::task::{self, TaskGuard};

/// Between two looks. Freed memory is returned about two seconds after it was freed.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes of the large piece. mimalloc 3 gives pages of their own to objects of more than 512 KiB
/// (`MI_LARGE_MAX_OBJ_SIZE`).
const PIECE: usize = 1024 * 1024;
/// Pages of 4 KiB by which resident memory has to differ from what it was at the last collection for another one.
const CHANGE: u64 = 4 * 1024 * 1024 / 4096;
/// Allocations after which mimalloc 3 collects a heap, with some to spare: `generic_collect` (10,000), which it counts in
/// thousands. They take a third of a millisecond.
const ALLOCATIONS: usize = 11_000;
/// Bytes of each. Up to 1 KiB (`MI_SMALL_SIZE_MAX`) takes a shorter way, on which nothing is counted.
const ALLOCATION: usize = 4096;
/// Turns a task of a collection waits for the runtime's other threads to take one of its kind.
const TURNS: usize = 500;

/// Returns freed memory from now on, until the guard is dropped.
pub fn give_back() -> TaskGuard {
    task::guarded(async {
        let mut collected_at = 0;
        for round in 1.. {
            tokio::time::sleep(EVERY).await;
            let resident = resident_pages();
            // A round that missed a thread is repeated.
            if resident.abs_diff(collected_at) >= CHANGE && collect_every_thread(round).await {
                collected_at = resident;
            }
            take_and_free(PIECE);
        }
    })
}

/// Pages that are in memory; 0 where the system does not say.
fn resident_pages() -> u64 {
    let read = std::fs::read_to_string("/proc/self/statm");
    // `size resident shared …`, in pages (proc(5)).
    let resident = read
        .ok()
        .and_then(|statm| statm.split(' ').nth(1)?.parse().ok());
    resident.unwrap_or(0)
}

/// Collects the heaps of the runtime's threads. A task cannot be sent to a thread, so there are as many as threads, and
/// each goes on to the end of the queue until all threads have run one: a thread that is idle is woken by what waits in
/// another one's queue, and takes it. Returns whether all threads did; one that is busy, or does not run in time, may not.
async fn collect_every_thread(round: u64) -> bool {
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    let left = Arc::new(AtomicUsize::new(threads));
    let tasks: Vec<_> = (0..threads)
        .map(|_| {
            let left = left.clone();
            task::spawn(async move {
                for _ in 0..TURNS {
                    if collect_this_thread(round) {
                        left.fetch_sub(1, Ordering::Relaxed);
                    }
                    if left.load(Ordering::Relaxed) == 0 {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        // It is over in either case.
        let _ = task.await;
    }
    left.load(Ordering::Relaxed) == 0
}

/// Collects the heap of the thread that it is called on, once a round. Returns whether it did.
fn collect_this_thread(round: u64) -> bool {
    thread_local! {
        static COLLECTED: Cell<u64> = const { Cell::new(0) };
    }
    if COLLECTED.replace(round) == round {
        return false;
    }
    for _ in 0..ALLOCATIONS {
        take_and_free(ALLOCATION);
    }
    true
}

fn take_and_free(bytes: usize) {
    // The compiler may not leave out what is seen by a black box.
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}
