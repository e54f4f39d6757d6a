using System.Diagnostics;
using System.Globalization;
using System.Text;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Uds;

namespace Otto.Ipc.Benchmarks.Matrix.Hosts;

// What a session can be told. One thread, one thing at a time; each verb answers when it is done.
//
//  subject NAME ADDRESS             what is tried, and where
//  inlet|outlet CHANNEL BYTES WAIT  opens an end           talk caller|answerer CHANNEL BYTES WAIT   opens both, in both directions
//  shown-inlet|shown-outlet CHANNEL an end of a channel that other programs can see
//  only caller|answerer CHANNEL BYTES WAIT          opens both over one channel and no second
//  close                            closes what is open
//  say TEXT · hear [MS]             one message of text
//  ask TEXT                         says it and hears the answer          serve N   hears N times and answers each
//  send N BYTES · take N [MS]       numbered messages; take answers how many came, in order, until one is missing
//  whole BYTES · check              one message whose every byte is checked
//  complete                         says that no more comes
//  call MS awake|asleep BYTES       measures round trips                  echo awake|asleep   sends back until the last
//  pour MS BYTES · drain            measures a busy run
//  wait                             waits for ever on another thread, and gets nothing
//  serve-sockets PATH               runs the server of sockets

internal sealed class Session : IDisposable
{
    private Subject? _subject;
    private string _address = "";
    private Outlet? _outlet;
    private Inlet? _inlet;
    private UdsServer? _server;

    private Outlet Outlet => _outlet ?? throw new InvalidOperationException("no outlet is open");

    private Inlet Inlet => _inlet ?? throw new InvalidOperationException("no inlet is open");

    public string Do(string[] words)
    {
        int Number(int index) => int.Parse(words[index], CultureInfo.InvariantCulture);
        LinkOptions Options(int index) => new(Number(index), Enum.Parse<WaitStyle>(words[index + 1]));
        switch (words[0])
        {
            case "subject":
                (_subject, _address) = (AllSubjects.Find(words[1]), words[2]);
                return "";
            case "outlet":
                _outlet = _subject!.OpenOutlet(_address, words[1], Options(2));
                return _outlet.MaxMessageBytes?.ToString(CultureInfo.InvariantCulture) ?? "";
            case "inlet":
                _inlet = _subject!.OpenInlet(_address, words[1], Options(2));
                return "";
            case "shown-outlet":
                _outlet = _subject!.OpenShownOutlet(_address, words[1]);
                return "";
            case "shown-inlet":
                _inlet = _subject!.OpenShownInlet(_address, words[1]);
                return "";
            case "talk":
                (_outlet, _inlet) = _subject!.OpenTalk(_address, words[2], words[1] == "caller", Options(3));
                return "";
            case "only":
                (_outlet, _inlet) = _subject!.OpenTalkOverOne(_address, words[2], words[1] == "caller", Options(3));
                return "";
            case "close":
                Close();
                return "";
            case "say":
                Say(string.Join(' ', words[1..]));
                return "";
            case "hear":
                return Hear(words.Length > 1 ? TimeSpan.FromMilliseconds(Number(1)) : null);
            case "ask":
                Say(string.Join(' ', words[1..]));
                return Hear(TimeSpan.FromSeconds(3));
            case "serve":
                for (int i = 0; i < Number(1); i++) Say("reply to " + Hear(TimeSpan.FromSeconds(3)));
                return "";
            case "send":
                return Send(Number(1), Number(2));
            case "take":
                return Take(Number(1), words.Length > 2 ? TimeSpan.FromMilliseconds(Number(2)) : null);
            case "whole":
                Outlet.Prepare(Number(1));
                Outlet.Send(Number(1));
                Outlet.Flush();
                return "";
            case "check":
                ReadOnlySpan<byte> message = Inlet.Receive(awake: false);
                return Message.IsWhole(message) ? message.Length.ToString(CultureInfo.InvariantCulture)
                    : throw new InvalidDataException($"{message.Length:N0} bytes came, and not those that were sent");
            case "complete":
                Outlet.Complete();
                return "";
            case "call":
                return MeasurementLoops.Call(Outlet, Inlet, TimeSpan.FromMilliseconds(Number(1)), words[2] == "awake", Number(3));
            case "echo":
                return MeasurementLoops.Echo(Outlet, Inlet, words[1] == "awake");
            case "pour":
                return MeasurementLoops.Pour(Outlet, TimeSpan.FromMilliseconds(Number(1)), Number(2));
            case "drain":
                return MeasurementLoops.Drain(Inlet);
            case "wait":
                Inlet waiting = Inlet;
                waiting.Patience = TimeSpan.FromHours(1);
                new Thread(() => waiting.Receive(awake: false)) { IsBackground = true }.Start();
                return "";
            case "serve-sockets":
                _server = UdsServer.Start(new UdsServerOptions { SocketPath = words[1] });
                return "";
            default:
                throw new ArgumentException($"no such verb: {words[0]}");
        }
    }

    public void Dispose()
    {
        Close();
        _server?.Dispose();
    }

    private void Say(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        bytes.CopyTo(Outlet.Prepare(bytes.Length));
        Outlet.Send(bytes.Length);
        Outlet.Flush();
    }

    private string Hear(TimeSpan? timeout)
    {
        Inlet.Patience = timeout ?? TimeSpan.FromSeconds(20);
        return Encoding.UTF8.GetString(Inlet.Receive(awake: false));
    }

    private string Send(int count, int bytes)
    {
        for (int i = 0; i < count; i++)
        {
            Message.SetNumber(Outlet.Prepare(bytes), (uint)i);
            Outlet.Send(bytes);
        }

        Outlet.Flush();
        return Stopwatch.GetTimestamp().ToString(CultureInfo.InvariantCulture);
    }

    private string Take(int count, TimeSpan? timeout)
    {
        Inlet.Patience = timeout ?? TimeSpan.FromSeconds(20);
        int taken = 0;
        try
        {
            for (; taken < count; taken++)
            {
                uint number = Message.NumberOf(Inlet.Receive(awake: false));
                if (number != taken) throw new InvalidDataException($"message {taken:N0} came as {number:N0}");
            }
        }
        catch (Exception e) when (e is TimeoutException or EndOfStreamException)
        {
            // What did not come is the answer.
        }

        return string.Create(CultureInfo.InvariantCulture, $"{taken} {Stopwatch.GetTimestamp()}");
    }

    private void Close()
    {
        _outlet?.Dispose();
        _inlet?.Dispose();
        (_outlet, _inlet) = (null, null);
    }
}
