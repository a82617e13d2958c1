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

# The GPU: yours by number, else the first that no process uses. nvidia-smi counts by PCI bus, CUDA by speed
# unless told otherwise: CUDA_DEVICE_ORDER makes both mean the same card.
export CUDA_DEVICE_ORDER=PCI_BUS_ID
if [ -z "${GPU:-}" ]; then
  busy=$(nvidia-smi --query-compute-apps=gpu_uuid --format=csv,noheader)
  GPU=$(nvidia-smi --query-gpu=index,uuid --format=csv,noheader | while IFS=', ' read -r index uuid; do
    case $busy in *"$uuid"*) ;; *) echo "$index"; break ;; esac
  done)
  [ -n "$GPU" ] || { echo "every GPU is in use; name one with GPU=N" >&2; exit 5; }
fi
export CUDA_VISIBLE_DEVICES=$GPU

mkdir -p "$(dirname "$run_dir")"
[ ! -e "$run_dir/record.json" ] || { echo "a finished record is in $run_dir; name another folder" >&2; exit 2; }

# The same command goes on where the last one stopped: only exit 75 (interrupted, resumable) is started again.
nohup setsid bash -c '
  for try in $(seq 0 "$3"); do
    benchproof run "$1" --out "$2" --device cuda:0
    rc=$?
    [ $rc = 75 ] || exit $rc
    echo "interrupted; start $((try + 1)) of $3 follows"
  done
  exit 75' run "$spec" "$run_dir" "$restarts" >>"$log" 2>&1 </dev/null &

echo "started on GPU $GPU as process $!; follow it with: tail -f $log"
echo "stop it with: kill -TERM -- -$!   (what is answered stays; the same command goes on)"
