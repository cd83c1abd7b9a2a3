//! Calls of upstreams: each start, part and end is held against the laws as it happens.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pointsman::domain::hedge::{HedgeAfter, HedgePolicy};
use pointsman::domain::outcome::Class;
use pointsman::domain::rescue::Prefill;
use pointsman::domain::time::Time;

use super::asked::Asked;
use super::dice::Dice;
use super::fault::Fault;
use super::flood::{Rest, TICK};
use super::keeping::Word;
use super::model::Spot;
use super::script::{Mark, Scene, Script, Verdict, write};
use super::state::State;
use super::world::Question;

#[derive(Clone, Debug)]
pub struct Attempt {
    pub request: u32,
    pub spot: Spot,
    pub started: Time,
    pub fault: Fault,
    pub stream: bool,
    pub body: Bytes,
    /// What the complete answer says.
    pub texts: Vec<String>,
    /// It was asked to go on from the beginning of an answer.
    pub goes_on: bool,
    /// When it was clear that its answer goes to the client.
    pub won: Option<Time>,
    /// When its outcome was clear.
    pub ended: Option<Time>,
    pub(super) verdict: Verdict,
    pub(super) head: bool,
    pub as_events: bool,
    pub begun: bool,
    pub finished: bool,
    /// The last content, and how long nobody waited for more since then, and in all.
    pub(super) last_content: Time,
    pub(super) returned: Time,
    pub(super) away: Duration,
    pub(super) away_in_all: Duration,
    pub outcome: Option<Class>,
    pub(super) open: bool,
    /// What its whole answer says, in parts, and why that ends.
    pub says: Vec<String>,
    pub finish: &'static str,
    /// When it was kept, and for how long.
    pub shelved: Option<(Time, Duration)>,
    /// The events that whoever read all of it has got.
    pub lines: Vec<String>,
    /// What came of it when it was over.
    pub(super) rest: Rest,
}

/// The material of a key; nothing of it may be seen anywhere.
pub const PLANTED: &str = "sk-planted-";

pub fn key(spot: Spot) -> String {
    format!("{PLANTED}{}-{}", spot.maker, spot.key)
}

impl State {
    /// An upstream is called: holds the call against the laws and says how it goes.
    pub fn start(&mut self, request: u32, spot: Spot, sent: Option<&str>) -> (u32, Script) {
        let now = self.clock.now();
        let attempt = self.attempts.len() as u32;
        let (asker, request) = (request, self.calls_for(request));
        self.steers(request, spot, now);
        self.may_start(request, spot, attempt, now);
        let world = Arc::clone(&self.world);
        let maker = &world.makers[spot.maker];
        let asked = &mut self.asked[request as usize];
        let here = |other: &&u32| self.attempts[**other as usize].spot == spot;
        let nth = asked.attempts.iter().filter(here).count() as u64;
        asked.attempts.push(attempt);
        let stream = asked.plan.stream;
        let (fault, back_in) = world.fate(&Question {
            maker: spot.maker,
            key: spot.key,
            model: spot.model,
            request: u64::from(asker),
            nth,
            at: now.since(Time::ZERO),
            own: asked.plan.own,
            calm: self.calm,
        });
        let mut fault = fault.in_form(stream);
        if sent.is_some() && !maker.goes_on {
            fault = Fault::BadRequest;
        }
        let sent = self.told(request, sent);
        let mut dice = Dice::of(&[world.setup.seed, 6, u64::from(attempt)]);
        let texts = self.texts(request, attempt, &sent, &mut dice);
        let unended = world.keeping.as_ref().map_or(0.0, |it| it.unended);
        let mut ends = Dice::of(&[world.setup.seed, 22, u64::from(attempt)]);
        let finish = match ends.chance(unended) && !self.calm {
            true => "length",
            false => "stop",
        };
        let scene = Scene {
            attempt,
            texts,
            sent: sent.len(),
            echo: maker.prefill == Some(Prefill::PrefixEchoed),
            key: key(spot),
            stream,
            fault,
            back_in,
            latency: world.latency(spot.maker, u64::from(asker), now.since(Time::ZERO)),
            gap: Duration::from_millis(maker.gap),
            idle: maker.timeouts.idle,
            wall: self.clock.wall(),
            answer: self.asked[request as usize].plan.answer,
            counts: !world.economy.budgets.is_empty() || world.keeping.is_some(),
            finish,
        };
        if fault.serves() {
            self.caches(request, spot, now);
        }
        let script = write(&scene, &mut dice);
        self.attempts.push(Attempt {
            request,
            spot,
            started: now,
            fault,
            stream,
            body: script.body.clone(),
            texts: script.texts.clone(),
            goes_on: !sent.is_empty(),
            won: None,
            ended: None,
            verdict: script.verdict,
            head: false,
            as_events: false,
            begun: false,
            finished: false,
            last_content: now,
            returned: now,
            away: Duration::ZERO,
            away_in_all: Duration::ZERO,
            outcome: None,
            open: true,
            says: match stream {
                true => script.texts.clone(),
                false => vec![format!("a{attempt}.0;")],
            },
            finish,
            shelved: None,
            lines: Vec::new(),
            rest: Rest::default(),
        });
        self.tally.attempts += 1;
        *self.tally.faults.entry(fault).or_default() += 1;
        self.note("starts", request, attempt, Some(spot), fault.as_str());
        self.take_place(spot, request, now);
        (attempt, script)
    }

    /// The parts of an answer that an upstream is asked to go on from: exactly what the client has.
    fn told(&mut self, request: u32, sent: Option<&str>) -> Vec<String> {
        let Some(sent) = sent else { return Vec::new() };
        let seen = &self.asked[request as usize].seen;
        if seen.concat() != sent {
            let what = format!("to go on from {sent:?}, and the client has {seen:?}");
            self.break_law("L8", request, what);
        }
        sent.split_inclusive(';').map(str::to_owned).collect()
    }

    /// What an attempt's complete answer says. Where streams are rescued all attempts say the same, or the same up to
    /// some point; else each says something of its own.
    fn texts(&self, request: u32, attempt: u32, sent: &[String], dice: &mut Dice) -> Vec<String> {
        let world = &self.world;
        if world.rescue.is_none() {
            let contents = dice.between(2, 6);
            return (0..contents).map(|n| format!("a{attempt}.{n};")).collect();
        }
        let mut shared = Dice::of(&[world.setup.seed, 12, u64::from(request)]);
        let contents = shared.between(2, 6);
        let own = match dice.chance(world.diverges) {
            true => dice.below(contents),
            false => contents,
        };
        let text = |n: u64| match (sent.get(n as usize), n < own) {
            (Some(text), _) => text.clone(),
            (None, true) => format!("a{request}.{n};"),
            (None, false) => format!("a{}.{n};", 1_000_000 + attempt),
        };
        (0..contents.max(sent.len() as u64)).map(text).collect()
    }

    fn take_place(&mut self, spot: Spot, request: u32, now: Time) {
        let open = &mut self.open[spot.maker][spot.key];
        *open += 1;
        let Some(most) = self.world.makers[spot.maker].limits.max_in_flight else {
            return;
        };
        if *open == most {
            let spans = self.full.entry((spot.maker, spot.key)).or_default();
            spans.push((now, Time::NEVER));
        }
        if *open > most {
            let open = *open;
            self.break_law(
                "L2",
                request,
                format!("{open} calls at once with a key that may have {most}"),
            );
        }
    }

    fn may_start(&mut self, request: u32, spot: Spot, attempt: u32, now: Time) {
        let world = Arc::clone(&self.world);
        let maker = &world.makers[spot.maker];
        let asked = &self.asked[request as usize];
        let mut wrong: Vec<(&'static str, String)> = Vec::new();
        if self.refuses_unpriced(request, spot.maker) {
            wrong.push(("L13", format!("{} has no price", maker.name)));
        }
        if let Some(why) = self.overloads(request, spot.maker) {
            wrong.push(("L14", why));
        }
        let is_gone = asked.gone.is_none_or(|gone| now > gone + TICK);
        if asked.left && is_gone {
            wrong.push(("L10", "an attempt for a client that left".to_owned()));
        }
        if asked.over && is_gone {
            wrong.push(("L1", "an attempt for a request that has ended".to_owned()));
        }
        if now >= asked.deadline {
            wrong.push((
                "L1",
                "an attempt starts when the deadline has passed".to_owned(),
            ));
        }
        let others = asked
            .attempts
            .iter()
            .map(|other| &self.attempts[*other as usize]);
        let lives = |other: &&Attempt| other.open && other.outcome.is_none();
        if others
            .clone()
            .any(|other| other.begun && (world.rescue.is_none() || lives(&other)))
        {
            wrong.push(("L8", "another attempt after the first content".to_owned()));
        }
        let beside: Vec<&Attempt> = others.filter(lives).collect();
        if let Some(why) = self.may_race(asked, &beside, spot, now) {
            wrong.push(("L4", why));
        }
        let raced = !beside.is_empty();
        if asked.plain + beside.len() as u32 >= world.policy.max_attempts {
            wrong.push((
                "L4",
                format!("more than {} attempts", world.policy.max_attempts),
            ));
        }
        if asked.refusals >= world.policy.max_key_refusals {
            wrong.push((
                "L4",
                format!("more than {} refusals", world.policy.max_key_refusals),
            ));
        }
        let again = |(refused, at): &(Spot, Time)| *refused == spot && *at == now;
        if asked.refused.iter().any(again) {
            wrong.push((
                "L4",
                "the key that just refused is asked again at once".to_owned(),
            ));
        }
        match asked
            .slots
            .iter()
            .find(|slot| slot.maker == spot.maker && slot.model == spot.model)
        {
            None => wrong.push(("L8", "an upstream outside of the chain".to_owned())),
            Some(slot) if slot.closed => {
                wrong.push((
                    "L4",
                    "an upstream that this request must not ask again".to_owned(),
                ));
            }
            Some(slot) if slot.plain > maker.retry.same_upstream => {
                wrong.push((
                    "L4",
                    format!(
                        "more than {} retries at one upstream",
                        maker.retry.same_upstream
                    ),
                ));
            }
            Some(_) => {}
        }
        let first = asked.attempts.is_empty();
        let asker = asked.leader.unwrap_or(request);
        if let Some(why) = self
            .is_kept(asker)
            .filter(|_| first && asked.elections == 0)
        {
            wrong.push(("L17", why));
        }
        if asked.standing.as_ref().and_then(|it| it.word) == Some(Word::OnlyIfCached) {
            wrong.push((
                "L15",
                "an upstream is asked for what is kept only".to_owned(),
            ));
        }
        let rescue = self.asked[request as usize]
            .attempts
            .iter()
            .any(|other| self.attempts[*other as usize].begun);
        self.asked[request as usize].raced |= raced;
        self.tally.races += u64::from(raced);
        self.tally.rescues += u64::from(rescue);
        if let Err(why) = self.model.start(spot, attempt, maker, now) {
            wrong.push(("L3", why));
        }
        // Counted and not made: by clients that left in between, and for a moment by each that looks for a key.
        let slack = self.left + self.live;
        // Each crash may lose count of one.
        let crashes = self.tally.crashes.values().sum();
        if let Err(why) = self
            .model
            .charge(spot, first, &world, (slack, crashes), now)
        {
            wrong.push(("L4", why));
        }
        for (law, what) in wrong {
            self.note("breaks a law", request, attempt, Some(spot), law);
            self.break_law(law, request, what);
        }
    }

    /// Why an attempt must not start beside those that are under way.
    fn may_race(
        &self,
        asked: &Asked,
        beside: &[&Attempt],
        spot: Spot,
        now: Time,
    ) -> Option<String> {
        let [first] = beside else {
            return (beside.len() > 1).then(|| "a third attempt at once".to_owned());
        };
        let late = match self.world.policy.hedge.filter(|_| first.stream) {
            Some(HedgePolicy {
                after: HedgeAfter::Span(after),
                ..
            }) => first.started + after,
            Some(_) => first.started,
            None => Time::NEVER,
        };
        let elsewhere = first.spot.maker != spot.maker || first.spot.model != spot.model;
        let goes = self.time_goes(asked, first).filter(|_| elsewhere);
        let from = late.min(goes.unwrap_or(Time::NEVER));
        (now < from)
            .then(|| format!("a second attempt beside the first, which may have until {from:?}"))
    }

    /// When so much of a request's time is gone that another upstream may be asked beside this attempt.
    fn time_goes(&self, asked: &Asked, first: &Attempt) -> Option<Time> {
        let policy = &self.world.policy;
        let share = policy.deadline_hedge;
        let hurries = asked
            .plan
            .deadline
            .is_some_and(|given| given < policy.deadline);
        let left = asked.hurries_until.since(first.started);
        (share > 0.0 && hurries).then(|| first.started + left.mul_f64(share))
    }

    /// The head of the answer is there.
    pub fn head(&mut self, attempt: u32, as_events: bool) {
        let call = &mut self.attempts[attempt as usize];
        call.head = true;
        call.as_events = as_events;
    }

    /// The dispatcher waits for the next part.
    pub fn awaited(&mut self, attempt: u32) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        let away = now.since(call.returned);
        call.away += away;
        call.away_in_all += away;
        self.may_read(attempt, now);
    }

    /// A part of the answer is with the dispatcher.
    pub fn delivered(&mut self, attempt: u32, fingerprint: Mark, bytes: usize) {
        let now = self.clock.now();
        self.counted(attempt, bytes);
        let call = &mut self.attempts[attempt as usize];
        let (request, spot, verdict) = (call.request, call.spot, call.verdict);
        call.returned = now;
        if fingerprint.content || fingerprint.finish || fingerprint.life {
            call.last_content = now;
            call.away = Duration::ZERO;
        }
        let answers = matches!(verdict.class, Class::CallerFault | Class::ContentPolicy)
            || (verdict.class == Class::Success && !call.stream);
        if (fingerprint.verdict && answers && !call.begun) || (fingerprint.content && !call.begun) {
            call.won = Some(now);
            let served = (fingerprint.content && !call.begun) || verdict.class == Class::Success;
            let (started, stream) = (call.started, call.stream);
            let of = &self.asked[request as usize].attempts;
            // What finishes a broken stream is not measured.
            let rescue = of
                .iter()
                .any(|other| *other != attempt && self.attempts[*other as usize].begun);
            if served && !rescue {
                self.pulses[spot.maker][spot.model].served(stream, now.since(started), now);
            }
        }
        let call = &mut self.attempts[attempt as usize];
        if fingerprint.content && !call.begun {
            call.begun = true;
            let policy = self.world.makers[spot.maker].breaker;
            self.model.began(spot, attempt, &policy, now);
            self.note("first content", request, attempt, Some(spot), "");
        }
        if fingerprint.finish {
            self.attempts[attempt as usize].finished = true;
        }
        if fingerprint.verdict {
            self.end(attempt, verdict);
            // What is left of a stream's body is read for the sake of its connection, and is no call any more.
            if self.attempts[attempt as usize].stream {
                self.dropped(attempt);
            }
        }
    }

    /// The dispatcher let go of the call.
    pub fn dropped(&mut self, attempt: u32) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        if !std::mem::replace(&mut call.open, false) {
            return;
        }
        let (spot, request) = (call.spot, call.request);
        self.is_cancelled(request);
        let call = &self.attempts[attempt as usize];
        if call.outcome.is_none() {
            let verdict = self.hedge_lost(attempt, now).unwrap_or_else(|| Verdict {
                class: self.why_dropped(attempt, now),
                hint: None,
                date: None,
                certain: true,
                status: None,
            });
            self.end(attempt, verdict);
        }
        let open = &mut self.open[spot.maker][spot.key];
        *open -= 1;
        let most = self.world.makers[spot.maker].limits.max_in_flight;
        if most == Some(*open + 1)
            && let Some(last) = self
                .full
                .get_mut(&(spot.maker, spot.key))
                .and_then(|spans| spans.last_mut())
        {
            last.1 = now;
        }
    }

    /// Why a call was dropped before its outcome was certain: its client left, or somebody's time was up.
    fn why_dropped(&mut self, attempt: u32, now: Time) -> Class {
        let call = &self.attempts[attempt as usize];
        let asked = &self.asked[call.request as usize];
        if asked.left || asked.reopened == Some(now) {
            if asked.leader.is_some() && now >= self.limit(call, asked).1 {
                // The last one left while its upstream talked without a pause, and its own time was up when that was seen:
                // either may be noted, and the books go on without the breaker's.
                self.model.lossy_providers = true;
            }
            return Class::Cancelled;
        }
        let call = &self.attempts[attempt as usize];
        let asked = &self.asked[call.request as usize];
        let timeouts = self.world.makers[call.spot.maker].timeouts;
        // Its answer differs from the one of which the client has the beginning.
        let diverged = !call.texts.starts_with(&asked.seen) && self.world.rescue.is_some();
        if call.begun && diverged && !call.finished {
            return Class::Cancelled;
        }
        if call.begun {
            let (request, finished) = (call.request, call.finished);
            let (_, due) = self.limit(call, asked);
            if now > due + TICK && !self.is_read_slowly(asked) {
                let what = format!("its stream ends at {now:?}, and its time was up at {due:?}");
                self.break_law("L1", request, what);
            }
            let call = &self.attempts[attempt as usize];
            let asked = &self.asked[request as usize];
            let silent = now.since(call.last_content).saturating_sub(call.away);
            let total = now.since(call.started).saturating_sub(call.away_in_all);
            let deadline = asked.deadline;
            let on_time = silent < timeouts.idle && total < timeouts.total && now < asked.deadline;
            if !finished && on_time {
                let what = "a stream is cut although its upstream was not silent".to_owned();
                self.break_law("L7", request, what);
                return Class::Timeout;
            }
            return match (finished, now >= deadline) {
                (true, _) => Class::Success,
                (false, true) => Class::Cancelled,
                (false, false) => Class::Timeout,
            };
        }
        let (class, due) = self.limit(call, asked);
        if now > due + TICK && !self.is_read_slowly(asked) {
            let what = format!("the call ends at {now:?}, and its time was up at {due:?}");
            self.break_law("L1", call.request, what);
            return class;
        }
        if now < due {
            let (request, spot) = (call.request, call.spot);
            self.note("dropped early", request, attempt, Some(spot), "");
            self.break_law(
                "L1",
                request,
                format!("the call was dropped before anybody's time was up ({due:?})"),
            );
        }
        class
    }

    /// What the loser of a race ends as. It must be gone within a tenth of a second.
    fn hedge_lost(&mut self, attempt: u32, now: Time) -> Option<Verdict> {
        const AT_ONCE: Duration = Duration::from_millis(100);
        const A_MOMENT: Duration = Duration::from_millis(2);
        let call = &self.attempts[attempt as usize];
        let asked = &self.asked[call.request as usize];
        let others = asked.attempts.iter().filter(|other| **other != attempt);
        let mut others = others.map(|other| &self.attempts[*other as usize]);
        let winner = others.find(|other| {
            other
                .won
                .is_some_and(|won| won > call.started && (other.open || won == now))
        })?;
        let since = now.since(winner.won?);
        let (waited, took) = (now.since(call.started), now.since(winner.started));
        let first = winner.started > call.started;
        let from = self.time_goes(asked, call);
        let goes = from.is_some_and(|goes| winner.started + A_MOMENT >= goes);
        // A hedge that came late looks the same.
        let doubtful = goes
            && self.world.policy.hedge.is_some()
            && from.is_some_and(|goes| winner.started > goes + A_MOMENT);
        let served = !matches!(
            winner.verdict.class,
            Class::CallerFault | Class::ContentPolicy
        ) || winner.begun;
        let (heard, winner_spot) = (call.head, winner.spot);
        let (request, spot, started, stream) = (call.request, call.spot, call.started, call.stream);
        if since > AT_ONCE {
            let what = format!("the loser of a race goes on for {since:?}");
            self.break_law("L10", request, what);
        }
        let pulse = &self.pulses[spot.maker][spot.model];
        let lives = heard || pulse.last.is_some_and(|last| last >= started);
        let slowest = pulse.slowest(stream);
        let own = winner_spot.maker == spot.maker && winner_spot.model == spot.model;
        let doubtful = doubtful || (pulse.last == Some(now) && !own);
        let long = Duration::from_secs(1).max(took * 3);
        let silent = waited >= long && slowest.is_none_or(|slowest| waited >= slowest * 3);
        let is_probe = self.model.is_probe(spot, attempt);
        let (class, certain) = match first && goes && served && !lives && silent {
            true => (Class::Timeout, true),
            false if is_probe && !lives && slowest.is_none_or(|slowest| waited >= slowest) => {
                (Class::Timeout, false)
            }
            false => (Class::Cancelled, true),
        };
        if doubtful {
            // Either may be right, and the books go on without the breaker's.
            self.model.lossy_providers = true;
        }
        Some(Verdict {
            class,
            hint: None,
            date: None,
            certain,
            status: None,
        })
    }

    fn end(&mut self, attempt: u32, mut verdict: Verdict) {
        let now = self.clock.now();
        if let Some(date) = verdict.date {
            let left = date.duration_since(self.clock.wall());
            verdict.hint = left.ok().filter(|left| !left.is_zero());
        }
        let call = &mut self.attempts[attempt as usize];
        if call.outcome.is_some() {
            return;
        }
        call.outcome = Some(verdict.class);
        call.ended = Some(now);
        let (request, spot, begun) = (call.request, call.spot, call.begun);
        let asked = &mut self.asked[request as usize];
        // Who is asked to go on and does not want to says nothing about the request.
        let unwilling = call.goes_on
            && !begun
            && matches!(
                verdict.class,
                Class::CallerFault
                    | Class::ContentPolicy
                    | Class::ModelGone
                    | Class::Unsupported
                    | Class::NotOffered
            );
        if unwilling {
            asked.plain += 1;
            let maker = &self.world.makers[spot.maker];
            self.model.end(spot, attempt, verdict, false, maker, now);
            return self.note(
                "refuses to go on",
                request,
                attempt,
                Some(spot),
                verdict.class.as_str(),
            );
        }
        if verdict.class == Class::Timeout && !verdict.certain {
            // The verdict of a probe is no failure of the upstream: the request's own record says cancelled.
            asked.plain += 1;
            let call = &mut self.attempts[attempt as usize];
            call.outcome = Some(Class::Cancelled);
            let maker = &self.world.makers[spot.maker];
            self.model.end(spot, attempt, verdict, false, maker, now);
            return self.note("loses as the probe", request, attempt, Some(spot), "");
        }
        let counts = asked.counts(spot, verdict);
        let maker = &self.world.makers[spot.maker];
        asked.failed(spot, verdict.class, maker.retry.same_upstream, now);
        self.model.end(spot, attempt, verdict, counts, maker, now);
        self.note("ends", request, attempt, Some(spot), verdict.class.as_str());
    }
}
