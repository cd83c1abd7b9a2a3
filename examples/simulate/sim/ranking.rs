//! Where ranked requests went first, against what a dispatcher would do that knows everything.

use std::time::Duration;

use pointsman::domain::money::Pico;
use pointsman::domain::time::Time;

use super::plan::PROMPT;
use super::scenario::Scenario;
use super::sessions;
use super::state::State;
use super::tally::Tally;

/// Policy `cost` takes prices for equal that are no more than so many hundredths of the least one.
const BAND_PERCENT: u64 = 101;
/// An upstream that was out is well so long after, at the latest.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Judges a run that has ended.
pub fn judge(state: &mut State, tally: &mut Tally) {
    match state.world.setup.scenario {
        Scenario::Cheapest => judge_costs(state),
        Scenario::SessionsOutage => sessions::come_home(state, tally),
        other if other.is_about_latency() => measure_latencies(state, tally),
        _ => {}
    }
}

/// No request goes first to an upstream that is dearer than the cheapest healthy one by more than the band (law L11).
fn judge_costs(state: &mut State) {
    let world = &state.world;
    // One of these requests and its answer.
    let price = |maker: usize| {
        let rates = world.makers[maker].rates();
        rates.map_or(Pico::MAX, |(input, output)| {
            input.times(PROMPT).plus(output.times(2 * PROMPT))
        })
    };
    let is_well = |maker: &usize, at: Duration| {
        let mut troubles = world.makers[*maker].troubles.iter();
        troubles.all(|trouble| at < trouble.from || trouble.to + WELL_AFTER <= at)
    };
    let first = |asked: &super::asked::Asked| asked.attempts.first().copied();
    let broken = state.asked.iter().enumerate().find_map(|(number, asked)| {
        let attempt = &state.attempts[first(asked)? as usize];
        let at = attempt.started.since(Time::ZERO);
        let well = (0..world.makers.len()).filter(|maker| is_well(maker, at));
        let cheapest = well.map(price).min().unwrap_or(Pico::MAX);
        let paid = price(attempt.spot.maker);
        (paid.times(100) > cheapest.times(BAND_PERCENT)).then_some((number as u32, paid, cheapest))
    });
    if let Some((number, paid, cheapest)) = broken {
        let what = format!("pays {paid} where {cheapest} would do");
        state.break_law("L11", number, what);
    }
}

/// How long the first attempts took to begin, and would have taken at the fastest upstream.
fn measure_latencies(state: &State, tally: &mut Tally) {
    let world = &state.world;
    for (number, asked) in state.asked.iter().enumerate() {
        let Some(first) = asked.attempts.first() else {
            continue;
        };
        let attempt = &state.attempts[*first as usize];
        let at = attempt.started.since(Time::ZERO);
        let took = |maker: usize| world.latency(maker, number as u64, at).as_millis() as u64;
        tally.waited += took(attempt.spot.maker);
        tally.fastest += (0..world.makers.len()).map(took).min().unwrap_or_default();
    }
}
