#!/bin/bash
# A run on SLURM: sbatch slurm.sh RECIPE [OPTIONS OF rstar-mini evolve]. When its time is up, submit it again: it goes on,
# but for the shards that were not finished. The working directory must be the same folder on all nodes; runs/ will lie
# there. ENVIRONMENT names the virtual environment.
#SBATCH --job-name=rstar-mini
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=64
#SBATCH --time=72:00:00

set -euo pipefail
source "${ENVIRONMENT:-.venv}/bin/activate"
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600 # seconds for all nodes to come

# Ray on every node; the command runs on the first.
srun --kill-on-bad-exit=1 \
    ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_NNODES" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" -- \
    rstar-mini evolve "$@" --ray auto
