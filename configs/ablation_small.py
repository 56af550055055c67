r"""A small run of the ablations on one core: Tables 3 to 5 and the loss at 12 filters.

yogo data build video_clips --source DAVIS --data-dir data --held-out dog motocross-jump tennis horsejump-high
python scripts/ablations.py --config configs/ablation_small.py --workdir runs/ablations --test folder=HELD_OUT \
    --tables "Table 3" Loss "Table 4" "Table 5" --seeds 0 1

What it found: docs/ablations.md.
"""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.model.filters = 12
    config.model.groups = 1
    config.model.fe_blocks = 1
    config.model.frb_backward = 1
    config.model.frb_forward = 1
    config.model.hfbs = 2
    config.model.pyramid_levels = 2
    config.model.dfu_direction = "hidden"
    config.model.recon = "light"
    config.model.image_skip = "interpolate"  # or most of so small a budget would go into learning to enlarge
    config.data.train = ("video_clips/train",)
    config.data.evaluation = "video_clips/test"
    config.data.batch = 2
    config.data.patch = (16, 16)
    config.data.cache_gigabytes = 4.0
    config.data.threads = 1
    config.optim.learning_rate = 2e-3
    config.optim.schedule = "cosine"
    config.optim.warmup_steps = 30
    config.optim.clip_norm = 1.0
    config.optim.ema_decay = 0.99
    config.train.steps = 250
    config.train.eval_every = 0
    config.train.checkpoint_every = 50
    config.train.keep_latest = 1
    return config
