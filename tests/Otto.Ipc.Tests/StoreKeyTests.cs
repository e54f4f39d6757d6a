using System.Diagnostics;
using System.Text;

namespace Otto.Ipc.Tests;

// What is a key, what a pattern matches, and how bytes stand as JSON.

[TestFixture]
public sealed class StoreKeyTests
{
    [TestCase("*", "anything", true)]
    [TestCase("**", "", true)]
    [TestCase("a*", "a", true)]
    [TestCase("a*", "ab.c", true)]
    [TestCase("a*", "ba", false)]
    [TestCase("*.progress", "x.y.progress", true)]
    [TestCase("*.progress", "x.progress2", false)]
    [TestCase("a*b*c", "aXbYc", true)]
    [TestCase("a*b*c", "aXcYb", false)]
    [TestCase("?", "é", true)]
    [TestCase("?", "", false)]
    [TestCase("??", "a", false)]
    [TestCase("[a-c]x", "bx", true)]
    [TestCase("[a-c]x", "dx", false)]
    [TestCase("[!a-c]x", "dx", true)]
    [TestCase("[^a-c]x", "ax", false)]
    [TestCase("[]]", "]", true)]
    [TestCase("[a-]", "-", true)]
    [TestCase("[-a]", "-", true)]
    [TestCase("a[", "a[", true)]
    [TestCase("a[bc", "a[bc", true)]
    [TestCase("[", "[", true)]
    [TestCase("[!", "[!", true)]
    [TestCase("[]", "[]", true)]
    [TestCase("exact", "exact", true)]
    [TestCase("exact", "exactly", false)]
    [TestCase("a.b", "axb", false)]
    public void A_pattern_matches(string pattern, string key, bool matches) =>
        Assert.That(new KeyPattern(pattern).Matches(key), Is.EqualTo(matches));

    [Test]
    public void A_hostile_pattern_is_no_more_expensive_than_its_length_times_the_keys()
    {
        var pattern = new KeyPattern(string.Concat(Enumerable.Repeat("a*", 124)) + "b");
        string key = new('a', StoreKey.MaxBytes);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < 1000; i++) Assert.That(pattern.Matches(key), Is.False);
        // With backtracking over every star this takes longer than the universe has lasted: any number of seconds tells the two apart.
        Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromSeconds(20)));
    }

    [TestCase("")]
    [TestCase("a b")]
    [TestCase("a\n")]
    public void What_is_no_pattern_is_refused(string pattern) => Assert.Throws<ArgumentException>(() => _ = new KeyPattern(pattern));

    [Test]
    public void A_pattern_without_wildcards_says_which_key_it_means()
    {
        Assert.That(new KeyPattern("a.b").Literal, Is.EqualTo("a.b"));
        Assert.That(new KeyPattern("a.*").Literal, Is.Null);
        Assert.That(new KeyPattern("**").MatchesAll, Is.True);
    }

    [TestCase("a", null)]
    [TestCase("", "empty")]
    [TestCase("a b", "U+0020 at position 1")]
    [TestCase("a\u0085", "U+0085")]
    [TestCase("a\u00a0", "U+00A0")]
    [TestCase("\ud83d\ude00", null)]
    public void A_key_is_checked(string key, string? problem)
    {
        Assert.That(StoreKey.IsValid(key, out string? found), Is.EqualTo(problem is null));
        if (problem is null) StoreKey.Check(key);
        else Assert.That(Assert.Throws<ArgumentException>(() => StoreKey.Check(key))!.Message, Does.Contain(problem).And.Contain(found));
    }

    [Test]
    public void Half_of_a_surrogate_pair_is_no_key()
    {
        // Not as test cases: an attribute's text is kept as UTF-8, which has no half pairs.
        foreach (string key in (string[])[new((char)0xD83D, 1), new([(char)0xDE00, (char)0xD83D]), new(['a', (char)0xD83D])])
            Assert.That(Assert.Throws<ArgumentException>(() => StoreKey.Check(key))!.Message, Does.Contain("surrogate"));
    }

    [Test]
    public void A_key_is_measured_in_bytes()
    {
        StoreKey.Check(new string('é', 125));
        Assert.That(Assert.Throws<ArgumentException>(() => StoreKey.Check(new string('é', 126)))!.Message,
            Does.Contain("252 bytes").And.Contain("250"));
    }

    [TestCase("1", "1")]
    [TestCase(" {\"a\":1}\n", "{\"a\":1}")]
    [TestCase("{\n\"a\":\r\n1}", "{\"a\":1}")]
    [TestCase("\"ü<>&'\"", "\"ü<>&'\"")]
    [TestCase("1 2", "{\"$base64\":\"MSAy\"}")]
    [TestCase("", "{\"$base64\":\"\"}")]
    [TestCase("{\"$base64\":\"AAAA\"}", "{\"$base64\":\"eyIkYmFzZTY0IjoiQUFBQSJ9\"}")]
    [TestCase("{\"$base64\":1}", "{\"$base64\":1}")]
    [TestCase("{\"$base64\":\"AAAA\",\"b\":1}", "{\"$base64\":\"AAAA\",\"b\":1}")]
    public void Bytes_stand_as_JSON_on_one_line(string value, string json)
    {
        Assert.That(Encoding.UTF8.GetString(StoredJson.FromValue(Encoding.UTF8.GetBytes(value)).Span), Is.EqualTo(json));
        byte[] back = StoredJson.ToValue(Encoding.UTF8.GetBytes(json)).ToArray();
        Assert.That(Encoding.UTF8.GetString(back),
            Is.EqualTo(StoredJson.IsJson(Encoding.UTF8.GetBytes(value)) && !json.Contains("eyIk", StringComparison.Ordinal) ? json
            : value));
    }

    [Test]
    public void Text_that_is_no_UTF_8_is_no_JSON() => Assert.That(StoredJson.IsJson([(byte)'"', 0xC3, (byte)'"']), Is.False);

    [Test]
    public void JSON_that_is_too_deep_is_wrapped()
    {
        byte[] deep = Encoding.UTF8.GetBytes(new string('[', 100) + new string(']', 100));
        Assert.That(StoredJson.IsJson(deep), Is.False);
        Assert.That(StoredJson.ToValue(StoredJson.FromValue(deep)).ToArray(), Is.EqualTo(deep));
    }
}
