using OttoWorker;

// From a shell: echo '{"Name":"world"}' | otto queue send greetings --as json
// From a program: queue.AddProducer<Greeting>(), then ITaskQueue.EnqueueAsync(new Greeting("world")).

HostApplicationBuilder builder = Host.CreateApplicationBuilder(args);
builder.Services.AddOttoQueue(builder.Configuration.GetSection("Otto:Queue")).AddHandler<GreetingHandler>();
await builder.Build().RunAsync();
