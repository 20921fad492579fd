#!/usr/bin/env bash
# What the pipeline scripts share: words on standard error, outputs, running gridkey, and requests to the API of
# GitHub or GitLab. It is sourced, not run. A token is only ever handed to curl on standard input.
#
# Variables that every script knows; docs/pipelines.md has the whole list.
#   GRIDKEY_BIN         the program                          [gridkey]
#   GRIDKEY_OUT         the folder for what a run writes     [gridkey-plan]
#   GRIDKEY_COMMENT_ID  names a comment and its plan file    [plan]
#   GRIDKEY_MANIFEST, GRIDKEY_ENV, GRIDKEY_POLICY            read by gridkey itself; empty is as good as unset
set -euo pipefail

GRIDKEY_OUT=${GRIDKEY_OUT:-gridkey-plan}
comment_id=${GRIDKEY_COMMENT_ID:-plan}

say() { printf 'gridkey pipeline: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# The id stands in a hidden Markdown comment and in the name of an artefact.
check_comment_id() {
    case $comment_id in
        *[!A-Za-z0-9._-]* | *--*) fail "GRIDKEY_COMMENT_ID may have letters, digits, \`.\`, \`_\` and single \`-\`" ;;
    esac
    [ "${#comment_id}" -le 100 ] || fail "GRIDKEY_COMMENT_ID is longer than 100 characters"
}
check_comment_id

# Which of the two this runs on.
provider() {
    if [ -n "${GRIDKEY_PROVIDER:-}" ]; then
        printf '%s' "$GRIDKEY_PROVIDER"
    elif [ -n "${GITLAB_CI:-}" ]; then
        printf gitlab
    else
        printf github
    fi
}

# output NAME VALUE: for later steps. The values are numbers, words and paths of ours.
output() {
    if [ -n "${GITHUB_OUTPUT:-}" ]; then
        printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
    fi
}

# summary FILE: shows a Markdown file on the page of the run.
summary() {
    if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -s "$1" ]; then
        cat "$1" >>"$GITHUB_STEP_SUMMARY"
        printf '\n' >>"$GITHUB_STEP_SUMMARY"
    fi
}

# hand_on COMMAND...: runs it, and hands the first wish to stop on to it. A runner tells only the script, and kills
# everything some seconds later; gridkey needs them to finish what it has begun. A second wish would make it end at once.
hand_on() {
    local child='' code=0 ended=0 told=yes wished=''
    # A wish may come before there is anything to hand it on to.
    trap 'told=yes wished=yes; trap "" INT TERM; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true' INT TERM
    "$@" &
    child=$!
    [ -z "$wished" ] || kill -TERM "$child" 2>/dev/null || true
    while [ -n "$told" ]; do
        told=''
        ended=0
        wait "$child" || ended=$?
        # 127: it was waited for already, just when the wish came.
        if [ "$ended" -ne 127 ] || [ "$code" -eq 0 ]; then
            code=$ended
        fi
    done
    trap - INT TERM
    return "$code"
}

# talk COMMAND...: runs it. On GitHub some lines of a log are commands to the runner, and names in a manifest come from
# a branch, so commands are switched off meanwhile.
talk() {
    local code=0 word=''
    if [ -n "${GITHUB_ACTIONS:-}" ]; then
        word=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
        printf '::stop-commands::%s\n' "$word" >&2
    fi
    hand_on "$@" || code=$?
    if [ -n "$word" ]; then
        printf '::%s::\n' "$word" >&2
    fi
    return "$code"
}

# Runs gridkey without the token of the comment API: a manifest may start programs, and they inherit the environment.
run_gridkey() {
    local name without=(-u GRIDKEY_TOKEN)
    for name in GRIDKEY_MANIFEST GRIDKEY_ENV GRIDKEY_POLICY; do
        [ -n "${!name:-}" ] || without+=(-u "$name")
    done
    talk env "${without[@]}" "${GRIDKEY_BIN:-gridkey}" "$@"
}

# worst CODE...: of several exit codes the one that matters most, in gridkey's order: an error, a part, blocked, changes.
worst() {
    local wanted code
    for wanted in 130 64 1 4 3 2; do
        for code in "$@"; do
            if [ "$code" -eq "$wanted" ]; then
                printf '%s' "$code"
                return
            fi
        done
    done
    for code in "$@"; do
        if [ "$code" -ne 0 ]; then
            printf '%s' "$code"
            return
        fi
    done
    printf 0
}

# Where the API is, for whom, and a folder for answers. Sets api, repository, work.
use_api() {
    case $(provider) in
        github)
            api=${GRIDKEY_API_URL:-${GITHUB_API_URL:-https://api.github.com}}
            repository=${GRIDKEY_REPOSITORY:-${GITHUB_REPOSITORY:-}}
            ;;
        gitlab)
            api=${GRIDKEY_API_URL:-${CI_API_V4_URL:-https://gitlab.com/api/v4}}
            repository=${GRIDKEY_REPOSITORY:-${CI_PROJECT_ID:-}}
            ;;
        *) fail "GRIDKEY_PROVIDER is neither github nor gitlab" ;;
    esac
    api=${api%/}
    case $api in
        *@*) fail "the API's address may have no user in it" ;;
        https://* | http://127.0.0.1:* | http://localhost:*) ;;
        *) fail "the API's address has to start with https://; a token does not go over plain HTTP" ;;
    esac
    [ -n "$repository" ] || fail "no repository: set GITHUB_REPOSITORY or CI_PROJECT_ID"
    [ -n "${GRIDKEY_TOKEN:-}" ] || fail "no token: set GRIDKEY_TOKEN"
    case $GRIDKEY_TOKEN in
        *[!A-Za-z0-9._~+/=-]*) fail "GRIDKEY_TOKEN has a character that no token has, perhaps a line end" ;;
    esac
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    answer=$work/answer.json
}

# What curl reads on standard input: the address, and the token where it is for the API itself.
curl_input() {
    printf 'url = "%s"\n' "$1"
    case $1 in
        "$api"/*)
            if [ "$(provider)" = gitlab ]; then
                printf 'header = "PRIVATE-TOKEN: %s"\n' "$GRIDKEY_TOKEN"
            else
                printf 'header = "Authorization: Bearer %s"\n' "$GRIDKEY_TOKEN"
                printf 'header = "X-GitHub-Api-Version: 2022-11-28"\n'
            fi
            ;;
    esac
}

# request METHOD PATH [BODY_FILE]: one request. Sets status and redirect; the answer is in the file $answer.
request() {
    local method=$1 url=$2 told options=()
    case $url in
        *[\"\\]*) fail "an address with a quote or a backslash" ;;
        /*) url=$api$url ;;
    esac
    if [ -n "${3:-}" ]; then
        options+=(--header 'Content-Type: application/json' --data-binary "@$3")
    fi
    : >"$answer"
    told=$(curl_input "$url" | curl --disable --config - --silent --show-error --max-time 120 --request "$method" \
        --header 'Accept: application/json' "${options[@]}" --output "$answer" \
        --write-out '%{http_code} %{redirect_url}') || told='000 '
    status=${told%% *}
    # shellcheck disable=SC2034 # find-plan reads it
    redirect=${told#* }
}

# Whether the last answer is one that another attempt may better.
passing() {
    case $status in
        000 | 429 | 5??) return 0 ;;
        *) return 1 ;;
    esac
}

attempts=5

# pause ATTEMPT: 2, 4, 8, 16 seconds, or none where GRIDKEY_RETRY_SECONDS is 0.
pause() { sleep "$((${GRIDKEY_RETRY_SECONDS:-2} * (1 << ($1 - 1))))"; }

# What the API said, in one line.
message() {
    jq --raw-output '(.message? // .error? // "no message") | tostring' "$answer" 2>/dev/null | tr '\n' ' ' | cut -c1-300
}

# explain WHAT PERMISSION: ends with what failed, why, and the way out.
explain() {
    case $status in
        401) fail "$1: 401, the token is not accepted: $(message)" ;;
        403) fail "$1: 403, the token may not: $(message). It needs $2" ;;
        404) fail "$1: 404, not there, or not visible to the token: $(message). It needs $2" ;;
        000) fail "$1: no answer from $api" ;;
        *) fail "$1: $status: $(message)" ;;
    esac
}

# fetch WHAT PERMISSION PATH: a GET that is repeated while it may get better, and has to end with 200.
fetch() {
    local try
    for ((try = 1; ; try++)); do
        request GET "$3"
        if [ "$status" = 200 ]; then
            return
        fi
        if ! passing || [ "$try" -ge "$attempts" ]; then
            explain "$1" "$2"
        fi
        say "$1: $status, trying again"
        pause "$try"
    done
}

# fetch_all WHAT PERMISSION PATH PAGES JQ_ARGUMENTS...: follows pages of 100 until one is not full. What jq makes of each
# page, a JSON value a line, is in the file $found.
fetch_all() {
    local page count join='?'
    case $3 in *\?*) join='&' ;; esac
    found=$work/found
    : >"$found"
    for ((page = 1; page <= $4; page++)); do
        fetch "$1" "$2" "$3${join}per_page=100&page=$page"
        jq --compact-output "${@:5}" "$answer" >>"$found" || fail "$1: the answer is not what was expected"
        count=$(jq 'if type == "array" then length else ([.[] | arrays | length] | max // 0) end' "$answer")
        if [ "$count" -lt 100 ]; then
            return
        fi
    done
}
