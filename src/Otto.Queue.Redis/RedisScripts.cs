namespace Otto.Queue.Redis;

// Everything that happens inside the server, each step whole: a client that dies, or loses its connection, leaves nothing half done.
// Times are the server's own, so that a client's clock matters nowhere. docs/redis.md describes the keys. RedisDeadLetterScripts.cs has the
// scripts of the dead letters.

internal static class RedisScripts
{
    internal const string Group = "workers";

    // An entry of the stream as one string for the delayed set, and back; waking sleepers; the server's
    // clock. Each script starts with what it needs of these.
    internal const string Begin = "if redis.replicate_commands then redis.replicate_commands() end\n";

    // The clock is cut to whole milliseconds, so a due time is one more than the sum: it would come up to a millisecond too early.
    private const string Clock = """
        local function clock() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end

        """;

    internal const string Pack = """
        local function pack(m, a, k) return string.format('%d:%d:', a, #k) .. k .. m end
        local function unpacked(p)
          local _, e, a, l = string.find(p, '^(%d+):(%d+):')
          if not e then return p, '0', '' end -- Written by another program: no envelope, as the worker that takes it will find.
          return string.sub(p, e + 1 + l), a, string.sub(p, e + 1, e + l)
        end
        local function add(stream, m, a, k)
          if k ~= '' then return redis.call('XADD', stream, '*', 'm', m, 'a', a, 'k', k) end
          if tonumber(a) > 0 then return redis.call('XADD', stream, '*', 'm', m, 'a', a) end
          return redis.call('XADD', stream, '*', 'm', m)
        end
        local function fields(e)
          local m, a, k = '', '0', ''
          for i = 1, #e, 2 do
            if e[i] == 'm' then m = e[i + 1] elseif e[i] == 'a' then a = e[i + 1] elseif e[i] == 'k' then k = e[i + 1] end
          end
          return m, a, k
        end

        """;

    // Recurring tasks with a key. KEYS[4] has the keys, S the schedules. A task that is not its key's any more was replaced while a worker
    // held it.
    private const string Schedule = """
        local function parts(m)
          local n, k, h = string.byte(m, 7), string.byte(m, 8), string.byte(m, 5) + 256 * string.byte(m, 6)
          local flags = string.byte(m, 3)
          local at = 48 + n + k + (flags % 2) * 25
          return math.floor(flags / 8) % 2 == 1, string.sub(m, at + 1, at + 8), string.sub(m, 49, 48 + n), string.byte(m, 43),
            string.sub(m, h + 1)
        end
        local function recurs(m) return #m > 48 and string.byte(m, 1) == 79 and math.floor(string.byte(m, 3) / 8) % 2 == 1 end
        local function same(a, b)
          local _, ai, an, af, ap = parts(a)
          local _, bi, bn, bf, bp = parts(b)
          return ai == bi and an == bn and af == bf and ap == bp
        end
        local function held(stream, e)
          if not e then return false end
          local p = redis.pcall('XPENDING', stream, 'workers', e, e, 1)
          return not p.err and p[1] ~= nil
        end

        """;

    // A sleeper that hears nothing is dead or gone: the next is tried. ARGV[1] is where nudges go, without the worker's name.
    internal const string Wake = """
        local function wake(sleepers, n)
          while n > 0 do
            local w = redis.call('SPOP', sleepers)
            if not w then return end
            if redis.call('PUBLISH', ARGV[1] .. w, '') > 0 then n = n - 1 end
          end
        end

        """;

    // Whether a task was cancelled or replaced while a worker held it.
    private const string Ended = """
        local function ended(cancelled, keys, m, k)
          if redis.call('EXISTS', cancelled) == 0 then return false end
          return redis.call('ZSCORE', cancelled, string.sub(m, 9, 24)) ~= false
        end

        """;

    private const string EnsureGroup = """
        local function group(stream) redis.pcall('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM') end

        """;

    /// <summary>
    /// KEYS stream delayed dead keys sleepers sent schedules cancelled; ARGV nudge, capacity, batch number, a letter
    /// for each (p plain, t with terms), then the envelope of each, followed by delay ms and key where it has
    /// terms. Answers for each: 1 sent, 2 sent in the place of another schedule, 0 full, or the id of the task that
    /// holds the key. A batch that is sent again after a lost answer gets the first answer.
    /// </summary>
    internal static readonly RedisScript Send = new(Begin + Clock + Pack + Wake + Schedule + """
        local before = redis.call('GET', KEYS[6])
        if before then
          local cut = string.find(before, ' ', 1, true)
          if string.sub(before, 1, cut - 1) == ARGV[3] then return string.sub(before, cut + 1) end
        end
        local room = ARGV[2] - redis.call('XLEN', KEYS[1]) - redis.call('ZCARD', KEYS[2]) - redis.call('XLEN', KEYS[3])
        local now, ready, sooner, answers = nil, 0, false, {}
        local at = 5
        for i = 1, #ARGV[4] do
          local m, delay, key = ARGV[at], 0, ''
          at = at + 1
          if string.sub(ARGV[4], i, i) == 't' then
            delay, key = tonumber(ARGV[at]), ARGV[at + 1]
            at = at + 2
          end
          local holder, id = false, nil
          if key ~= '' then
            holder, id = redis.call('HGET', KEYS[4], key), string.sub(m, 9, 24)
          end
          local old, said = nil, '1'
          if holder and holder ~= id and recurs(m) then
            old = redis.call('HGET', KEYS[7], 'm' .. key)
            if old and (string.sub(old, 9, 24) ~= holder or (same(old, m) and not redis.call('ZSCORE', KEYS[8], holder))) then old = nil end
          end
          if holder and holder ~= id and not old then
            answers[#answers + 1] = string.gsub(holder, '.', function(c) return string.format('%02x', string.byte(c)) end)
          elseif room <= 0 then
            answers[#answers + 1] = '0'
          else
            room = room - 1
            if old then
              said = '2'
              local e = redis.call('HGET', KEYS[7], 'i' .. key)
              if redis.call('ZREM', KEYS[2], pack(old, 0, key)) == 0 then
                if held(KEYS[1], e) then
                  -- It ends with the run that it is in; the next is the new one.
                  redis.call('ZADD', KEYS[8], clock(), holder)
                  redis.call('HSET', KEYS[7], 'p' .. key, e)
                  local _, interval = parts(m)
                  local every = 0
                  for b = 8, 1, -1 do every = every * 256 + string.byte(interval, b) end
                  delay = math.max(delay, math.ceil(every / 1000))
                elseif e then
                  redis.call('XDEL', KEYS[1], e)
                end
              end
            end
            if key ~= '' then redis.call('HSET', KEYS[4], key, id) end
            local schedule = key ~= '' and recurs(m)
            if schedule then
              redis.call('HSET', KEYS[7], 'm' .. key, m)
              redis.call('HDEL', KEYS[7], 'i' .. key)
            end
            if delay > 0 then
              now = now or clock()
              local p = pack(m, 0, key)
              redis.call('ZADD', KEYS[2], now + delay + 1, p)
              if redis.call('ZRANK', KEYS[2], p) == 0 then sooner = true end
            else
              local e = add(KEYS[1], m, 0, key)
              if schedule then redis.call('HSET', KEYS[7], 'i' .. key, e) end
              ready = ready + 1
            end
            answers[#answers + 1] = said
          end
        end
        local said = table.concat(answers, ' ')
        redis.call('SET', KEYS[6], ARGV[3] .. ' ' .. said, 'EX', 3600)
        if sooner then ready = ready + 1 end
        if ready > 0 then wake(KEYS[5], ready) end
        return said
        """);

    /// <summary>
    /// KEYS stream delayed sleepers keys schedules cancelled suspects; ARGV nudge, worker, count, the most to make
    /// ready. Makes due what is due, then gives id, what is known of it (c cancelled, s and
    /// a number: its worker died, so often proven to be its own doing), attempts, key and envelope of each entry
    /// taken. Where there is
    /// none the worker counts as asleep, and the only answer is how many ms until the next is due, or -1.
    /// </summary>
    internal static readonly RedisScript Take = new(Begin + Clock + Pack + Wake + EnsureGroup + Schedule + Ended + """
        redis.call('SREM', KEYS[3], ARGV[2])
        local moved, now = 0, nil
        local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
        if first[2] then
          now = clock()
          if tonumber(first[2]) <= now then
            for _, p in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[4])) do
              local m, a, k = unpacked(p)
              local schedule = k ~= '' and recurs(m)
              if schedule and held(KEYS[1], redis.call('HGET', KEYS[5], 'p' .. k)) then
                redis.call('ZADD', KEYS[2], now + 100, p) -- The schedule that it replaced is in its last run.
              else
                local e = add(KEYS[1], m, a, k)
                if schedule then
                  redis.call('HSET', KEYS[5], 'i' .. k, e)
                  redis.call('HDEL', KEYS[5], 'p' .. k)
                end
                redis.call('ZREM', KEYS[2], p)
                moved = moved + 1
              end
            end
            first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
          end
        end
        local got = redis.pcall('XREADGROUP', 'GROUP', 'workers', ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
        if got and got.err then
          if not string.find(got.err, 'NOGROUP', 1, true) then return redis.error_reply(got.err) end
          group(KEYS[1])
          got = redis.call('XREADGROUP', 'GROUP', 'workers', ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
        end
        if not got or not got[1] then
          redis.call('SADD', KEYS[3], ARGV[2])
          if not first[2] then return {-1} end
          return {math.max(1, first[2] - now)}
        end
        local out, suspected = {}, redis.call('EXISTS', KEYS[7]) == 1
        for _, e in ipairs(got[1][2]) do
          local m, a, k = fields(e[2])
          out[#out + 1] = e[1]
          out[#out + 1] = ended(KEYS[6], KEYS[4], m, k) and 'c' or ''
          if suspected then
            local v = redis.call('HGET', KEYS[7], e[1])
            if v then out[#out] = out[#out] .. 's' .. string.match(v, '^%d+') end
          end
          out[#out + 1] = a
          out[#out + 1] = k
          out[#out + 1] = m
        end
        if moved > #out / 5 then wake(KEYS[3], moved - #out / 5) end
        return out
        """);

    /// <summary>
    /// KEYS stream delayed dead keys sleepers schedules cancelled suspects; ARGV nudge, worker, the batch's lowest and
    /// highest entry, a letter for each, then the id of each, followed by number and text where it is returned or dead.
    /// c complete; k complete and has a key; r return (number: delay ms, text: attempts); s the same, and what is known
    /// of its workers stays; e the same as new, unless it
    /// was cancelled or replaced, which completes it; d dead (number: attempts, text: reason). Answers 1 for
    /// each that was still the worker's. Completed entries are settled first and at once: if memory is short, that
    /// frees some for the others. Entries that were returned or moved to the dead letters are not settled again if a
    /// later one fails.
    /// </summary>
    internal static readonly RedisScript Settle = new(Begin + Clock + Pack + Wake + Schedule + Ended + """
        local answers, ready, done = {}, 0, {}
        local mine, all = {}, false
        local pending = redis.pcall('XPENDING', KEYS[1], 'workers', ARGV[3], ARGV[4], #ARGV, ARGV[2])
        if not pending.err then
          all = #pending < #ARGV -- Else it holds much more between the two, and each is asked for.
          for _, p in ipairs(pending) do mine[p[1]] = true end
        end
        local function take(id)
          local held = mine[id]
          if held == nil and not all then
            local one = redis.pcall('XPENDING', KEYS[1], 'workers', id, id, 1, ARGV[2])
            held = not one.err and one[1]
          end
          mine[id] = false
          return held
        end
        local noted, suspected = redis.call('EXISTS', KEYS[7]) == 1, redis.call('EXISTS', KEYS[8]) == 1
        local function forget(m) if noted then redis.call('ZREM', KEYS[7], string.sub(m, 9, 24)) end end
        local function release(k, m)
          forget(m)
          if k ~= '' and redis.call('HGET', KEYS[4], k) == string.sub(m, 9, 24) then
            redis.call('HDEL', KEYS[4], k)
            if recurs(m) then redis.call('HDEL', KEYS[6], 'm' .. k, 'i' .. k, 'p' .. k) end
          end
        end
        local function entry(id)
          local e = redis.call('XRANGE', KEYS[1], id, id)
          if e[1] then return fields(e[1][2]) end
        end
        local others, at = {}, 6
        for i = 1, #ARGV[5] do
          local what, id = string.sub(ARGV[5], i, i), ARGV[at]
          answers[i] = '0'
          if what == 'r' or what == 'd' or what == 'e' or what == 's' then
            others[#others + 1] = {i, what, id, ARGV[at + 1], ARGV[at + 2]}
            at = at + 2
          elseif take(id) then
            if what == 'k' or noted then
              local m, a, k = entry(id)
              if m then release(k, m) end
            end
            done[#done + 1] = id
            answers[i] = '1'
          end
          at = at + 1
        end
        if done[1] then
          redis.call('XACK', KEYS[1], 'workers', unpack(done))
          redis.call('XDEL', KEYS[1], unpack(done))
          if suspected then redis.call('HDEL', KEYS[8], unpack(done)) end
        end
        for _, o in ipairs(others) do
          local what, id, number, text = o[2], o[3], o[4], o[5]
          if take(id) then
            local m, a, k = entry(id)
            local replaced = m and k ~= '' and redis.call('HGET', KEYS[4], k) ~= string.sub(m, 9, 24)
            if m and what == 'e' and (replaced or ended(KEYS[7], KEYS[4], m, k)) then
              release(k, m)
            elseif m and what == 'd' then
              release(k, m)
              redis.call('XADD', KEYS[3], '*', 'm', m, 'a', number, 'r', text, 'k', k)
            elseif m and tonumber(number) > 0 then
              local p = pack(m, text, k)
              redis.call('ZADD', KEYS[2], clock() + number + 1, p)
              if k ~= '' and recurs(m) then redis.call('HDEL', KEYS[6], 'i' .. k) end
              if redis.call('ZRANK', KEYS[2], p) == 0 then ready = ready + 1 end
            elseif m then
              local added = add(KEYS[1], m, text, k)
              if k ~= '' and recurs(m) and redis.call('HGET', KEYS[4], k) == string.sub(m, 9, 24) then
                redis.call('HSET', KEYS[6], 'i' .. k, added)
              end
              local v = what == 's' and suspected and redis.call('HGET', KEYS[8], id)
              if v then redis.call('HSET', KEYS[8], added, string.match(v, '^%d+')) end
              ready = ready + 1
            end
            redis.call('XACK', KEYS[1], 'workers', id)
            redis.call('XDEL', KEYS[1], id)
            if suspected then redis.call('HDEL', KEYS[8], id) end
            answers[o[1]] = '1'
          end
        end
        if ready > 0 then wake(KEYS[5], ready) end
        return table.concat(answers)
        """);

    /// <summary>
    /// KEYS stream delayed dead workers; ARGV events, worker, 1 where it takes work, ms that it is taken to be alive,
    /// 1 where it may hold what it does not know of yet, then the entries that it holds. Renews all of it.
    /// Answers: other workers, ready, leased, delayed, dead, then the entries that are no longer the worker's.
    /// </summary>
    internal static readonly RedisScript Pulse = new(Begin + Clock + EnsureGroup + """
        local now = clock()
        local gone = redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
        local others = redis.call('ZCARD', KEYS[4])
        if ARGV[3] == '1' then
          if redis.call('ZADD', KEYS[4], now + ARGV[4], ARGV[2]) == 1 then gone = 1 else others = others - 1 end
        elseif redis.call('ZREM', KEYS[4], ARGV[2]) == 1 then
          gone = 1
          others = others - 1
        end
        if gone > 0 then redis.call('PUBLISH', ARGV[1], 'w') end
        if ARGV[5] == '1' then -- The answer by which it learns of them may lie there unread for long.
          local unknown = redis.pcall('XPENDING', KEYS[1], 'workers', '-', '+', 1000, ARGV[2])
          for _, p in ipairs(unknown.err and {} or unknown) do redis.call('XCLAIM', KEYS[1], 'workers', ARGV[2], 0, p[1], 'JUSTID') end
        end
        local lost = {}
        for i = 6, #ARGV do
          local held = redis.pcall('XPENDING', KEYS[1], 'workers', ARGV[i], ARGV[i], 1, ARGV[2])
          if held.err or not held[1] then lost[#lost + 1] = ARGV[i]
          else redis.call('XCLAIM', KEYS[1], 'workers', ARGV[2], 0, ARGV[i], 'JUSTID') end
        end
        local pending = redis.pcall('XPENDING', KEYS[1], 'workers')
        local leased = (not pending.err) and pending[1] or 0
        local ready = redis.call('XLEN', KEYS[1]) - leased
        return {others, ready, leased, redis.call('ZCARD', KEYS[2]), redis.call('XLEN', KEYS[3]), unpack(lost)}
        """);

    /// <summary>
    /// KEYS stream workers keys cancelled suspects; ARGV worker, ms without a sign of life, cursor, count.
    /// Takes over what others have let lie. Answers the next cursor, then id, what is known of it (as Take),
    /// attempts, key and envelope of each. Forgets workers that are gone and hold nothing.
    /// </summary>
    internal static readonly RedisScript Reclaim = new(Begin + Pack + Ended + """
        local got, at, looks = nil, ARGV[3], 0
        repeat -- Each inspects ten times what it may take, and most of what is held is alive.
          got = redis.pcall('XAUTOCLAIM', KEYS[1], 'workers', ARGV[1], ARGV[2], at, 'COUNT', ARGV[4])
          if got.err then
            if string.find(got.err, 'NOGROUP', 1, true) or string.find(got.err, 'no such key', 1, true) then return {'0-0'} end
            return redis.error_reply(got.err)
          end
          at, looks = got[1], looks + 1
        until #got[2] > 0 or at == '0-0' or looks == 100
        local out = {got[1]}
        for _, e in ipairs(got[2]) do
          if e and e[2] then
            local m, a, k = fields(e[2])
            local v = redis.call('HGET', KEYS[5], e[1]) or '0'
            local deaths = tonumber(string.match(v, '^%d+')) + (string.sub(v, -1) == '*' and 1 or 0)
            redis.call('HSET', KEYS[5], e[1], deaths)
            out[#out + 1] = e[1]
            out[#out + 1] = (ended(KEYS[4], KEYS[3], m, k) and 'c' or '') .. 's' .. deaths
            out[#out + 1] = a
            out[#out + 1] = k
            out[#out + 1] = m
          end
        end
        if got[1] == '0-0' then
          for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], 'workers')) do
            local of = {}
            for i = 1, #c, 2 do of[c[i]] = c[i + 1] end
            if of.pending == 0 and of.idle > 60000 and of.name ~= ARGV[1] and not redis.call('ZSCORE', KEYS[2], of.name) then
              redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', of.name)
            end
          end
        end
        return out
        """);

    /// <summary>KEYS stream suspects; ARGV worker, entry. Notes that the worker runs the entry alone: should it fall
    /// silent, that counts as an attempt. Answers 1 if it still holds the entry.</summary>
    internal static readonly RedisScript BeginAlone = new(Begin + """
        local held = redis.pcall('XPENDING', KEYS[1], 'workers', ARGV[2], ARGV[2], 1, ARGV[1])
        if held.err or not held[1] then return 0 end
        local v = redis.call('HGET', KEYS[2], ARGV[2]) or '0'
        redis.call('HSET', KEYS[2], ARGV[2], string.match(v, '^%d+') .. '*')
        return 1
        """);

    /// <summary>KEYS stream workers sleepers; ARGV events, worker. Says farewell; what the
    /// worker still holds stays with its name until its time runs out.</summary>
    internal static readonly RedisScript Leave = new(Begin + """
        redis.call('SREM', KEYS[3], ARGV[2])
        if redis.call('ZREM', KEYS[2], ARGV[2]) == 1 then redis.call('PUBLISH', ARGV[1], 'w') end
        local held = redis.pcall('XPENDING', KEYS[1], 'workers', '-', '+', 1, ARGV[2])
        if not held.err and not held[1] then redis.pcall('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', ARGV[2]) end
        return 1
        """);

    /// <summary>KEYS stream delayed dead; answers ready, leased, delayed, dead, age of the
    /// oldest ready in ms, and how many ever entered the stream (-1 before Redis 7).</summary>
    internal static readonly RedisScript Count = new(Begin + Clock + """
        local pending = redis.pcall('XPENDING', KEYS[1], 'workers')
        local leased, last = 0, '0-0'
        if not pending.err then
          leased = pending[1]
          for _, g in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
            local of = {}
            for i = 1, #g, 2 do of[g[i]] = g[i + 1] end
            if of.name == 'workers' then last = of['last-delivered-id'] end
          end
        end
        local age, entered = 0, -1
        local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
        if info.err then entered = 0 else
          for i = 1, #info, 2 do if info[i] == 'entries-added' then entered = info[i + 1] end end
        end
        local e = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 1)
        if e[1] then age = clock() - tonumber(string.match(e[1][1], '^%d+')) end
        return {redis.call('XLEN', KEYS[1]) - leased, leased, redis.call('ZCARD', KEYS[2]), redis.call('XLEN', KEYS[3]), age, entered}
        """);

    /// <summary>
    /// KEYS stream delayed keys schedules cancelled; ARGV the task's id, the position to continue from (empty at
    /// first), the number of
    /// tasks to check. Searches the delayed tasks, then the stream, some at a time so that no client waits long for it.
    /// The delayed tasks are searched from the last one: those that fall due leave at the other end, and none moves
    /// past the position from which the search continues. The search can miss a task that is returned meanwhile, or
    /// that moves up because another is cancelled. Answers 1 taken back, 2 held by a worker, 0 not there; or the
    /// position to continue from.
    /// </summary>
    internal static readonly RedisScript Cancel = new(Begin + Clock + Pack + """
        local function release(k)
          if k == '' or redis.call('HGET', KEYS[3], k) ~= ARGV[1] then return end
          redis.call('HDEL', KEYS[3], k)
          redis.call('HDEL', KEYS[4], 'm' .. k, 'i' .. k, 'p' .. k)
        end
        if ARGV[2] == '' or string.sub(ARGV[2], 1, 1) == 'd' then
          local from = ARGV[2] == '' and 0 or tonumber(string.sub(ARGV[2], 2))
          local some = redis.call('ZREVRANGE', KEYS[2], from, from + ARGV[3] - 1)
          for _, p in ipairs(some) do
            local m, a, k = unpacked(p)
            if string.sub(m, 9, 24) == ARGV[1] then
              redis.call('ZREM', KEYS[2], p)
              release(k)
              return '1'
            end
          end
          if #some == tonumber(ARGV[3]) then return 'd' .. (from + #some) end
          -- A short set of delayed tasks and the stream are searched at once: nothing moves between the two meanwhile.
          if from > 0 then return 's-' end
        end
        local at = ARGV[2] == '' and '-' or string.sub(ARGV[2], 2)
        local some = redis.call('XRANGE', KEYS[1], at, '+', 'COUNT', ARGV[3])
        for _, e in ipairs(some) do
          local m, a, k = fields(e[2])
          if string.sub(m, 9, 24) == ARGV[1] then
            local held = redis.pcall('XPENDING', KEYS[1], 'workers', e[1], e[1], 1)
            if not held.err and held[1] then
              -- Kept until the task ends, so that its worker's death does not undo it; bounded, as any worker may never return.
              redis.call('ZADD', KEYS[5], clock(), ARGV[1])
              redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -10001)
              return '2'
            end
            redis.call('XDEL', KEYS[1], e[1])
            release(k)
            return '1'
          end
        end
        if #some == tonumber(ARGV[3]) then return 's(' .. some[#some][1] end
        return '0'
        """);

    /// <summary>KEYS a result's key; ARGV events, notice, seconds to keep it (0 to not keep it). Notifies all
    /// subscribers.</summary>
    internal static readonly RedisScript Notify = new(Begin + """
        if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
        redis.call('PUBLISH', ARGV[1], 'n' .. ARGV[2])
        return 1
        """);

    /// <summary>KEYS a result's key. Answers the notice, if it is kept.</summary>
    internal static readonly RedisScript Find = new(Begin + "return redis.call('GET', KEYS[1])");
}
