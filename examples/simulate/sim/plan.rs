//! What one client does: when it comes, what it asks for, how it behaves.

use std::time::Duration;

use bytes::Bytes;

use super::dice::Dice;
use super::fault::Fault;
use super::keeping::Question;
use super::world::World;

/// Tokens of the prompt, as upstreams count them.
pub const PROMPT: u64 = 5;
/// Tokens of an answer, where nothing else is drawn.
const ANSWER: u64 = 7;

/// What everybody asks, where answers are not kept.
const MESSAGES: &str = r#""messages":[{"role":"user","content":"hello"}]"#;

/// When a client leaves before its answer is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HangUp {
    Never,
    /// So long after it asked, wherever things stand.
    After(Duration),
    /// When it has read so many parts of a stream.
    AtPart(u32),
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// Since the client before it.
    pub pause: Duration,
    pub name: String,
    pub stream: bool,
    pub deadline: Option<Duration>,
    pub await_cooldown: Option<Duration>,
    pub hang_up: HangUp,
    /// Waits so long before it reads the next part of its answer.
    pub slow: Option<Duration>,
    /// Reads nothing more after so many parts, and does not leave.
    pub stops: Option<u32>,
    /// What it brings upon itself at every upstream.
    pub own: Option<Fault>,
    /// Which of the clients with budgets it is, if it is one.
    pub client: Option<u64>,
    /// The bound that it names.
    pub max_tokens: Option<u64>,
    /// How long answers are, as upstreams count their tokens.
    pub answer: u64,
    /// The conversation that it belongs to.
    pub session: Option<u64>,
    /// After so many kills the process was started that serves it.
    pub epoch: u32,
    /// What it asks, where answers are kept.
    pub asks: Option<Question>,
}

impl Plan {
    /// The plan of client number `index`, whatever the others do.
    pub fn draw(world: &World, index: u32) -> Self {
        let manners = &world.manners;
        let mut dice = Dice::of(&[world.setup.seed, 4, u64::from(index)]);
        let dice = &mut dice;
        let mean = manners.pause.as_millis() as u64;
        let pause = if dice.chance(manners.bursts) {
            dice.millis(0, 1)
        } else {
            dice.millis(0, mean * 2)
        };
        let deadline = if dice.chance(manners.short_deadlines) {
            Some(dice.millis(50, 3000))
        } else {
            dice.chance(0.2).then(|| dice.millis(5000, 30_000))
        };
        let hang_up = match dice.chance(manners.hang_ups) {
            false => HangUp::Never,
            true if dice.chance(0.4) => HangUp::AtPart(dice.between(1, 6) as u32),
            true => {
                let most = dice.pick(&[5, 100, 2000, 10_000]);
                HangUp::After(dice.millis(0, most))
            }
        };
        let own_fault = [
            Fault::BadRequest,
            Fault::Unprocessable,
            Fault::ContextOverflow,
            Fault::ContentPolicy,
            Fault::BadRequest,
            Fault::TooLarge,
            Fault::TooLargeInside,
            Fault::TooLargeFirst,
            Fault::Unsupported,
            Fault::UnsupportedInside,
            Fault::UnsupportedFirst,
        ];
        let poison = [
            Fault::Error500,
            Fault::MalformedFirst,
            Fault::ResetAfterHead,
            Fault::Silent,
            Fault::ErrorJson,
            Fault::EmptyForEver,
            Fault::BodyFlood,
        ];
        let own = if dice.chance(manners.own_faults) {
            Some(dice.pick(&own_fault))
        } else if dice.chance(manners.poison) {
            Some(dice.pick(&poison))
        } else {
            None
        };
        let mut plan = Self {
            pause,
            name: dice.pick(&world.names),
            stream: dice.chance(manners.streams),
            deadline,
            await_cooldown: dice
                .chance(0.1)
                .then(|| dice.pick(&[Duration::ZERO, Duration::from_secs(10)])),
            hang_up,
            slow: dice
                .chance(manners.slow_readers)
                .then(|| dice.millis(1, 1500)),
            own,
            stops: dice
                .chance(manners.stoppers)
                .then(|| dice.between(0, 4) as u32),
            client: None,
            max_tokens: None,
            answer: ANSWER,
            session: None,
            epoch: 0,
            asks: None,
        };
        plan.spend(world, index);
        plan.asks(world, index);
        plan
    }

    /// Who pays for it, how much it may cost and does, and which conversation it goes on with; of dice of their own.
    fn spend(&mut self, world: &World, index: u32) {
        let dice = &mut Dice::of(&[world.setup.seed, 14, u64::from(index)]);
        if world.sessions > 0 {
            // The first one is busier than all others.
            let any = dice.below(world.sessions);
            self.session = Some(if dice.chance(0.2) { 0 } else { any });
        }
        let economy = &world.economy;
        if economy.budgets.is_empty() {
            return;
        }
        let client = dice.below(economy.clients + 1);
        self.client = (client < economy.clients).then_some(client);
        let most = dice.between(20, 200);
        self.max_tokens = dice.chance(0.9).then_some(most);
        // Some upstreams make more than they may.
        self.answer = match dice.chance(0.1) {
            true => most * 2,
            false => dice.between(1, most),
        };
        if economy.group > 0 {
            self.pause = match index % economy.group {
                0 => dice.millis(300_000, 1_500_000),
                _ => Duration::ZERO,
            };
        }
    }

    /// Whether something may become due while it does not read.
    pub fn is_slow(&self) -> bool {
        self.slow.is_some() || self.stops.is_some()
    }

    /// A patient client that asks for `name` when all is well again.
    pub fn patient(name: &str) -> Self {
        Self {
            pause: Duration::ZERO,
            name: name.to_owned(),
            stream: false,
            deadline: None,
            await_cooldown: Some(Duration::from_secs(120)),
            hang_up: HangUp::Never,
            slow: None,
            stops: None,
            own: None,
            client: None,
            max_tokens: None,
            answer: ANSWER,
            session: None,
            epoch: 0,
            asks: Some(Question::plain()),
        }
    }

    /// The body that it sends; the request's number is in it, so that upstreams know who asks.
    pub fn body(&self, index: u32) -> Bytes {
        let session = self.session.map(|it| format!(r#","session_id":"s{it}""#));
        let most = self.max_tokens.map(|it| format!(r#","max_tokens":{it}"#));
        let asks = self.asks.as_ref();
        let asked = asks.map(|asks| asks.members(index, self.stream));
        Bytes::from(format!(
            r#"{{"model":"{}",{},"user":"r{index};","stream":{}{}{}}}"#,
            self.name,
            asked.as_deref().unwrap_or(MESSAGES),
            self.stream,
            session.unwrap_or_default(),
            most.unwrap_or_default(),
        ))
    }
}
