-- Parts of budgets: `SharedBudget::ask` of domain/fleet/money.rs, for each budget in turn.
-- KEYS: for each budget, in one window, a hash (`t`: totals, `n:PROCESS`: its claim), all of doubles.
-- ARGV: the process, settling (ms), first part; then for each budget a question.
-- Answers three numbers for each budget: what is claimed, what all have spent, what is left; -1 for a question that came late.
local call, pack, unpack, floor, max, min = redis.call, struct.pack, struct.unpack, math.floor, math.max, math.min
local time = redis.call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local field, SETTLING, FIRST = 'n:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
-- seq, amount, has, used, want, need, heard, nodes, keep (ms).
local QUESTION = '<ddddddddd'
-- born (-1: not yet), claimed, used, heard, lost (-1: it settles), when the hash is forgotten.
local TOTALS, TOTALS_LENGTH = '<dddddd', 48
-- seq, claimed, used.
local CLAIM, CLAIM_LENGTH = '<ddd', 24
-- How exact that moment is, ms.
local SPARE = 10000

local answers = {}
for place = 1, #KEYS do
  local hash = KEYS[place]
  local seq, amount, has, used, want, need, heard, nodes, keep = unpack(QUESTION, ARGV[3 + place])
  nodes = max(nodes, 1)
  local read = call('HMGET', hash, 't', field)
  local born, all_claimed, all_used, all_heard, lost, forgotten = -1, 0, 0, 0, -1, 0
  if read[1] and #read[1] == TOTALS_LENGTH then
    born, all_claimed, all_used, all_heard, lost, forgotten = unpack(TOTALS, read[1])
  end
  local last, own_claimed, own_used = 0, 0, 0
  if read[2] and #read[2] == CLAIM_LENGTH then last, own_claimed, own_used = unpack(CLAIM, read[2]) end
  if seq <= last then
    for _ = 1, 3 do answers[#answers + 1] = -1 end
  else
    if born < 0 then born = now end
    used = max(own_used, used)
    local claimed = max(used, has)
    all_used = all_used - own_used + used
    all_claimed = all_claimed - own_claimed + claimed
    local settles = now < born + SETTLING
    if lost < 0 then
      all_heard = max(all_heard, heard)
      if not settles then lost = max(all_heard - all_used, 0) end
    end
    local taken, spent
    if lost >= 0 then
      taken, spent = all_claimed + lost, all_used + lost
    else
      taken, spent = max(all_claimed, all_heard), max(all_used, all_heard)
    end
    local left = max(amount - taken, 0)
    local more = min(want, max(floor(left / (nodes * 2)), need), left)
    if settles then more = min(more, max(floor(left / (nodes * FIRST)) - (claimed - used), 0)) end
    if left < need and seq % 2 == 1 then more = 0 end
    claimed = claimed + more
    local is_due = now + keep > forgotten
    if is_due then forgotten = now + keep + SPARE end
    call('HSET', hash, field, pack(CLAIM, seq, claimed, used),
      't', pack(TOTALS, born, all_claimed + more, all_used, all_heard, lost, forgotten))
    if is_due then call('PEXPIRE', hash, keep + SPARE) end
    answers[#answers + 1] = claimed
    answers[#answers + 1] = spent
    answers[#answers + 1] = left - more
  end
end
return answers
