//! Calls of upstreams: each start, part and end is held against the laws as it happens.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pointsman::domain::outcome::Class;
use pointsman::domain::time::Time;

use super::dice::Dice;
use super::fault::Fault;
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
    pub contents: u32,
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
}

impl State {
    /// An upstream is called: holds the call against the laws and says how it goes.
    pub fn start(&mut self, request: u32, spot: Spot) -> (u32, Script) {
        let now = self.clock.now();
        let attempt = self.attempts.len() as u32;
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
            request: u64::from(request),
            nth,
            at: now.since(Time::ZERO),
            own: asked.plan.own,
            calm: self.calm,
        });
        let fault = fault.in_form(stream);
        let scene = Scene {
            attempt,
            stream,
            fault,
            back_in,
            latency: world.latency(spot.maker, u64::from(request)),
            gap: Duration::from_millis(maker.gap),
            idle: maker.timeouts.idle,
            wall: self.clock.wall(),
        };
        let mut dice = Dice::of(&[world.setup.seed, 6, u64::from(attempt)]);
        let script = write(&scene, &mut dice);
        self.attempts.push(Attempt {
            request,
            spot,
            started: now,
            fault,
            stream,
            body: script.body.clone(),
            contents: script.contents,
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
        });
        self.tally.attempts += 1;
        *self.tally.faults.entry(fault).or_default() += 1;
        self.note("starts", request, attempt, Some(spot), fault.as_str());
        self.take_place(spot, request, now);
        (attempt, script)
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
        if asked.left {
            wrong.push(("L10", "an attempt for a client that left".to_owned()));
        }
        if asked.over {
            wrong.push(("L1", "an attempt for a request that has ended".to_owned()));
        }
        if now >= asked.deadline {
            wrong.push((
                "L1",
                "an attempt starts when the deadline has passed".to_owned(),
            ));
        }
        if asked
            .attempts
            .iter()
            .any(|other| self.attempts[*other as usize].begun)
        {
            wrong.push(("L8", "another attempt after the first content".to_owned()));
        }
        if asked.plain >= world.policy.max_attempts {
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
        if let Err(why) = self.model.start(spot, attempt, maker, now) {
            wrong.push(("L3", why));
        }
        // Counted and not made: by clients that left in between, and for a moment by each that looks for a key.
        let slack = self.left + self.live;
        if let Err(why) = self.model.charge(spot, first, &world, slack, now) {
            wrong.push(("L4", why));
        }
        for (law, what) in wrong {
            self.note("breaks a law", request, attempt, Some(spot), law);
            self.break_law(law, request, what);
        }
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
    }

    /// A part of the answer is with the dispatcher.
    pub fn delivered(&mut self, attempt: u32, mark: Mark) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        let (request, spot, verdict) = (call.request, call.spot, call.verdict);
        call.returned = now;
        if mark.content || mark.finish {
            call.last_content = now;
            call.away = Duration::ZERO;
        }
        if mark.content && !call.begun {
            call.begun = true;
            let policy = self.world.makers[spot.maker].breaker;
            self.model.began(spot, attempt, &policy, now);
            self.note("first content", request, attempt, Some(spot), "");
        }
        if mark.finish {
            self.attempts[attempt as usize].finished = true;
        }
        if mark.verdict {
            self.end(attempt, verdict);
        }
    }

    /// The dispatcher let go of the call.
    pub fn dropped(&mut self, attempt: u32) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        call.open = false;
        let spot = call.spot;
        if call.outcome.is_none() {
            let class = self.why_dropped(attempt, now);
            let verdict = Verdict {
                class,
                hint: None,
                certain: true,
                status: None,
            };
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
        if asked.left {
            return Class::Cancelled;
        }
        let timeouts = &self.world.makers[call.spot.maker].timeouts;
        if call.begun {
            let silent = now.since(call.last_content).saturating_sub(call.away);
            let total = now.since(call.started).saturating_sub(call.away_in_all);
            let on_time = silent < timeouts.idle && total < timeouts.total && now < asked.deadline;
            if !call.finished && on_time {
                let request = call.request;
                let what = "a stream is cut although its upstream was not silent".to_owned();
                self.break_law("L7", request, what);
                return Class::Timeout;
            }
            return match (call.finished, now >= asked.deadline) {
                (true, _) => Class::Success,
                (false, true) => Class::Cancelled,
                (false, false) => Class::Timeout,
            };
        }
        let span = match (call.stream, call.head, call.as_events) {
            (true, false, _) => timeouts.first_byte,
            (true, true, true) => timeouts.first_token,
            (true, true, false) | (false, ..) => timeouts.response,
        };
        let limit = call.started + span.min(timeouts.total);
        let (class, due) = if asked.deadline < limit {
            (Class::Cancelled, asked.deadline)
        } else {
            (Class::Timeout, limit)
        };
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

    fn end(&mut self, attempt: u32, verdict: Verdict) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        if call.outcome.is_some() {
            return;
        }
        call.outcome = Some(verdict.class);
        let (request, spot, begun) = (call.request, call.spot, call.begun);
        let asked = &mut self.asked[request as usize];
        let counts = asked.counts(spot, verdict, begun);
        let maker = &self.world.makers[spot.maker];
        asked.failed(spot, verdict.class, maker.retry.same_upstream, now);
        self.model.end(spot, attempt, verdict, counts, maker, now);
        self.note("ends", request, attempt, Some(spot), verdict.class.as_str());
    }
}
