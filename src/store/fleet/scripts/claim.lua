-- Parts of budgets: `SharedBudget::ask` of domain/fleet/money.rs, for each budget in turn.
-- KEYS: for each budget, in one window, a hash (`t`: totals, `n:PROCESS`: its claim).
-- ARGV: the process, settling (ms), first part; then for each budget:
--   seq, amount, has, used, want, need, heard, nodes, keep (ms).
-- Answers three numbers for each budget: what is claimed, what all have spent, what is left; -1 for a question that came late.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local process, SETTLING, FIRST = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function numbers(text, count)
  local all = {}
  for word in string.gmatch(text or '', '%S+') do all[#all + 1] = tonumber(word) end
  if #all == count then return all end
  return nil
end

local function written(all)
  for at = 1, #all do all[at] = string.format('%.0f', all[at]) end
  return table.concat(all, ' ')
end

local answers = {}
for place = 1, #KEYS do
  local hash, at = KEYS[place], 4 + (place - 1) * 9
  local seq, amount, has = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local want, need = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local heard, nodes = tonumber(ARGV[at + 6]), math.max(tonumber(ARGV[at + 7]), 1)
  -- born (-1: not yet), claimed, used, heard, lost (-1: it settles)
  local t = numbers(redis.call('HGET', hash, 't'), 5) or {-1, 0, 0, 0, -1}
  local own = numbers(redis.call('HGET', hash, 'n:' .. process), 3) or {0, 0, 0}
  if seq <= own[1] then
    for _ = 1, 3 do answers[#answers + 1] = -1 end
  else
    if t[1] < 0 then t[1] = now end
    local used = math.max(own[3], tonumber(ARGV[at + 3]))
    local claimed = math.max(used, has)
    t[3] = t[3] - own[3] + used
    t[2] = t[2] - own[2] + claimed
    local settles = now < t[1] + SETTLING
    if t[5] < 0 then
      t[4] = math.max(t[4], heard)
      if not settles then t[5] = math.max(t[4] - t[3], 0) end
    end
    local taken, spent
    if t[5] >= 0 then
      taken, spent = t[2] + t[5], t[3] + t[5]
    else
      taken, spent = math.max(t[2], t[4]), math.max(t[3], t[4])
    end
    local left = math.max(amount - taken, 0)
    local more = math.min(want, math.max(math.floor(left / (nodes * 2)), need), left)
    if settles then
      more = math.min(more, math.max(math.floor(left / (nodes * FIRST)) - (claimed - used), 0))
    end
    if left < need and seq % 2 == 1 then more = 0 end
    claimed = claimed + more
    t[2] = t[2] + more
    redis.call('HSET', hash, 'n:' .. process, written({seq, claimed, used}), 't', written(t))
    answers[#answers + 1] = claimed
    answers[#answers + 1] = spent
    answers[#answers + 1] = left - more
  end
  redis.call('PEXPIRE', hash, ARGV[at + 8])
end
return answers
