# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_flux_global_optspecs
    string join \n h/help V/version
end

function __fish_flux_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_flux_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_flux_using_subcommand
    set -l cmd (__fish_flux_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c flux -n "__fish_flux_needs_command" -s h -l help -d 'Print help'
complete -c flux -n "__fish_flux_needs_command" -s V -l version -d 'Print version'
complete -c flux -n "__fish_flux_needs_command" -f -a "ask" -d 'Answer a prompt over the given context, using tools, and print the answer'
complete -c flux -n "__fish_flux_needs_command" -f -a "transcript" -d 'Show, check, export and count transcripts'
complete -c flux -n "__fish_flux_needs_command" -f -a "models" -d 'List the models flux knows: window, output limit, price, wire'
complete -c flux -n "__fish_flux_needs_command" -f -a "completions" -d 'Print the completions for a shell'
complete -c flux -n "__fish_flux_needs_command" -f -a "help" -d 'Print help on flux or on a topic'
complete -c flux -n "__fish_flux_using_subcommand ask" -s f -l file -d 'A file as context (repeatable; \'-\' is stdin); images and PDF by their content' -r -F
complete -c flux -n "__fish_flux_using_subcommand ask" -s s -l system -d 'Text added to flux\'s own short system prompt' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l system-file -d 'A file added to the system prompt' -r -F
complete -c flux -n "__fish_flux_using_subcommand ask" -l prompt-file -d 'A file that holds the prompt; words typed follow it' -r -F
complete -c flux -n "__fish_flux_using_subcommand ask" -s c -l session -d 'Continue the conversation in FILE, or start one there; what is said is appended' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l max-input -d 'The most input to take [default: 64M; 0: no limit]' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l stdin-timeout -d 'Fail if stdin has not ended after this time' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -s o -l output -d 'Write the answer to FILE, atomically and only on success' -r -F
complete -c flux -n "__fish_flux_using_subcommand ask" -l format -d 'The form of stdout' -r -f -a "text\t'The answer'
json\t'The result object: answer, usage, cost'
jsonl\t'The transcript, line by line as it happens'"
complete -c flux -n "__fish_flux_using_subcommand ask" -l transcript -d 'Append the transcript to FILE (\'fd:N\' an open descriptor, \'-\' stdout with --format jsonl)' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l color -d 'Colour on stderr [default: auto]' -r -f -a "auto\t'At a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c flux -n "__fish_flux_using_subcommand ask" -l schema -d 'Print one JSON value in one line, valid against a JSON Schema: a FILE (with a \'.\' or \'/\' in its name), the schema itself, or fields: \'service, n int\' is an object, in […] a list of them (types: string, int, number, bool); \'{}\' is any JSON' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l choice -d 'Print one of these words: bug,feature,question' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l prepend-to -d 'As --output, but above what FILE holds already' -r -F
complete -c flux -n "__fish_flux_using_subcommand ask" -s m -l model -d 'PROVIDER/MODEL, MODEL, PROVIDER, or \'local\' (\'flux models\' lists them)' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l base-url -d 'The base URL of a server that speaks one of the wires' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l wire -d 'What the server at --base-url speaks [default: openai-chat]' -r -f -a "anthropic\t''
openai-responses\t''
openai-chat\t''"
complete -c flux -n "__fish_flux_using_subcommand ask" -l effort -d 'How hard the model thinks' -r -f -a "none\t''
minimal\t''
low\t''
medium\t''
high\t''
xhigh\t''
max\t''"
complete -c flux -n "__fish_flux_using_subcommand ask" -l temperature -d 'The sampling temperature' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l seed -d 'The sampling seed' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l param -d 'A further field of the request (repeatable)' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l max-context -d 'The model\'s window in tokens' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l api-key-cmd -d 'A command that prints the key' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l api-key-file -d 'A file that holds the key' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l api-key-env -d 'The variable that holds the key' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l header -d 'A further header (repeatable; never a key)' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l ca-file -d 'Trust the certificates in this file alone' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l retries -d 'Attempts after the first [default: 4]' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l rpm -d 'Requests a minute at most, evenly spaced, over all runs with the same key (they share `$XDG_RUNTIME_DIR`)' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l tpm -d 'Tokens a minute at most, over all runs with the same key' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l idle-timeout -d 'The most time without a byte [default: 300s]' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l allow -d 'Grant something more (repeatable): \'write\' to change files, \'write:GLOB\' only some; \'run:PROGRAM **\' to run a program, \'shell\' any; \'net\', \'env:NAME\' for programs; \'read:PATH\' a file that is named as secrets are, or another place. \'flux help permissions\' says what they mean' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l deny -d 'Forbid something: the same words, with less or no pattern for more (\'run\', \'write\', \'read\'); outweighs every grant (repeatable)' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l on-deny -d 'What a denied call does: the model goes on, or the run ends with exit 84 [default: continue]' -r -f -a "continue\t'The model is told, and goes on'
fail\t'The run ends with exit 84'"
complete -c flux -n "__fish_flux_using_subcommand ask" -l tool -d 'Offer an executable as a tool (repeatable); \'trusted:PATH\' runs it outside the sandbox' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l sandbox -d 'How programs are confined [default: auto]' -r -f -a "auto\t'As well as this system can: never without'
strict\t'With namespaces, or the run ends with exit 85'
off\t'Not at all'"
complete -c flux -n "__fish_flux_using_subcommand ask" -l root -d 'The directory beneath which files may be used [default: the working directory]' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l timeout -d 'The most time for the whole run' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l max-turns -d 'The most requests [default: 50; 0: no limit]' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l max-tool-calls -d 'The most tool calls [default: 200; 0: no limit]' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l max-tokens -d 'The most tokens of one reply' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l max-run-tokens -d 'The most tokens of the whole run, input and output' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -l max-cost -d 'The most that the run may cost, in US dollars' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -s p -l profile -d 'Add the flags of a profile, `$XDG_CONFIG_HOME/flux/profiles/NAME`' -r
complete -c flux -n "__fish_flux_using_subcommand ask" -s n -l no-stdin -d 'Leave stdin alone'
complete -c flux -n "__fish_flux_using_subcommand ask" -l stdin -d 'Undo --no-stdin'
complete -c flux -n "__fish_flux_using_subcommand ask" -l bare-system -d 'Send the user\'s system prompt alone'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-bare-system -d 'Undo --bare-system'
complete -c flux -n "__fish_flux_using_subcommand ask" -l stream -d 'Write the text of every turn as it arrives (the default at a terminal)'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-stream -d 'Write the finished answer in one go (the default in a pipe)'
complete -c flux -n "__fish_flux_using_subcommand ask" -l partial -d 'Print what there is when a limit ends the run'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-partial -d 'Undo --partial'
complete -c flux -n "__fish_flux_using_subcommand ask" -l json -d 'Short for --format json'
complete -c flux -n "__fish_flux_using_subcommand ask" -l jsonl -d 'Short for --format jsonl'
complete -c flux -n "__fish_flux_using_subcommand ask" -s q -l quiet -d 'Say nothing but errors on stderr'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-quiet -d 'Undo --quiet'
complete -c flux -n "__fish_flux_using_subcommand ask" -s v -l verbose -d 'A line on stderr per request and tool call, totals at the end'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-verbose -d 'Undo --verbose'
complete -c flux -n "__fish_flux_using_subcommand ask" -l debug -d 'Print the state of the conversation before each request'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-debug -d 'Undo --debug'
complete -c flux -n "__fish_flux_using_subcommand ask" -s x -l extract -d 'Print only the first code block of the answer, without its fence'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-extract -d 'Undo --extract'
complete -c flux -n "__fish_flux_using_subcommand ask" -l check -d 'Answer yes or no: exit 0 or 1, anything else is above 1; the reason goes to stdout, with -q nowhere'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-check -d 'Undo --check'
complete -c flux -n "__fish_flux_using_subcommand ask" -l fail-open -d 'With --output or --prepend-to: on any failure but wrong usage leave FILE alone and exit 0, so that a hook blocks nothing. `FLUX_DISABLE=1` in the environment does that at once'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-fail-open -d 'Undo --fail-open'
complete -c flux -n "__fish_flux_using_subcommand ask" -l dry-run -d 'Print what would be sent, to whom, what it may cost and what the model may do; send nothing'
complete -c flux -n "__fish_flux_using_subcommand ask" -l allow-http -d 'Allow plain http to other hosts than this one'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-allow-http -d 'Undo --allow-http'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-shared-limits -d 'Do not share what is known of rate limits with other runs'
complete -c flux -n "__fish_flux_using_subcommand ask" -l shared-limits -d 'Undo --no-shared-limits'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-tools -d 'Offer no tools: pure completion, right for untrusted input whose answer is published'
complete -c flux -n "__fish_flux_using_subcommand ask" -l tools -d 'Undo --no-tools'
complete -c flux -n "__fish_flux_using_subcommand ask" -l list-tools -d 'List the tools that the model would be offered and why others are not; those of --tool describe themselves'
complete -c flux -n "__fish_flux_using_subcommand ask" -l no-config -d 'Do not read `$XDG_CONFIG_HOME/flux/config`'
complete -c flux -n "__fish_flux_using_subcommand ask" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flux -n "__fish_flux_using_subcommand transcript; and not __fish_seen_subcommand_from show validate schema export stats report" -s h -l help -d 'Print help'
complete -c flux -n "__fish_flux_using_subcommand transcript; and not __fish_seen_subcommand_from show validate schema export stats report" -f -a "show" -d 'Print transcripts for people'
complete -c flux -n "__fish_flux_using_subcommand transcript; and not __fish_seen_subcommand_from show validate schema export stats report" -f -a "validate" -d 'Hold transcripts against the format: every problem with file and line, exit 65 if there is one'
complete -c flux -n "__fish_flux_using_subcommand transcript; and not __fish_seen_subcommand_from show validate schema export stats report" -f -a "schema" -d 'Print the JSON Schema of a line'
complete -c flux -n "__fish_flux_using_subcommand transcript; and not __fish_seen_subcommand_from show validate schema export stats report" -f -a "export" -d 'Print the conversations in a format that other programs read, a line of JSON a run'
complete -c flux -n "__fish_flux_using_subcommand transcript; and not __fish_seen_subcommand_from show validate schema export stats report" -f -a "stats" -d 'Count runs, tokens, cost, tool calls, errors and times'
complete -c flux -n "__fish_flux_using_subcommand transcript; and not __fish_seen_subcommand_from show validate schema export stats report" -f -a "report" -d 'Print a page of HTML that shows what happened and when, and needs nothing else'
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from show" -l color -d 'Colour on stdout [default: auto]' -r -f -a "auto\t'At a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from show" -l full -d 'Print long texts whole'
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from validate" -s h -l help -d 'Print help'
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from export" -l to -d 'The format' -r -f -a "openai\t'Messages as OpenAI\'s fine-tuning takes them'
hf\t'Messages as TRL and the datasets of Hugging Face have them'
atif\t'Trajectories of the Agent Trajectory Interchange Format, ATIF-v1.7'"
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from stats" -l json -d 'Print one JSON object'
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from stats" -s h -l help -d 'Print help'
complete -c flux -n "__fish_flux_using_subcommand transcript; and __fish_seen_subcommand_from report" -s h -l help -d 'Print help'
complete -c flux -n "__fish_flux_using_subcommand models" -s h -l help -d 'Print help'
complete -c flux -n "__fish_flux_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c flux -n "__fish_flux_using_subcommand help" -s h -l help -d 'Print help'
