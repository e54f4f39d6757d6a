# shellcheck shell=bash
# otto.sh: Otto.Ipc for bash scripts, without starting .NET. Source it:   . otto.sh
#
#   otto_set KEY VALUE                    sets <task>.KEY to VALUE, a string; --json-value JSON instead of VALUE for any JSON;
#                                         - instead of either, or nothing, reads standard input (less one newline at its end)
#   otto_get KEY [--default V] [--json]   prints a value: a string without its quotes (with --json as JSON), all else as JSON
#   otto_list [GLOB]                      prints the keys that match, one a line
#   otto_del KEY                          removes a key; code 1 where there was none
#   otto_progress CURRENT [TOTAL [TEXT]]  says how far this task is; without a socket it says nothing and is done; the last
#                                         one, CURRENT of CURRENT, waits for a server that is busy or starting, else code 3
#   otto_mmap_get [TASK] KEY [--default V] [--json]     prints a key of a task's region in shared memory; --all: the whole region
#   otto_mmap_set [TASK] KEY VALUE        sets a key there, and makes the region where there is none; VALUE as for otto_set
#
# otto_set alone puts the task's name in front of the key; the others take whole keys, since a task reads what others have set.
#
# Exit codes: 0 done; 1 not found or failed; 2 usage; 3 no server or no region; 4 denied; 5 too big, full or busy; 124 timed out.
# Words go to standard error, data to standard output. Nothing here waits for longer than OTTO_TIMEOUT seconds.
#
# From the environment: OTTO_SOCKET (else $XDG_RUNTIME_DIR/otto/otto.sock, else /tmp/otto-<uid>/otto.sock); OTTO_TASK_NAME, or
# OTTO_TASK; OTTO_TIMEOUT (default 10); OTTO_NETCAT (nc or socat; else whichever can); for regions OTTO_MMAP_PATH, OTTO_MMAP_DIR
# and OTTO_PID, as otto-mmap-read has them.
#
# Needs bash 4.2, coreutils, nc (one that knows -U) or socat, jq where a value has escapes that bash cannot take apart, and
# flock (util-linux) for otto_mmap_set.

otto_set() {
  local key json REPLY REPLIES=()
  _otto_key otto_set "${1-}" "${OTTO_TASK_NAME:-${OTTO_TASK:-}}" || return
  key=$REPLY
  _otto_value otto_set "${@:2}" || return
  json=$REPLY
  _otto_ask otto_set "SET $key $json"
}

otto_get() {
  local _key='' _default _has_default='' _json='' _all='' _words=() REPLY REPLIES=()
  _otto_options otto_get "$@" || return
  ((${#_words[@]} == 1)) && [[ -z $_all ]] || { _otto_say otto_get "needs one key"; return 2; }
  _otto_key otto_get "${_words[0]}" '' || return
  _otto_ask otto_get "EXISTS $REPLY" "GET $REPLY" || return
  if [[ ${REPLIES[0]} == true ]]; then
    _otto_print "${REPLIES[1]}"
  else
    _otto_missing otto_get "there is no key '${_words[0]}'"
  fi
}

otto_list() {
  local REPLY REPLIES=() keys
  (($# <= 1)) || { _otto_say otto_list "needs one pattern at most"; return 2; }
  _otto_key otto_list "${1:-*}" '' || return
  _otto_ask otto_list "LIST $REPLY" || return
  keys=${REPLIES[0]}
  [[ $keys == '[]' ]] && return 0
  # Quotes inside a key are escaped, so what stands between two keys stands nowhere else.
  if [[ $keys == *\\* || $keys != '["'*'"]' ]]; then _otto_jq -r '.[]' <<<"$keys"; else
    keys=${keys#'["'} keys=${keys%'"]'}
    printf '%s\n' "${keys//'","'/$'\n'}"
  fi
}

otto_del() {
  local REPLY REPLIES=()
  (($# == 1)) || { _otto_say otto_del "needs one key"; return 2; }
  _otto_key otto_del "$1" '' || return
  _otto_ask otto_del "EXISTS $REPLY" "DELETE $REPLY" || return
  [[ ${REPLIES[0]} == true ]] || { _otto_say otto_del "there is no key '$1'"; return 1; }
}

otto_progress() {
  local REPLY REPLIES=() final='' end socket limit task=${OTTO_TASK_NAME:-${OTTO_TASK:-}} text words number='^-?[0-9]+([.][0-9]+)?$' status=0
  [[ ${1-} =~ $number && ( ${2:--} == - || ${2-} =~ $number ) ]] || { _otto_say otto_progress "needs a number, and the total or -: '${1-}' '${2-}'"; return 2; }
  _otto_socket
  socket=$REPLY
  [[ -S $socket || -e $socket.lock ]] || return 0
  _otto_limit otto_progress || return
  limit=$REPLY
  _otto_key otto_progress "$task" '' || { _otto_say otto_progress "name the task in OTTO_TASK_NAME"; return 2; }
  text="${*:3}"
  # The last update is what people look at: a server that is busy, or starting, is waited for as long as an answer is.
  [[ $1 == "${2:--}" || ( $1 =~ ^[0-9]+$ && ${2-} =~ ^[0-9]+$ && 10#$1 -ge 10#$2 ) ]] && final=1
  limit=${limit%.*} end=$((SECONDS + ${limit:-0} + 1))
  while words=$(_otto_ask otto_progress "PROGRESS $task $1 ${2:--} ${text//[$'\r\n']/ }" 2>&1) && status=0 || status=$?
    [[ -n $final && ( $status == 3 || $status == 5 ) ]] && ((SECONDS < end)); do
    read -rt 0.1 <> <(:) || :
  done
  [[ $status != 0 && ( $status != 3 || -n $final ) ]] || return 0
  printf '%s\n' "$words" >&2
  return "$status"
}

# Everything below is internal. Functions answer in REPLY, which is local to each function above: a trap may call one in the middle of another.

_otto_say() { printf '%s: %s\n' "$1" "$2" >&2; }

_otto_socket() {
  REPLY=${OTTO_SOCKET:-}
  [[ -n $REPLY ]] || REPLY=${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/otto/otto.sock}
  [[ -n $REPLY ]] || REPLY=/tmp/otto-$EUID/otto.sock
}

# WHO KEY TASK: the key, behind the task's name where there is one. A line break in it would be a second command.
_otto_key() {
  local LC_ALL=C
  REPLY=${3:+$3.}$2
  [[ -n $2 ]] || { _otto_say "$1" "a key is empty; use 1 to 250 bytes"; return 2; }
  [[ ! $REPLY =~ [[:space:][:cntrl:]] ]] || { _otto_say "$1" "white space and control characters cannot stand in a key: '$REPLY'"; return 2; }
  # A store's name and its dot in front do not count.
  local store=${REPLY:0:101}
  [[ ${#REPLY} -gt 250 && ${store%.*} =~ ^[A-Za-z0-9._-]+$ && $store == *.* ]] && store=${store%.*}. || store=
  ((${#REPLY} - ${#store} <= 250)) || { _otto_say "$1" "key of ${#REPLY} bytes exceeds the limit of 250"; return 2; }
}

# WHO [VALUE | --json-value [JSON] | -]: the value as JSON on one line.
_otto_value() {
  local who=$1 json='' given=''
  shift
  if [[ ${2-} == --json-value ]]; then set -- "$2" "$1"; fi
  if [[ ${1-} == --json-value ]]; then json=json; shift; fi
  if [[ ${1-} == -- ]]; then given=given; shift; elif [[ $# -gt 0 && $1 != - ]]; then given=given; fi
  if (($# > 1)) || [[ $# == 0 && -n $given ]]; then _otto_say "$who" "needs one value; put it in quotes"; return 2; fi
  if [[ -z $given && -t 0 ]]; then _otto_say "$who" "needs a value"; return 2; fi
  case $given$json in
    given) _otto_string "$1"; return ;;
    '') REPLY=$(_otto_jq -Rs 'rtrimstr("\n") | rtrimstr("\r")') || return 1; return ;;
    givenjson) REPLY=$1 ;;
    json) REPLY=$(cat) ;;
  esac
  # Strings hold no raw line breaks, so these stand between tokens.
  [[ $REPLY != *[$'\r\n']* ]] || REPLY=$(tr '\r\n' '  ' <<<"$REPLY")
  [[ $REPLY =~ [^[:space:]] ]] || { _otto_say "$who" "the value is not JSON: it is empty"; return 2; }
}

# WORDS...: runs jq, whose own exit codes mean other things than ours.
_otto_jq() {
  jq "$@" && return
  if command -v jq >/dev/null; then _otto_say otto.sh "jq cannot read the value"; else _otto_say otto.sh "needs jq for this value"; fi
  return 1
}

# TEXT: as a JSON string. Bash takes long texts apart slowly, so jq does it then.
_otto_string() {
  local text=$1 i code LC_ALL=C
  if ((${#text} > 5000)); then REPLY=$(printf %s "$text" | _otto_jq -Rs .) || return 1; return; fi
  text=${text//\\/\\\\} text=${text//\"/\\\"}
  if [[ $text =~ [[:cntrl:]] ]]; then
    text=${text//$'\n'/\\n} text=${text//$'\t'/\\t} text=${text//$'\r'/\\r}
    for ((i = 1; i < 32; i++)); do
      printf -v code '\\x%02x' "$i"
      printf -v code '%b' "$code"
      [[ $text != *"$code"* ]] || printf -v text '%s' "${text//"$code"/$(printf '\\u%04x' "$i")}"
    done
  fi
  REPLY="\"$text\""
}

# Takes the options of the reading functions apart, into their variables.
_otto_options() {
  local who=$1
  shift
  while (($#)); do
    case $1 in
      --default) (($# > 1)) || { _otto_say "$who" "--default needs a value"; return 2; }; _has_default=1 _default=$2; shift ;;
      --json) _json=1 ;;
      --all) _all=1 ;;
      --*) _otto_say "$who" "unknown option '$1'"; return 2 ;;
      *) _words+=("$1") ;;
    esac
    shift
  done
}

# WHO WORDS [CODE]: prints the default, or says what is missing.
_otto_missing() {
  if [[ -n $_has_default ]]; then printf '%s\n' "$_default"; else _otto_say "$1" "$2"; return "${3:-1}"; fi
}

# JSON: prints a value as the caller's options want it.
_otto_print() {
  local text=$1
  if [[ -z $_json && $text == \"*\" ]]; then
    text=${text:1:${#text}-2}
    if [[ $text == *\\* && ($text == *\\[u/]* || ${#text} -gt 5000) ]]; then _otto_jq -r . <<<"$1"; return; fi
    # A quote inside is always an escaped one; %b knows it as \x22 only.
    [[ $text != *\\* ]] || printf -v text '%b' "${text//\\\"/\\x22}"
  fi
  printf '%s\n' "$text"
}

# WHO: how long to wait at most. Not 0, which to timeout means for ever.
_otto_limit() {
  REPLY=${OTTO_TIMEOUT:-10}
  [[ $REPLY =~ ^[0-9]*[.]?[0-9]+$ && $REPLY =~ [1-9] ]] || { _otto_say "$1" "OTTO_TIMEOUT is no number of seconds: '$REPLY'"; return 2; }
}

# WHO LINE...: sends commands, and leaves the answers in REPLIES. QUIT makes the server close, so that every netcat ends.
_otto_ask() {
  local who=$1 socket answer status=0 limit command
  shift
  _otto_limit "$who" || return
  limit=$REPLY
  _otto_socket
  socket=$REPLY
  [[ -S $socket ]] || { _otto_say "$who" "no server: there is no socket $socket; start one with otto serve, or name it in OTTO_SOCKET"; return 3; }
  # Another user's server would be handed what is set, and could answer anything; the system's own is trusted, others where that is said.
  [[ -w $socket && ( -O $socket || ${OTTO_SOCKET_TRUST_OWNER-} == 1 || $(stat -Lc %u -- "$socket") == 0 ) ]] || { _otto_say "$who" "denied: $socket is another user's"; return 4; }
  [[ -n ${_otto_via:=${OTTO_NETCAT:-}} ]] || _otto_via=$(_otto_netcat)
  case ${OTTO_NETCAT:-$_otto_via} in
    nc) command=(nc -U "$socket") ;;
    socat) command=(socat -t 86400 - "UNIX-CONNECT:$socket") ;;
    *) _otto_say "$who" "needs nc (netcat-openbsd) or socat"; return 1 ;;
  esac
  answer=$(printf '%s\n' "$@" QUIT 2>/dev/null | timeout --foreground -k 1 "$limit" "${command[@]}" 2>/dev/null) || status=$?
  mapfile -t REPLIES <<<"$answer"
  ((status != 124 && status != 137)) || { _otto_say "$who" "$socket did not answer within $limit s"; return 124; }
  [[ -n $answer ]] || { _otto_say "$who" "no server answers at $socket"; return 3; }
  for answer in "${REPLIES[@]}"; do
    [[ $answer == "ERROR: "* ]] || continue
    _otto_say "$who" "${answer#ERROR: }"
    case ${answer#ERROR: } in BADCMD* | BADKEY* | BADJSON*) return 2 ;; DENIED*) return 4 ;; TOOBIG* | BUSY*) return 5 ;; *) return 1 ;; esac
  done
  ((${#REPLIES[@]} > $#)) || { _otto_say "$who" "the server closed in the middle of its answer"; return 1; }
}

_otto_netcat() {
  # The traditional netcat has no -U.
  local help
  if help=$(nc -h 2>&1 || true) && [[ $help == *-*U* && $help == *[Uu][Nn][Ii][Xx]* ]]; then echo nc; elif command -v socat >/dev/null; then echo socat; fi
}

# Regions have a file of their own beside this one. (Found in the current directory, this file's name has no directory.)
_otto_beside=./${BASH_SOURCE[0]}
[[ ${BASH_SOURCE[0]} != /* ]] || _otto_beside=${BASH_SOURCE[0]}
if [[ -r ${_otto_beside%/*}/otto-region.sh ]]; then
  . "${_otto_beside%/*}/otto-region.sh"
else
  otto_mmap_get() { _otto_say "${FUNCNAME[0]}" "needs otto-region.sh beside otto.sh"; return 1; }
  otto_mmap_set() { _otto_say "${FUNCNAME[0]}" "needs otto-region.sh beside otto.sh"; return 1; }
fi
