//! What one client does: when it comes, what it asks for, how it behaves.

use std::time::Duration;

use bytes::Bytes;

use super::dice::Dice;
use super::fault::Fault;
use super::world::World;

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
        Self {
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
        }
    }

    /// The body that it sends; the request's number is in it, so that upstreams know who asks.
    pub fn body(&self, index: u32) -> Bytes {
        Bytes::from(format!(
            r#"{{"model":"{}","messages":[{{"role":"user","content":"hello"}}],"user":"r{index};","stream":{}}}"#,
            self.name, self.stream
        ))
    }
}
