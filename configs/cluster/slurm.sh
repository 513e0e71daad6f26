#!/bin/bash
# One experiment as an array of jobs: each makes its share of the trainings, all in one folder that every node sees.
#
#   sbatch --array=0-3 configs/cluster/slurm.sh CONFIG [OPTIONS OF simtrot run]
#
# The number of jobs in the array is the number of shares. Before its time is up, a job saves its training and is queued again; what a
# dead node was at work on goes on from its last checkpoint. Settings of the cluster go before the script:
#
#   sbatch --array=0-7 --gres=gpu:1 --cpus-per-task=8 --mem=32G --time=24:00:00 configs/cluster/slurm.sh CONFIG --out /shared/runs/NAME
#
# SIMTROT names the program where it is not on the path. SIMTROT_DEVICE is its --device: auto, unless it is set. SIMTROT_CACHE, where it is
# set, is the folder of prepared cases: one that all nodes see is filled once.
#SBATCH --job-name=simtrot
#SBATCH --output=simtrot-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue

set -u
if [ $# -eq 0 ] || [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    echo "usage: sbatch --array=0-3 configs/cluster/slurm.sh CONFIG [OPTIONS OF simtrot run]" >&2
    exit 2
fi
# Shares count from 1, whatever the array counts from.
share="$(((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN) / ${SLURM_ARRAY_TASK_STEP:-1} + 1))/$SLURM_ARRAY_TASK_COUNT"
# Without it a program on a node that does not confine jobs would take every core.
export RAYON_NUM_THREADS="${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}"

"${SIMTROT:-simtrot}" --no-gui --device "${SIMTROT_DEVICE:-auto}" run "$@" --shard "$share" &
program=$!
out_of_time=no
# Slurm's word that time is nearly up, and a cancelled or preempted job's: both save, the first goes on later.
trap 'out_of_time=yes; kill -TERM "$program" 2>/dev/null' USR1
trap 'kill -TERM "$program" 2>/dev/null' TERM INT

# A signal ends the waiting, not the program.
wait "$program"
while kill -0 "$program" 2>/dev/null; do
    wait "$program"
done
# The code of the program, not of a waiting that a signal ended at the same moment.
wait "$program"
code=$?

# 130: stopped, and saved.
if [ "$out_of_time" = yes ] && [ "$code" -eq 130 ]; then
    echo "share $share: time is up; it is saved and queued again"
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
    exit
fi
exit "$code"
