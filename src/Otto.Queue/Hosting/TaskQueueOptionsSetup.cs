using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Otto.Queue;

// The options of a hosted queue: a section of the configuration over what code said, then the checks.

/// <summary>Applies a section after all code has added its tasks and routes.</summary>
internal sealed class TaskQueueSection(IConfiguration configuration) : IPostConfigureOptions<TaskQueueOptions>
{
    public void PostConfigure(string? name, TaskQueueOptions options)
    {
        try
        {
            TaskQueueConfiguration.Apply(options, configuration);
        }
        catch (ArgumentException e)
        {
            throw new OptionsValidationException(name ?? "", typeof(TaskQueueOptions), [e.Message]);
        }
    }
}

internal sealed class TaskQueueOptionsValidator : IValidateOptions<TaskQueueOptions>
{
    public ValidateOptionsResult Validate(string? name, TaskQueueOptions options)
    {
        try
        {
            options.MakeReadOnly();
            return ValidateOptionsResult.Success;
        }
        catch (ArgumentException e)
        {
            return ValidateOptionsResult.Fail(e.Message);
        }
    }
}
