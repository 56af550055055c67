"""The report: what it holds, and that it works in a real browser."""

import re
import shutil
import tempfile

import jax
import numpy as np
import pytest
from PIL import Image

from yogo_jax.errors import UserError
from yogo_jax.evaluation.clips import find_clips
from yogo_jax.evaluation.models import BASELINES, network
from yogo_jax.evaluation.report import build
from yogo_jax.evaluation.report.exhibits import Examiner, exhibit
from yogo_jax.evaluation.run import score
from yogo_jax.model.config import YOGOConfig
from yogo_jax.weights import save_weights

TINY = YOGOConfig(
    filters=4, groups=1, fe_blocks=0, frb_backward=0, frb_forward=1, hfbs=1, pyramid_levels=1, dfu_direction="hidden"
)
HOSTILE = 'a"><img src=x onerror=alert(1)>'  # a clip's name is whatever its folder is called


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs of a tiny network and a baseline over two clips of 16 frames."""
    folder = tmp_path_factory.mktemp("report")
    y, x = np.mgrid[:32, :48][..., None]
    for name in ("b", HOSTILE):
        (folder / "clips" / name).mkdir(parents=True)
        for i in range(16):
            frame = 128 + 90 * np.sin((x + 2 * i) / 4 + [0, 1, 2]) * np.cos((y - i) / 5)
            Image.fromarray(np.uint8(frame)).save(folder / "clips" / name / f"{i}.png")
    shapes = jax.eval_shape(TINY.build().init, jax.random.key(0), np.zeros((1, 2, 8, 8, 3), np.float32))["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.05, leaf.shape).astype(np.float32), shapes)
    save_weights(folder / "tiny.safetensors", TINY, params)
    clips = find_clips("folder", folder / "clips")
    for model in (network(folder / "tiny.safetensors", name="tiny <b>"), BASELINES["blend"]):
        score(model, clips, folder / model.name[:4], devices=jax.devices()[:1])
    return folder


@pytest.fixture(scope="module")
def page(runs):
    return build([runs / "tiny", runs / "blen"], runs / "page")


def test_runs_that_do_not_fit_together_are_refused(runs, tmp_path):
    shorter = tmp_path / "shorter"
    shutil.copytree(runs / "clips" / "b", shorter / "clips" / "b")
    shutil.copytree(runs / "clips" / "b", shorter / "others" / "c")
    (shorter / "clips" / "b" / "15.png").unlink()
    for name, message in (("clips", "not the same clip in all runs"), ("others", "no clip that all of them")):
        score(
            BASELINES["blend"], find_clips("folder", shorter / name), shorter / f"of {name}", devices=jax.devices()[:1]
        )
        with pytest.raises(UserError, match=message):
            build([runs / "tiny", shorter / f"of {name}"], tmp_path / "page")


def test_the_maps_are_the_networks_own(runs):
    """The image of the looked-into network is that of the plain one; the maps have its size and number."""
    model = network(runs / "tiny.safetensors")
    clips = {clip.name: clip for clip in find_clips("folder", runs / "clips").clips}
    shown = exhibit(clips["b"], 8, [Examiner(model), Examiner(BASELINES["blend"])], profile_windows=2)
    assert (shown.clip, shown.frame, shown.known) == ("b", 8, True)
    look = shown.looks[model.name]
    frames = np.stack(list(clips["b"].frames()))
    np.testing.assert_array_equal(shown.truth, frames[8])
    # Windows of the two that cover frames 6 to 15: it counts from the second one of the clip to its end.
    np.testing.assert_array_equal(shown.truth_profile, frames[6:16, shown.row])
    assert look.profile.shape == shown.truth_profile.shape
    assert look.structure is not None
    assert look.structure.shape == look.frame.shape == (32, 48, 3)
    assert look.dfu is not None
    assert look.fru is not None
    assert look.dfu.shape == look.fru.shape == (2, 8, 12)
    assert shown.looks["blend"].dfu is None
    left, top, width, height = shown.crop
    assert 0 <= left <= 48 - width
    assert 0 <= top <= 32 - height


def test_every_frame_can_be_shown(runs):
    clip = find_clips("folder", runs / "clips").clips[0]
    examiner = Examiner(BASELINES["blend"])
    frames = np.stack(list(clip.frames()))
    for frame in range(16):
        shown = exhibit(clip, frame, [examiner])
        np.testing.assert_array_equal(shown.truth, frames[frame])
        assert len(shown.truth_profile) == 16
    with pytest.raises(UserError, match="no frame 16"):
        exhibit(clip, 16, [examiner])


def test_wrong_requests_are_one_line(runs, tmp_path):
    for frames in (["b:99"], ["c:1"], ["b"]):
        with pytest.raises(UserError, match=re.escape(f"--frames {frames[0]}")):
            build([runs / "tiny"], tmp_path, frames)
    with pytest.raises(UserError, match="second run"):
        build([runs / "tiny", runs / "tiny"], tmp_path)
    with pytest.raises(UserError, match="no such file"):
        build([runs / "absent"], tmp_path)


def test_moved_weights_and_clips_are_named(runs, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(runs / "tiny", moved)
    results = (moved / "results.json").read_text()
    (moved / "results.json").write_text(results.replace("tiny.safetensors", "gone.safetensors"))
    with pytest.raises(UserError, match=r"gone\.safetensors"):
        build([moved], tmp_path)
    assert build([moved], tmp_path, chosen=[]).is_file()  # table and curves need neither
    save_weights(runs / "other.safetensors", TINY, network(runs / "tiny.safetensors").parameters, {"other": "bytes"})
    (moved / "results.json").write_text(results.replace("tiny.safetensors", "other.safetensors"))
    with pytest.raises(UserError, match="not the weights"):
        build([moved], tmp_path)


def test_nothing_is_fetched_from_outside(page):
    text = page.read_text()
    assert "default-src 'none'" in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert HOSTILE not in text


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, headless, driven by its own driver."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (
            *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", f"user-data-dir={profile}"),
            *(
                "disable-background-networking",
                "disable-component-update",
                "disable-sync",
                "force-prefers-reduced-motion",
            ),
        ):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.chrome.service.Service(driver)
        found = webdriver.Chrome(options=options, service=service)
        yield found
        found.quit()


def requests_of(browser):
    """Addresses that the page asked for since the last call."""
    pattern = re.compile(r'"Network\.requestWillBeSent".*?"request":\{.*?"url":"(.*?)"')
    return [m.group(1) for entry in browser.get_log("performance") for m in pattern.finditer(entry["message"])]


def test_it_works_in_chromium(browser, page):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    find = lambda selector: browser.find_element("css selector", selector)  # noqa: E731
    browser.set_window_size(1200, 900)
    browser.get(page.as_uri())

    assert len(browser.find_elements("css selector", "tr.ours")) == 2
    assert browser.find_elements("css selector", "tr.ours b") == []  # names are text

    # The slider moves by keyboard, and what it uncovers with it.
    slider = find(".exhibit:not([hidden]) .stage input")
    split = lambda: find(".stage .right").value_of_css_property("clip-path")  # noqa: E731
    before = split(), find(".stage .bar").rect["x"]
    slider.send_keys(*[keys.ARROW_RIGHT] * 10)
    assert "50%" in before[0]
    assert "55%" in split()
    assert find(".stage .bar").rect["x"] > before[1] + 20
    natural = browser.execute_script("return [...document.querySelectorAll('.stage img')].map(i => i.naturalWidth)")
    assert natural[:2] == [48, 48]

    # The left picture can be another method's.
    source = find(".stage img.left").get_attribute("src")
    find("select.a").send_keys("ground")
    assert find(".stage img.left").get_attribute("src") != source
    assert find(".stage .name.a").text == "ground truth"

    # The crop moves with the arrow keys, and every tile with it.
    canvas = "return document.querySelector('canvas[data-method=\"ground truth\"]').toDataURL()"
    finder, pixels = find(".finder"), browser.execute_script(canvas)
    place = finder.get_attribute("aria-valuetext")
    finder.send_keys(keys.ARROW_LEFT, keys.ARROW_UP, keys.ARROW_LEFT)
    if finder.get_attribute("aria-valuetext") == place:  # it was in the corner
        finder.send_keys(keys.ARROW_RIGHT, keys.ARROW_DOWN)
    assert finder.get_attribute("aria-valuetext") != place
    browser.execute_async_script("setTimeout(arguments[0], 100)")
    assert browser.execute_script(canvas) != pixels

    # The curves' cursor reads out a frame; the other metric redraws them.
    find(".chart input").send_keys(keys.ARROW_RIGHT)
    assert find(".chart output").text.startswith("Frame 1, made:")
    assert "dB" in find(".chart output").text
    lines = find(".chart").find_elements("css selector", "polyline")
    assert [len(line.get_attribute("points").split()) for line in lines] == [9, 7] * 2  # known and made, apart
    curve = find(".chart polyline").get_attribute("points")
    find("#metric button[value=ssim_y]").send_keys(keys.ENTER)
    assert find(".chart polyline").get_attribute("points") != curve

    # Another frame.
    find(".frames button[value='1']").send_keys(keys.ENTER)
    for number, displayed in (("0", False), ("1", True)):
        blocks = browser.find_elements("css selector", f".exhibit[data-exhibit='{number}']")
        assert [block.is_displayed() for block in blocks] == [displayed] * 2
    pressed = browser.find_elements("css selector", ".frames button[aria-pressed=true]")
    assert [button.get_attribute("value") for button in pressed] == ["1", "1"]

    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert [url for url in requests_of(browser) if not url.startswith(("file:", "data:", "chrome:"))] == []


def test_it_fits_a_phone(browser, page):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.find_element("css selector", ".stage").rect["width"] > 340
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_one_method_is_compared_with_the_truth(runs, tmp_path):
    text = build([runs / "blen"], tmp_path, ["b:3"]).read_text()
    assert re.search(r'select class="b".*?<option selected>ground truth', text)


def test_a_set_of_which_clips_are_missing_is_marked(runs, tmp_path):
    partial = tmp_path / "partial"
    shutil.copytree(runs / "blen", partial)
    results = (partial / "results.json").read_text()
    (partial / "results.json").write_text(results.replace('"missing": []', '"missing": ["lost"]'))
    text = build([partial], tmp_path, chosen=[]).read_text()
    assert re.search(r"<td>\d+\.\d\d\*</td>", text)
