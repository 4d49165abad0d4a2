"""The page in a real browser, without a window: what a pointer and the keyboard do to it."""

import math
import re
import shutil
from itertools import count

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.draw.scene.labels import number_text

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver import ActionChains, Keys  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not BROWSER or not DRIVER, reason="there is no Chromium with chromedriver")


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        driver.set_window_size(1600, 900)
        yield driver
    finally:
        driver.quit()


class Opened:
    """A page, and what a reader sees of it."""

    def __init__(self, driver, path):
        self.driver = driver
        driver.get(path.as_uri())

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def press(self, *keys):
        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def point(self, selector):
        ActionChains(self.driver, duration=20).move_to_element(self.one(selector)).perform()

    @property
    def status(self):
        return self.driver.execute_script("return document.getElementById('status').textContent")

    @property
    def tip(self):
        return self.one("#tip").text

    def place(self, view=0):
        made = self.one(f"#v{view}-picture .world").get_attribute("transform") or "translate(0 0) scale(1)"
        return [float(number) for number in re.findall(r"-?[\d.]+", made)]

    def seen(self, selector):
        return self.one(selector).is_displayed()

    def ids(self, selector):
        return [one.get_attribute("id") for one in self.driver.find_elements("css selector", selector)]


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a picture; at the end nothing must have gone wrong in it."""
    numbers = count()

    def open(picture):
        return Opened(browser, tmp_path / picture.save(tmp_path / f"{next(numbers)}.html"))

    browser.get_log("browser")
    yield open
    assert browser.get_log("browser") == []


@pytest.fixture(scope="module")
def lstm():
    return tg.draw(tg.lstm, layout="layered")


@pytest.fixture(scope="module")
def folded():
    return tg.draw(tg.lstm, steps=20)


def told(picture, number):
    """What the page says of what comes back along an edge."""
    edge = picture.graph.edges[number]
    source = next(one for one in picture.graph.nodes if one.id == edge.source)
    formula = f" = {edge.formula}" if edge.formula else ""
    name = f"d{source.name or edge.argument}"
    return f": {name}{formula}  |{name}| {number_text(edge.gradient)}"


def test_the_backward_pass_runs_edge_by_edge(opened, lstm):
    page, graph = opened(lstm), lstm.graph
    steps = [k for k in range(len(graph.edges)) if graph.edges[k].gradient is not None][::-1]
    assert f"{len(steps)} edges" in page.status and page.ids(".now") == []
    for at, number in enumerate(steps):
        page.press("n")
        status = page.status
        assert status.startswith(f"{at + 1} of {len(steps)}: through ") and status.endswith(told(lstm, number))
        (shown,) = page.ids(".now")
        line = next(line for line in lstm.scene.lines if f"v0-{line.id}" == shown)
        assert line.look == "backward"
        assert line.about == number or lstm.scene.shape(line.source).look == "slice"  # one line for all slices
        assert sorted(page.ids(".near")) == sorted([f"v0-{line.source}", f"v0-{line.target}"])
    assert page.status == f"25 of 25: through @: {told(lstm, 0)[2:]}"
    page.press("n")
    assert page.status.startswith("25 of 25")
    page.press("p", "p")
    assert page.status.startswith("23 of 25")
    page.press(Keys.HOME)
    assert "25 edges" in page.status and page.ids(".stepping") == []


def test_what_was_passed_keeps_its_ink(opened, lstm):
    page, graph = opened(lstm), lstm.graph
    ink = "return getComputedStyle(document.getElementById(arguments[0])).opacity"
    first, last = (next(f"v0-{line.id}" for line in lstm.scene.lines if line.look == "backward" and line.about == k)
                   for k in (len(graph.edges) - 1, 0))  # fmt: skip
    assert page.driver.execute_script(ink, first) == page.driver.execute_script(ink, last) == "1"
    page.press("n", "n")
    assert page.driver.execute_script(ink, first) == "1" and float(page.driver.execute_script(ink, last)) < 0.3
    ActionChains(page.driver).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    assert page.status.startswith("3 of 25")
    page.one("#previous").click()
    page.one("#next").click()
    page.one("#next").click()
    assert page.status.startswith("4 of 25")
    page.one("#play").click()
    assert page.one("#play").text.endswith("pause")
    page.one("#play").click()


def test_a_fold_opens_by_click_and_closes_by_escape(opened, folded):
    page = opened(folded)
    assert page.seen("#v0-picture") and not page.seen("#v1-picture") and not page.one("#leave").is_enabled()
    page.one("#v0-picture g.fold").click()
    assert page.seen("#v1-picture") and not page.seen("#v0-picture") and page.one("#leave").is_enabled()
    page.press("n")
    assert page.status.startswith(f"1 of {sum(edge.gradient is not None for edge in folded.opened.fold.edges)}")
    page.press(Keys.ESCAPE)
    assert page.seen("#v0-picture") and not page.seen("#v1-picture")
    assert "fold" in page.driver.switch_to.active_element.get_attribute("class")
    page.press(Keys.ENTER)
    assert page.seen("#v1-picture")
    page.one("#leave").click()
    assert page.seen("#v0-picture")


def test_a_step_opens_into_its_operations_and_is_left_again(opened, folded):
    page = opened(folded)
    step = next(vertex for vertex in folded.graph if vertex.kind == "cell" and vertex.step == 1)
    box = f"#v0-{next(shape.id for shape in folded.scene.shapes if shape.about == step.id)}"
    page.one(box).click()
    number = 2 + list(folded.opened.boxes).index(step.id)
    assert page.seen(f"#v{number}-picture") and not page.seen("#v0-picture")
    page.press("n")
    inside = folded.opened.boxes[step.id]
    assert page.status.startswith(f"1 of {sum(edge.gradient is not None for edge in inside.edges)}: through ")
    assert inside.title == "lstm: step 1" and "σ" in page.one(f"#v{number}-picture").text
    page.press(Keys.ESCAPE)
    assert page.seen("#v0-picture") and page.one(box).get_attribute("role") == "button"


def test_a_fold_that_cannot_be_opened_lists_its_norms(opened):
    picture = tg.draw(tg.rnn, steps=500)
    page, fold = opened(picture), picture.graph.folds[0]
    page.one("g.fold").click()
    rows = [row.text.split() for row in page.driver.find_elements("css selector", "#norms tr")]
    norms = picture.graph.rows[0].gradients["dh"]
    assert rows[0][:2] == ["step", "dh"] and rows[1][:2] == [str(fold.first), number_text(norms[fold.first])]
    assert 150 < len(rows) <= 201 and int(rows[-1][0]) <= fold.last
    page.press(Keys.ESCAPE)
    assert not page.seen("#norms")


def test_pointing_tells_what_a_node_and_an_edge_are(opened, lstm):
    page, gate = opened(lstm), lstm.graph["f"]
    page.point(f"#v0-{gate.id}")
    mean, gradient = f"mean {gate.summary['mean']:.2g}", number_text(gate.gradient)
    for text in ("σ (f)", "sigmoid", "(1, 5)", "float64", mean, gradient):
        assert text in page.tip
    edge = next(edge for edge in lstm.graph.edges if edge.target == lstm.graph["h'"].id)
    number = lstm.graph.edges.index(edge)
    line = next(line for line in lstm.scene.lines if line.about == number and line.look == "backward")
    page.point(f"#v0-{line.id} text")
    for text in ("σ (o) → ⊙ (h') as x", f"do = {edge.formula}", number_text(edge.gradient)):
        assert text in page.tip
    page.point("#status")
    assert not page.seen("#tip")


def test_it_zooms_and_pans(opened, lstm):
    page = opened(lstm)
    assert page.place() == [0, 0, 1]
    page.press("+", "+")
    assert math.isclose(page.place()[2], 1.25**2, rel_tol=1e-3)
    before = page.place()
    page.press(Keys.ARROW_LEFT, Keys.ARROW_UP)
    after = page.place()
    assert after[0] > before[0] and after[1] > before[1] and after[2] == before[2]
    ActionChains(page.driver, duration=20).move_to_element_with_offset(page.one("#stage"), 0, 250).click_and_hold() \
        .move_by_offset(-120, -40).release().perform()  # fmt: skip
    moved = page.place()
    assert moved[0] < after[0] - 50 and moved[1] < after[1] - 20
    page.press("0")
    assert page.place() == [0, 0, 1]
    where = page.one(f"#v0-{lstm.graph['f'].id}").rect
    page.driver.execute_script(
        "const [clientX, clientY] = arguments;"
        "stage.dispatchEvent(new WheelEvent('wheel', {deltaY: -400, cancelable: true, clientX, clientY}))",
        where["x"] + where["width"] / 2, where["y"] + where["height"] / 2,
    )  # fmt: skip
    larger = page.one(f"#v0-{lstm.graph['f'].id}").rect
    assert larger["width"] > 1.5 * where["width"]
    middles = [[rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2] for rect in (where, larger)]
    assert middles[0] == pytest.approx(middles[1], abs=3)  # it stays under the pointer
    ActionChains(page.driver).double_click(page.one("#stage")).perform()
    assert page.place() == [0, 0, 1]


def test_the_keyboard_reaches_every_part(opened, lstm):
    page = opened(lstm)
    wanted = [f"v0-{one.id}" for one in lstm.scene.shapes if one.about and one.look != "port"]
    reached = []
    page.driver.execute_script("document.getElementById('help').focus()")
    for _ in range(120):
        page.press(Keys.TAB)
        active = page.driver.switch_to.active_element
        if active.tag_name == "summary":
            break
        reached.append(active.get_attribute("id"))
        assert active.get_attribute("aria-label") and page.seen("#tip")
    assert [id for id in wanted if id not in reached] == []
    page.press("?")
    assert not page.seen("#keys")  # in the text, keys are its own
    page.one("#help").click()
    assert page.seen("#keys") and "backward pass: on by a step" in page.one("#keys").text
    page.press(Keys.ESCAPE)
    assert not page.seen("#keys")


def test_it_is_light_or_dark(opened, lstm):
    page = opened(lstm)
    paper = "return getComputedStyle(document.body).backgroundColor"
    seen = []
    for scheme in ("light", "dark"):
        emulated = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
        seen.append(page.driver.execute_script(paper))
    page.press("t")
    seen.append(page.driver.execute_script(paper))
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert seen == ["rgb(255, 255, 255)", "rgb(21, 25, 30)", "rgb(255, 255, 255)"]


@pytest.fixture
def phone(browser):
    """A window of a telephone, which has fingers and no keys."""
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    yield browser
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_on_a_telephone_all_of_it_is_seen_and_fingers_do_what_keys_do(phone, opened, lstm):
    page = opened(lstm)
    assert page.place() == [0, 0, 1]
    inner = "const a = document.querySelector('#v0-picture .world').getBoundingClientRect();"
    seen = page.driver.execute_script(f"{inner} return [a.left, a.right, innerWidth, document.body.scrollWidth]")
    assert seen[0] >= 0 and seen[1] <= seen[2] == seen[3] == 390
    assert "Tap step ▶" in page.status
    middle = page.one(f"#v0-{lstm.graph['f'].id}").rect
    x, y = middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2
    for kind, fingers in (("touchStart", [(x - 20, y), (x + 20, y)]), ("touchMove", [(x - 60, y), (x + 60, y)]),
                          ("touchEnd", [])):  # fmt: skip
        points = [{"x": left, "y": top, "id": k} for k, (left, top) in enumerate(fingers)]
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert page.place()[2] == pytest.approx(3, rel=0.2)
    page.one("#next").click()
    assert page.status.startswith("1 of 25")
    page.one("#help").click()
    assert "pinch" in page.one("#keys").text and "Shift" not in page.one("#keys").text


def test_a_print_has_the_whole_picture_and_no_buttons(opened, lstm):
    page = opened(lstm)
    page.press("+", "+", "+")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    rect = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.right, r.width]"
    left, right, wide = page.driver.execute_script(rect, "#v0-picture .world")
    assert not page.seen("#next") and not page.seen("#status")
    assert left >= 0 and right <= page.driver.execute_script("return innerWidth") and wide > 300
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert len(page.driver.print_page()) > 5000


@pytest.mark.parametrize(
    "name", ["</script><script>window.bad = 1</script>", "<img src=x onerror='window.bad = 1'>", "a\0--><b>"]
)
def test_a_hostile_name_is_shown_and_does_nothing(opened, name):
    x = tg.tensor([[1.0, 2.0]], requires_grad=True)
    with tg.scope(name):
        y = tg.tanh(x)
    picture = tg.draw(y.sum(), title=name)
    inside = next(one.id for one in picture.graph.nodes if one.scope == name)
    page = opened(picture)
    page.point(f"#v0-{next(shape.id for shape in picture.scene.shapes if shape.about == inside)}")
    assert "scope" in page.tip and name.partition("\0")[0] in page.tip
    assert page.driver.execute_script("return window.bad === undefined && !document.querySelector('img, b')")
