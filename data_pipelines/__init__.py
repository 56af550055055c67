"""Data: TFDS builders that need no TensorFlow, and the Grain input that training and evaluation read.

vimeo90k_septuplet, vid4, video_clips    what a data set consists of, one module each
builder, shards                          how it is written: TFDS metadata, parallel and resumable shards
frames, shots                            how source footage is read and cut
source                                   a built data set, read at random
augment, degrade, input                  from stored clips to batches
"""
