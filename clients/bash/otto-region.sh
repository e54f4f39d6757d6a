# shellcheck shell=bash
# otto-region.sh: a task's region in shared memory, read and written by bash alone. otto.sh loads it; its head says how to call it.
#
# docs/layouts.md says what the bytes mean. Reads and writes keep to the same steps as the library's, so that neither side sees
# half of what the other wrote, and a kill at any moment leaves the old value or the new one. Below, T is a text and [START, END) a
# value in it; W are the trailer's sixteen words, none where there is no trailer; AT is its place, SIZE the file's; fd the locked file.

otto_mmap_get() {
  local LC_ALL=C IFS=$' \t\n' _default='' _has_default='' _json='' _all='' _words=() task=${OTTO_TASK_NAME:-${OTTO_TASK:-}} status=0 REPLY
  local T='' START=0 END=0 LAST=0 MEMBERS=0
  _otto_options otto_mmap_get "$@" || return
  [[ -n $_all ]] || ((${#_words[@]} == 0)) || local key="${_words[${#_words[@]} - 1]}"
  case $_all${#_words[@]} in 10 | 1) ;; 11 | 2) task=${_words[0]} ;; *) _otto_say otto_mmap_get "needs [TASK] KEY, or [TASK] --all"; return 2 ;; esac
  _otto_region otto_mmap_get "$task" || status=$?
  ((status != 2)) || return 2
  ((status == 0)) || { _otto_missing otto_mmap_get "there is no region $REPLY" 3; return; }
  _otto_read otto_mmap_get "$REPLY" || return
  if [[ -n $_all ]]; then printf '%s\n' "$T"; return; fi
  _otto_find "$key" || { _otto_say otto_mmap_get "the region is damaged: it is not one JSON object"; return 1; }
  if ((END > START)); then _otto_print "${T:START:END-START}"; else _otto_missing otto_mmap_get "there is no key '$key'"; fi
}

otto_mmap_set() {
  local LC_ALL=C IFS=$' \t\n' T='' START=0 END=0 W=() AT=0 SIZE=0 task=${OTTO_TASK_NAME:-${OTTO_TASK:-}} key json path fd limit status=0 REPLY
  if (($# > 2)) && [[ $2 != --json-value && $2 != -- && $3 != --json-value ]] || (($# > 3)); then task=$1; shift; fi
  _otto_key otto_mmap_set "${1-}" '' || return
  key=$REPLY
  ((${#key} <= 250)) || { _otto_say otto_mmap_set "key of ${#key} bytes exceeds the limit of 250"; return 2; }
  _otto_value otto_mmap_set "${@:2}" || return
  json=$REPLY
  if [[ " ${*:2} " == *" --json-value "* ]] && ! jq -se 'length == 1' <<<"$json" >/dev/null 2>&1; then
    command -v jq >/dev/null || { _otto_say otto_mmap_set "needs jq to check that the value is JSON"; return 1; }
    _otto_say otto_mmap_set "the value is not JSON: ${json:0:80}"
    return 2
  fi
  _otto_limit otto_mmap_set || return
  limit=$REPLY
  command -v flock >/dev/null || { _otto_say otto_mmap_set "needs flock (util-linux)"; return 1; }
  _otto_region otto_mmap_set "$task" || status=$?
  ((status != 2)) || return 2
  path=$REPLY
  while true; do
    [[ -e $path || -L $path ]] || _otto_make "$path" || return
    _otto_trusted otto_mmap_set "$path" || return
    exec {fd}<>"$path" || return 4
    status=0
    if ! flock -w "$limit" "$fd"; then
      _otto_say otto_mmap_set "$path was locked by another for $limit s"
      status=124
    elif [[ $path -ef /dev/fd/$fd ]]; then
      _otto_change "$path" "$key" "$json" || status=$?
    else
      # Replaced by whoever had the lock.
      flock -u "$fd"
      exec {fd}>&-
      continue
    fi
    # Closing would not do where a trap has started a job meanwhile: that has the descriptor, and the lock, too.
    flock -u "$fd"
    exec {fd}>&-
    return "$status"
  done
}

# WHO TASK: a region's path, found as otto-mmap-read finds it; 1 where it would have to be made.
_otto_region() {
  local dir=${OTTO_MMAP_DIR:-/dev/shm} pid=${OTTO_PID:-} stat
  REPLY=${OTTO_MMAP_PATH:-}
  if [[ -z $REPLY ]]; then
    if [[ ! $2 =~ ^[A-Za-z0-9._-]{1,100}$ || $2 == . || $2 == .. ]]; then
      _otto_say "$1" "'$2' is no task: 1 to 100 letters, digits, '.', '_' or '-'; name it, or set OTTO_TASK_NAME"
      return 2
    fi
    [[ $pid =~ ^[0-9]*$ ]] || { _otto_say "$1" "OTTO_PID is not a pid: '$pid'"; return 2; }
    REPLY=$dir/otto-$pid-$2
    if [[ -z $pid ]]; then
      for ((pid = BASHPID; pid > 0; )); do
        REPLY=$dir/otto-$pid-$2
        [[ ! -e $REPLY && ! -L $REPLY ]] || return 0
        { read -r stat </proc/$pid/stat; } 2>/dev/null || break
        stat=${stat##*) } stat=${stat#* } pid=${stat%% *}
      done
      REPLY=$dir/otto-$$-$2
      return 1
    fi
  fi
  [[ -e $REPLY || -L $REPLY ]]
}

# WHO PATH: refuses what is not this user's own plain file.
_otto_trusted() {
  [[ -e $2 || -L $2 ]] || { _otto_say "$1" "there is no region $2"; return 3; }
  [[ ! -L $2 && -f $2 ]] || { _otto_say "$1" "denied: $2 is a link, or no plain file"; return 4; }
  [[ -O $2 && -r $2 ]] || { _otto_say "$1" "denied: $2 is another user's"; return 4; }
}

# FILE: reads the trailer.
_otto_trailer() {
  W=()
  SIZE=$(stat -L -c %s "$1") || return
  AT=$((SIZE / 64 * 64 - 64))
  ((AT >= 4)) || return 0
  W=($(od -An -v -tu4 --endian=little -j "$AT" -N 64 "$1"))
  ((${#W[@]} == 16 && W[0] == 0x4F54544F && W[1] == 0x314E4752)) || { W=(); return 0; }
  ((W[2] == 1 && W[6] >= 4 + W[5] && W[6] + 2 * (16 + W[5]) <= AT && W[10] == (W[8] ^ 0xFFFFFFFF) && W[11] == (W[9] ^ 0xFFFFFFFF)))
}

# FILE: reads the front into T. Its first four bytes are its length; bash reads a NUL only as a delimiter.
_otto_front() {
  local fd byte length=0 shift
  exec {fd}<"$1" || return
  for shift in 0 8 16 24; do
    IFS= read -r -d '' -n 1 -u "$fd" byte || break
    [[ -z $byte ]] || { printf -v byte %d "'$byte"; ((length |= (byte & 255) << shift, 1)); }
  done
  ((shift == 24 && length <= SIZE - 4)) && { IFS= read -r -d '' -N "$length" -u "$fd" T || true; }
  exec {fd}<&-
  ((shift == 24 && ${#T} == length))
}

# FILE GENERATION [TEXT]: reads a slot into T, if it holds that generation whole, by its checksum or because it is this text.
_otto_slot() {
  local at=$((W[6] + ($2 & 1) * (16 + W[5]))) head
  head=($(od -An -v -tu4 --endian=little -j "$at" -N 16 "$1"))
  ((${#head[@]} == 4 && (head[0] | head[1] << 32) == $2 && head[2] <= W[5])) || return 1
  T=$(dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip=$((at + 16)) count="${head[2]}" status=none; echo .)
  T=${T%.}
  if (($# == 3)); then [[ $T == "$3" ]]; return; fi
  _otto_slot_crc "$2" "$T"
  ((${#T} == head[2] && REPLY == head[3]))
}

# WHO PATH: reads what counts into T, without a lock at first; beside writers that never rest, with it.
_otto_read() {
  local W=() AT SIZE try before lock='' limit
  _otto_limit "$1" || return
  limit=$REPLY
  for ((try = 0; try < 30; try++)); do
    _otto_trusted "$1" "$2" || return
    if ((try == 4)) && command -v flock >/dev/null; then exec {lock}<"$2" && flock -s -w "$limit" "$lock" || true; fi
    ((try < 5)) || sleep 0.005
    _otto_trailer "$2" || continue
    before=${W[*]-}
    if ((${#W[@]} && W[8] & 1)); then
      _otto_slot "$2" $(((W[8] | W[9] << 32) >> 1)) || continue
    else
      _otto_front "$2" || continue
    fi
    ((${#W[@]} == 0)) || W=($(od -An -v -tu4 --endian=little -j "$AT" -N 64 "$2"))
    [[ ${W[*]-} == "$before" ]] || continue
    [[ -n $T ]] || T='{}'
    [[ $T =~ ^[[:space:]]*\{.*\}[[:space:]]*$ ]] || continue
    [[ -z $lock ]] || { flock -u "$lock"; exec {lock}<&-; }
    return 0
  done
  [[ -z $lock ]] || { flock -u "$lock"; exec {lock}<&-; }
  _otto_say "$1" "the region $2 is damaged, or written all the time by a program that takes no lock"
  return 1
}

# A place in T is P; PART is T from BASE on, as far as it was looked at. Bash copies a text to take a character from it, so the text is
# looked at in parts.
_otto_part() { ((P - BASE < ${#PART})) || { PART=${T:P:1000} BASE=$P; [[ -n $PART ]]; }; }

# The character at P.
_otto_char() { _otto_part; REPLY=${PART:P-BASE:1}; }

# Moves P to the next of the characters in $1.
_otto_seek() {
  local rest before
  while _otto_part; do
    rest=${PART:P-BASE} before=${rest%%[$1]*}
    ((P += ${#before}, ${#before} == ${#rest})) || return 0
  done
  return 1
}

# Moves P behind the string that begins there.
_otto_skip_string() {
  ((P += 1))
  while _otto_seek '"\\'; do
    _otto_char
    if [[ $REPLY == '"' ]]; then ((P += 1)); return 0; fi
    ((P += 2, ESCAPED = 1))
  done
  return 1
}

# Moves P behind the value that begins there.
_otto_skip_value() {
  local depth=0
  _otto_char
  case $REPLY in
    '"') _otto_skip_string; return ;;
    '{' | '[') ;;
    *) _otto_seek ',}'$' \t\r\n'; return ;;
  esac
  while _otto_seek '][{}"'; do
    _otto_char
    case $REPLY in
      '"') _otto_skip_string || return; continue ;;
      '{' | '[') ((depth += 1)) ;;
      *) ((depth -= 1, 1)) ;;
    esac
    ((P += 1))
    ((depth > 0)) || return 0
  done
  return 1
}

# Moves P behind white space; whether $1 stands there.
_otto_expect() {
  _otto_char
  while [[ $REPLY == [$' \t\r\n'] ]]; do ((P += 1)); _otto_char; done
  [[ $REPLY == "$1" ]]
}

# KEY: where its value stands in T, the last one's where there are several; START = END where it has none. LAST is where the object closes.
_otto_find() {
  local P=0 PART='' BASE=0 ESCAPED name wanted from
  START=0 END=0 MEMBERS=0
  _otto_string "$1" || return
  wanted=$REPLY
  _otto_expect '{' || return 1
  ((P += 1))
  while _otto_expect '"'; do
    from=$P ESCAPED=0 name=
    _otto_skip_string || return
    ((P - from != ${#wanted} && !ESCAPED)) || name=${T:from:P-from}
    # Another program may escape what need not be.
    if ((ESCAPED)) && [[ $name != "$wanted" ]]; then _otto_string "$(_otto_jq -r . <<<"$name")" || return; name=$REPLY; fi
    _otto_expect : || return 1
    ((P += 1))
    _otto_expect '' || from=$P
    _otto_skip_value || return
    ((MEMBERS += 1))
    [[ $name != "$wanted" ]] || START=$from END=$P
    _otto_expect , || break
    ((P += 1))
  done
  LAST=$P
  _otto_expect '}'
}

# PATH KEY JSON: sets a key, under the lock.
_otto_change() {
  local file=/dev/fd/$fd generation=0 last next LAST=0 MEMBERS=0
  _otto_trailer "$file" || { _otto_say otto_mmap_set "the region $1 is damaged: its trailer fails a check"; return 1; }
  if ((${#W[@]})); then
    generation=$(((W[8] | W[9] << 32) >> 1))
    if ((W[8] & 1)) && ! _otto_finish "$file" "$generation"; then
      _otto_say otto_mmap_set "the region $1 is damaged: its slot does not hold what was committed"
      return 1
    fi
  fi
  _otto_front "$file" || { _otto_say otto_mmap_set "the region $1 is damaged: its length cannot be right"; return 1; }
  last=$T
  [[ -n $T ]] || T='{}'
  _otto_find "$2" || { _otto_say otto_mmap_set "the region $1 is damaged: it is not one JSON object"; return 1; }
  if ((END > START)); then next=${T:0:START}$3${T:END}; else
    _otto_string "$2" || return
    ((MEMBERS == 0)) || REPLY=,$REPLY
    next=${T:0:LAST}$REPLY:$3${T:LAST}
  fi
  local limit=$((${#W[@]} ? W[4] : SIZE - 4))
  if ((${#next} > limit)); then
    _otto_say otto_mmap_set "the region $1 would need ${#next} bytes, it has $limit; nothing was changed"
    return 5
  fi
  if ((${#W[@]} && 4 + ${#last} <= W[6] && ${#last} <= W[5] && ${#next} <= W[5])); then
    # What a foreign program wrote becomes a generation of its own.
    if ! _otto_slot "$file" "$generation" "$last"; then
      _otto_put_slot $((++generation)) "$last" && _otto_put_state $((generation << 1)) || return 1
    fi
    _otto_put_slot $((++generation)) "$next" && _otto_put_state $((generation << 1 | 1)) || return 1
    _otto_put_front "$next" && _otto_put_state $((generation << 1)) || return 1
  else
    ((${#W[@]} == 0 || 4 + ${#last} > AT)) || _otto_put_state $((++generation << 1)) || return 1
    _otto_put_front "$next" || return 5
  fi
}

# FILE GENERATION: brings the front up to what a dead writer committed, unless a foreign program has written there since.
_otto_finish() {
  local old='' new='' front=() a=() b=() i whole=1 ours=1
  _otto_slot "$1" $(($2 - 1)) && old=$T || whole=0
  _otto_slot "$1" "$2" && new=$T || whole=2
  front=($(od -An -v -tu1 -N $((4 + (${#old} > ${#new} ? ${#old} : ${#new}))) "$1"))
  if ((whole != 1)); then ((4 + (front[0] | front[1] << 8 | front[2] << 16 | front[3] << 24) <= W[6])) || ours=0; else
    _otto_bytes ${#old} 4; a=($REPLY $(printf %s "$old" | od -An -v -tu1))
    _otto_bytes ${#new} 4; b=($REPLY $(printf %s "$new" | od -An -v -tu1))
    for ((i = 0; i < ${#a[@]}; i++)); do ((front[i] == a[i] || (i < ${#b[@]} && front[i] == ${b[i]:-256}))) || ours=0; done
  fi
  if ((ours)); then ((whole != 2)) && _otto_put_front "$new" || return 1; fi
  _otto_put_state $(($2 << 1))
}

# OFFSET: writes standard input there, in one call.
_otto_put() { dd of="/dev/fd/$fd" bs=16M iflag=fullblock oflag=seek_bytes seek="$1" conv=notrunc status=none 2>/dev/null; }

_otto_put_front() { { _otto_escaped "${#1}" 4; printf %s "$1"; } | _otto_put 0; }

_otto_put_state() { { _otto_escaped "$1" 8; _otto_escaped $((~$1)) 8; } | _otto_put $((AT + 32)); }

# GENERATION TEXT: the text first, then its header.
_otto_put_slot() {
  local at=$((W[6] + ($1 & 1) * (16 + W[5])))
  _otto_slot_crc "$1" "$2"
  printf %s "$2" | _otto_put $((at + 16)) && { _otto_escaped "$1" 8; _otto_escaped "${#2}" 4; _otto_escaped "$REPLY" 4; } | _otto_put "$at"
}

# NUMBER COUNT: its bytes, the lowest first, as numbers.
_otto_bytes() {
  local i
  REPLY=
  for ((i = 0; i < $2; i++)); do REPLY+="$((($1 >> 8 * i) & 255)) "; done
}

# NUMBER COUNT: prints its bytes.
_otto_escaped() {
  local REPLY text=
  _otto_bytes "$1" "$2"
  printf -v text '\\x%02x' $REPLY
  printf "$text"
}

# GENERATION TEXT: the checksum of a slot.
_otto_slot_crc() {
  local bytes
  _otto_bytes "$1" 8; bytes=$REPLY
  _otto_bytes "${#2}" 4; bytes+=$REPLY
  _otto_crc $bytes $(printf %s "$2" | od -An -v -tu1)
}

# BYTE...: their CRC-32C.
_otto_crc() {
  local crc=0xFFFFFFFF byte i bit
  if [[ -z ${_otto_table:-} ]]; then
    for ((i = 0; i < 256; i++)); do
      for ((byte = i, bit = 0; bit < 8; bit++)); do ((byte = byte & 1 ? byte >> 1 ^ 0x82F63B78 : byte >> 1, 1)); done
      _otto_table[i]=$byte
    done
  fi
  for byte; do ((crc = crc >> 8 ^ _otto_table[(crc ^ byte) & 255], 1)); done
  REPLY=$((crc ^ 0xFFFFFFFF))
}

# PATH: makes a region that holds {}, as otto-mmap-write does by default: 64 KiB of JSON. Another may be quicker.
_otto_make() {
  local LC_ALL=C IFS=$' \t\n' fd W=(1330926671 827213650 1 0 65536 65536 65600) AT=200640 new=$1.new.$BASHPID word bytes= status=0
  [[ -d ${1%/*} ]] || { _otto_say otto_mmap_set "the directory ${1%/*} does not exist; make it, or name another in OTTO_MMAP_DIR"; return 1; }
  if ! (umask 077; set -o noclobber; head -c 200704 /dev/zero >"$new") 2>/dev/null; then
    rm -f "$new"
    _otto_say otto_mmap_set "cannot make $1: needs 200704 bytes there"
    return 5
  fi
  exec {fd}<>"$new"
  for word in "${W[@]}"; do _otto_bytes "$word" 4; bytes+=$REPLY; done
  _otto_crc $bytes
  { for word in "${W[@]}" "$REPLY"; do _otto_escaped "$word" 4; done; } | _otto_put "$AT" &&
    _otto_put_state 0 && _otto_put_slot 0 '{}' && _otto_put_front '{}' || status=1
  exec {fd}>&-
  # A link fails where somebody has made it meanwhile: then that one counts.
  ((status)) || ln "$new" "$1" 2>/dev/null || [[ -e $1 ]] || status=1
  rm -f "$new"
  return "$status"
}
