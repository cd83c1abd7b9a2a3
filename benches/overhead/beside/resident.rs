//! Resident memory: after the start, after load, and of streams that have begun and say no more.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::Effort;
use super::peers::{Launch, Peer};
use super::table::Table;
use crate::load::{self, Shape};

/// Descriptors that are no streams.
const OTHERS: u64 = 150;

pub async fn run(peers: &[Peer], upstream: &str, effort: &Effort, table: &mut Table) {
    // A relay takes two descriptors for a stream.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = usize::try_from((limit - OTHERS.min(limit)) / 2).unwrap_or(usize::MAX);
    let streams = effort.idle_streams.min(room);
    if streams < effort.idle_streams {
        eprintln!("{limit} descriptors are allowed: {streams} idle streams");
    }
    for (column, peer) in peers.iter().enumerate() {
        eprintln!("memory: {}", peer.name());
        let served = peer.start(upstream, &Launch::Plain);
        let running = &served.running;
        let at = &running.address;
        tokio::time::sleep(Duration::from_secs(1)).await;
        table.add("RSS MiB, idle", column, running.rss_kib() / 1024.0);
        load::closed_loop(at, Shape::Plain, 256, 20_000).await;
        load::closed_loop(at, Shape::Stream, 256, 512).await;
        let loaded = running.rss_kib();
        table.add(
            "RSS MiB after load, 256 connections",
            column,
            loaded / 1024.0,
        );
        let held = load::hold_streams(at, streams).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let kib = (running.rss_kib() - loaded) / streams as f64;
        table.add(
            &format!("KiB per idle stream, {streams} streams"),
            column,
            kib,
        );
        drop(held);
    }
}
