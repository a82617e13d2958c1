#!/usr/bin/env bash
# Starts a run on a GPU box, detached from this terminal, and starts it again when it was interrupted.
#
#   jobs/gpu-box.sh configs/runs/mistral-7b-core.yaml results/mistral-core            the first free GPU
#   GPU=1 jobs/gpu-box.sh my-run.yaml results/my-run                                  GPU 1
#
# What moves a score is in the spec; this file says only where the run happens and how it is kept alive.
# The log is RUN_DIR.launch.log; `tail -f` it, or look at the run with `benchproof ls`.
set -euo pipefail

spec=${1:?usage: jobs/gpu-box.sh SPEC RUN_DIR}
run_dir=${2:?usage: jobs/gpu-box.sh SPEC RUN_DIR}
restarts=${RESTARTS:-20}     # how often an interrupted run (exit 75) is started again
log=$run_dir.launch.log

die() { echo "gpu-box.sh: $2" >&2; exit "$1"; }

# benchproof: on the PATH, else in the checkout that this file belongs to.
command -v benchproof >/dev/null || PATH=$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH
command -v benchproof >/dev/null || die 5 "benchproof is not on the PATH; activate its environment, or run \`make setup\`"

# The GPU: yours by number, else the first that no process uses. nvidia-smi counts by PCI bus, CUDA by speed
# unless told otherwise: CUDA_DEVICE_ORDER makes both mean the same card.
export CUDA_DEVICE_ORDER=PCI_BUS_ID
if [ -z "${GPU:-}" ]; then
  command -v nvidia-smi >/dev/null || die 5 "no nvidia-smi, so no free GPU can be looked for; name one with GPU=N"
  busy=$(nvidia-smi --query-compute-apps=gpu_uuid --format=csv,noheader) || die 5 "nvidia-smi failed: $busy"
  all=$(nvidia-smi --query-gpu=index,uuid --format=csv,noheader) || die 5 "nvidia-smi failed: $all"
  while IFS=', ' read -r index uuid; do
    case $busy in *"$uuid"*) ;; *) GPU=$index; break ;; esac
  done <<<"$all"
  [ -n "${GPU:-}" ] || die 5 "every GPU is in use; name one with GPU=N"
fi
export CUDA_VISIBLE_DEVICES=$GPU

mkdir -p "$(dirname "$run_dir")"
[ ! -e "$run_dir/record.json" ] || die 2 "a finished record is in $run_dir; name another folder"

# The same command goes on where the last one stopped: only exit 75 (interrupted, resumable) is started again.
# A session of its own: closing this terminal ends nothing, and one signal reaches the loop and the run.
nohup setsid bash -c '
  for try in $(seq 0 "$3"); do
    rc=0
    benchproof run "$1" --out "$2" --device cuda:0 || rc=$?
    [ $rc = 75 ] || { echo "ended with $rc"; exit $rc; }
    echo "interrupted; start $((try + 1)) of $3 follows"
  done
  exit 75' run "$spec" "$run_dir" "$restarts" >>"$log" 2>&1 </dev/null &
pid=$!

# What is wrong in the spec or the folder shows in the first seconds: then say it here, not only in the log.
for _ in $(seq 20); do
  sleep 0.2
  kill -0 "$pid" 2>/dev/null && continue
  rc=0
  wait "$pid" || rc=$?
  tail -n 8 "$log" >&2
  exit $rc
done
echo "started on GPU $GPU as process $pid; follow it with: tail -f $log"
echo "stop it with: kill -TERM -- -$pid   (what is answered stays; the same command goes on)"
