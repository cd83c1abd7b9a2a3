//! One client: asks, waits or leaves, reads, and holds what it got against the laws.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use pointsman::actors::status::{Life, LifeStatus};
use pointsman::dispatch::{AnswerBody, Dispatch, Failed, ProxyResponse, Relay, Request};
use pointsman::domain::dialect::Operation;
use pointsman::domain::error_code::ErrorCode;
use pointsman::domain::outcome::Class;
use pointsman::wire::request::RequestDoc;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::calls::Attempt;
use super::flood::TICK;
use super::keeping::{Question, Word};
use super::listen;
use super::oracle;
use super::plan::{HangUp, Plan};
use super::served::{self, Source};
use super::state::{Shared, State};

/// So long after its deadline the listener closes the connection of a client that takes nothing, at most: its grace,
/// and how often it looks (`listener/activity.rs`).
pub const CLOSED_AFTER: Duration = Duration::from_secs(4);
/// What a client takes of a whole answer at a time, in bytes.
const PART: usize = 64;

/// How a request ended for its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Served,
    /// The upstream's own refusal came back.
    Relayed,
    Failed,
    /// No budget has room for it.
    OverBudget,
    Left,
}

pub async fn ask(shared: Shared, dispatch: Arc<Dispatch>, plan: Plan) -> End {
    let (number, clock, deadline, client) = {
        let mut state = shared.lock();
        let number = state.arrive(plan.clone(), &dispatch.targets, dispatch.generation);
        let deadline = state.asked[number as usize].deadline;
        let client = state.purses.client(plan.client);
        (number, state.clock, deadline, client)
    };
    let end = clock.instant(deadline) + TICK;
    let leaves_at = match plan.hang_up {
        HangUp::After(span) => Some(Instant::now() + span),
        HangUp::Never | HangUp::AtPart(_) => None,
    };
    let doc = match RequestDoc::parse(plan.body(number)) {
        Ok(doc) => doc,
        Err(error) => panic!("the simulation's own body is wrong: {error}"),
    };
    let asks = plan.asks.as_ref();
    let request = Request {
        id: Arc::from(format!("r{number}")),
        operation: Operation::Chat,
        arrived: clock.now(),
        doc,
        headers: asks.map(Question::headers).unwrap_or_default(),
        deadline: dispatch.policy.deadline_of(clock.now(), plan.deadline),
        begins_within: None,
        silence: None,
        await_cooldown: plan.await_cooldown,
        client,
        unsupported: None,
        affinity: None,
        fetched: false,
        left_out: Default::default(),
        hints: None,
        payload: None,
        trace: None,
    };
    let mut running = Box::pin(async move { dispatch.run(request).await });
    let until = leaves_at.map_or(end, |at| at.min(end));
    let answer = match timeout_at(until, &mut running).await {
        Ok(answer) => answer,
        Err(_) => {
            leave(&shared, number, until == end, running);
            return End::Left;
        }
    };
    drop(running);
    match answer {
        Err(failed) => {
            let mut state = shared.lock();
            listen::shown(&mut state, number, &failed);
            listen::shown(&mut state, number, &failed.message);
            judge_failure(&mut state, number, &failed);
            let budget = [ErrorCode::ClientBudgetExhausted, ErrorCode::UnpricedModel];
            if budget.contains(&failed.code) {
                let now = clock.now();
                state.asked[number as usize].over_budget = true;
                state.purses.was_refused(number, now, failed.code);
                state.tally.over_budget += 1;
                state.over(number, failed.code.as_str());
                return End::OverBudget;
            }
            if failed.code == ErrorCode::NotCached {
                let asks = plan.asks.as_ref().and_then(|asks| asks.word);
                if asks != Some(Word::OnlyIfCached) {
                    let what = "nothing is kept, and that is an error".to_owned();
                    state.break_law("L15", number, what);
                }
                state.over(number, failed.code.as_str());
                return End::Relayed;
            }
            if failed.code == ErrorCode::ClientRateLimited {
                state.may_refuse(number);
                state.over(number, failed.code.as_str());
                return End::OverBudget;
            }
            if failed.code == ErrorCode::DeadlineExceeded {
                // Its call goes on for others, or is under way for a moment still.
                state.left += u64::from(plan.asks.is_some());
            }
            judge_loss(&mut state, number, failed.code.as_str());
            let could = oracle::could(&state, number);
            if could {
                state.tally.missed(failed.code.as_str());
            } else {
                state.tally.hopeless += 1;
            }
            state.over(number, failed.code.as_str());
            End::Failed
        }
        Ok(answer) => take(&shared, number, &plan, answer, end, leaves_at).await,
    }
}

/// Drops what runs for the client, and looks whether that ended everything.
pub fn leave<T>(shared: &Shared, number: u32, late: bool, running: T) {
    if late {
        shared
            .lock()
            .break_law("L1", number, "no end at the deadline".to_owned());
    }
    shared.lock().leaves(number);
    drop(running);
    let mut state = shared.lock();
    state.has_left(number);
    state.over(number, "client left");
}

async fn take(
    shared: &Shared,
    number: u32,
    plan: &Plan,
    answer: ProxyResponse,
    end: Instant,
    leaves_at: Option<Instant>,
) -> End {
    listen::shown(&mut shared.lock(), number, &answer);
    let source = shared.lock().source(number, &answer);
    if source == Source::Own {
        judge_head(&mut shared.lock(), number, &answer);
    }
    let origin = (answer.upstream.clone(), answer.key.clone());
    let status = answer.status;
    match answer.body {
        AnswerBody::Full(body) => {
            let outcome = {
                let mut state = shared.lock();
                let outcome = match source {
                    Source::Own => judge_whole(&mut state, number, status, &body),
                    _ => served::judge_whole(&mut state, number, (source, origin), status, &body),
                };
                let how = match (outcome, source) {
                    (End::Served, Source::Own) => "answered",
                    (End::Served, Source::Kept { .. }) => "kept, answered",
                    (End::Served, Source::Joined) => "joined, answered",
                    _ => "refusal passed on",
                };
                if outcome == End::Served {
                    state.tally.served += 1;
                }
                state.over(number, how);
                outcome
            };
            // What others read too is there once.
            let counted = outcome == End::Served && source == Source::Own;
            read_whole(shared, plan, body, end, counted).await;
            outcome
        }
        // Nothing is asked for here that passes without being looked at.
        AnswerBody::Piped(_) => End::Served,
        AnswerBody::Told(stream) => {
            let times = (end, leaves_at);
            served::read(shared, number, plan, (source, origin), stream, times).await
        }
        AnswerBody::Stream(relay) => read(shared, number, plan, relay, end, leaves_at).await,
    }
}

/// Takes a whole answer bit by bit, or some of it and then nothing until the listener has had enough. For the
/// dispatcher its request is over; the bytes are `counted` as long as they are there, but for those of refusals.
async fn read_whole(shared: &Shared, plan: &Plan, mut body: Bytes, end: Instant, counted: bool) {
    if !plan.is_slow() || body.is_empty() {
        return;
    }
    let all = if counted { body.len() } else { 0 };
    {
        let mut state = shared.lock();
        state.unread += all;
        state.tally.slow_readers += u64::from(plan.slow.is_some());
    }
    let mut parts = 0;
    while !body.is_empty() {
        if plan.stops == Some(parts) {
            shared.lock().tally.stopped += 1;
            sleep_until(end.max(Instant::now()) + CLOSED_AFTER).await;
            break;
        }
        sleep(plan.slow.unwrap_or_default()).await;
        drop(body.split_to(PART.min(body.len())));
        parts += 1;
    }
    shared.lock().unread -= all;
    drop(body);
}

/// What a reader of a stream has seen.
#[derive(Default)]
struct Seen {
    done: bool,
    error: bool,
}

async fn read(
    shared: &Shared,
    number: u32,
    plan: &Plan,
    mut relay: Box<Relay>,
    end: Instant,
    leaves_at: Option<Instant>,
) -> End {
    let mut seen = Seen::default();
    if plan.slow.is_some() {
        shared.lock().tally.slow_readers += 1;
    }
    let mut parts = 0;
    loop {
        if plan.stops == Some(parts) {
            shared.lock().tally.stopped += 1;
            let closed = end.max(Instant::now()) + CLOSED_AFTER;
            sleep_until(leaves_at.map_or(closed, |at| at.min(closed))).await;
            leave(shared, number, false, relay);
            return End::Left;
        }
        parts += 1;
        if let Some(slow) = plan.slow {
            sleep(slow).await;
        }
        if Instant::now() > end {
            shared.lock().asked[number as usize].late_reads += 1;
        }
        // Who reads late must be told at once.
        let latest = end.max(Instant::now() + TICK);
        let until = leaves_at.map_or(latest, |at| at.min(latest));
        let next = match timeout_at(until, relay.next()).await {
            Ok(next) => next,
            Err(_) => {
                leave(shared, number, until == latest, relay);
                return End::Left;
            }
        };
        let Some(Ok(bytes)) = next else { break };
        // A socket takes the bytes, and its task has its turn, before anybody asks for more.
        tokio::task::yield_now().await;
        see(&mut shared.lock(), number, &mut seen, &bytes);
        if plan.hang_up == HangUp::AtPart(shared.lock().asked[number as usize].seen.len() as u32)
            && !seen.done
        {
            leave(shared, number, false, relay);
            return End::Left;
        }
    }
    let after = Pin::new(&mut relay).next().await;
    drop(relay);
    let mut state = shared.lock();
    if after.is_some() {
        state.break_law("L1", number, "bytes after the end of the stream".to_owned());
    }
    judge_stream(&mut state, number, &seen);
    if seen.done {
        state.tally.served += 1;
        let attempts = &state.asked[number as usize].attempts;
        let begun = attempts
            .iter()
            .filter(|attempt| state.attempts[**attempt as usize].begun);
        state.tally.rescued += u64::from(begun.count() > 1);
    } else {
        if oracle::could(&state, number) {
            state.tally.missed("stream cut");
        }
    }
    state.over(number, if seen.done { "streamed" } else { "stream cut" });
    if seen.done { End::Served } else { End::Failed }
}

/// One chunk of a stream: whole events, of one attempt, in order, nothing after the end.
fn see(state: &mut State, number: u32, seen: &mut Seen, bytes: &Bytes) {
    let text = String::from_utf8_lossy(bytes);
    for event in text.lines().filter(|line| !line.is_empty()) {
        if seen.done || seen.error {
            state.break_law("L8", number, format!("an event after the end: {event}"));
        }
        // Comments and names of events may stand in front of it.
        let Some(data) = event.strip_prefix("data: ") else {
            continue;
        };
        if data == "[DONE]" {
            seen.done = true;
        } else if data.contains("\"error\"") {
            seen.error = true;
        } else if let Some((_, content)) = data.split_once("\"content\":\"a") {
            let content = content
                .split_once('"')
                .map_or(content, |(content, _)| content);
            let parts = content.split_inclusive(';').enumerate();
            let parts = parts.map(|(n, part)| {
                if n == 0 {
                    format!("a{part}")
                } else {
                    part.to_owned()
                }
            });
            state.asked[number as usize].seen.extend(parts);
            let (from_one, seen) = (
                told_by(state, number, |_| true),
                &state.asked[number as usize].seen,
            );
            if !from_one {
                let what = format!("no upstream says {seen:?}");
                state.break_law("L8", number, what);
            }
        }
    }
}

/// Whether what the client has is the beginning of what one upstream says.
fn told_by(state: &State, number: u32, which: impl Fn(&Attempt) -> bool) -> bool {
    let asked = &state.asked[number as usize];
    let attempts = asked
        .attempts
        .iter()
        .map(|attempt| &state.attempts[*attempt as usize]);
    let mut begun = attempts.filter(|attempt| attempt.begun && which(attempt));
    begun.any(|attempt| attempt.texts.starts_with(&asked.seen))
}

fn judge_stream(state: &mut State, number: u32, seen: &Seen) {
    let asked = &state.asked[number as usize];
    if asked.attempts.is_empty() {
        return state.break_law("L11", number, "a stream without an attempt".to_owned());
    }
    let parts = asked.seen.len();
    let whole = told_by(state, number, |call| {
        call.finished && call.texts.len() == parts
    });
    if seen.done && !whole {
        let what = format!("[DONE] after {parts} parts, which is not all");
        state.break_law("L8", number, what);
    }
    if !seen.done && !seen.error {
        state.break_law(
            "L8",
            number,
            "it ends without [DONE] and without an error".to_owned(),
        );
    }
}

fn judge_head(state: &mut State, number: u32, answer: &ProxyResponse) {
    let call = state.call_of(number);
    let asked = &state.asked[call as usize];
    let made = asked.attempts.len();
    if answer.attempts != made {
        let what = format!("{} attempts told, {made} made", answer.attempts);
        return state.break_law("L11", number, what);
    }
    let Some(winner) = state.winner(call) else {
        return;
    };
    let spot = state.attempts[winner as usize].spot;
    let maker = &state.world.makers[spot.maker];
    let right = answer.upstream.provider == maker.name
        && answer.upstream.model == maker.models[spot.model]
        && answer.key.index as usize == spot.key + 1;
    if !right {
        let what = format!(
            "{} with {} told, but {spot:?} answered",
            answer.upstream, answer.key
        );
        state.break_law("L11", number, what);
    }
}

fn judge_whole(state: &mut State, number: u32, status: u16, body: &Bytes) -> End {
    let Some(last) = state.winner(state.call_of(number)) else {
        state.break_law("L11", number, "an answer without an attempt".to_owned());
        return End::Failed;
    };
    let call = &state.attempts[last as usize];
    let outcome = call.outcome;
    let inside_stream = call.stream && call.as_events;
    if *body != call.body && !inside_stream {
        let what = "the body is not the last attempt's".to_owned();
        state.break_law("L8", number, what);
    }
    match outcome {
        Some(Class::Success) if status == 200 => End::Served,
        Some(
            Class::CallerFault
            | Class::ContentPolicy
            | Class::Unsupported
            | Class::TooLargeForLimit,
        ) if status >= 400 => End::Relayed,
        other => {
            state.break_law(
                "L1",
                number,
                format!("status {status} went back after {other:?}"),
            );
            End::Failed
        }
    }
}

fn judge_failure(state: &mut State, number: u32, failed: &Failed) {
    let own = state.call_of(number);
    let standing = state.asked[number as usize].standing.as_ref();
    if standing.is_some_and(|it| it.shared) && own == number {
        // What others' calls met is told to it, or nothing.
        return;
    }
    if own != number && failed.code == ErrorCode::DeadlineExceeded {
        // Its call may go on.
        return;
    }
    let asked = &state.asked[own as usize];
    let mut told: Vec<(String, u32, Class)> = failed
        .records
        .iter()
        .map(|record| (record.upstream.to_string(), record.key.index, record.class))
        .collect();
    let mut made: Vec<(String, u32, Class)> = asked
        .attempts
        .iter()
        .map(|attempt| {
            let call = &state.attempts[*attempt as usize];
            let maker = &state.world.makers[call.spot.maker];
            let upstream = format!("{}:{}", maker.name, maker.models[call.spot.model]);
            (
                upstream,
                call.spot.key as u32 + 1,
                call.outcome.unwrap_or(Class::Success),
            )
        })
        .collect();
    if asked.raced {
        // Told in the order in which they ended.
        for list in [&mut told, &mut made] {
            list.sort_by_key(|(upstream, key, class)| (upstream.clone(), *key, class.as_str()));
        }
    }
    if told != made {
        state.break_law("L11", number, format!("told {told:?}, made {made:?}"));
    }
}

/// Where nothing but actors fails, nobody with some time is turned away while an upstream of the chain is up.
fn judge_loss(state: &mut State, number: u32, code: &'static str) {
    const SOME_TIME: Duration = Duration::from_secs(5);
    let asked = &state.asked[number as usize];
    let full = ErrorCode::WaitingRoomFull.as_str();
    let standing = asked.standing.as_ref();
    let is_shared = standing.is_some_and(|it| it.shared);
    if is_shared
        || !state.world.only_crashes
        || code == full
        || asked.deadline.since(asked.arrived) < SOME_TIME
    {
        return;
    }
    let up = asked.slots.iter().any(|slot| {
        let name = &state.world.makers[slot.maker].name;
        state.cells.providers.get(name).is_some_and(|cells| {
            let quarantined = |life: &LifeStatus| life.get() == Life::Quarantined;
            !quarantined(&cells.provider.life)
                && !cells.keys.iter().all(|key| quarantined(&key.life))
        })
    });
    if up {
        state.break_law(
            "L6",
            number,
            format!("only actors failed, and it ends with {code}"),
        );
    }
}
