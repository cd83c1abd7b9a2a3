#!/usr/bin/env bash
# Sends traces of `pointsman serve --demo` to a real receiver and asks its API what arrived. Not part of any other test:
# it installs the receiver from PyPI (about 1 GB each) into $RECEIVERS, by default a folder below /tmp.
#
#   tests/receivers/receivers.sh phoenix [path of the binary]
#   tests/receivers/receivers.sh mlflow  [path of the binary]
set -euo pipefail

receiver=${1:?phoenix or mlflow}
binary=${2:-target/debug/pointsman}
home=${RECEIVERS:-/tmp/pointsman-receivers}/$receiver
port=6106
gateway=127.0.0.1:6180
mkdir -p "$home"

started=()
end() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
}
trap end EXIT

answers() {
    for _ in $(seq 120); do
        curl -sf -o /dev/null "$1" && return
        sleep 1
    done
    echo "$1 does not answer" >&2
    exit 1
}

install() {
    [ -x "$home/venv/bin/pip" ] || python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install -q "$1"
}

case $receiver in
phoenix)
    install arize-phoenix
    PHOENIX_WORKING_DIR=$home/data PHOENIX_HOST=127.0.0.1 PHOENIX_PORT=$port PHOENIX_GRPC_PORT=$((port + 1)) \
        PHOENIX_TELEMETRY_ENABLED=false "$home/venv/bin/phoenix" serve >"$home/log" 2>&1 &
    started+=($!)
    answers "http://127.0.0.1:$port/healthz"
    headers=
    ;;
mlflow)
    install mlflow
    "$home/venv/bin/mlflow" server --host 127.0.0.1 --port $port --workers 1 \
        --backend-store-uri "sqlite:///$home/mlflow.db" --artifacts-destination "$home/artifacts" >"$home/log" 2>&1 &
    started+=($!)
    answers "http://127.0.0.1:$port/health"
    # Its experiment `Default`.
    headers=x-mlflow-experiment-id=0
    ;;
*)
    echo "phoenix or mlflow" >&2
    exit 64
    ;;
esac

OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$port OTEL_EXPORTER_OTLP_HEADERS=$headers OTEL_METRICS_EXPORTER=none \
    OTEL_BSP_SCHEDULE_DELAY=100 POINTSMAN__TELEMETRY__CONTENT=masked \
    "$binary" serve --demo --listen $gateway --admin-listen off >"$home/gateway.log" 2>&1 &
started+=($!)
answers "http://$gateway/health/ready"

for stream in false true; do
    for n in 1 2 3 4 5; do
        curl -sf -o /dev/null "http://$gateway/v1/chat/completions" -H 'content-type: application/json' \
            -d "{\"model\":\"demo\",\"stream\":$stream,\"messages\":[{\"role\":\"user\",\"content\":\"hello $n, I am me@example.org\"}]}"
    done
done
"$home/venv/bin/python" - "$receiver" "$port" "$home/gateway.log" <<'PYTHON'
import json, re, sys, time, urllib.request

receiver, port, log = sys.argv[1:]
root = f"http://127.0.0.1:{port}"
wanted = set(re.findall(r"INFO request .*trace_id=([0-9a-f]{32})", open(log).read()))


def call(path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(root + path, data, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request))


def phoenix():
    spans = call("/v1/projects/default/spans?limit=1000")["data"]
    return [(s["context"]["trace_id"], s["name"], s["attributes"]) for s in spans]


def mlflow():
    found = call("/api/3.0/mlflow/traces/search", {
        "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}],
        "max_results": 500,
    })
    spans = []
    for info in found.get("traces", []):
        name = info["trace_id"]
        trace = call(f"/api/3.0/mlflow/traces/get?trace_id={name}")["trace"]
        for span in trace["spans"]:
            attributes = {a["key"]: a["value"] for a in span.get("attributes", [])}
            spans.append((name.removeprefix("tr-"), span["name"], attributes))
    return spans


for _ in range(90):
    spans = {"phoenix": phoenix, "mlflow": mlflow}[receiver]()
    here = [span for span in spans if span[0] in wanted]
    if {span[0] for span in here} == wanted:
        break
    time.sleep(1)
names = sorted({name for _, name, _ in here})
print(f"{receiver}: {len(here)} spans of {len(wanted)} requests: {names}")
assert len(wanted) == 10, wanted
assert {span[0] for span in here} == wanted, "not every trace arrived"
assert "POST /v1/chat/completions" in names and "chat echo" in names, names
text = json.dumps(here)
assert "gen_ai.provider.name" in text and "pointsman.upstream" in text
assert "hello" in text and "example.org" not in text, "content is told, and masked"
PYTHON
echo "$receiver has every trace"
