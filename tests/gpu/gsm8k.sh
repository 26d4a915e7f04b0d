#!/bin/bash
# SmolLM2 on GSM8K with a GPU: 1,000 training problems, four rounds of 4 candidates x 8 rollouts, tested on all of gsm8k:test.
# Works for at most nine minutes and stops; run it again until it prints the table. It has not been run yet.
#
#   tests/gpu/gsm8k.sh [RUN] [DIR]     DIR has gsm8k_train.jsonl and gsm8k_test.jsonl; default: the Hub's gsm8k
#
# What it is to show: in the last table round 1, greedy, is what the format alone gives; search (mcts - greedy) and
# evolution (greedy of round 4 - greedy of round 1) should each add 3 points to it.
set -euo pipefail
run=${1:-runs/gsm8k}
train=gsm8k test=gsm8k
if [ $# -gt 1 ]; then train=$2/gsm8k_train.jsonl test=$2/gsm8k_test.jsonl; fi
tree='candidates: 4, rollouts: 8'
code=0
timeout --signal=INT --kill-after=30 540 rstar-mini evolve smol --run "$run" \
  --set "problems.path=$train" --set problems.limit=1000 --set "evaluation.path=$test" --set evaluation.limit=1319 \
  --set evaluation.greedy_only=[] --set policy.max_step_tokens=64 --set search.depth=10 --set search.shard=250 \
  --set "rounds=[{annotation: terminal, $tree, new_seeds: 8}, {annotation: terminal, $tree}, {annotation: ppm, $tree}, {annotation: ppm, $tree}]" \
  || code=$?
case $code in
  0) rstar-mini report "$run" ;;
  124) echo "nine minutes are over; the same command goes on" ;;
  *) exit "$code" ;;
esac
