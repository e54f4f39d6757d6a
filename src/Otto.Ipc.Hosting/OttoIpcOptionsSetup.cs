using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Otto.Ipc.Hosting;

// The options of one transport, by name: a section of the configuration over what code said, then the check.

/// <summary>Applies a section after all code has set options.</summary>
internal sealed class OttoIpcSection(string of, IConfiguration configuration) : IPostConfigureOptions<OttoIpcOptions>
{
    public void PostConfigure(string? name, OttoIpcOptions options)
    {
        if (name != of) return;
        try
        {
            IpcConfiguration.Apply(options, configuration);
        }
        catch (ArgumentException e)
        {
            throw new OptionsValidationException(of, typeof(OttoIpcOptions), [e.Message]);
        }
    }
}

/// <summary>Opens the transport once, to see whether its options name one.</summary>
internal sealed class OttoIpcOptionsValidator(string of, Func<OttoIpcOptions, ITransport> open) : IValidateOptions<OttoIpcOptions>
{
    public ValidateOptionsResult Validate(string? name, OttoIpcOptions options)
    {
        if (name != of) return ValidateOptionsResult.Skip;
        try
        {
            _ = open(options);
            return ValidateOptionsResult.Success;
        }
        catch (ArgumentException e)
        {
            return ValidateOptionsResult.Fail(e.Message);
        }
    }
}
