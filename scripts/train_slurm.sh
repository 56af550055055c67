#!/bin/bash
# Train on the GPUs of a Slurm allocation, one process for each GPU. See scripts/README.md.
#
#   sbatch --nodes=2 --gpus-per-node=8 --ntasks-per-node=8 scripts/train_slurm.sh CONFIG WORKDIR [OVERRIDES…]
#
#SBATCH --job-name=yogo
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120

set -euo pipefail
if (($# < 2)); then
    echo "usage: sbatch … $0 CONFIG WORKDIR [--config.section.field=VALUE …]" >&2
    exit 2
fi
config=$1 workdir=$2
shift 2

# Without --gpus-per-task every task sees all GPUs of its node, and JAX takes the one of the task's local rank.
# SIGTERM (two minutes before the time is up, or on preemption) saves a checkpoint; the requeued job goes on from it.
srun --kill-on-bad-exit=1 yogo train --config "$config" --workdir "$workdir" "$@"
