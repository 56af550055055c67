#!/bin/bash
# Train on a Cloud TPU slice: install on every worker, then start the same command on all. See scripts/README.md.
#
#   TPU=NAME ZONE=ZONE [PROJECT=ID] scripts/train_tpu.sh CONFIG WORKDIR [OVERRIDES…]

set -euo pipefail
if (($# < 2)) || [[ -z ${TPU:-} || -z ${ZONE:-} ]]; then
    echo "usage: TPU=NAME ZONE=ZONE $0 CONFIG WORKDIR [--config.section.field=VALUE …]" >&2
    exit 2
fi

root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
place=(--zone "$ZONE" --worker=all ${PROJECT:+--project "$PROJECT"})
archive=$(mktemp --suffix=.tar.gz)
trap 'rm -f "$archive"' EXIT
git -C "$root" archive --format=tar.gz --output "$archive" HEAD

gcloud compute tpus tpu-vm scp "$archive" "$TPU:yogo-jax.tar.gz" "${place[@]}"
gcloud compute tpus tpu-vm ssh "$TPU" "${place[@]}" --command \
    'mkdir -p yogo-jax && tar -xzf yogo-jax.tar.gz -C yogo-jax && python3 -m venv --upgrade-deps yogo-venv &&
     yogo-venv/bin/pip install --quiet --editable "./yogo-jax[tpu,tensorboard]"'
gcloud compute tpus tpu-vm ssh "$TPU" "${place[@]}" --command \
    "cd yogo-jax && ../yogo-venv/bin/yogo train --config $(printf '%q' "$1") --workdir $(printf '%q ' "${@:2}")"
