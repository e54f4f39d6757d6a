namespace Otto.Queue.Redis;

// What happens to dead letters inside the server; RedisScripts.cs has all other scripts.

internal static class RedisDeadLetterScripts
{
    /// <summary>KEYS stream delayed dead; ARGV capacity, reason, envelope. Answers 1, or 0 if there is no
    /// room.</summary>
    internal static readonly RedisScript Bury = new(RedisScripts.Begin + """
        if redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2]) + redis.call('XLEN', KEYS[3]) >= tonumber(ARGV[1]) then return 0 end
        redis.call('XADD', KEYS[3], '*', 'm', ARGV[3], 'a', 1, 'r', ARGV[2], 'k', '')
        return 1
        """);

    /// <summary>KEYS dead; ARGV count. Answers id, attempts, reason and envelope of each.</summary>
    internal static readonly RedisScript ListDead = new(RedisScripts.Begin + """
        local out = {}
        for _, e in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])) do
          local of = {}
          for i = 1, #e[2], 2 do of[e[2][i]] = e[2][i + 1] end
          out[#out + 1] = e[1]
          out[#out + 1] = of.a or '0'
          out[#out + 1] = of.r or ''
          out[#out + 1] = of.m or ''
        end
        return out
        """);

    /// <summary>KEYS stream dead keys sleepers; ARGV nudge, id, 1 to make it ready again. Answers whether it was there.
    /// A key is taken again if no other task has it.</summary>
    internal static readonly RedisScript MoveDead = new(RedisScripts.Begin + RedisScripts.Pack + RedisScripts.Wake + """
        local e = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])
        if not e[1] then return 0 end
        redis.call('XDEL', KEYS[2], ARGV[2])
        if ARGV[3] == '1' then
          local m, a, k = fields(e[1][2])
          if k ~= '' then redis.call('HSETNX', KEYS[3], k, string.sub(m, 9, 24)) end
          add(KEYS[1], m, 0, k)
          wake(KEYS[4], 1)
        end
        return 1
        """);
}
