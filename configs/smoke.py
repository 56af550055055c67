"""A minute on two cores: the whole machinery on moving shapes and a tiny network. It learns nothing of use.

python scripts/generate_clips.py data/shapes
yogo data build video_clips --source data/shapes --held-out clip05 --data-dir data/smoke
yogo train --config configs/smoke.py --workdir runs/smoke
"""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.model.filters = 8
    config.model.groups = 2
    config.model.fe_blocks = 1
    config.model.frb_backward = 1
    config.model.frb_forward = 1
    config.model.hfbs = 1
    config.model.pyramid_levels = 1
    config.model.image_skip = "interpolate"
    config.data.data_dir = "data/smoke"
    config.data.train = ("video_clips/train",)
    config.data.evaluation = "video_clips/test"
    config.data.batch = 2
    config.data.patch = (16, 16)
    config.data.eval_patch = (16, 16)
    config.data.threads = 1
    config.optim.learning_rate = 1e-3
    config.optim.schedule = "cosine"
    config.optim.warmup_steps = 5
    config.optim.ema_decay = 0.99
    config.train.steps = 60
    config.train.log_every = 10
    config.train.eval_every = 30
    config.train.eval_examples = 2
    config.train.checkpoint_every = 30
    return config
