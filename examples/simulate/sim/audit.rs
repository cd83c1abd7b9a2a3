//! What must hold whenever nothing is going on for a moment: places taken, and published health against the
//! books.

use std::time::Duration;

use pointsman::actors::status::Life;
use pointsman::domain::breaker::BreakerGate;
use pointsman::domain::money::Pico;
use pointsman::domain::time::Time;

use super::listen;
use super::model::Breaker;
use super::purses;
use super::state::State;

/// Dates have whole seconds and timers whole milliseconds.
const SLACK: Duration = Duration::from_millis(5);

/// Every message has been handled: compares what actors publish with the books.
pub fn audit(state: &mut State) {
    state.tally.audits += 1;
    purses::audit(state);
    state.judge_calls();
    state.judge_tokens();
    let now = state.clock.now();
    let mut wrong: Vec<(&'static str, String)> = Vec::new();
    let cells = state.cells.clone();
    let held = state.buffers.held();
    if held < state.unread {
        let what = format!("{} bytes are unread, {held} counted", state.unread);
        wrong.push(("L2", what));
    }
    for (m, maker) in state.world.makers.iter().enumerate() {
        let Some(provider) = cells.providers.get(&maker.name) else {
            continue;
        };
        for cell in &provider.keys {
            let k = cell.id.index as usize - 1;
            let open = state.open[m][k];
            if cell.in_flight() != open {
                wrong.push((
                    "L2",
                    format!(
                        "{}: {} in flight, {open} calls under way",
                        cell.id,
                        cell.in_flight()
                    ),
                ));
            }
            let book = &state.model.keys[m][k];
            let view = cell.view();
            let invalid = book.invalid.map_or(Time::ZERO, |invalid| invalid.until);
            let out = invalid.max(book.whole.until);
            // A key that is out for two reasons tells the first.
            let least = if invalid > now {
                invalid
            } else {
                book.whole.until
            };
            let told = view
                .outage(now)
                .and_then(|refusal| refusal.ready_at)
                .unwrap_or(Time::ZERO);
            let up = cell.life.get() == Life::Up;
            let models = book.models.iter().zip(&maker.models).map(|(span, model)| {
                let told = view.cooling.iter().find(|(cooling, _)| cooling == model);
                (told.map_or(Time::ZERO, |(_, until)| *until), span.until)
            });
            for (told, known, least) in models
                .map(|(told, known)| (told, known, known))
                .chain([(told, out, least)])
            {
                if told > now && told > known + SLACK && !state.model.lossy_keys {
                    wrong.push((
                        "L7",
                        format!(
                            "{} stays out until {told:?}, nobody asked for more than {known:?}",
                            cell.id
                        ),
                    ));
                }
                if least > now && up && told + SLACK < least && out < known + SLACK {
                    wrong.push((
                        "L5",
                        format!(
                            "{} is out until {told:?}, but must be until {known:?}",
                            cell.id
                        ),
                    ));
                }
            }
        }
        if state.model.lossy_providers {
            continue;
        }
        let view = provider.provider.view();
        let mut left_alone = Vec::new();
        if let Some(until) = view.cooling.filter(|_| !state.model.lossy_keys) {
            left_alone.push(("*", until, state.model.whole[m].until));
        }
        for upstream in &view.upstreams {
            let model = &upstream.model;
            let Some(at) = maker.models.iter().position(|known| known == model) else {
                continue;
            };
            let book = &state.model.upstreams[m][at];
            if let Some(until) = upstream.absences.everything(now) {
                left_alone.push((model.as_str(), until, book.gone.until));
            }
            if let BreakerGate::Open { until } = upstream.breaker {
                let known = match book.breaker {
                    // Due for a probe: one may have been on its way to a key.
                    Breaker::Open { until, .. } if until <= now => Time::NEVER,
                    Breaker::Open { until, .. } => until,
                    Breaker::Half(_) => Time::NEVER,
                    Breaker::Closed(_) => Time::ZERO,
                };
                left_alone.push((model.as_str(), until, known));
            }
        }
        for (model, until, known) in left_alone {
            if until > now && until > known + SLACK {
                wrong.push((
                    "L7",
                    format!(
                        "{}:{model} is left alone until {until:?}, the books say {known:?}",
                        maker.name
                    ),
                ));
            }
        }
    }
    if state.world.listens {
        let keys = cells.providers.values().flat_map(|provider| &provider.keys);
        for key in keys {
            listen::shown(state, 0, &(&key.id, key.view()));
        }
        let request = state.asked.len() as u32;
        listen::shown(state, request, &cells);
    }
    for (law, what) in wrong {
        state.break_law(law, 0, what);
    }
}

/// All crashes are over, and so are their quarantines: every actor runs.
pub fn all_up(state: &mut State) {
    let cells = state.cells.clone();
    let providers = cells.providers.values();
    let keys = providers.clone().flat_map(|provider| &provider.keys);
    let down = keys
        .filter(|key| key.life.get() != Life::Up)
        .map(|key| key.id.to_string());
    let names = cells
        .providers
        .iter()
        .filter(|(_, cells)| cells.provider.life.get() != Life::Up);
    let down: Vec<String> = down
        .chain(names.map(|(name, _)| name.to_string()))
        .collect();
    if !down.is_empty() {
        state.break_law("L6", 0, format!("never started again: {}", down.join(", ")));
    }
}

/// The rest of everything that is over has been read.
pub fn let_go(state: &mut State) {
    let kept = state.attempts.iter().position(|call| !call.rest.gone);
    if let Some(attempt) = kept {
        let request = state.attempts[attempt].request;
        let what = format!("the connection of attempt {attempt} is never let go of");
        state.break_law("L10", request, what);
    }
}

/// Nothing is under way any more.
pub fn idle(state: &mut State) {
    audit(state);
    let waiting = state.cells.router.waiting();
    // One that is down keeps what it has until it is back.
    if waiting > 0 && state.cells.router.life.get() == Life::Up {
        state.break_law("L10", 0, format!("{waiting} wait though nobody asks"));
    }
    let keys = state
        .cells
        .providers
        .values()
        .flat_map(|provider| &provider.keys)
        .chain(&state.retired);
    let told: u64 = keys.map(|key| key.attempts()).sum();
    let made = state.attempts.len() as u64;
    let exact = state.tally.left == 0 && !state.world.crashes.any();
    if told < made || (exact && told > made) {
        state.break_law(
            "L11",
            0,
            format!("keys count {told} attempts, upstreams saw {made}"),
        );
    }
    let held = state.buffers.held();
    if held > 0 {
        state.break_law(
            "L2",
            0,
            format!("{held} bytes are counted that nobody holds"),
        );
    }
    let unix = purses::unix(state.clock.wall());
    let views = state.purses.ledger.iter().flat_map(|it| it.views(unix));
    let kept = views.into_iter().find(|view| view.reserved > Pico::ZERO);
    if let Some(view) = kept {
        let what = format!(
            "{}: {} is reserved by nobody",
            view.budget.described(),
            view.reserved
        );
        state.break_law("L13", 0, what);
    }
    let open = state.asked.iter().position(|asked| !asked.over);
    if let Some(number) = open {
        state.break_law("L1", number as u32, "it never ended".to_owned());
    }
}
