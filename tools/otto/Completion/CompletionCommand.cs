using System.CommandLine;

namespace Otto.Tools.Completion;

// otto completion: the script by which a shell asks this program how a line may go on.

internal static class CompletionCommand
{
    // $1 is the program as it was typed. Bash splits a word at ':' and '=', so what stands before the part that it replaces
    // is cut off each answer.
    private const string Bash =
        """
        # Completion of otto for bash. In ~/.bashrc: source <(otto completion bash)
        _otto() {
          local line=${COMP_LINE:0:COMP_POINT} word answer
          word=${line##*[[:blank:]]}
          COMPREPLY=()
          while IFS= read -r answer; do
            printf -v answer %q "$answer"
            COMPREPLY+=("${answer#"${word%"$2"}"}")
          done < <("$1" "[suggest:${#line}]" "$line" 2>/dev/null)
          [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *: ]] || compopt -o nospace
        }
        complete -o default -F _otto otto
        """;

    private const string Zsh =
        """
        #compdef otto
        # Completion of otto for zsh. In ~/.zshrc, after compinit: source <(otto completion zsh)
        _otto() {
          local line="${(j: :)words[1,CURRENT-1]} $PREFIX"
          local -a answers
          answers=(${(f)"$("${words[1]}" "[suggest:${#line}]" "$line" 2>/dev/null)"})
          if (( $#answers )); then compadd -a answers; else _files; fi
        }
        if [[ ${funcstack[1]:-} == _otto ]]; then _otto "$@"; else compdef _otto otto; fi
        """;

    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = "bash or zsh." };
        var command = new Command(
            "completion",
            """
            Prints a script for a shell, so that Tab completes commands, options, and the names of queues, channels and keys.
            Finding names takes at most 200 ms, then Tab shows none; OTTO_COMPLETION_MS sets another limit in milliseconds.

            Example:
              source <(otto completion bash)
            """) { shell };
        command.SetAction(parsed =>
        {
            Console.WriteLine(parsed.GetValue(shell) switch
            {
                "bash" => Bash,
                "zsh" => Zsh,
                var other => throw new ArgumentException($"SHELL must be bash or zsh: '{other}'"),
            });
            return ExitCode.Done;
        });
        return command;
    }
}
