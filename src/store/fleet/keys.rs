//! The names of what a fleet has in its store, and the scripts that change it.
//!
//! All names begin with `{pm:NAME}:`: one tag, so that a cluster keeps them together, and one pattern for an access
//! control list. Nothing has to be loaded before: see `script`.

use super::script::FleetScript;

/// What a process that has said nothing for this long has left, in ms.
pub(super) const AWAY_MS: u64 = 20_000;
/// News that is kept for those who come back.
pub(super) const LOG: u32 = 10_000;
/// A fleet that nobody is in any more is forgotten after this, in ms: longer than the longest fact.
pub(super) const FORGET_MS: u64 = 32 * 24 * 60 * 60 * 1000;

/// The names.
#[derive(Clone, Debug)]
pub(super) struct FleetKeys {
    /// A hash: a field for each subject.
    pub(super) facts: String,
    /// A stream of what has changed in it.
    pub(super) log: String,
    /// A sorted set: processes by when they were last there, in ms of the server's clock.
    pub(super) nodes: String,
    /// What the names of claims begin with.
    pub(super) probe: String,
    /// What the names of owners of limits begin with: hashes of what each process has.
    pub(super) limits: String,
    /// What the names of budgets in their windows begin with: hashes likewise.
    pub(super) budget: String,
}

impl FleetKeys {
    pub(super) fn new(fleet: &str) -> Self {
        let name = |what: &str| format!("{{pm:{fleet}}}:{what}");
        Self {
            facts: name("facts"),
            log: name("log"),
            nodes: name("nodes"),
            probe: name("probe:"),
            limits: name("limits:"),
            budget: name("budget:"),
        }
    }
}

/// Merges facts: `KEYS` facts, log; `ARGV` log's length, time to forget, when it was sent on the server's clock as far as the
/// sender knows (0: it does not), then for each fact its field, generation, how many ms it lasts and is remembered, record. What is
/// not to be remembered any more counts as absent. A lower generation changes nothing, nor does an end that is not a second later: what comes back over the store is a little later each time. A
/// server that was frozen carries out late what was sent before: what a fact lasts is shorter by that. Answers how many were news.
pub(super) static MERGE: FleetScript = FleetScript::new(
    r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local told, late = 0, 0
if tonumber(ARGV[3]) > 0 then
  late = math.max(0, now - tonumber(ARGV[3]))
end
for at = 4, #ARGV, 5 do
  local field, generation, left = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local ends = now + left - late
  local keeps = math.max(ends, now + tonumber(ARGV[at + 3]) - late)
  local is_news = true
  local known = redis.call('HGET', KEYS[1], field)
  if known then
    local other, later, kept = string.match(known, '^(%d+) (%d+) (%d+) ')
    other, later, kept = tonumber(other), tonumber(later), tonumber(kept)
    if other and now < kept and (other > generation or (other == generation and later + 1000 >= ends)) then
      is_news = false
    end
  end
  if is_news then
    local value = ARGV[at + 1] .. ' ' .. string.format('%.0f %.0f ', ends, keeps) .. ARGV[at + 4]
    redis.call('HSET', KEYS[1], field, value)
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'r', ARGV[at + 4], 'l', late)
    told = told + 1
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return told
",
);

/// Says that a process is there: `KEYS` nodes; `ARGV` the process, after how many ms of silence one is gone. Answers who is.
pub(super) static BEAT: FleetScript = FleetScript::new(
    r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], 10 * ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)
",
);

/// Removes fields that still are what they were when they were read: `KEYS` facts; `ARGV` field and value, again and again.
pub(super) static SWEEP: FleetScript = FleetScript::new(
    r"
for at = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then
    redis.call('HDEL', KEYS[1], ARGV[at])
  end
end
return 0
",
);

/// What a field says beside its generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FieldParts<'a> {
    /// When the fact ends, in ms of the server's clock.
    pub(super) ends: u64,
    /// Until when it is remembered, likewise.
    pub(super) keeps: u64,
    /// The record.
    pub(super) record: &'a [u8],
}

/// A field's value: its generation, its end, until when it is remembered, and the record. `None` for something else.
pub(super) fn parts(value: &[u8]) -> Option<FieldParts<'_>> {
    let mut parts = value.splitn(4, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (_generation, ends, keeps) = (number()?, number()?, number()?);
    Some(FieldParts {
        ends,
        keeps,
        record: parts.next()?,
    })
}

/// What [`parts`] reads.
pub(super) fn value(generation: u64, ends: u64, keeps: u64, record: &[u8]) -> Vec<u8> {
    let mut value = format!("{generation} {ends} {keeps} ").into_bytes();
    value.extend_from_slice(record);
    value
}

/// What `TIME` answers, in ms.
pub(super) fn millis((seconds, micros): (u64, u64)) -> u64 {
    seconds.saturating_mul(1000).saturating_add(micros / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written_and_other_bytes_are_none() {
        let written = value(3, 1_700_000_000_000, 1_700_000_000_001, b"a b\0c ");
        let read = FieldParts {
            ends: 1_700_000_000_000,
            keeps: 1_700_000_000_001,
            record: b"a b\0c ",
        };
        assert_eq!(parts(&written), Some(read));
        for other in [
            &b""[..],
            b"3",
            b"3 4",
            b"x 4 5 r",
            b"3 -4 5 r",
            b"\xff 4 5 r",
            b"3 4 r",
        ] {
            assert_eq!(parts(other), None);
        }
        assert_eq!(FleetKeys::new("a").facts, "{pm:a}:facts");
        assert_eq!(millis((5, 6999)), 5006);
    }
}
