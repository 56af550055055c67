#!/usr/bin/env bash
# Trains the default model: scripts/train_default.sh CLIPS [WORKDIR]
#
# CLIPS is a folder of videos and frame folders, laid out as in yogo_jax/pretrained/default.md. Two hours on one core
# of a current server. Run it again after an interruption: it goes on. At the end WORKDIR/large/weights.safetensors
# is what `python scripts/package_weights.py` takes into the package.
set -euo pipefail
clips=${1:?scripts/train_default.sh CLIPS [WORKDIR]}
workdir=${2:-runs/default}
yogo=${YOGO:-yogo}

if ! "$yogo" data show video_clips --data-dir "$workdir/data" >/dev/null 2>&1; then
    "$yogo" data build video_clips --source "$clips" --data-dir "$workdir/data" \
        --held-out davis/dog davis/motocross-jump davis/tennis flutter/butterfly.mp4
fi

# Small patches first: most examples for the time.
"$yogo" train --config configs/small.py --workdir "$workdir/small" --config.data.data_dir="$workdir/data"

# Then larger ones, in which motion stays inside, at a rate that falls to zero.
"$yogo" train --config configs/small.py --workdir "$workdir/large" --config.data.data_dir="$workdir/data" \
    --init-from "$workdir/small" --config.data.batch=2 --config.data.patch=40,40 --config.train.steps=600 --config.train.eval_every=300 \
    --config.optim.learning_rate=4e-4 --config.optim.final_fraction=0.0 --config.optim.ema_decay=0.99
