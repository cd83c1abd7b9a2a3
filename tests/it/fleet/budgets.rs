//! Budgets that processes share: never overspent, whatever becomes of the server and of the processes.

use serde_json::json;

use crate::admin::side::Side;
use crate::support::client::Call;
use crate::support::{Answer, Behaviour, Match, until};

use super::{World, fleet, is_up};

/// A token costs 0.001, and a request that asks for ten of them 0.01.
const YAML: &str = "
fleet: {url: \"<valkey>\", name: test, secret_file: \"<secret>\"}
clients:
  - {name: ci, token: token-of-the-client, budgets: [{amount: 1, every: total}]}
llm:
  providers:
    - {name: <name>, base_url: <a>, model: m, api_key: k1, price: {input: 0, output: 1000}}
";

fn spend(side: &Side) -> Call<'_> {
    let body = json!({
        "model": "p:m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}],
    });
    let call = side.gateway.post_chat(body.to_string());
    call.header("authorization", "Bearer token-of-the-client")
        .awaits("0s")
}

/// Every answer uses all that was reserved for it.
fn costly(world: &World) {
    let body = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 10, "total_tokens": 11},
    });
    let behaviour = Behaviour::json(200, &body.to_string());
    world.upstream.on(Match::any(), [behaviour]);
}

async fn processes(world: &World, count: usize) -> Vec<Side> {
    costly(world);
    world.processes_with(YAML, &world.valkey.url(), count).await
}

/// Completes when each has something to spend.
async fn claimed(all: &[Side]) {
    for side in all {
        until("a claim", async || {
            let claimed = fleet(side).await["budgets"][0]["claimed"].clone();
            claimed
                .as_str()
                .is_some_and(|claimed| claimed != "0.000000")
        })
        .await;
    }
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_budget_is_spent_to_its_end_and_no_further() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = processes(&world, 3).await;
    claimed(&all).await;
    until("it to be used up", async || {
        let mut used_up = 0;
        for side in &all {
            let answer = spend(side).send().await;
            used_up += u32::from(code(&answer) == "client_budget_exhausted");
        }
        used_up == 3
    })
    .await;
    let count = world.upstream.count();
    assert!((90..=100).contains(&count), "{count} cents of a hundred");
    let told = fleet(&all[0]).await;
    assert_eq!(told["budgets"][0]["amount"], "1.000000");
    let refused = spend(&all[0]).send().await;
    refused.assert_error(429, "client_budget_exhausted");
}

#[tokio::test]
async fn cut_off_each_spends_what_it_has_claimed_and_no_more() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = processes(&world, 3).await;
    claimed(&all).await;
    world.valkey.signal("STOP");
    for side in &all {
        until("the end of its claim", async || {
            code(&spend(side).send().await) == "fleet_unavailable"
        })
        .await;
        assert_eq!(side.get("/health/ready").send().await.status, 200);
    }
    let alone = world.upstream.count();
    assert!((3..=100).contains(&alone), "{alone} cents of a hundred");
    world.valkey.signal("CONT");
    for side in &all {
        until("it to be back", async || is_up(side).await).await;
    }
    until("it to go on", async || {
        spend(&all[0]).send().await;
        world.upstream.count() > alone || alone == 100
    })
    .await;
    for _ in 0..60 {
        for side in &all {
            spend(side).send().await;
        }
    }
    assert!(world.upstream.count() <= 100, "{}", world.upstream.count());
}

#[tokio::test]
async fn who_ends_in_order_leaves_its_claim_to_others_and_who_is_killed_does_not() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let mut all = processes(&world, 3).await;
    claimed(&all).await;
    let left = async |side: &Side| {
        let left = fleet(side).await["budgets"][0]["left"].clone();
        left.as_str().unwrap_or("0").parse::<f64>().unwrap()
    };
    let own = async |side: &Side| {
        let claimed = fleet(side).await["budgets"][0]["claimed"].clone();
        claimed.as_str().unwrap_or("0").parse::<f64>().unwrap()
    };
    // Nobody spends anything: what the two who live have, and what is left, is all there is but for the killed one's claim.
    let killed = own(&all[2]).await;
    all[2].gateway.signal("KILL");
    all.truncate(2);
    let ended = all.remove(1);
    ended.gateway.finish().await;
    until("its claim to be there again", async || {
        let all_of_it = left(&all[0]).await + own(&all[0]).await + killed;
        (0.999..1.001).contains(&all_of_it)
    })
    .await;
}

#[tokio::test]
async fn a_server_that_has_lost_everything_lets_nobody_spend_it_again() {
    let Some(mut world) = World::new(&[]).await else {
        return;
    };
    let all = processes(&world, 2).await;
    claimed(&all).await;
    until("half of it to be spent", async || {
        for side in &all {
            spend(side).send().await;
        }
        world.upstream.count() >= 50
    })
    .await;
    world.valkey.kill();
    world.valkey.restart().await;
    until("it to be used up", async || {
        let mut used_up = 0;
        for side in &all {
            let answer = spend(side).send().await;
            used_up += u32::from(code(&answer) == "client_budget_exhausted");
        }
        used_up == 2
    })
    .await;
    assert!(world.upstream.count() <= 100, "{}", world.upstream.count());
}
