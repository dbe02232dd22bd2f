#!/bin/sh
# Starts the API and one worker of the example, and makes a few calls. Run it by `codeq-fake run -- play.sh`.
set -eu
cd "$(dirname "$0")"
export PORT="${PORT:-3000}" WEBHOOK_SECRET="${WEBHOOK_SECRET:-}"

# Another server on the port would answer instead of the API; 7 is curl's "connection refused".
refused=0
curl -s -m 1 "localhost:$PORT/" >/dev/null || refused=$?
[ "$refused" -eq 7 ] || { echo "port $PORT is not free: set PORT to another" >&2; exit 1; }

python -m starlette_app & api=$!
codeq-worker run starlette_app.worker:make & worker=$!
trap 'kill $api $worker 2>/dev/null; wait' EXIT

say() { printf '\n$ curl -s localhost:%s%s%s\n' "$PORT" "$1" "${2:+ -d '$2'}"; curl -s "localhost:$PORT$1" ${2:+-d "$2"}; echo; }
id() { sed -n 's/.*"id":"\([^"]*\)".*/\1/p'; }
# A task ends within one or two seconds; ask until it has.
await() {
  for _ in $(seq 100); do
    case "$(curl -s "localhost:$PORT/api/tasks/$1")" in *'"COMPLETED"'* | *'"FAILED"'*) break ;; esac
    sleep 0.1
  done
  say "/api/tasks/$1"
}

for _ in $(seq 100); do
  curl -sf "localhost:$PORT/health" >/dev/null && break
  kill -0 $api 2>/dev/null || { echo "the API did not start" >&2; exit 1; }
  sleep 0.1
done

task=$(say /api/tasks/master '{"jobId": "42", "priority": 9}' | tee /dev/stderr | id)
await "$task"
task=$(say /api/tasks/master '{"jobId": "bad-1"}' | tee /dev/stderr | id)
await "$task"
say /api/tasks/with-webhook "{\"command\": \"GENERATE_CREATIVE\", \"payload\": {\"template\": \"blue\"}, \"webhook\": \"http://localhost:$PORT/webhooks/codeq/\"}"
say /api/tasks/delayed '{"jobId": "43", "delaySeconds": 2}'
say /api/tasks/master '{"priority": 10}'
for _ in $(seq 100); do curl -s "localhost:$PORT/health" | grep -q '"results":1' && break; sleep 0.1; done
say /health
