-- Shares of limits: `SharedLimit::ask` of domain/fleet/share.rs, for each limit in turn.
-- KEYS: for each owner of limits a hash. Its fields are `t` (totals) and `n:PROCESS` (what that has claimed), each a record with a
-- place for every kind of limit, so that all limits of an owner are read and written together.
-- ARGV: the process, seq, hold, rest, settling (ms), first part, keep (ms), the span of each kind (ms); then for each owner its
-- questions, one after the other.
-- Answers two numbers for each limit: the share and how many have one; -1 twice for a question that came late.
-- What this costs is as good as all that a fleet costs its server: each number that is packed or unpacked counts, each byte of a
-- string (the interpreter hashes all of it), each call of a function, and most of all each call of the server.
local call, pack, read, floor, sub = redis.call, struct.pack, struct.unpack, math.floor, string.sub
local time = redis.call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local field, seq = 'n:' .. ARGV[1], tonumber(ARGV[2])
local HOLD, REST, SETTLING = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local FIRST, KEEP = tonumber(ARGV[6]), ARGV[7]
local FIXED, KINDS = 11, 4
-- kind, limit, has, used, demand, least, ttl (ms).
local QUESTION, QUESTION_LENGTH = '<Bdddddd', 49
-- Places of the records. Doubles: text costs several times as much.
-- born (-1: not yet), nodes, demand, held, wanted (-1: not), when the first claim ends.
local TOTALS = '<dddddd'
-- seq (0: no claim, negative: silent), demand, held, used, until, turn (since when it holds; negative: until when it rests; 0: neither).
local CLAIM = '<dddddd'
local LENGTH = 48
local NO_TOTALS, NO_CLAIMS = pack(TOTALS, -1, 0, 0, 0, -1, 0):rep(KINDS), pack(CLAIM, 0, 0, 0, 0, 0, 0):rep(KINDS)

local function fair_share(limit, demand, all, nodes)
  if nodes <= 1 and demand == 0 then return limit - floor(limit / 2) end
  if nodes <= 1 then return limit end
  if demand == 0 then return floor(limit / (nodes * 16)) end
  local least = floor(limit / (nodes * 4))
  local rest = limit - least * nodes
  if rest < 0 then rest = 0 end
  if all < demand then all = demand end
  return least + floor(rest * demand / all)
end

-- Of the claims of one kind drops those that have ended, and counts the others. Answers the totals, and this process's record.
local function counted(hash, fields, kind)
  local from, span = kind * LENGTH + 1, tonumber(ARGV[8 + kind])
  local nodes, demand, held, first, own = 0, 0, 0, math.huge, NO_CLAIMS
  for at = 1, #fields, 2 do
    local name, text = fields[at], fields[at + 1]
    if name ~= 't' and #text == #NO_CLAIMS then
      local last, wants, holds, used, ends, turn = read(CLAIM, text, from)
      if last ~= 0 and ends <= now then
        if last > 0 then last, wants, holds, ends = -last, 0, used, ends + span end
        if ends <= now or holds == 0 then last, wants, holds, used, ends, turn = 0, 0, 0, 0, 0, 0 end
        text = sub(text, 1, from - 1) .. pack(CLAIM, last, wants, holds, used, ends, turn) .. sub(text, from + LENGTH)
        fields[at + 1] = text
        if text == NO_CLAIMS then call('HDEL', hash, name) else call('HSET', hash, name, text) end
      end
      if last ~= 0 then
        demand, held = demand + wants, held + holds
        if ends < first then first = ends end
        if last > 0 then nodes = nodes + 1 end
      end
      if name == field then own = text end
    end
  end
  return nodes, demand, held, first, own
end

-- A record with new places where there are any, which are none afterwards.
local function joined(places, record)
  local first, second, third, fourth = places[1], places[2], places[3], places[4]
  record = (first or sub(record, 1, 48)) .. (second or sub(record, 49, 96)) .. (third or sub(record, 97, 144))
    .. (fourth or sub(record, 145))
  places[1], places[2], places[3], places[4] = false, false, false, false
  return record
end

local answers, answered = {}, 0
local new_totals, new_claims = { false, false, false, false }, { false, false, false, false }
for place = 1, #KEYS do
  local hash, questions = KEYS[place], ARGV[FIXED + place]
  local known = call('HMGET', hash, 't', field)
  local totals, claims = known[1], known[2]
  if not totals or #totals ~= #NO_TOTALS then totals = NO_TOTALS end
  if not claims or #claims ~= #NO_CLAIMS then claims = NO_CLAIMS end
  local fields, is_claimed = nil, false
  for at = 1, #questions, QUESTION_LENGTH do
    local kind, limit, has, used, demand, least, ttl = read(QUESTION, questions, at)
    local from = kind * LENGTH + 1
    local born, nodes, all, held, wanted, first = read(TOTALS, totals, from)
    local is_counted = now >= first
    if is_counted then
      -- What changes meanwhile is changed in these too.
      fields = fields or call('HGETALL', hash)
      nodes, all, held, first, claims = counted(hash, fields, kind)
    end
    local last, wants, holds, _, _, turn = read(CLAIM, claims, from)
    local share, shown = -1, -1
    local is_new = seq > last and seq > -last
    if is_new then
      if born < 0 then born = now end
      if last <= 0 then nodes = nodes + 1 end
      all, held = all - wants + demand, held - holds
      local room = limit - held
      if room < 0 then room = 0 end
      local fair = fair_share(limit, demand, all, nodes)
      if fair < least and demand > 0 then
        local is_wanted = wanted >= 0 and now < wanted + REST
        local has_it = turn > 0 and has >= least
        local may = now >= -turn or not is_wanted
        if has_it and is_wanted and now >= turn + HOLD then
          turn, fair = -(now + REST), 0
        elseif has_it then
          fair = least
        elseif may and room >= least then
          turn, fair = now, least
        else
          if turn > 0 then turn = 0 end
          if may then wanted = now end
          fair = 0
        end
      elseif turn > 0 then
        turn = 0
      end
      if now < born + SETTLING then fair = math.min(fair, math.max(has, floor(limit / FIRST), 1)) end
      share, shown = fair, nodes
      if has < fair and room < fair then
        share = room
        if share < has then share = has end
      end
      holds = share
      if holds < has then holds = has end
      if holds < used then holds = used end
      held = held + holds
      local ends = now + ttl
      if ends < first then first = ends end
      new_claims[kind + 1] = pack(CLAIM, seq, demand, holds, used, ends, turn)
      is_claimed = true
    end
    if is_new or is_counted then new_totals[kind + 1] = pack(TOTALS, born, nodes, all, held, wanted, first) end
    answers[answered + 1], answers[answered + 2] = share, shown
    answered = answered + 2
  end
  if is_claimed then
    call('HSET', hash, 't', joined(new_totals, totals), field, joined(new_claims, claims))
  elseif fields then
    call('HSET', hash, 't', joined(new_totals, totals))
  end
  -- Claims are counted once in the time of the shortest at least.
  if fields then call('PEXPIRE', hash, KEEP) end
end
return answers
