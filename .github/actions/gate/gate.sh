#!/usr/bin/env bash
# Asks Governor whether a change may ship: exits with 0 for yes, 1 for no, 2 if nobody could tell.
set -uo pipefail

case "$IF_UNAVAILABLE" in
    open | closed) ;;
    *) echo "::error::if-unavailable is open or closed, not $IF_UNAVAILABLE"; exit 2 ;;
esac
[[ "$WAIT_MINUTES" =~ ^[0-9]{1,5}$ ]] || { echo "::error::wait-minutes is a number of minutes"; exit 2; }

body=$(mktemp)
trap 'rm -f "$body"' EXIT
deadline=$((SECONDS + 60 * WAIT_MINUTES))

# The token goes in by standard input, so that no list of processes shows it.
ask() {
    printf 'header = "Authorization: Bearer %s"\n' "$GOVERNOR_TOKEN" | curl --config - --silent --show-error \
        --max-time 30 --get --output "$body" --write-out '%{http_code}' \
        --data-urlencode "strict=1" --data-urlencode "change=$CHANGE" --data-urlencode "commit=$COMMIT" \
        --data-urlencode "environment=$ENVIRONMENT" --data-urlencode "kind=$KIND" --data-urlencode "proof=$PROOF" \
        "${GOVERNOR_URL%/}/api/v1/gate/$SERVICE"
}

while :; do
    status=$(ask)
    case "$status" in
        200) echo "$SERVICE is open to this change"; exit 0 ;;
        423)
            echo "not now: $(cat "$body")"
            if grep -q '"verdict": "back"' "$body"; then
                echo "::error::$SERVICE: this change does harm and is to be taken back"
                exit 1
            fi
            failure="$SERVICE is frozen: $(cat "$body")" code=1 ;;
        400 | 401 | 403 | 404) echo "::error::Governor refuses the question ($status): $(cat "$body")"; exit 2 ;;
        *) failure="Governor cannot be asked (${status:-no answer})" code=2 ;;
    esac
    if ((SECONDS >= deadline)); then
        if ((code == 2)) && [ "$IF_UNAVAILABLE" = open ]; then
            echo "::warning::$failure; shipping, as if-unavailable says"
            exit 0
        fi
        echo "::error::$failure"
        exit "$code"
    fi
    left=$((deadline - SECONDS))
    sleep $((left < ${POLL_S:-15} ? left : ${POLL_S:-15}))
done
