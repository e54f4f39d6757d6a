namespace Otto.Queue.Redis;

// What the scripts share: the names of the keys, how a message is kept, and what goes with it when it moves. Each script gets all keys of
// its queue, in the order of QueueKeys.All, so that what a step needs is never missing.

internal static class RedisScriptParts
{
    /// <summary>Starts each script: the keys, the server's clock, a message's fields.</summary>
    /// <remarks>The clock is cut to whole milliseconds, so a due time is one more than the sum: it would come up to a
    /// millisecond too early.</remarks>
    internal const string Begin = """
        if redis.replicate_commands then redis.replicate_commands() end
        local stream, delayed, dead, keys, sleepers, schedules, cancelled, suspects, workers = unpack(KEYS, 1, 9)
        local results, due, claims, ids, later, aside, names, handlers, totals = unpack(KEYS, 10, 18)
        local function clock() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end
        local function flag(m, f) return #m > 48 and string.byte(m, 1) == 79 and math.floor(string.byte(m, 3) / f) % 2 == 1 end
        local function recurs(m) return flag(m, 8) end
        local function wants(m) return flag(m, 4) end
        local function idOf(m) return string.sub(m, 9, 24) end
        local function nameOf(m) return #m > 48 and string.sub(m, 49, 48 + string.byte(m, 7)) or '' end
        local function count(what, n) if n > 0 then redis.call('HINCRBY', totals, what, n) end end

        """;

    /// <summary>Comes next in scripts that must not fail while the server's memory is full: leases are renewed, tasks
    /// end, and results are kept and collected. The server refuses what needs memory only as the first write of a
    /// script.</summary>
    internal const string EvenIfFull = """
        redis.call('HDEL', totals, '')

        """;

    /// <summary>A message in the stream, and among the delayed: a set of ids by time, and what each is. <c>ids</c> has
    /// the place of each: its entry, or <c>d</c>.</summary>
    internal const string Places = """
        local function fields(e)
          local m, a, k = '', '0', ''
          for i = 1, #e, 2 do
            if e[i] == 'm' then m = e[i + 1] elseif e[i] == 'a' then a = e[i + 1] elseif e[i] == 'k' then k = e[i + 1] end
          end
          return m, a, k
        end
        local function add(m, a, k)
          local e
          if k ~= '' then e = redis.call('XADD', stream, '*', 'm', m, 'a', a, 'k', k)
          elseif tonumber(a) > 0 then e = redis.call('XADD', stream, '*', 'm', m, 'a', a)
          else e = redis.call('XADD', stream, '*', 'm', m) end
          if #m >= 24 then redis.call('HSET', ids, idOf(m), e) end
          return e
        end
        local function put(m, a, k, at)
          local p, id = string.format('%d:%d:', a, #k) .. k .. m, idOf(m)
          if #m >= 24 and redis.call('HSETNX', later, id, p) == 1 then redis.call('HSET', ids, id, 'd')
          else id = p end -- Two of one id, or a message of another program that has none.
          redis.call('ZADD', delayed, at, id)
          return redis.call('ZRANK', delayed, id) == 0
        end
        local function peek(member)
          local p = #member == 16 and redis.call('HGET', later, member) or member
          local _, e, a, l = string.find(p, '^(%d+):(%d+):')
          if not e then return p, '0', '' end -- Written by another program: no envelope, as the worker that takes it will find.
          return string.sub(p, e + 1 + l), a, string.sub(p, e + 1, e + l)
        end
        local function pull(member)
          redis.call('ZREM', delayed, member)
          if #member == 16 then redis.call('HDEL', later, member) end
        end
        local function forget(id, place) if redis.call('HGET', ids, id) == place then redis.call('HDEL', ids, id) end end

        """;

    /// <summary>
    /// Entries that were passed over: acknowledged, so that they are not delivered again, and still in the stream.
    /// <c>aside</c> sorts them by name and place, <c>names</c> counts them.
    /// </summary>
    internal const string Aside = """
        local function digits(n) return string.rep('0', 20 - #n) .. n end
        local function asideOf(name, e)
          local ms, n = string.match(e, '^(%d+)-(%d+)$')
          return name .. '\0' .. digits(ms) .. digits(n)
        end
        local function entryOf(member)
          return (string.gsub(string.sub(member, -40, -21), '^0+(%d)', '%1')) .. '-'
            .. (string.gsub(string.sub(member, -20), '^0+(%d)', '%1'))
        end
        local function putAside(name, e)
          if redis.call('ZADD', aside, 0, asideOf(name, e)) == 1 then redis.call('HINCRBY', names, name, 1) end
        end
        local function fromAside(name, e)
          if redis.call('ZREM', aside, asideOf(name, e)) == 0 then return false end
          if redis.call('HINCRBY', names, name, -1) <= 0 then redis.call('HDEL', names, name) end
          return true
        end

        """;

    /// <summary>Recurring tasks with a key. <c>keys</c> has the keys. A task that is not its key's any more was
    /// replaced while a worker held it.</summary>
    internal const string Schedule = """
        local function parts(m)
          local n, k, h = string.byte(m, 7), string.byte(m, 8), string.byte(m, 5) + 256 * string.byte(m, 6)
          local at = 48 + n + k + (string.byte(m, 3) % 2) * 25
          return true, string.sub(m, at + 1, at + 8), string.sub(m, 49, 48 + n), string.byte(m, 43), string.sub(m, h + 1)
        end
        local function same(a, b)
          local _, ai, an, af, ap = parts(a)
          local _, bi, bn, bf, bp = parts(b)
          return recurs(a) and ai == bi and an == bn and af == bf and ap == bp
        end

        """;

    /// <summary>Whether an entry is held: by a worker, or by any if none is named.</summary>
    internal const string Held = """
        local function held(e, by)
          if not e then return false end
          local p = by and redis.pcall('XPENDING', stream, 'workers', e, e, 1, by) or redis.pcall('XPENDING', stream, 'workers', e, e, 1)
          return not p.err and p[1] ~= nil
        end

        """;

    /// <summary>A sleeper that receives nothing is dead or gone: the next is tried. ARGV[1] is where nudges go, without
    /// the worker's name.</summary>
    internal const string Wake = """
        local function wake(n)
          while n > 0 do
            local w = redis.call('SPOP', sleepers)
            if not w then return end
            if redis.call('PUBLISH', ARGV[1] .. w, '') > 0 then n = n - 1 end
          end
        end
        local function handles(w, wanted)
          for name in string.gmatch(redis.call('HGET', handlers, w) or '', '[^\n]+') do
            if wanted[name] then return true end
          end
          return false
        end

        """;

    /// <summary>Whether a task was cancelled or replaced while a worker held it.</summary>
    internal const string Ended = """
        local function ended(m)
          if redis.call('EXISTS', cancelled) == 0 then return false end
          return redis.call('ZSCORE', cancelled, idOf(m)) ~= false
        end

        """;

    internal const string EnsureGroup = """
        local function group() redis.pcall('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM') end

        """;

    /// <summary>Results that wait to be collected: <c>results</c> by id, <c>due</c> when each is over. Both keys end by
    /// themselves where no process is left.</summary>
    internal const string Results = """
        local function removeResult(id) redis.call('ZREM', due, id) redis.call('HDEL', results, id) redis.call('HDEL', claims, id) end
        local function dropResults(of)
          for _, id in ipairs(of) do removeResult(id) end
          count('results', #of)
        end
        local function keep(id, event, ms, most)
          redis.call('HSET', results, id, event)
          redis.call('ZADD', due, clock() + ms, id)
          redis.call('HDEL', claims, id)
          if redis.call('PTTL', due) < tonumber(ms) then
            redis.call('PEXPIRE', due, ms + 60000)
            redis.call('PEXPIRE', results, ms + 60000)
          end
          local over = redis.call('ZCARD', due) - most
          if over > 0 then dropResults(redis.call('ZRANGE', due, 0, over - 1)) end
        end
        local function ready(channel, id) redis.call('PUBLISH', channel, 'n' .. string.char(4, 0) .. id) end
        local function failed(id, status, words) return string.char(2, 0) .. id .. string.char(status, 0) .. string.sub(words, 1, 1000) end

        """;

    /// <summary>Dead letters within their share and their time.</summary>
    internal const string Dead = """
        local function trimDead(most, ms)
          count('dead', redis.call('XTRIM', dead, 'MAXLEN', most) + redis.call('XTRIM', dead, 'MINID', math.max(0, clock() - ms)))
        end

        """;

    /// <summary>What the queue holds: ready, leased, delayed, dead, results, passed over, then dead letters and results
    /// that were dropped.</summary>
    internal const string Counts = """
        local function counts()
          local pending = redis.pcall('XPENDING', stream, 'workers')
          local leased, left = (not pending.err) and pending[1] or 0, redis.call('ZCARD', aside)
          local dropped = redis.call('HMGET', totals, 'dead', 'results')
          return {redis.call('XLEN', stream) - leased - left, leased, redis.call('ZCARD', delayed), redis.call('XLEN', dead),
            redis.call('ZCARD', due), left, tonumber(dropped[1] or 0), tonumber(dropped[2] or 0)}
        end

        """;
}
