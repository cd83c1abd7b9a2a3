//! Answers that no upstream gave to their own request: from a store, or from a call that others wait for too. Whose they are
//! (L15), that they are whole (L16), how old they are (L17), and that nobody waits longer for having joined (L18).

use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use pointsman::dispatch::{ProxyResponse, ToldStream};
use pointsman::domain::ids::{KeyId, Upstream};
use pointsman::domain::outcome::Class;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::calls::Attempt;
use super::client::{CLOSED_AFTER, End, leave};
use super::flood::TICK;
use super::keeping::Word;
use super::plan::{HangUp, PROMPT, Plan};
use super::shared_calls::NO_CALL;
use super::shelf::{content, usage};
use super::state::{Shared, State};

/// Where an answer comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// From its own request's call, which others may read too.
    Own,
    /// From a store. It is said to be so many seconds old.
    Kept { stale: bool, age: u64 },
    /// From the call of another request.
    Joined,
}

/// What is told of an answer, and what was seen of it.
struct Told {
    source: Source,
    upstream: Upstream,
    key: KeyId,
    done: bool,
    error: bool,
    finish: Option<String>,
    usage: Option<(u64, u64)>,
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl State {
    /// Where an answer says that it comes from, and whether that may be.
    pub(super) fn source(&mut self, number: u32, answer: &ProxyResponse) -> Source {
        let now = self.clock.now();
        let asked = &mut self.asked[number as usize];
        let Some(standing) = &asked.standing else {
            return Source::Own;
        };
        let age = header(&answer.headers, "age").and_then(|age| age.parse().ok());
        let kept = |stale| Source::Kept {
            stale,
            age: age.unwrap_or(u64::MAX),
        };
        let source = match header(&answer.headers, "x-pointsman-cache") {
            Some("hit") => kept(false),
            Some("stale") => kept(true),
            Some("coalesced") => Source::Joined,
            _ => Source::Own,
        };
        let policy = &standing.policy;
        let keeps = standing.looked && policy.enabled;
        let may = match source {
            Source::Own => standing.word != Some(Word::OnlyIfCached),
            Source::Kept { stale: false, .. } => keeps && standing.word != Some(Word::NoCache),
            Source::Kept { stale: true, .. } => keeps && !policy.stale_if_error.is_zero(),
            Source::Joined => standing.shared,
        };
        asked.looked_at = Some(now);
        let has_made = asked.call.is_some() || !asked.attempts.is_empty();
        asked.is_free = source != Source::Own && !has_made;
        let has_call = asked.call.is_some() || !asked.attempts.is_empty();
        if !may {
            self.break_law("L15", number, format!("it must not be served: {source:?}"));
        }
        if source == Source::Own {
            return source;
        }
        let free = header(&answer.headers, "x-pointsman-cost") == Some("0");
        if !free || answer.attempts != 0 {
            let what = format!("it is billed, and comes from elsewhere: {source:?}");
            self.break_law("L20", number, what);
        }
        if has_call && matches!(source, Source::Kept { stale: false, .. }) {
            let what = "an upstream was asked, and a kept answer serves".to_owned();
            self.break_law("L20", number, what);
        }
        match source {
            Source::Kept { stale: false, .. } => self.tally.hits += 1,
            Source::Kept { .. } => self.tally.stale += 1,
            _ => self.tally.joined += 1,
        }
        source
    }

    /// The attempts whose answer it may be.
    fn sayers(&self, number: u32, source: Source) -> Vec<u32> {
        let asked = &self.asked[number as usize];
        let all = self.attempts.iter().enumerate();
        let right = all.filter(|(_, call)| {
            let of = &self.asked[call.request as usize];
            let Some((own, other)) = asked.standing.as_ref().zip(of.standing.as_ref()) else {
                return false;
            };
            match source {
                Source::Own => call.request == self.call_of(number),
                Source::Kept { .. } => call.shelved.is_some() && other.key == own.key,
                Source::Joined => {
                    of.leader.is_some_and(|leader| leader != number) && other.is_equal(own)
                }
            }
        });
        right.map(|(attempt, _)| attempt as u32).collect()
    }

    /// What was seen so far is the beginning of what one upstream says to an equal request.
    fn is_said(&mut self, number: u32, source: Source) {
        let seen = &self.asked[number as usize].seen;
        let sayers = self.sayers(number, source);
        let mut says = sayers.iter().map(|it| &self.attempts[*it as usize].says);
        if says.any(|says| begins(says, seen)) {
            return;
        }
        let elsewhere = self.attempts.iter().any(|call| begins(&call.says, seen));
        let law = if elsewhere { "L15" } else { "L16" };
        let what = format!("{source:?}: no upstream says {seen:?} to an equal request");
        self.break_law(law, number, what);
    }

    /// The attempt whose whole answer this is.
    fn sayer(&self, number: u32, source: Source, is_it: impl Fn(&Attempt) -> bool) -> Option<u32> {
        let sayers = self.sayers(number, source);
        let mut sayers = sayers.into_iter().rev();
        sayers.find(|it| is_it(&self.attempts[*it as usize]))
    }

    /// An answer that another request's call gave, or that was kept, and is that of `sayer`.
    fn judge_origin(&mut self, number: u32, told: &Told, sayer: u32) {
        let call = &self.attempts[sayer as usize];
        let maker = &self.world.makers[call.spot.maker];
        let is_right = told.upstream.provider == maker.name
            && told.upstream.model == maker.models[call.spot.model]
            && told.key.index as usize == call.spot.key + 1;
        if !is_right {
            let what = format!(
                "{} with {} told, but {:?} said it",
                told.upstream, told.key, call.spot
            );
            self.break_law("L11", number, what);
        }
        match told.source {
            Source::Own => {}
            Source::Kept { stale, age } => self.judge_age(number, sayer, stale, age),
            Source::Joined => self.judge_joined(number, sayer),
        }
    }

    fn judge_age(&mut self, number: u32, sayer: u32, stale: bool, told: u64) {
        let asked = &self.asked[number as usize];
        let call = &self.attempts[sayer as usize];
        let (Some((at, ttl)), Some(looked)) = (call.shelved, asked.looked_at) else {
            return;
        };
        let Some(standing) = &asked.standing else {
            return;
        };
        let age = looked.since(at);
        let stale_ttl = ttl.min(standing.policy.ttl) + standing.policy.stale_if_error;
        let serves = match stale {
            true => age < stale_ttl,
            false => standing.takes(age, ttl),
        };
        let own = self.winner(self.call_of(number));
        let own = own.and_then(|it| self.attempts[it as usize].outcome);
        let what = if !serves {
            format!("it is {age:?} old, of {ttl:?}; {:?}", standing.word)
        } else if age.as_secs().abs_diff(told) > 1 {
            format!("it is {age:?} old, and said to be {told} s old")
        } else if stale
            && matches!(
                own,
                Some(Class::Success | Class::CallerFault | Class::ContentPolicy)
            )
        {
            format!("an answer that is out of date is served after {own:?}")
        } else {
            return;
        };
        self.break_law("L17", number, what);
    }

    /// Whoever joins gets an answer of the time for which it waits, the moment at which it is there.
    fn judge_joined(&mut self, number: u32, sayer: u32) {
        let asked = &self.asked[number as usize];
        let call = &self.attempts[sayer as usize];
        let now = self.clock.now();
        let Some(ended) = call.ended.filter(|ended| *ended >= asked.arrived) else {
            if call.ended.is_some() {
                let what = format!("it joined an answer that was over at {:?}", call.ended);
                self.break_law("L17", number, what);
            }
            return;
        };
        if now > ended + TICK && !asked.plan.is_slow() {
            let what = format!("the call that it joined was over at {ended:?}");
            self.break_law("L18", number, what);
        }
    }

    /// All who read one call to its end got the same.
    fn judge_lines(&mut self, number: u32, sayer: u32) {
        let lines = std::mem::take(&mut self.asked[number as usize].lines);
        let call = &mut self.attempts[sayer as usize];
        if call.lines.is_empty() {
            call.lines = lines;
        } else if call.lines != lines {
            let what = format!("it got {lines:?}, and another one {:?}", call.lines);
            self.break_law("L16", number, what);
        }
    }
}

/// Whether these are the token counts of an answer. A stream that was finished by another attempt took more.
fn is_count(told: Option<(u64, u64)>, answer: u64, rescues: bool) -> bool {
    told.is_some_and(|(prompt, tokens)| match rescues {
        true => prompt >= PROMPT && tokens >= answer,
        false => (prompt, tokens) == (PROMPT, answer),
    })
}

/// Whether these parts begin so.
fn begins(says: &[String], seen: &[String]) -> bool {
    says.starts_with(seen)
}

/// A whole answer that came from elsewhere.
pub fn judge_whole(
    state: &mut State,
    number: u32,
    (source, (upstream, key)): (Source, (Upstream, KeyId)),
    status: u16,
    body: &Bytes,
) -> End {
    let told = Told {
        source,
        upstream,
        key,
        done: true,
        error: false,
        finish: None,
        usage: None,
    };
    if status != 200 {
        // What is wrong with a request is told to all that are equal.
        // Where a stream began with it, it is put in other words.
        let refused = |call: &Attempt| {
            let inside = call.stream && call.as_events;
            inside && call.outcome.is_some_and(|class| class != Class::Success)
        };
        let sayer = state.sayer(number, source, |call| call.body == *body || refused(call));
        if sayer.is_none() || source != Source::Joined {
            let what = format!("status {status} from elsewhere: {source:?}");
            state.break_law("L15", number, what);
        }
        return End::Relayed;
    }
    let Some((text, finish, counts)) = content(body) else {
        state.break_law("L16", number, format!("{source:?}: not an answer"));
        return End::Failed;
    };
    state.asked[number as usize].seen = text.split_inclusive(';').map(str::to_owned).collect();
    state.is_said(number, source);
    let asked = &state.asked;
    let rescues = state.world.rescue.is_some();
    let sayer = state.sayer(number, source, |call| {
        let of = &asked[call.request as usize];
        match call.stream {
            true => call.says.concat() == text && is_count(Some(counts), of.plan.answer, rescues),
            false => call.body == *body,
        }
    });
    match sayer {
        Some(sayer) => state.judge_origin(number, &told, sayer),
        None => {
            let sayers = state.sayers(number, source);
            let told = sayers.iter().map(|it| &state.attempts[*it as usize]);
            let told = told.map(|it| (&it.says, state.asked[it.request as usize].plan.answer));
            let told: Vec<_> = told.collect();
            let what = format!("{source:?}: {text:?} with {counts:?}, and upstreams said {told:?}");
            state.break_law("L16", number, what);
        }
    }
    if matches!(source, Source::Kept { .. }) && finish != "stop" {
        state.break_law("L15", number, format!("what is served ended by {finish}"));
    }
    End::Served
}

/// Reads a stream that is told from a store, or that several may read.
pub async fn read(
    shared: &Shared,
    number: u32,
    plan: &Plan,
    (source, (upstream, key)): (Source, (Upstream, KeyId)),
    mut stream: ToldStream,
    (end, leaves_at): (Instant, Option<Instant>),
) -> End {
    let mut told = Told {
        source,
        upstream,
        key,
        done: false,
        error: false,
        finish: None,
        usage: None,
    };
    {
        let mut state = shared.lock();
        state.tally.slow_readers += u64::from(plan.slow.is_some());
        let sayers = state.sayers(number, source);
        let latest = sayers.last().map(|it| state.attempts[*it as usize].request);
        state.asked[number as usize].reads = Some(latest.unwrap_or(NO_CALL));
        state.lets_go(number);
    }
    let mut parts = 0;
    loop {
        if plan.stops == Some(parts) {
            shared.lock().tally.stopped += 1;
            let closed = end.max(Instant::now()) + CLOSED_AFTER;
            sleep_until(leaves_at.map_or(closed, |at| at.min(closed))).await;
            leave(shared, number, false, stream);
            return End::Left;
        }
        parts += 1;
        if let Some(slow) = plan.slow {
            sleep(slow).await;
        }
        let late = end.max(Instant::now());
        let until = leaves_at.map_or(late, |at| at.min(late));
        let next = match timeout_at(until, stream.next()).await {
            Ok(next) => next,
            Err(_) => {
                leave(shared, number, until == late, stream);
                return End::Left;
            }
        };
        let Some(Ok(bytes)) = next else { break };
        see(&mut shared.lock(), number, &mut told, &bytes);
        tokio::task::yield_now().await;
        let seen = shared.lock().asked[number as usize].seen.len() as u32;
        if plan.hang_up == HangUp::AtPart(seen) && !told.done {
            leave(shared, number, false, stream);
            return End::Left;
        }
    }
    drop(stream);
    let mut state = shared.lock();
    judge_stream(&mut state, number, &told);
    let how = match (told.done, source) {
        (true, Source::Own) => "streamed",
        (true, Source::Kept { .. }) => "kept, streamed",
        (true, Source::Joined) => "joined, streamed",
        (false, _) => "stream cut",
    };
    state.tally.served += u64::from(told.done);
    state.over(number, how);
    if told.done { End::Served } else { End::Failed }
}

fn see(state: &mut State, number: u32, told: &mut Told, bytes: &Bytes) {
    let text = String::from_utf8_lossy(bytes);
    for event in text.lines().filter(|line| !line.is_empty()) {
        if told.done || told.error {
            state.break_law("L16", number, format!("an event after the end: {event}"));
        }
        let Some(data) = event.strip_prefix("data: ") else {
            continue;
        };
        if data == "[DONE]" {
            told.done = true;
            continue;
        }
        let Ok(doc) = serde_json::from_str::<serde_json::Value>(data) else {
            state.break_law("L16", number, format!("not an event: {event}"));
            continue;
        };
        if doc.get("error").is_some() {
            told.error = true;
            // Whoever is late reads no more.
            state.asked[number as usize].reads = Some(NO_CALL);
            state.lets_go(number);
            continue;
        }
        told.usage = told.usage.or(usage(&doc));
        state.asked[number as usize].lines.push(data.to_owned());
        let Some(choice) = doc.get("choices").and_then(|all| all.get(0)) else {
            continue;
        };
        if let Some(finish) = choice.get("finish_reason").and_then(|it| it.as_str()) {
            told.finish = Some(finish.to_owned());
        }
        let delta = choice.get("delta").and_then(|delta| delta.get("content"));
        let content = delta.and_then(|it| it.as_str()).unwrap_or_default();
        if !content.is_empty() {
            let parts = content.split_inclusive(';').map(str::to_owned);
            state.asked[number as usize].seen.extend(parts);
            state.is_said(number, told.source);
        }
    }
}

fn judge_stream(state: &mut State, number: u32, told: &Told) {
    if !told.done {
        let kept = matches!(told.source, Source::Kept { .. });
        if kept || !told.error {
            // A call that broke off says so to all; what is kept does not break off.
            let what = format!("{:?}: it ends without [DONE]", told.source);
            state.break_law("L16", number, what);
        }
        return;
    }
    let asked = &state.asked[number as usize];
    let seen = asked.seen.clone();
    let kept = matches!(told.source, Source::Kept { .. });
    let wanted = asked
        .standing
        .as_ref()
        .and_then(|it| it.form)
        .unwrap_or(false);
    let sayer = state.sayer(number, told.source, |call| {
        (call.finished || kept) && call.says == seen
    });
    let Some(sayer) = sayer else {
        let what = format!("{:?}: [DONE] after {seen:?}, which is not all", told.source);
        return state.break_law("L16", number, what);
    };
    if kept {
        let of = state.attempts[sayer as usize].request;
        let (answer, rescues) = (
            state.asked[of as usize].plan.answer,
            state.world.rescue.is_some(),
        );
        let is_right = match wanted {
            true => is_count(told.usage, answer, rescues),
            false => told.usage.is_none(),
        };
        if !is_right || told.finish.as_deref() != Some("stop") {
            let what = format!(
                "{:?} and {:?} told, {answer} tokens were said",
                told.usage, told.finish
            );
            state.break_law("L16", number, what);
        }
    } else {
        state.judge_lines(number, sayer);
    }
    state.judge_origin(number, told, sayer);
}
