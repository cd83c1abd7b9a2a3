//! Limits that processes share: together they stay within them, whatever becomes of the server.

use std::time::{Duration, Instant};

use crate::admin::side::Side;
use crate::support::{At, Behaviour, Gate, Match, PATIENCE, Refusing, until};

use super::proxy::Proxy;
use super::{World, ask, fleet, is_up, served, share};

fn yaml(limits: &str, client: &str, on_lost: &str) -> String {
    format!(
        "
fleet: {{url: \"<valkey>\", name: test, secret_file: \"<secret>\", on_lost: {on_lost}}}
clients:
  - {{name: swordfish-client, token: token-of-the-client, limits: {{{client}}}}}
llm:
  providers:
    - {{name: <name>, base_url: <a>, model: m, api_key: k1, limits: {{{limits}}}}}
"
    )
}

async fn processes(world: &World, yaml: &str, count: usize) -> Vec<Side> {
    world.processes_with(yaml, &world.valkey.url(), count).await
}

/// What was used of a minute's limit counts for so long: a window and its last slot.
const WINDOW: Duration = Duration::from_secs(61);

/// Completes when every process has an even part, about. They are asked slowly: what one has used of a limit before the other has
/// its part is kept from the other until the window is over, for which this waits at worst.
async fn divided(all: &[Side], kind: &str, limit: u64) {
    let even = limit / u64::try_from(all.len()).unwrap();
    let is_divided = async {
        loop {
            let mut are_even = true;
            for side in all {
                // What each wants is the same.
                ask(side, "p:m").await;
                let share = share(side, kind).await;
                are_even &= share >= even / 2 && share <= even * 3 / 2;
            }
            if are_even {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let patience = PATIENCE + 2 * WINDOW;
    let what = format!("an even share in {patience:?}");
    let waited = tokio::time::timeout(patience, is_divided).await;
    assert!(waited.is_ok(), "{what}");
}

/// The most requests that the upstream got within one minute.
fn most_in_a_minute(world: &World) -> usize {
    let mut times: Vec<Instant> = world.upstream.requests().iter().map(|it| it.at).collect();
    times.sort_unstable();
    let counts = times.iter().enumerate().map(|(place, first)| {
        let later = times[place..].iter();
        later
            .take_while(|at| at.duration_since(*first) < Duration::from_secs(60))
            .count()
    });
    counts.max().unwrap_or(0)
}

#[tokio::test]
async fn one_process_alone_has_the_whole_limit() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    // More than can be asked in a minute: once that is used up nothing is in flight, and half of the places is all that is wanted.
    let yaml = yaml("rpm: 60000, max_in_flight: 3", "", "share");
    let all = processes(&world, &yaml, 1).await;
    until("all of it", async || {
        ask(&all[0], "p:m").await;
        share(&all[0], "rpm").await == 60_000 && share(&all[0], "max_in_flight").await == 3
    })
    .await;
}

#[tokio::test]
async fn all_together_stay_within_the_limit_of_a_key() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = processes(&world, &yaml("rpm: 60", "", "share"), 3).await;
    until("most of it to be used", async || {
        served(&all, 4).await;
        world.upstream.count() >= 45
    })
    .await;
    served(&all, 20).await;
    let most = most_in_a_minute(&world);
    assert!(most <= 60, "{most}");
    let text = all[0].get("/metrics").send().await.text().to_owned();
    assert!(
        text.contains(r#"pointsman_fleet_share{limit="rpm",name="p#1",of="key"}"#),
        "{text}"
    );
}

#[tokio::test]
async fn all_together_stay_within_the_limits_of_a_client() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let began = Instant::now();
    let all = processes(&world, &yaml("", "rpm: 60", "share"), 3).await;
    until("most of it to be used", async || {
        served(&all, 4).await;
        world.upstream.count() >= 45
    })
    .await;
    served(&all, 20).await;
    // What the minute brings meanwhile comes on top: one a second.
    let most = 61 + usize::try_from(began.elapsed().as_secs()).unwrap();
    let count = world.upstream.count();
    assert!(count <= most, "{count} of {most}");
    let refused = ask(&all[0], "p:m").await;
    refused.assert_error(429, "client_rate_limited");
}

#[tokio::test]
async fn places_are_leased_and_those_of_a_killed_process_come_back() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let gate = Gate::new();
    let held = Behaviour::says("ok").gate(At::BeforeHead, &gate);
    let mut all = processes(&world, &yaml("max_in_flight: 4", "", "share"), 2).await;
    divided(&all, "max_in_flight", 4).await;
    world.upstream.on(Match::any(), [held]);
    let before = world.upstream.count();
    let (one, other) = (&all[0], &all[1]);
    let asks = (0..6).flat_map(|_| [ask(one, "p:m"), ask(other, "p:m")]);
    let all_asks = futures_util::future::join_all(asks);
    let opened = async {
        until("places to be taken", async || {
            world.upstream.count() >= before + 3
        })
        .await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(all_asks, opened);
    let served = answers.iter().filter(|it| it.status == 200).count();
    assert!((3..=4).contains(&served), "{served} at once");
    // Killed, not ended.
    all[1].gateway.signal("KILL");
    all.truncate(1);
    until("all places", async || {
        ask(&all[0], "p:m").await;
        share(&all[0], "max_in_flight").await == 4
    })
    .await;
}

#[tokio::test]
async fn a_small_limit_is_for_few_and_none_is_exceeded() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = processes(&world, &yaml("max_in_flight: 1", "", "share"), 3).await;
    until("one to have it", async || {
        served(&all, 1).await;
        let mut shares = 0;
        for side in &all {
            shares += share(side, "max_in_flight").await;
        }
        assert!(shares <= 1);
        shares == 1
    })
    .await;
}

#[tokio::test]
async fn without_the_server_each_word_of_on_lost_does_what_it_says() {
    for (word, most) in [("share", 30), ("local", 60), ("refuse", 0)] {
        let Some(mut world) = World::new(&[]).await else {
            return;
        };
        let limit = if word == "refuse" { 6000 } else { 60 };
        let limits = format!("rpm: {limit}");
        let all = processes(&world, &yaml(&limits, "", word), 2).await;
        divided(&all, "rpm", limit).await;
        world.valkey.kill();
        let (part, share_of) = match word {
            "share" => (30, "an even part"),
            "local" => (60, "all of it"),
            _ => (0, "nothing"),
        };
        until(share_of, async || share(&all[0], "rpm").await == part).await;
        let before = world.upstream.count();
        let mut last = ask(&all[0], "p:m").await;
        for _ in 0..70 {
            last = ask(&all[0], "p:m").await;
        }
        let count = world.upstream.count() - before;
        // What it had used before counts too.
        assert!(count <= most, "{word}: {count}");
        match word {
            "refuse" => {
                last.assert_error(429, "fleet_unavailable");
            }
            _ => assert_eq!(last.status, 429, "{word}"),
        }
        let ready = all[0].get("/health/ready").send().await;
        assert_eq!(ready.status, 200, "{word}");
        world.valkey.restart().await;
        until("it to be back", async || {
            is_up(&all[0]).await && is_up(&all[1]).await
        })
        .await;
    }
}

#[tokio::test]
async fn a_process_that_is_cut_off_has_its_part_of_a_limit_at_most() {
    // One of three: what it may do by itself comes on top of what the others share.
    for (word, part, most) in [("share", 200, 800), ("refuse", 0, 600)] {
        let Some(world) = World::new(&[]).await else {
            return;
        };
        let proxy = Proxy::to(world.valkey.port()).await;
        let yaml = yaml("rpm: 600", "", word);
        let mut all = processes(&world, &yaml, 2).await;
        let url = proxy.url();
        all.push(world.process_with(&yaml, &url, "p", "fleet.key").await);
        divided(&all, "rpm", 600).await;
        let nowhere = Refusing::new();
        let cut = Instant::now();
        proxy.lead(nowhere.port());
        until("its part", async || {
            !is_up(&all[2]).await && share(&all[2], "rpm").await == part
        })
        .await;
        let before = world.upstream.count();
        served(&all[2..], 220).await;
        let alone = world.upstream.count() - before;
        assert!(alone <= usize::try_from(part).unwrap(), "{word}: {alone}");
        let last = ask(&all[2], "p:m").await;
        assert_eq!(last.status, 429, "{word}: {}", last.text());
        served(&all[..2], 620).await;
        let used = most_in_a_minute(&world);
        // What it did since it last told the others comes on top: at most what all did in two seconds.
        let untold = world.upstream.requests();
        let untold = untold
            .iter()
            .filter(|it| it.at < cut && it.at + Duration::from_secs(2) > cut);
        let most = most + untold.count();
        assert!(used <= most, "{word}: {used} of {most}");
        // What those can share who hear of each other is used.
        assert!(used >= 300, "{word}: {used}");
    }
}

#[tokio::test]
async fn a_clients_limits_are_refused_without_the_server_where_that_is_asked_for() {
    let Some(mut world) = World::new(&[]).await else {
        return;
    };
    let words = "{rates: refuse, concurrency: local}";
    let all = processes(&world, &yaml("", "rpm: 600, max_in_flight: 9", words), 1).await;
    until("the whole", async || {
        ask(&all[0], "p:m").await;
        share(&all[0], "rpm").await == 600
    })
    .await;
    world.valkey.kill();
    until("a refusal", async || {
        let answer = ask(&all[0], "p:m").await;
        answer.status == 429 && answer.text().contains("fleet_unavailable")
    })
    .await;
}

#[tokio::test]
async fn limits_hold_when_the_server_comes_back_empty() {
    let Some(mut world) = World::new(&[]).await else {
        return;
    };
    let all = processes(&world, &yaml("rpm: 60", "", "share"), 2).await;
    divided(&all, "rpm", 60).await;
    world.valkey.kill();
    served(&all, 3).await;
    world.valkey.restart().await;
    for side in &all {
        until("it to be back", async || is_up(side).await).await;
    }
    until("most of it to be used", async || {
        served(&all, 4).await;
        world.upstream.count() >= 40
    })
    .await;
    served(&all, 20).await;
    let most = most_in_a_minute(&world);
    assert!(most <= 60, "{most}");
}

#[tokio::test]
async fn after_a_failover_with_loss_all_agree_again() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let Some(other) = crate::support::valkey::ValkeyProcess::start(&[]).await else {
        return;
    };
    let proxy = Proxy::to(world.valkey.port()).await;
    let yaml = yaml("rpm: 60", "", "share");
    let all = world.processes_with(&yaml, &proxy.url(), 2).await;
    divided(&all, "rpm", 60).await;
    // The replica stops to hear, and then takes over.
    let port = world.valkey.port().to_string();
    other
        .says(&[b"REPLICAOF", b"127.0.0.1", port.as_bytes()])
        .await;
    until("it to have everything", async || {
        !other.names().await.is_empty()
    })
    .await;
    other.says(&[b"REPLICAOF", b"NO", b"ONE"]).await;
    served(&all, 4).await;
    proxy.lead(other.port());
    for side in &all {
        until("the other server", async || {
            is_up(side).await && share(side, "rpm").await > 0
        })
        .await;
    }
    served(&all, 30).await;
    // Σ of open claims once, at worst.
    let most = most_in_a_minute(&world);
    assert!(most <= 120, "{most}");
    divided(&all, "rpm", 60).await;
}

#[tokio::test]
async fn a_slow_or_frozen_server_makes_no_request_slower() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let proxy = Proxy::to(world.valkey.port()).await;
    let yaml = yaml("rpm: 6000, max_in_flight: 50", "rpm: 6000", "share");
    let all = world.processes_with(&yaml, &proxy.url(), 2).await;
    divided(&all, "rpm", 6000).await;
    for delay in [100, 400] {
        proxy.slow(Duration::from_millis(delay));
        for _ in 0..20 {
            for side in &all {
                let began = Instant::now();
                assert_eq!(ask(side, "p:m").await.status, 200);
                assert!(began.elapsed() < Duration::from_secs(1));
            }
        }
        assert_eq!(all[0].get("/health/ready").send().await.status, 200);
    }
    proxy.slow(Duration::ZERO);
    world.valkey.signal("STOP");
    until("that to be noticed", async || {
        let began = Instant::now();
        assert_eq!(ask(&all[0], "p:m").await.status, 200);
        assert!(began.elapsed() < Duration::from_secs(1));
        !is_up(&all[0]).await
    })
    .await;
    world.valkey.signal("CONT");
    until("it to be back", async || is_up(&all[0]).await).await;
}

#[tokio::test]
async fn a_server_without_scripts_gives_each_an_even_part() {
    let Some(world) = World::new(&["--rename-command", "EVAL", ""]).await else {
        return;
    };
    let all = processes(&world, &yaml("rpm: 61", "", "refuse"), 2).await;
    until("even parts", async || {
        for side in &all {
            ask(side, "p:m").await;
        }
        let mut shares = [share(&all[0], "rpm").await, share(&all[1], "rpm").await];
        shares.sort_unstable();
        shares == [30, 31]
    })
    .await;
    assert!(fleet(&all[0]).await["without_scripts"].is_string());
}
