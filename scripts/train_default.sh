#!/usr/bin/env bash
# Trains the default model: scripts/train_default.sh CLIPS [WORKDIR [OVERRIDES…]]
#
# CLIPS is a folder of videos and frame folders, laid out as in yogo_jax/pretrained/default.md. Two and a quarter
# hours on one core of a current server. Run it again after an interruption: it goes on. At the end WORKDIR/run/weights.safetensors
# is what `python scripts/package_weights.py` takes into the package. Overrides, such as --config.train.steps=60 for a
# try, go to the training.
set -euo pipefail
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

"$yogo" train --config small --workdir "$workdir/run" --config.data.data_dir="$workdir/data" "$@"
