//! The task that waits for what others tell: a read that blocks, on a connection of its own. A stream has its place: what
//! came while nobody listened is read afterwards, unless it was trimmed; the comparison with everything finds that.

use std::time::Duration;

use super::keys::millis;
use super::parts::{ANSWER, StoreParts};
use crate::domain::fleet::FleetNews;
use crate::store::valkey::link::{Link, LinkFault};

/// A read waits for news for so long.
const BLOCK: Duration = Duration::from_secs(5);
/// And its answer for so much longer.
const SPARE: Duration = Duration::from_secs(1);
/// Entries in one read.
const MOST: u32 = 256;
/// After a refusal.
const PAUSE: Duration = Duration::from_secs(1);

type LogEntry = (String, Vec<Vec<u8>>);
type Streams = Option<Vec<(String, Vec<LogEntry>)>>;

pub(super) async fn listen(store: StoreParts, link: Link) {
    loop {
        link.becomes(true).await;
        // Another server may count otherwise: the place is asked for with each connection.
        match place(&store, &link).await {
            Ok(from) => {
                // What was told before that place is compared.
                store.tell(FleetNews::Listening);
                follow(&store, &link, from).await;
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The last entry that there is.
async fn place(store: &StoreParts, link: &Link) -> Result<String, LinkFault> {
    let mut commands = redis::pipe();
    let last = commands.cmd("XREVRANGE").arg(&store.keys.log);
    last.arg("+").arg("-").arg("COUNT").arg(1);
    let [entries] = link.ask::<[Vec<LogEntry>; 1]>(&commands, ANSWER).await?;
    let last = entries.into_iter().next().map(|(id, _)| id);
    Ok(last.unwrap_or_else(|| "0-0".to_owned()))
}

/// Reads until the connection ends.
async fn follow(store: &StoreParts, link: &Link, mut from: String) {
    loop {
        let mut commands = redis::pipe();
        let read = commands.cmd("XREAD").arg("COUNT").arg(MOST).arg("BLOCK");
        let read = read.arg(u64::try_from(BLOCK.as_millis()).unwrap_or(1000));
        read.arg("STREAMS").arg(&store.keys.log).arg(&from);
        commands.cmd("TIME");
        let read = link
            .ask::<(Streams, (u64, u64))>(&commands, BLOCK + SPARE)
            .await;
        match read {
            Ok((streams, time)) => {
                let entries = streams
                    .into_iter()
                    .flatten()
                    .flat_map(|(_, entries)| entries);
                let entries: Vec<LogEntry> = entries.collect();
                if let Some((last, _)) = entries.last() {
                    from.clone_from(last);
                    heard(store, &entries, millis(time));
                }
            }
            Err(LinkFault::Refused(_)) => {
                tokio::time::sleep(PAUSE).await;
                return;
            }
            // A frozen server: its answer may still come, and be nobody's. Another read goes behind it.
            Err(LinkFault::Timeout) if link.is_up() => {}
            Err(_) => return,
        }
    }
}

fn heard(store: &StoreParts, entries: &[LogEntry], now: u64) {
    let (mut facts, mut ignored, mut lag) = (Vec::new(), 0u64, Duration::ZERO);
    for (id, fields) in entries {
        // An id begins with when it was written, in ms of the server's clock.
        let written = id.split('-').next().and_then(|ms| ms.parse::<u64>().ok());
        let field = |name: &[u8]| {
            let mut pairs = fields.chunks_exact(2);
            pairs.find_map(|pair| (pair[0] == name).then(|| &pair[1][..]))
        };
        // Carried out late by a server that was frozen.
        let late = field(b"l").and_then(|late| std::str::from_utf8(late).ok()?.parse().ok());
        let age = now.saturating_sub(written.unwrap_or(now));
        let age = Duration::from_millis(age.saturating_add(late.unwrap_or(0)));
        let record = field(b"r");
        match record.map(|record| store.fact(record, age)) {
            Some(Ok(fact)) => facts.push(fact),
            _ => ignored += 1,
        }
        lag = lag.max(age);
    }
    if ignored > 0 {
        store.tell(FleetNews::Ignored(ignored));
    }
    if !facts.is_empty() {
        store.tell(FleetNews::Heard(facts, lag));
    }
}
