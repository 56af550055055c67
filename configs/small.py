r"""The default model: small enough to be trained, and to run, on a two-core machine.

scripts/train_default.sh CLIPS     # builds the data set, and trains this config

0.74 M parameters, 0.099 T multiply-adds in convolutions: a fifteenth of YOGO-64's. Registration and back-projection,
which have almost none, come on top. About 0.95 seconds a step on one core of a current server, two and a quarter
hours in all. What the packaged weights of it score: yogo_jax/pretrained/default.md.
"""

from yogo_jax.configuration import base


def get_config():
    config = base()
    config.model.filters = 24
    config.model.groups = 3  # rows of 8 channels: what the deformable gather is fastest with
    config.model.fe_blocks = 4
    config.model.frb_backward = 1
    config.model.frb_forward = 2
    config.model.hfbs = 10
    config.model.dfu_direction = "hidden"  # Eq. 1 as written, half of the aligner's cost
    config.model.dcn_size = 1  # a flow for each group: nine samples take a fifth to a third of a step more
    config.model.fusion = "direct"  # learns faster than hybrid fusion on this budget: docs/ablations.md
    config.model.motion = "registered"  # the DFUs would take far more steps to learn motion
    config.model.recon = "light"
    config.model.image_skip = "reconstruct"  # nor do they learn in time to draw on neighbouring frames
    config.data.train = ("video_clips/train",)
    config.data.evaluation = "video_clips/test"
    config.data.weights = ("davis/*=3", "mdn/tears*=0.3", "kivy/*=0")  # sharp footage up, soft film down
    config.data.batch = 2
    config.data.patch = (40, 40)
    config.data.eval_patch = (64, 64)
    config.data.time_reversal = True
    config.data.shrink_fraction = 0.5  # sharper and slower than most footage
    config.data.codec_fraction = 0.1  # or the blocks of compressed input are amplified
    config.data.cache_gigabytes = 5.0
    config.data.threads = 1
    config.optim.learning_rate = 2e-3
    config.optim.schedule = "cosine"
    config.optim.warmup_steps = 50
    config.optim.clip_norm = 1.0
    config.optim.ema_decay = 0.998
    config.train.steps = 8_500
    config.train.eval_every = 500
    config.train.eval_examples = 27
    config.train.checkpoint_every = 200
    return config
