#!/usr/bin/env bash
# Trains the default model: scripts/train_default.sh CLIPS [WORKDIR [OVERRIDES…]]
#
# CLIPS is a folder of videos and frame folders, laid out as in yogo_jax/pretrained/default.md. Two hours on one core
# of a current server. Run it again after an interruption: it goes on. At the end WORKDIR/large/weights.safetensors
# is what `python scripts/package_weights.py` takes into the package. Overrides, such as --config.train.steps=4 for a
# try, go to each training.
set -euo pipefail
trap 'exit 130' INT  # after Ctrl-C the training saves and ends well: that is no reason to go on with what follows
if (($# < 1)); then
    echo "usage: $0 CLIPS [WORKDIR [--config.section.field=VALUE …]]" >&2
    exit 2
fi
clips=$1
workdir=${2:-runs/default}
shift $(($# < 2 ? $# : 2))
yogo=${YOGO:-yogo}

# What is there already is not built again.
"$yogo" data build video_clips --source "$clips" --data-dir "$workdir/data" \
    --held-out davis/dog davis/motocross-jump davis/tennis flutter/butterfly.mp4

# Small patches first: most examples for the time.
"$yogo" train --config small --workdir "$workdir/small" --config.data.data_dir="$workdir/data" "$@"

# Then larger ones, in which motion stays inside, at a rate that falls to zero.
"$yogo" train --config small --workdir "$workdir/large" --config.data.data_dir="$workdir/data" \
    --init-from "$workdir/small" --config.data.batch=2 --config.data.patch=40,40 --config.train.steps=600 --config.train.eval_every=300 \
    --config.optim.learning_rate=4e-4 --config.optim.final_fraction=0.0 --config.optim.ema_decay=0.99 "$@"
