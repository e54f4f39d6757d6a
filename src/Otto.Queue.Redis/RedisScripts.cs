namespace Otto.Queue.Redis;

// Everything that happens inside the server, each step whole: a client that dies, or loses its connection, leaves nothing half done.
// Times are the server's own, so that a client's clock matters nowhere. docs/redis.md describes the keys. RedisScriptParts.cs has what the
// scripts share, RedisResultScripts.cs and RedisDeadLetterScripts.cs those of results, cancels and dead letters.

internal static class RedisScripts
{
    internal const string Group = "workers";

    /// <summary>
    /// KEYS of the queue, then sent; ARGV nudge, capacity, batch number, a letter
    /// for each (p plain, t with terms), then the envelope of each, followed by delay ms and key where it has
    /// terms. Answers for each: 1 sent, 2 sent in the place of another schedule, 0 full, or the id of the task that
    /// holds the key; then, where one was full, <c>=</c> and what the queue holds. A batch that is sent again after a
    /// lost answer gets the first answer.
    /// </summary>
    internal static readonly RedisScript Send = new(RedisScriptParts.Begin + RedisScriptParts.Places + RedisScriptParts.Aside
        + RedisScriptParts.Held + RedisScriptParts.Schedule + RedisScriptParts.Wake + RedisScriptParts.Counts + """
        local before = redis.call('GET', KEYS[19])
        if before then
          local cut = string.find(before, ' ', 1, true)
          if string.sub(before, 1, cut - 1) == ARGV[3] then return string.sub(before, cut + 1) end
        end
        local room = ARGV[2] - redis.call('XLEN', stream) - redis.call('ZCARD', delayed) - redis.call('XLEN', dead)
        local now, ready, sooner, full, answers = nil, 0, false, false, {}
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
            holder, id = redis.call('HGET', keys, key), idOf(m)
          end
          local old, said = nil, '1'
          if holder and holder ~= id and recurs(m) then
            old = redis.call('HGET', schedules, 'm' .. key)
            if old and (idOf(old) ~= holder or (same(old, m) and not redis.call('ZSCORE', cancelled, holder))) then old = nil end
          end
          if holder and holder ~= id and not old then
            answers[#answers + 1] = string.gsub(holder, '.', function(c) return string.format('%02x', string.byte(c)) end)
          elseif room <= 0 then
            answers[#answers + 1], full = '0', true
          else
            room = room - 1
            if old then
              said = '2'
              local e = redis.call('HGET', schedules, 'i' .. key)
              if redis.call('ZSCORE', delayed, holder) then
                pull(holder)
                forget(holder, 'd')
              elseif held(e) then
                -- It ends with the run that it is in; the next is the new one.
                redis.call('ZADD', cancelled, clock(), holder)
                redis.call('HSET', schedules, 'p' .. key, e)
              elseif e then
                fromAside(nameOf(old), e)
                redis.call('XDEL', stream, e)
                forget(holder, e)
              end
            end
            if key ~= '' then redis.call('HSET', keys, key, id) end
            local schedule = key ~= '' and recurs(m)
            if schedule then
              if held(redis.call('HGET', schedules, 'p' .. key)) then
                local _, interval = parts(m)
                local every = 0
                for b = 8, 1, -1 do every = every * 256 + string.byte(interval, b) end
                delay = math.max(delay, math.ceil(every / 1000))
              end
              redis.call('HSET', schedules, 'm' .. key, m)
              redis.call('HDEL', schedules, 'i' .. key)
            end
            if delay > 0 then
              now = now or clock()
              if put(m, 0, key, now + delay + 1) then sooner = true end
            else
              local e = add(m, 0, key)
              if schedule then redis.call('HSET', schedules, 'i' .. key, e) end
              ready = ready + 1
            end
            answers[#answers + 1] = said
          end
        end
        if full then answers[#answers + 1] = '=' .. table.concat(counts(), ',') end
        local said = table.concat(answers, ' ')
        redis.call('SET', KEYS[19], ARGV[3] .. ' ' .. said, 'EX', 3600)
        if sooner then ready = ready + 1 end
        if ready > 0 then wake(ready) end
        return said
        """);

    /// <summary>
    /// ARGV nudge, worker, count, the most to make
    /// ready, the names that the worker handles. Makes due what is due, then gives id, what is known of it (c
    /// cancelled, s and
    /// a number: its worker died, so often proven to be its own doing), attempts, key and envelope of each entry
    /// taken: first of those that others passed over.
    /// Where there is
    /// none the worker counts as asleep, and the only answer is how many ms until the next is due, or -1.
    /// </summary>
    internal static readonly RedisScript Take = new(RedisScriptParts.Begin + RedisScriptParts.Places + RedisScriptParts.Aside
        + RedisScriptParts.Held + RedisScriptParts.Schedule + RedisScriptParts.Wake + RedisScriptParts.EnsureGroup
        + RedisScriptParts.Ended + """
        redis.call('SREM', sleepers, ARGV[2])
        local moved, now = 0, nil
        local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
        if first[2] then
          now = clock()
          if tonumber(first[2]) <= now then
            for _, member in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, ARGV[4])) do
              local m, a, k = peek(member)
              local schedule = k ~= '' and recurs(m)
              if schedule and held(redis.call('HGET', schedules, 'p' .. k)) then
                redis.call('ZADD', delayed, now + 100, member) -- The schedule that it replaced is in its last run.
              else
                pull(member)
                local e = add(m, a, k)
                if schedule then
                  redis.call('HSET', schedules, 'i' .. k, e)
                  redis.call('HDEL', schedules, 'p' .. k)
                end
                moved = moved + 1
              end
            end
            first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
          end
        end
        local taken, wanted = {}, tonumber(ARGV[3])
        if ARGV[5] ~= '' and redis.call('EXISTS', names) == 1 then
          local mine, found = {}, {}
          for name in string.gmatch(ARGV[5], '[^\n]+') do mine[#mine + 1] = name end
          for i, waiting in ipairs(redis.call('HMGET', names, unpack(mine))) do
            if waiting then
              for _, member in ipairs(redis.call('ZRANGEBYLEX', aside, '[' .. mine[i] .. '\0', '(' .. mine[i] .. '\1',
                'LIMIT', 0, wanted)) do found[#found + 1] = {string.sub(member, -40), mine[i], entryOf(member)} end
            end
          end
          table.sort(found, function(a, b) return a[1] < b[1] end)
          for i = 1, math.min(wanted, #found) do
            local name, e = found[i][2], found[i][3]
            fromAside(name, e)
            local entry = redis.call('XRANGE', stream, e, e)
            if entry[1] then
              redis.call('XCLAIM', stream, 'workers', ARGV[2], 0, e, 'FORCE', 'JUSTID')
              taken[#taken + 1] = entry[1]
            end
          end
        end
        if #taken < wanted then
          local got = redis.pcall('XREADGROUP', 'GROUP', 'workers', ARGV[2], 'COUNT', wanted - #taken, 'STREAMS', stream, '>')
          if got and got.err then
            if not string.find(got.err, 'NOGROUP', 1, true) then return redis.error_reply(got.err) end
            group()
            got = redis.call('XREADGROUP', 'GROUP', 'workers', ARGV[2], 'COUNT', wanted - #taken, 'STREAMS', stream, '>')
          end
          if got and got[1] then
            for _, e in ipairs(got[1][2]) do taken[#taken + 1] = e end
          end
        end
        if not taken[1] then
          redis.call('SADD', sleepers, ARGV[2])
          redis.call('HSET', handlers, ARGV[2], ARGV[5])
          if not first[2] then return {-1} end
          return {math.max(1, first[2] - now)}
        end
        local out, suspected = {}, redis.call('EXISTS', suspects) == 1
        for _, e in ipairs(taken) do
          local m, a, k = fields(e[2])
          out[#out + 1] = e[1]
          out[#out + 1] = ended(m) and 'c' or ''
          if suspected then
            local v = redis.call('HGET', suspects, e[1])
            if v then out[#out] = out[#out] .. 's' .. string.match(v, '^%d+') end
          end
          out[#out + 1] = a
          out[#out + 1] = k
          out[#out + 1] = m
        end
        if moved > #taken then wake(moved - #taken) end
        return out
        """);

    /// <summary>
    /// ARGV nudge, worker, the batch's lowest and
    /// highest entry, a letter for each, events, ms that a result is kept, the most results, ms that a dead letter is
    /// kept, the most dead letters, then entry and task of each, followed by key, number and text for any letter but c.
    /// c complete; k complete and has a key; w complete with a result (text); p leave to workers that handle its name
    /// (text); r return (number: delay ms, text: attempts); s the same, and what is known
    /// of its workers stays; e the same as new, unless it
    /// was cancelled or replaced, which completes it; d dead (number: attempts, text: reason). Answers 1 for
    /// each that was still the worker's. Completed entries are settled first and at once: if memory is short, that
    /// frees some for the others.
    /// </summary>
    internal static readonly RedisScript Settle = new(RedisScriptParts.Begin + RedisScriptParts.EvenIfFull + RedisScriptParts.Places
        + RedisScriptParts.Aside + RedisScriptParts.Held + RedisScriptParts.Wake + RedisScriptParts.Ended + RedisScriptParts.Results
        + RedisScriptParts.Dead + """
        local answers, ready_, done, doneIds, kept = {}, 0, {}, {}, {}
        local mine, all = {}, false
        local pending = redis.pcall('XPENDING', stream, 'workers', ARGV[3], ARGV[4], #ARGV, ARGV[2])
        if not pending.err then
          all = #pending < #ARGV -- Else it holds much more between the two, and each is asked for.
          for _, p in ipairs(pending) do mine[p[1]] = true end
        end
        local function take(e)
          local taken = mine[e]
          if taken == nil and not all then taken = held(e, ARGV[2]) end
          mine[e] = false
          return taken
        end
        local noted, suspected = redis.call('EXISTS', cancelled) == 1, redis.call('EXISTS', suspects) == 1
        local function release(k, id)
          if noted then redis.call('ZREM', cancelled, id) end
          if k ~= '' and redis.call('HGET', keys, k) == id then
            redis.call('HDEL', keys, k)
            redis.call('HDEL', schedules, 'm' .. k, 'i' .. k, 'p' .. k)
          end
        end
        local others, at = {}, 11
        for i = 1, #ARGV[5] do
          local what, e, id, k, text = string.sub(ARGV[5], i, i), ARGV[at], ARGV[at + 1], '', ''
          local number
          at = at + 2
          if what ~= 'c' then
            k, number, text = ARGV[at], ARGV[at + 1], ARGV[at + 2]
            at = at + 3
          end
          answers[i] = '0'
          if what ~= 'c' and what ~= 'k' and what ~= 'w' then
            others[#others + 1] = {i, what, e, number, text}
          elseif take(e) then
            release(k, id)
            done[#done + 1] = e
            doneIds[#done] = id
            if what == 'w' then kept[#kept + 1] = {id, text} end
            answers[i] = '1'
          end
        end
        if done[1] then
          redis.call('XACK', stream, 'workers', unpack(done))
          redis.call('XDEL', stream, unpack(done))
          if suspected then redis.call('HDEL', suspects, unpack(done)) end
          local over = {}
          for i, place in ipairs(redis.call('HMGET', ids, unpack(doneIds))) do
            if place == done[i] then over[#over + 1] = doneIds[i] end
          end
          if over[1] then redis.call('HDEL', ids, unpack(over)) end
        end
        for _, result in ipairs(kept) do
          keep(result[1], result[2], ARGV[7], ARGV[8])
          ready(ARGV[6], result[1])
        end
        local left = {}
        for _, o in ipairs(others) do
          local what, e, number, text = o[2], o[3], o[4], o[5]
          if take(e) then
            answers[o[1]] = '1'
            local entry = redis.call('XRANGE', stream, e, e)
            local m, a, k
            if entry[1] then m, a, k = fields(entry[1][2]) end
            local id = m and idOf(m)
            local replaced = m and k ~= '' and redis.call('HGET', keys, k) ~= id
            if m and what == 'p' then
              putAside(text, e)
              left[text] = true
            elseif m and what == 'e' and (replaced or ended(m)) then
              release(k, id)
              forget(id, e)
            elseif m and what == 'd' then
              release(k, id)
              forget(id, e)
              redis.call('XADD', dead, '*', 'm', m, 'a', number, 'r', text, 'k', k)
              if wants(m) then
                keep(id, failed(id, 1, text), ARGV[7], ARGV[8])
                ready(ARGV[6], id)
              end
            elseif m and tonumber(number) > 0 then
              if k ~= '' and recurs(m) then redis.call('HDEL', schedules, 'i' .. k) end
              if put(m, text, k, clock() + number + 1) then ready_ = ready_ + 1 end
            elseif m then
              local added = add(m, text, k)
              if k ~= '' and recurs(m) and not replaced then redis.call('HSET', schedules, 'i' .. k, added) end
              local v = what == 's' and suspected and redis.call('HGET', suspects, e)
              if v then redis.call('HSET', suspects, added, string.match(v, '^%d+')) end
              ready_ = ready_ + 1
            end
            redis.call('XACK', stream, 'workers', e)
            if what ~= 'p' then
              redis.call('XDEL', stream, e)
              if suspected then redis.call('HDEL', suspects, e) end
            end
            if what == 'd' then trimDead(ARGV[10], ARGV[9]) end
          end
        end
        if next(left) then
          for _, w in ipairs(redis.call('SMEMBERS', sleepers)) do
            if handles(w, left) then
              redis.call('SREM', sleepers, w)
              redis.call('PUBLISH', ARGV[1] .. w, '')
            end
          end
        end
        if ready_ > 0 then wake(ready_) end
        return table.concat(answers)
        """);

    /// <summary>
    /// ARGV events, worker, 1 where it takes work, ms that it is taken to be alive, the names that it handles, ms
    /// that a dead letter is kept, the most dead letters, a name for the contents if they have none, 1 where it may
    /// hold what it does not know of yet, then the entries that it holds. Renews all of it, and drops what is over
    /// its time. Answers: other workers, what the queue holds, the name of its contents, then the entries that are no
    /// longer the worker's.
    /// </summary>
    internal static readonly RedisScript Pulse = new(RedisScriptParts.Begin + RedisScriptParts.EvenIfFull + RedisScriptParts.EnsureGroup
        + RedisScriptParts.Held + RedisScriptParts.Counts + RedisScriptParts.Results + RedisScriptParts.Dead + """
        local now, gone = clock(), 0
        for _, w in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', now)) do
          gone = gone + redis.call('ZREM', workers, w)
          redis.call('HDEL', handlers, w)
          redis.call('SREM', sleepers, w)
        end
        local others = redis.call('ZCARD', workers)
        if ARGV[3] == '1' then
          redis.call('HSET', handlers, ARGV[2], ARGV[5])
          if redis.call('ZADD', workers, now + ARGV[4], ARGV[2]) == 1 then gone = 1 else others = others - 1 end
        elseif redis.call('ZREM', workers, ARGV[2]) == 1 then
          redis.call('HDEL', handlers, ARGV[2])
          gone = 1
          others = others - 1
        end
        if gone > 0 then redis.call('PUBLISH', ARGV[1], 'w') end
        if ARGV[9] == '1' then -- The answer by which it learns of them may lie there unread for long.
          local unknown = redis.pcall('XPENDING', stream, 'workers', '-', '+', 1000, ARGV[2])
          for _, p in ipairs(unknown.err and {} or unknown) do redis.call('XCLAIM', stream, 'workers', ARGV[2], 0, p[1], 'JUSTID') end
        end
        local lost = {}
        for i = 10, #ARGV do
          if held(ARGV[i], ARGV[2]) then redis.call('XCLAIM', stream, 'workers', ARGV[2], 0, ARGV[i], 'JUSTID')
          else lost[#lost + 1] = ARGV[i] end
        end
        dropResults(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 1000))
        trimDead(ARGV[7], ARGV[6])
        redis.call('HSETNX', totals, 'name', ARGV[8])
        local answer = counts()
        table.insert(answer, 1, others)
        answer[#answer + 1] = redis.call('HGET', totals, 'name')
        for _, e in ipairs(lost) do answer[#answer + 1] = e end
        return answer
        """);

    /// <summary>
    /// ARGV worker, ms without a sign of life, cursor, count.
    /// Takes over what others have let lie. Answers the next cursor, then id, what is known of it (as Take),
    /// attempts, key and envelope of each. Forgets workers that are gone and hold nothing.
    /// </summary>
    internal static readonly RedisScript Reclaim = new(RedisScriptParts.Begin + RedisScriptParts.Places + RedisScriptParts.Ended + """
        local got, at, looks = nil, ARGV[3], 0
        repeat -- Each inspects ten times what it may take, and most of what is held is alive.
          got = redis.pcall('XAUTOCLAIM', stream, 'workers', ARGV[1], ARGV[2], at, 'COUNT', ARGV[4])
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
            local v = redis.call('HGET', suspects, e[1]) or '0'
            local deaths = tonumber(string.match(v, '^%d+')) + (string.sub(v, -1) == '*' and 1 or 0)
            redis.call('HSET', suspects, e[1], deaths)
            out[#out + 1] = e[1]
            out[#out + 1] = (ended(m) and 'c' or '') .. 's' .. deaths
            out[#out + 1] = a
            out[#out + 1] = k
            out[#out + 1] = m
          end
        end
        if got[1] == '0-0' then
          for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', stream, 'workers')) do
            local of = {}
            for i = 1, #c, 2 do of[c[i]] = c[i + 1] end
            if of.pending == 0 and of.idle > 60000 and of.name ~= ARGV[1] and not redis.call('ZSCORE', workers, of.name) then
              redis.call('XGROUP', 'DELCONSUMER', stream, 'workers', of.name)
            end
          end
        end
        return out
        """);

    /// <summary>ARGV worker, entry. Notes that the worker runs the entry alone: should it fall
    /// silent, that counts as an attempt. Answers 1 if it still holds the entry.</summary>
    internal static readonly RedisScript BeginAlone = new(RedisScriptParts.Begin + RedisScriptParts.EvenIfFull + RedisScriptParts.Held + """
        if not held(ARGV[2], ARGV[1]) then return 0 end
        local v = redis.call('HGET', suspects, ARGV[2]) or '0'
        redis.call('HSET', suspects, ARGV[2], string.match(v, '^%d+') .. '*')
        return 1
        """);

    /// <summary>KEYS of the queue, then sent; ARGV events, worker, 1 where it asks for no batch again. Says farewell;
    /// what the worker still holds stays with its name until its time runs out.</summary>
    internal static readonly RedisScript Leave = new(RedisScriptParts.Begin + """
        redis.call('SREM', sleepers, ARGV[2])
        redis.call('HDEL', handlers, ARGV[2])
        if ARGV[3] == '1' then redis.call('DEL', KEYS[19]) end
        if redis.call('ZREM', workers, ARGV[2]) == 1 then redis.call('PUBLISH', ARGV[1], 'w') end
        local held = redis.pcall('XPENDING', stream, 'workers', '-', '+', 1, ARGV[2])
        if not held.err and not held[1] then redis.pcall('XGROUP', 'DELCONSUMER', stream, 'workers', ARGV[2]) end
        return 1
        """);

    /// <summary>Answers what the queue holds, then the age of the
    /// oldest ready in ms, and how many ever entered the stream (-1 before Redis 7).</summary>
    internal static readonly RedisScript Count = new(RedisScriptParts.Begin + RedisScriptParts.Counts + """
        local last = '0-0'
        local groups = redis.pcall('XINFO', 'GROUPS', stream)
        for _, g in ipairs(groups.err and {} or groups) do
          local of = {}
          for i = 1, #g, 2 do of[g[i]] = g[i + 1] end
          if of.name == 'workers' then last = of['last-delivered-id'] end
        end
        local age, entered = 0, -1
        local info = redis.pcall('XINFO', 'STREAM', stream)
        if info.err then entered = 0 else
          for i = 1, #info, 2 do if info[i] == 'entries-added' then entered = info[i + 1] end end
        end
        local e = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)
        if e[1] then age = clock() - tonumber(string.match(e[1][1], '^%d+')) end
        local answer = counts()
        answer[#answer + 1] = age
        answer[#answer + 1] = entered
        return answer
        """);
}
