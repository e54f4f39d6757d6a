using OttoWorker;

// From a shell: echo '{"Name":"world"}' | otto queue send greetings --as json
// From a program: queue.Send<Greeting>("greetings"), then ITaskQueue.EnqueueAsync(new Greeting("world")).

HostApplicationBuilder builder = Host.CreateApplicationBuilder(args);
builder.Services.AddOttoQueue(builder.Configuration.GetSection("Otto:Queue"),
    static queue => queue.AddHandler<Greeting, GreetingHandler>("greetings"));
await builder.Build().RunAsync();
