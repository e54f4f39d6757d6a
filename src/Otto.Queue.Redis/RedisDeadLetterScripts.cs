namespace Otto.Queue.Redis;

// What happens to dead letters inside the server; RedisScripts.cs has how they come there.

internal static class RedisDeadLetterScripts
{
    /// <summary>
    /// ARGV capacity, reason, envelope, the most dead letters, ms that one is kept, events, ms that a result is kept,
    /// the most results, key. Answers 1, or 0 if there is no room.
    /// </summary>
    internal static readonly RedisScript Bury = new(RedisScriptParts.Begin + RedisScriptParts.Dead + RedisScriptParts.Results + """
        if redis.call('XLEN', stream) + redis.call('ZCARD', delayed) + redis.call('XLEN', dead) >= tonumber(ARGV[1]) then
          if redis.call('XLEN', dead) == 0 then return 0 end
          count('dead', redis.call('XTRIM', dead, 'MAXLEN', redis.call('XLEN', dead) - 1))
        end
        redis.call('XADD', dead, '*', 'm', ARGV[3], 'a', 1, 'r', ARGV[2], 'k', ARGV[9])
        trimDead(ARGV[4], ARGV[5])
        if wants(ARGV[3]) then
          keep(idOf(ARGV[3]), failed(idOf(ARGV[3]), 1, ARGV[2]), ARGV[7], ARGV[8])
          ready(ARGV[6], idOf(ARGV[3]))
        end
        return 1
        """);

    /// <summary>ARGV count. Answers id, attempts, reason and envelope of each.</summary>
    internal static readonly RedisScript ListDead = new(RedisScriptParts.Begin + """
        local out = {}
        for _, e in ipairs(redis.call('XRANGE', dead, '-', '+', 'COUNT', ARGV[1])) do
          local of = {}
          for i = 1, #e[2], 2 do of[e[2][i]] = e[2][i + 1] end
          out[#out + 1] = e[1]
          out[#out + 1] = of.a or '0'
          out[#out + 1] = of.r or ''
          out[#out + 1] = of.m or ''
        end
        return out
        """);

    /// <summary>ARGV nudge, id, 1 to make it ready again. Answers whether it was there.
    /// A key is taken again if no other task has it, and the result that it failed is withdrawn.</summary>
    internal static readonly RedisScript MoveDead = new(RedisScriptParts.Begin + RedisScriptParts.Places + RedisScriptParts.Wake
        + RedisScriptParts.Results + """
        local e = redis.call('XRANGE', dead, ARGV[2], ARGV[2])
        if not e[1] then return 0 end
        redis.call('XDEL', dead, ARGV[2])
        if ARGV[3] == '1' then
          local m, a, k = fields(e[1][2])
          if k ~= '' then redis.call('HSETNX', keys, k, idOf(m)) end
          if wants(m) then removeResult(idOf(m)) end
          add(m, 0, k)
          wake(1)
        end
        return 1
        """);
}
