"""The training loop, from the first step or the newest checkpoint to the last step."""

import dataclasses
import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import jax
from clu import parameter_overview

from data_pipelines.input import make_eval_input, make_train_input
from yogo_jax.configuration import Config
from yogo_jax.errors import UserError
from yogo_jax.training.checkpoint import Checkpoints, initial_params
from yogo_jax.training.distributed import is_primary
from yogo_jax.training.evaluate import Evaluator
from yogo_jax.training.guards import check_batch, check_config, offset_warnings, stop_requests
from yogo_jax.training.log import Log
from yogo_jax.training.optimiser import make_optimiser
from yogo_jax.training.sharding import make_mesh, put_batch, replicated
from yogo_jax.training.state import TrainState, abstract_state, new_state
from yogo_jax.training.step import compile_train_step
from yogo_jax.weights import save_weights

PROFILED = range(10, 15)
"""Steps after the start that `profile` traces: past compilation and the first cold ones."""


def train(config: Config, workdir: Path, *, init_from: Path | None = None, profile: bool = False) -> TrainState:
    """Train as `config` says, going on from the newest checkpoint in `workdir` if there is one.

    Writes checkpoints/, log.jsonl, samples/, tensorboard/ and, at each evaluation and the end, weights.safetensors
    (the averaged parameters where there are any). Every process of a run calls this alike.

    Args:
      config: the experiment.
      workdir: the run's own directory; made if need be.
      init_from: weights file or other run's directory to take the first parameters from; a resumed run, which
        has parameters, does not look at it.
      profile: write a trace of a few steps into workdir/profile.

    Returns: the last state. It has fewer than `train.steps` steps after SIGTERM or Ctrl-C.

    Raises:
      UserError: a config that cannot work, a data set or directory that cannot be used, or `train.max_skipped`
        steps in a row without a finite gradient (the last good state is saved first).
    """
    check_config(config, jax.device_count(), jax.process_count())
    _claim(workdir)
    options = config.train
    mesh = make_mesh(options.fsdp)
    network = config.model.build()
    optimiser = make_optimiser(config.optim, options.steps)
    averaged = config.optim.ema_decay > 0
    abstract = abstract_state(network, optimiser, averaged, mesh, options.fsdp_min_size)

    processes = {"process_index": jax.process_index(), "process_count": jax.process_count()}
    batches = iter(make_train_input(config.data, seed=options.seed, **processes))
    start = batches.get_state()
    check_batch(next(batches))
    batches.set_state(start)
    evaluate = None
    if options.eval_every:
        held_out = make_eval_input(config.data, examples=options.eval_examples, batch=mesh.size, **processes)
        evaluate = Evaluator(network, held_out, mesh)

    checkpoints = Checkpoints(workdir / "checkpoints", options.keep_latest)
    resumed = checkpoints.latest is not None
    if resumed:
        _demand_same_network(config, checkpoints)
        state, position = checkpoints.restore(abstract)
        batches.set_state(position)
    else:
        state = new_state(network, optimiser, options.seed, averaged, abstract)
        if init_from is not None:
            params = initial_params(init_from, abstract)
            average = jax.tree.map(jax.numpy.copy, params) if averaged else None
            state = dataclasses.replace(state, params=params, average=average)

    step = first_step = int(state.step)
    log = Log(workdir if is_primary() else None, step, options.steps, config.data.batch)
    log.say(_overview(state, mesh))
    if resumed:
        log.say(f"going on from step {step} in {workdir}")
    train_step = compile_train_step(network, optimiser, config.optim, mesh, abstract)

    window: list[dict[str, float]] = []  # metrics since the last record
    pending = None  # metrics of the step that the devices may still be working on
    tracing = False
    with stop_requests() as asked_to_stop:
        while step < options.steps:
            if profile and step - first_step == PROFILED.start:
                jax.profiler.start_trace(str(workdir / "profile"))
                tracing = True
            state, metrics = train_step(state, put_batch(next(batches), mesh))
            step += 1
            if tracing and step - first_step == PROFILED.stop:
                jax.block_until_ready(state)
                jax.profiler.stop_trace()
                tracing = False

            # Metrics are fetched one step late, so that the devices never wait for the host.
            if pending is not None:
                window.append(_fetch(pending))
            pending = metrics
            if step == first_step + 1:
                jax.block_until_ready(metrics)
                log.pause(step)  # compilation is no step's time
            last = step == options.steps
            stop = asked_to_stop(step)
            evaluated = evaluate is not None and (last or step % options.eval_every == 0)
            kept = last or stop or evaluated or step % options.checkpoint_every == 0
            if kept or step % options.log_every == 0:
                window.append(_fetch(pending))
                pending = None
            failing = bool(window) and window[-1]["skipped_in_a_row"] >= options.max_skipped
            if failing and pending is not None:
                window.append(_fetch(pending))
                pending = None
            kept |= failing

            # A record ends with every checkpoint: a run that was killed then writes the records of an unbroken one.
            if window and pending is None:
                values = _means(window)
                log.train(step, values)
                for line in offset_warnings(values, options.offset_warning):
                    log.say(line)
                window = []
            scores = None
            if evaluated and evaluate is not None:
                scores, strip = evaluate(state.best_params)
                log.evaluation(step, scores)
                log.picture(step, strip)
            if evaluated or last:
                _export(state, config, workdir, mesh, scores)
            if kept:
                checkpoints.save(state, config, batches.get_state(), scores)
                log.pause(step)
            if failing:
                checkpoints.close()
                raise UserError(
                    f"step {step}: no finite loss or gradient in {options.max_skipped} steps; the last good "
                    f"parameters are in {workdir}/checkpoints/{step}: lower optim.learning_rate or set optim.clip_norm"
                )
            if stop:
                checkpoints.wait()
                log.say(f"asked to stop: saved at step {step}; the same command goes on from here")
                break
    if tracing:
        jax.profiler.stop_trace()
    if profile and step - first_step <= PROFILED.start:
        log.say(f"no trace: it begins after {PROFILED.start} steps")
    checkpoints.close()
    log.close()
    return state


def _claim(workdir: Path) -> None:
    """Make the run's directory, and find out now whether it can be written to."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workdir):
            pass
    except OSError as error:
        raise UserError(f"{workdir}: cannot write a run here: {error.strerror}") from error


def _demand_same_network(config: Config, checkpoints: Checkpoints) -> None:
    """A resumed run may change anything but the parameters' shapes and what they mean."""
    before, now = checkpoints.config()["model"], json.loads(json.dumps(dataclasses.asdict(config.model)))
    free = {"dtype", "remat"}
    for name in sorted((before.keys() | now.keys()) - free):
        if before.get(name) != now.get(name):
            raise UserError(
                f"{checkpoints.directory}: its run has model.{name}={before.get(name)!r}, this config "
                f"{now.get(name)!r}: take another workdir, or --init-from"
            )


def _overview(state: TrainState, mesh: jax.sharding.Mesh) -> str:
    """What is trained on what: devices, and the parameters by module."""
    device = mesh.devices.flat[0]
    lines = [
        f"jax {jax.__version__}: {mesh.size} × {device.device_kind} ({device.platform}) in "
        f"{jax.process_count()} process(es), mesh " + " × ".join(f"{k} {n}" for k, n in mesh.shape.items())
    ]
    for name, module in state.params.items():
        lines.append(f"  {name:<18}{parameter_overview.count_parameters(module):>12,}")
    lines.append(f"  {'parameters':<18}{parameter_overview.count_parameters(state.params):>12,}")
    return "\n".join(lines)


def _fetch(metrics: Mapping[str, jax.Array]) -> dict[str, float]:
    return {name: float(value) for name, value in jax.device_get(metrics).items()}


def _means(window: list[dict[str, float]]) -> dict[str, float]:
    """Means over the steps that were not skipped; of counts and the rate, the last."""
    good = [metrics for metrics in window if not metrics["skipped_in_a_row"]]
    means = {name: math.fsum(m[name] for m in good) / len(good) if good else math.nan for name in window[-1]}
    return means | {name: window[-1][name] for name in ("learning_rate", "skipped", "skipped_in_a_row")}


def _export(
    state: TrainState, config: Config, workdir: Path, mesh: jax.sharding.Mesh, scores: Mapping[str, float] | None
) -> None:
    """WORKDIR/weights.safetensors: the parameters to use, with what is known of them."""
    params = jax.jit(lambda params: params, out_shardings=replicated(mesh))(state.best_params)
    if is_primary():
        known = {"step": str(int(state.step)), "scores": json.dumps(scores)}
        save_weights(workdir / "weights.safetensors", config.model, jax.device_get(params), known)
