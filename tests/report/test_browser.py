"""The page in a headless browser: no request, no complaint; charts are drawn, hover, click and sorting work."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.factories import full_run, layer_profile, measurement, run
from tests.report.test_charts import HOSTILE
from tests.report.test_page import whole
from tests.report.test_story import days
from yolo_perf.report.page import page
from yolo_perf.report.story import Story, tell

pytestmark = pytest.mark.slow
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
MOST_BYTES = 8_000_000
DRAWN = """
const places = [...document.querySelectorAll(".chart")];
return places.length > 0 && places.every((place) => place.querySelector(".main-svg"));
"""


@pytest.fixture(scope="module")
def library() -> str:
    pytest.importorskip("plotly", reason="pip install 'yolo-perf[report]'")
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")
    if BROWSER is None:
        pytest.skip("No Chromium or Chrome here.")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(argument)
    for argument in ("--no-first-run", "--disable-background-networking", "--disable-component-update"):
        options.add_argument(argument)
    driver = shutil.which("chromedriver")
    service = webdriver.ChromeService(executable_path=driver) if driver else webdriver.ChromeService()
    found = webdriver.Chrome(options=options, service=service)
    yield found
    found.quit()


def opened(browser: Any, story: Story, library: str, folder: Path) -> str:
    """Open the story's page and wait for its charts; the page's text."""
    from selenium.webdriver.support.ui import WebDriverWait

    path = folder / "report.html"
    path.write_text(page(story, library), encoding="utf-8")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(DRAWN))
    return path.read_text(encoding="utf-8")


def complaints(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] != "INFO"]


def test_charts_are_drawn_without_a_complaint_or_a_request(browser: Any, library: str, tmp_path: Path) -> None:
    opened(browser, whole(), library, tmp_path)
    assert complaints(browser) == []
    requests = [
        entry["message"] for entry in browser.get_log("performance") if 'requestWillBeSent"' in entry["message"]
    ]
    urls = {part.split('"')[0] for message in requests for part in message.split('"url":"')[1:]}
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "blob"}
    points = browser.execute_script("return document.querySelectorAll('#chart-roofline .point').length")
    assert points >= 6
    bars = browser.execute_script("return document.querySelectorAll('#chart-latency .bars .point').length")
    assert bars == 6


def test_a_pointer_over_a_bar_tells_its_figures(browser: Any, library: str, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    opened(browser, whole(), library, tmp_path)
    bar = browser.find_element("css selector", "#chart-latency .bars .point path")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", bar)
    ActionChains(browser).move_to_element(bar).perform()
    told = "return document.querySelector('#chart-latency .hoverlayer').textContent"
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(told))
    assert "ms/image" in browser.execute_script(told)


def test_a_clicked_model_shows_its_layers_and_hides_them_again(browser: Any, library: str, tmp_path: Path) -> None:
    opened(browser, whole(), library, tmp_path)
    click = """
        const place = document.getElementById("chart-roofline");
        const point = place.data.find((trace) => trace.name === "eager");
        place.emit("plotly_click", { points: [{ customdata: point.customdata[0] }] });
        return place.data.find((trace) => trace.meta === "layers:n-eager").visible;
    """
    assert browser.execute_script(click) is True
    assert browser.execute_script(click) == "legendonly"


def test_a_heading_sorts_by_value_and_turns_around(browser: Any, library: str, tmp_path: Path) -> None:
    opened(browser, whole(), library, tmp_path)
    heading = browser.find_element("xpath", "//table[@id='table-results']//button[text()='ms/image']")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", heading)

    def column() -> list[float]:
        cells = browser.execute_script(
            "return [...document.querySelectorAll('#table-results tbody tr')].map(r => r.cells[3].textContent)"
        )
        return [float(cell) for cell in cells]

    heading.click()
    assert column() == sorted(column())
    heading.click()
    assert column() == sorted(column(), reverse=True)
    assert heading.find_element("xpath", "..").get_attribute("aria-sort") == "descending"


def test_a_phone_in_the_dark_needs_no_sideways_scrolling(browser: Any, library: str, tmp_path: Path) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        opened(browser, whole(), library, tmp_path)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        ink, paper = browser.execute_script(
            "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        )
        assert ink == "rgb(230, 237, 243)"
        assert paper == "rgb(15, 19, 25)"
        axis = browser.execute_script(
            "return getComputedStyle(document.querySelector('#chart-latency .xtick text')).fill"
        )
        assert axis == ink
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_hostile_names_run_nothing(browser: Any, library: str, tmp_path: Path) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\">" + HOSTILE
    measured = measurement((0.04, 0.05), backend=attack)
    opened(browser, tell(days(run(measured, data=attack, layers=(layer_profile(attack),)))), library, tmp_path)
    assert browser.title != "owned"
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert complaints(browser) == []


def test_five_models_five_optimisations_with_layers_stay_small_and_open(
    browser: Any, library: str, tmp_path: Path
) -> None:
    names = ("eager", "batched", "onnx", "onnx-dynamic-int8", "onnx-static-int8")
    leaf = layer_profile().layers[0]
    profiles, measured = [], []
    for size in "nsmlx":
        for name in names:
            measured.append(measurement((0.04,) * 50, size=size, backend=name))
            many = tuple(replace(leaf, name=f"model.{number}.cv1.conv") for number in range(141))
            profiles.append(layer_profile(name, layers=many, case=measured[-1].case))
    text = opened(
        browser, tell(days(full_run(measurements=tuple(measured), layers=tuple(profiles)))), library, tmp_path
    )
    assert len(text.encode()) < MOST_BYTES
    assert complaints(browser) == []
    if folder := os.environ.get("YOLO_PERF_TEST_ARTEFACTS"):
        browser.save_screenshot(str(Path(folder) / "report.png"))
    timing = browser.execute_script(
        "const t = performance.getEntriesByType('navigation')[0]; return t.domContentLoadedEventEnd"
    )
    print(f"opened in {timing:.0f} ms, {len(text.encode()) / 1e6:.1f} MB")  # noqa: T201 - to be read with -s
