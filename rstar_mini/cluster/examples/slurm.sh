#!/bin/bash
# A run on SLURM: sbatch slurm.sh RECIPE [OPTIONS OF rstar-mini evolve]. Submitted again, it goes on where it stopped.
# The working directory must be the same folder on all nodes; runs/ will lie there. Put your environment in ENVIRONMENT.
#SBATCH --job-name=rstar-mini
#SBATCH --nodes=15
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=64
#SBATCH --time=72:00:00
#SBATCH --signal=B:INT@120

set -euo pipefail
source "${ENVIRONMENT:-.venv}/bin/activate"
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# Ray on every node; the command runs on the first, where a warning before the time is up ends it in good order.
srun --kill-on-bad-exit=1 \
    ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_NNODES" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" -- \
    rstar-mini evolve "$@" --ray auto &
training=$!
trap 'kill -INT "$training"' INT
wait "$training"
