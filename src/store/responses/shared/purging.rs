//! Purging and counting what the server holds: its names are gone through piece by piece (`SCAN`), so that it serves
//! others meanwhile.
//!
//! Processes have entries in their own memory too. A purge leaves a mark in the server; whoever sees a new one, which is
//! looked for every [`FOLLOWED`], lets go of all that its memory holds, and finds what was not purged in the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::state::{SharedParts, as_texts};
use crate::store::responses::report::{PurgeFault, SharedStats};
use crate::store::responses::response_store::PurgeFilter;
use crate::store::valkey::codec::{HEAD, head};
use crate::store::valkey::link::{ANSWER, LinkFault};
use crate::wire::cache_key::scope_hash;

/// How often the mark of the last purge is looked at.
const FOLLOWED: Duration = Duration::from_secs(2);
/// What one step may take.
const STEP: Duration = Duration::from_secs(1);
/// EntryNames that the server looks at in one step, of all that it holds.
const LOOKED_AT: usize = 1000;
/// What counting may take; then it is told that there are more.
const COUNTING: Duration = Duration::from_secs(2);
/// How long a mark stays: as long as the oldest entry.
const MARK_SECONDS: u64 = 31 * 24 * 60 * 60;

type EntryNames = Vec<Vec<u8>>;

/// Goes through the names, a piece at each call.
struct NameScan<'a> {
    shared: &'a SharedParts,
    /// Of the names that are wanted.
    pattern: String,
    cursor: Option<u64>,
}

impl<'a> NameScan<'a> {
    /// Those of one scope, or all.
    fn new(shared: &'a SharedParts, scope: Option<&str>) -> Self {
        // What a prefix may be made of has no meaning in a pattern.
        let beginning = shared.beginning(scope.map(scope_hash));
        Self {
            shared,
            pattern: format!("{beginning}*"),
            cursor: Some(0),
        }
    }

    /// The next names, maybe none; `None` at the end.
    async fn next(&mut self) -> Result<Option<EntryNames>, LinkFault> {
        let Some(cursor) = self.cursor else {
            return Ok(None);
        };
        let mut commands = redis::pipe();
        let command = commands.cmd("SCAN").arg(cursor);
        command.arg("MATCH").arg(&self.pattern);
        command.arg("COUNT").arg(LOOKED_AT);
        let ((next, names),): ((u64, EntryNames),) = self.shared.link.ask(&commands, STEP).await?;
        self.cursor = (next != 0).then_some(next);
        Ok(Some(names))
    }
}

/// Counts entries and their bytes.
pub(super) async fn count(shared: &SharedParts) -> Result<SharedStats, LinkFault> {
    let until = Instant::now() + COUNTING;
    let mut stats = SharedStats::default();
    let mut scan = NameScan::new(shared, None);
    while let Some(names) = scan.next().await? {
        if !names.is_empty() {
            let mut commands = redis::pipe();
            for name in &names {
                commands.cmd("STRLEN").arg(name);
            }
            let sizes: Vec<u64> = shared.link.ask(&commands, STEP).await?;
            stats.entries += u64::try_from(sizes.len()).unwrap_or(u64::MAX);
            stats.bytes += sizes.iter().sum::<u64>();
        }
        if Instant::now() > until {
            return Ok(stats);
        }
    }
    stats.is_complete = true;
    Ok(stats)
}

/// Lets go of these entries in the server, and tells the other processes.
pub(super) async fn purge(shared: &SharedParts, which: &PurgeFilter) -> Result<u64, PurgeFault> {
    let mut gone = 0;
    let purged = purge_server(shared, which, &mut gone).await;
    // Behind the purge: whoever sees it finds nothing again of what is gone.
    let marked = mark(shared).await;
    match purged.and(marked) {
        Ok(()) => Ok(gone),
        Err(fault) => Err(PurgeFault {
            gone,
            address: shared.link.server().to_string(),
            fault,
        }),
    }
}

async fn purge_server(
    shared: &SharedParts,
    which: &PurgeFilter,
    gone: &mut u64,
) -> Result<(), LinkFault> {
    // The scope is a part of the names.
    let needs_heads = which.target.is_some() || which.before.is_some();
    let wanted = shared.hashed(which);
    let mut scan = NameScan::new(shared, which.scope.as_deref());
    while let Some(mut names) = scan.next().await? {
        if needs_heads && !names.is_empty() {
            names = chosen(shared, names, &wanted).await?;
        }
        if names.is_empty() {
            continue;
        }
        let mut commands = redis::pipe();
        commands.cmd("UNLINK").arg(names);
        let (count,): (u64,) = shared.link.ask(&commands, STEP).await?;
        *gone += count;
    }
    Ok(())
}

/// Those of these names whose entries a filter takes, as their heads say.
async fn chosen(
    shared: &SharedParts,
    names: EntryNames,
    wanted: &PurgeFilter,
) -> Result<EntryNames, LinkFault> {
    let mut commands = redis::pipe();
    for name in &names {
        commands.cmd("GETRANGE").arg(name).arg(0).arg(HEAD - 1);
    }
    let heads: Vec<Vec<u8>> = shared.link.ask(&commands, STEP).await?;
    let taken =
        |bytes: &[u8]| head(bytes).is_some_and(|head| wanted.takes(&as_texts(&head.labels)));
    let pairs = names.into_iter().zip(heads);
    let chosen = pairs.filter(|(_, head)| taken(head));
    Ok(chosen.map(|(name, _)| name).collect())
}

async fn mark(shared: &SharedParts) -> Result<(), LinkFault> {
    let mark = format!("{:032x}", fastrand::u128(..));
    let mut commands = redis::pipe();
    let command = commands.cmd("SET").arg(place(shared)).arg(&mark);
    command.arg("EX").arg(MARK_SECONDS).ignore();
    shared.mark.store(Some(Arc::new(mark)));
    shared.link.ask(&commands, STEP).await
}

fn place(shared: &SharedParts) -> String {
    format!("{}:purged", shared.prefix)
}

/// Lets go of what the memory holds when another process has purged.
pub(super) async fn follow(shared: Arc<SharedParts>) {
    loop {
        tokio::time::sleep(FOLLOWED).await;
        let mut commands = redis::pipe();
        commands.cmd("GET").arg(place(&shared));
        let Ok((Some(mark),)) = shared
            .link
            .ask::<(Option<String>,)>(&commands, ANSWER)
            .await
        else {
            continue;
        };
        let known = shared.mark.load_full();
        if known.is_none_or(|known| *known != mark) {
            shared.mark.store(Some(Arc::new(mark)));
            shared.forget(PurgeFilter::default()).await;
        }
    }
}
