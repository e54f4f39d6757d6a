namespace Otto.Queue.Redis;

// How results are kept and collected inside the server, and how a task is taken back or left to others: each task is found by its id.

internal static class RedisResultScripts
{
    /// <summary>
    /// ARGV events, notice, the id of the task whose result it is (empty for none), ms that it is kept, the most
    /// results. Notifies all subscribers.
    /// </summary>
    internal static readonly RedisScript Notify = new(RedisScriptParts.Begin + RedisScriptParts.EvenIfFull + RedisScriptParts.Results + """
        if ARGV[3] ~= '' then keep(ARGV[3], ARGV[2], ARGV[4], ARGV[5]) end
        redis.call('PUBLISH', ARGV[1], 'n' .. ARGV[2])
        return 1
        """);

    /// <summary>
    /// ARGV worker, ms that a result is reserved for it, the most bytes, the number of results that it has received,
    /// their ids, then the ids that it asks for. What it has received is deleted. What it asks for is reserved for
    /// it, so that an answer that is lost can be given again. Answers for each: the result, 0 gone, 1 not there yet
    /// or reserved for another, 2 to be asked for again.
    /// </summary>
    internal static readonly RedisScript Collect = new(RedisScriptParts.Begin + RedisScriptParts.EvenIfFull + RedisScriptParts.Results + """
        local received, now, bytes, out = tonumber(ARGV[4]), clock(), 0, {}
        for i = 5, 4 + received do
          local id = ARGV[i]
          if string.find(redis.call('HGET', claims, id) or '', ARGV[1], 1, true) == 1 then removeResult(id) end
        end
        for i = 5 + received, #ARGV do
          local id, n, said = ARGV[i], redis.call('HSTRLEN', results, ARGV[i]), 0
          local claim = n > 0 and redis.call('HGET', claims, id)
          if n == 0 then
            said = redis.call('HEXISTS', ids, id)
          elseif tonumber(redis.call('ZSCORE', due, id) or 0) <= now then
            dropResults({id})
          elseif claim and string.find(claim, ARGV[1], 1, true) ~= 1 and tonumber(string.match(claim, '%d+$')) > now then
            said = 1
          elseif bytes > 0 and bytes + n > tonumber(ARGV[3]) then
            said = 2
          else
            bytes = bytes + n
            redis.call('HSET', claims, id, ARGV[1] .. ' ' .. string.format('%.0f', now + ARGV[2]))
            redis.call('PEXPIRE', claims, ARGV[2] + 60000)
            said = redis.call('HGET', results, id)
          end
          out[#out + 1] = said
        end
        return out
        """);

    /// <summary>
    /// ARGV the task's id, events, ms that a result is kept, the most results. The index knows where the task is, so
    /// that no other is read. Answers 1 taken back, 2 held by a worker, 0 not there.
    /// </summary>
    internal static readonly RedisScript Cancel = new(RedisScriptParts.Begin + RedisScriptParts.EvenIfFull + RedisScriptParts.Places
        + RedisScriptParts.Aside + RedisScriptParts.Held + RedisScriptParts.Results + """
        local id = ARGV[1]
        local place = redis.call('HGET', ids, id)
        if not place then return 0 end
        local m, a, k
        if place == 'd' then
          m, a, k = peek(id)
          pull(id)
        else
          if held(place) then
            -- Kept until the task ends, so that its worker's death does not undo it; bounded, as any worker may never return.
            redis.call('ZADD', cancelled, clock(), id)
            redis.call('ZREMRANGEBYRANK', cancelled, 0, -10001)
            return 2
          end
          local e = redis.call('XRANGE', stream, place, place)
          if e[1] then
            m, a, k = fields(e[1][2])
            fromAside(nameOf(m), place)
            redis.call('XDEL', stream, place)
          end
        end
        redis.call('HDEL', ids, id)
        if not m then return 0 end
        if k ~= '' and redis.call('HGET', keys, k) == id then
          redis.call('HDEL', keys, k)
          redis.call('HDEL', schedules, 'm' .. k, 'i' .. k, 'p' .. k)
        end
        if wants(m) then
          keep(id, failed(id, 2, ''), ARGV[3], ARGV[4])
          ready(ARGV[2], id)
        end
        return 1
        """);

    /// <summary>ARGV a name for the contents if they have none. Answers their name.</summary>
    internal static readonly RedisScript Name = new(RedisScriptParts.Begin + RedisScriptParts.EvenIfFull + """
        redis.call('HSETNX', totals, 'name', ARGV[1])
        return redis.call('HGET', totals, 'name')
        """);

    /// <summary>Answers name and number of the tasks that were passed over, of those names that no live worker
    /// handles.</summary>
    internal static readonly RedisScript Unhandled = new(RedisScriptParts.Begin + """
        local handled, out = {}, {}
        for _, w in ipairs(redis.call('ZRANGEBYSCORE', workers, clock(), '+inf')) do
          for name in string.gmatch(redis.call('HGET', handlers, w) or '', '[^\n]+') do handled[name] = true end
        end
        local all = redis.call('HGETALL', names)
        for i = 1, #all, 2 do
          if not handled[all[i]] then
            out[#out + 1] = all[i]
            out[#out + 1] = all[i + 1]
          end
        end
        return out
        """);
}
