"""The first page, as a reader meets it: upload, watch the labels appear, search, look closely, delete, be told."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import FileChooser, FilePayload, Page, Route, expect

from tests.browser.conftest import Watch, eventually
from tests.photographs import jpeg_of, photograph
from tests.processes import Lumitag

TOKEN = "a-long-and-random-token"
STRANGE_NAMES = (
    "<img src=x onerror=alert(1)>.jpg",
    '"><svg onload=alert(2)>.jpg',
    "javascript:alert(3).jpg",
    "&lt;b&gt;&#39;onfocus=alert(4) autofocus=&#39;.jpg",
    "{{7*7}}${alert(5)}`alert(6)`.jpg",
)
SIZES = ((1280, 860), (320, 640), (2200, 1300))


class GuardedLumitag(Lumitag):
    """A server that asks for a token, and a client that has it."""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        return super().send(method, path, body, {**(headers or {}), "Authorization": f"Bearer {TOKEN}"})


def upload(page: Page, *files: Path | FilePayload) -> None:
    page.set_input_files("#files", [file if isinstance(file, dict) else from_path(file) for file in files])


def from_path(path: Path) -> FilePayload:
    return payload(path.name, path.read_bytes())


def recognized(page: Page, count: int) -> None:
    expect(page.locator('.card[data-status="recognized"]')).to_have_count(count, timeout=60_000)


def card_of(page: Page, name: str) -> Any:
    return page.locator(".card").filter(has=page.locator(".card-name", has_text=re.compile(f"^{re.escape(name)}$")))


def payload(name: str, content: bytes, content_type: str = "image/jpeg") -> FilePayload:
    return {"name": name, "mimeType": content_type, "buffer": content}


def picture(seed: int = 0) -> bytes:
    return jpeg_of(Image.linear_gradient("L").resize((96, 96)).rotate(seed * 7).convert("RGB"))


def turned_cat() -> bytes:
    """Return the cat lying on its side, with an EXIF orientation that sets it upright."""
    image = photograph("cat").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_pictures_are_uploaded_and_their_labels_appear_without_a_reload(
    page: Page, photographs: dict[str, Path], screenshots: Path
) -> None:
    expect(page.locator("#lesson")).to_be_visible()
    page.screenshot(path=screenshots / "empty.png")
    page.evaluate("window.isTheSamePage = true")

    upload(page, *(photographs[name] for name in ("cat", "coffee", "motorcycle")))

    recognized(page, 3)
    assert page.evaluate("window.isTheSamePage")
    for name, label in (("cat", "Cat"), ("coffee", "Coffee"), ("motorcycle", "Motorcycle")):
        expect(card_of(page, f"{name}.jpg").locator(".tag", has_text=re.compile(f"^{label}$"))).to_be_visible()
        expect(card_of(page, f"{name}.jpg").locator("img")).to_have_attribute("alt", re.compile(label))
    expect(page.locator("#announcer")).to_contain_text("Cat")
    expect(page.locator("#lesson")).to_be_hidden()
    eventually(lambda: page.evaluate("[...document.querySelectorAll('.card-image')].every((i) => i.naturalWidth > 0)"))
    page.screenshot(path=screenshots / "gallery.png")


def test_labels_appear_without_live_events_too(open_page: Callable[..., Page], photographs: dict[str, Path]) -> None:
    page = open_page(prepare=lambda page: page.route("**/events", lambda route: route.abort()))
    upload(page, photographs["cat"])
    recognized(page, 1)
    expect(page.locator("#live-state")).to_be_visible()


def test_a_search_is_an_address_and_back_leads_back(
    page: Page, photographs: dict[str, Path], screenshots: Path
) -> None:
    upload(page, *photographs.values())
    recognized(page, len(photographs))

    page.focus("#search-box")
    page.keyboard.type("ca")
    expect(page.get_by_role("option", name=re.compile("^Cat"))).to_be_visible()
    page.screenshot(path=screenshots / "search.png")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"#/\?label=Cat$"))
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card .card-name")).to_have_text("cat.jpg")
    page.reload()
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator("#search-box")).to_have_value("Cat")
    page.go_back()
    expect(page.locator(".card")).to_have_count(len(photographs))


def test_a_search_that_finds_nothing_says_so(page: Page) -> None:
    page.fill("#search-box", "Unicorn")
    page.keyboard.press("Enter")
    expect(page.locator("#gallery-notice")).to_have_text("No image carries this label yet.")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_boxes_lie_exactly_where_the_record_says(
    open_page: Callable[..., Page], server: Lumitag, screenshots: Path, width: int, height: int
) -> None:
    keys = [
        server.upload("motorcycle.jpg", jpeg_of(photograph("motorcycle"))),
        server.upload("turned.jpg", turned_cat()),
    ]
    for key in keys:
        record = server.wait_for_end(key)
        page = open_page(f"/#/images/{key}", viewport={"width": width, "height": height}, color_scheme="dark")
        expect(page.locator(".large-image")).to_have_attribute("src", re.compile("^blob:"))  # The whole picture.
        expected = boxes_of(record)
        expect(page.locator(".box")).to_have_count(len(expected))
        assert expected
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        natural = page.eval_on_selector(".large-image", "(image) => [image.naturalWidth, image.naturalHeight]")
        assert natural == [record["width"], record["height"]]
        shown = page.locator(".large-image").bounding_box()
        assert shown is not None
        assert shown["width"] / shown["height"] == pytest.approx(natural[0] / natural[1], rel=0.01)
        drawn = sorted(relative(box.bounding_box(), shown) for box in page.locator(".box").all())
        for found, wanted in zip(drawn, expected, strict=True):
            assert found == pytest.approx(wanted, abs=1.5 / min(shown["width"], shown["height"]))
            assert found[0] + found[2] <= 1.01
            assert found[1] + found[3] <= 1.01
        page.screenshot(path=screenshots / f"{record['fileName']}-{width}.png")


def boxes_of(record: Any) -> list[tuple[float, ...]]:
    instances = [each for label in record["labels"] for each in label["instances"] if each["confidence"] >= 70]
    return sorted(
        tuple(instance["boundingBox"][side] for side in ("left", "top", "width", "height")) for instance in instances
    )


def relative(box: Any, frame: Any) -> tuple[float, ...]:
    return (
        (box["x"] - frame["x"]) / frame["width"],
        (box["y"] - frame["y"]) / frame["height"],
        box["width"] / frame["width"],
        box["height"] / frame["height"],
    )


def test_a_label_lights_its_boxes_and_a_box_its_label(page: Page, photographs: dict[str, Path]) -> None:
    upload(page, photographs["cat"])
    recognized(page, 1)
    page.locator(".card-link").click()
    row = page.locator('.label[data-label="Cat"]')
    box = page.locator('.box[data-label="Cat"]')

    row.hover()
    expect(box).to_have_class(re.compile("is-lit"))
    page.mouse.move(0, 0)
    expect(box).not_to_have_class(re.compile("is-lit"))
    box.focus()
    expect(row).to_have_class(re.compile("is-lit"))
    page.keyboard.press("Enter")
    expect(row.locator(".places")).to_have_attribute("aria-pressed", "true")
    expect(row.locator(".percent")).to_have_text(re.compile(r"^\d+%$"))


def test_more_labels_are_a_matter_of_looking(page: Page, photographs: dict[str, Path], server: Lumitag) -> None:
    upload(page, photographs["motorcycle"])
    recognized(page, 1)
    page.locator(".card-link").click()
    record = server.call("GET", "/images?limit=1")["images"][0]
    stored = server.record(record["key"])["labels"]
    for least in (30, 95):
        page.locator("#least").fill(str(least))
        expect(page.locator(".label")).to_have_count(sum(label["confidence"] >= least for label in stored))


def test_deleting_asks_first_and_then_forgets(page: Page, photographs: dict[str, Path], server: Lumitag) -> None:
    upload(page, photographs["cat"], photographs["coffee"])
    recognized(page, 2)
    card_of(page, "cat.jpg").locator(".card-link").click()

    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete cat.jpg?")
    page.keyboard.press("Escape")
    expect(page.locator("#image-title")).to_have_text("cat.jpg")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card-name")).to_have_text("coffee.jpg")
    assert [image["fileName"] for image in server.call("GET", "/images")["images"]] == ["coffee.jpg"]


def test_what_happens_elsewhere_is_seen_here(page: Page, server: Lumitag) -> None:
    expect(page.locator("#lesson")).to_be_visible()
    key = server.upload("elsewhere.jpg", jpeg_of(photograph("cat")))
    recognized(page, 1)
    server.send("DELETE", f"/images/{key}")
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("#lesson")).to_be_visible()


def test_what_was_missed_is_caught_up_with(page: Page, server: Lumitag) -> None:
    gone = server.upload("gone.jpg", picture(1))
    recognized(page, 1)
    page.route("**/events", lambda route: route.fulfill(status=503))  # The browser gives up on such an answer.
    page.reload()
    expect(page.locator("#live-state")).to_be_visible()
    server.send("DELETE", f"/images/{gone}")
    server.wait_for_end(server.upload("come.jpg", picture(2)))
    assert page.locator(".card-name").all_text_contents() == ["gone.jpg"]

    page.unroute("**/events")
    expect(page.locator(".card-name")).to_have_text(["come.jpg"], timeout=30_000)
    expect(page.locator("#live-state")).to_be_hidden()


def test_a_file_that_is_no_image_is_refused_in_clear_words(page: Page, server: Lumitag) -> None:
    upload(page, payload("letter.jpg", b"Dear reader, this is no picture."), payload("empty.png", b""))
    expect(page.locator(".queue-row")).to_have_count(2)
    expect(page.locator("#queue")).to_contain_text("The file is not a JPEG, PNG, WebP or GIF image.")
    expect(page.locator("#queue")).to_contain_text("The file is empty.")
    expect(page.locator("#announcer")).to_contain_text("2 not uploaded")
    page.get_by_role("button", name="Remove letter.jpg from the list").click()
    expect(page.locator(".queue-row")).to_have_count(1)
    assert server.call("GET", "/images")["images"] == []


def test_an_image_that_cannot_be_read_says_why(page: Page, photographs: dict[str, Path]) -> None:
    upload(page, payload("half.jpg", photographs["cat"].read_bytes()[:300]))
    expect(page.locator('.card[data-status="rejected"] .card-state')).to_contain_text("image", timeout=60_000)
    page.locator(".card-link").click()
    expect(page.locator("#page-image .notice")).to_contain_text("It could not be read")
    expect(page.locator("#page-image .frame")).to_have_attribute("data-nothing", "No image to show")


def test_a_lost_connection_is_tried_again(page: Page, photographs: dict[str, Path]) -> None:
    lost: list[str] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.request.url)
            route.abort()

    page.route("**/objects/**", lose_the_first)
    upload(page, photographs["cat"])
    recognized(page, 1)
    assert lost


def test_what_the_server_refuses_is_shown_in_its_words_and_can_be_retried(
    page: Page, photographs: dict[str, Path]
) -> None:
    words = "The disk has no room for this picture. Free some space."
    page.route(
        "**/generate-upload-url", lambda route: route.fulfill(status=413, json={"error": "full", "message": words})
    )
    upload(page, photographs["cat"])
    expect(page.locator(".queue-state")).to_have_text(words)
    page.unroute("**/generate-upload-url")
    page.get_by_role("button", name="Retry the upload of cat.jpg").click()
    recognized(page, 1)


def test_strange_names_are_only_text(page: Page, server: Lumitag, watch: Watch) -> None:
    upload(page, *(payload(name, picture(number)) for number, name in enumerate(STRANGE_NAMES)))
    recognized(page, len(STRANGE_NAMES))
    stored = {image["fileName"] for image in server.call("GET", "/images")["images"]}
    assert set(page.locator(".card-name").all_text_contents()) == stored
    assert stored == set(STRANGE_NAMES)
    for name in STRANGE_NAMES:
        card_of(page, name).locator(".card-link").click()
        expect(page.locator("#image-title")).to_have_text(name)
        page.get_by_role("button", name="Delete").click()
        expect(page.locator("#confirm-title")).to_have_text(f"Delete {name}?")
        page.keyboard.press("Escape")
        page.go_back()
        expect(page.locator(".card")).to_have_count(len(STRANGE_NAMES))
    page.goto(f"{watch.origin}/#/?label=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    expect(page.locator("#query-text")).to_have_text("<img src=x onerror=alert(1)>")
    watch.assert_nothing()


def test_many_pictures_come_a_page_at_a_time(page: Page, server: Lumitag) -> None:
    keys = [server.upload(f"{number}.jpg", picture(number)) for number in range(45)]
    for key in keys:
        server.wait_for_end(key)
    page.reload()
    expect(page.locator(".card")).to_have_count(40)
    page.locator(".card").last.scroll_into_view_if_needed()
    expect(page.locator(".card")).to_have_count(45)
    shown = page.eval_on_selector_all(".card", "(cards) => cards.map((card) => card.dataset.key)")
    assert shown == sorted(keys, reverse=True)


def test_everything_is_reached_by_keyboard(open_page: Callable[..., Page], photographs: dict[str, Path]) -> None:
    def choose(chooser: FileChooser) -> None:
        chooser.set_files(photographs["cat"])

    # Listening only when the key is pressed is too late now and then: the browser must know beforehand.
    page = open_page(prepare=lambda page: page.on("filechooser", choose))
    expect(page.locator("#lesson")).to_be_visible()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert {"skip", "search-box", "choose", "choose-folder"} <= set(reached)

    page.focus("#choose")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    recognized(page, 1)

    page.locator(".card-link").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#image-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".card-link")).to_be_focused()


def test_files_are_dropped_and_pasted(page: Page) -> None:
    page.evaluate(_GIVE_FILE, ["drop", "dropped.jpg", list(picture(1))])
    page.evaluate(_GIVE_FILE, ["paste", "pasted.jpg", list(picture(2))])
    recognized(page, 2)
    assert sorted(page.locator(".card-name").all_text_contents()) == ["dropped.jpg", "pasted.jpg"]


_GIVE_FILE = """
    ([type, name, bytes]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
      const data = type === "drop" ? { dataTransfer: transfer } : { clipboardData: transfer };
      const Event = type === "drop" ? DragEvent : ClipboardEvent;
      document.body.dispatchEvent(new Event(type, { ...data, bubbles: true, cancelable: true }));
    }
"""


def test_a_folder_is_uploaded_without_what_is_no_picture(page: Page, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.jpg").write_bytes(picture(1))
    (tmp_path / "two.jpg").write_bytes(picture(2))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").write_text("nothing to see")
    page.set_input_files("#folder", tmp_path)
    recognized(page, 2)
    expect(page.locator("#queue-summary")).to_contain_text("1 file is no image and was left out")


def test_somebody_is_told_and_no_longer_told(page: Page, screenshots: Path) -> None:
    page.get_by_role("link", name="Be told").click()
    expect(page.locator("#told-title")).to_be_focused()
    page.get_by_label("Mail address").fill("ana@example.org")
    page.get_by_label("Only for these labels").fill("Dog, Cat")
    page.get_by_role("button", name="Tell me").click()
    expect(page.get_by_text("Mail · Dog, Cat · each image")).to_be_visible()

    page.get_by_label("By", exact=True).select_option("webhook")
    page.get_by_label("Webhook URL").fill("http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Tell me").click()
    expect(page.locator(".secret-code")).to_have_text(re.compile(r"^whsec_\S{20,}$"))
    page.screenshot(path=screenshots / "told.png", full_page=True)

    page.get_by_role("button", name="Stop telling ana@example.org").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop telling").click()
    expect(page.get_by_text("ana@example.org", exact=True)).to_have_count(0)
    page.reload()
    expect(page.get_by_text("http://127.0.0.1:9/hook")).to_be_visible()
    expect(page.get_by_text("whsec_")).to_have_count(0)


def test_what_waits_to_be_told_is_shown(page: Page, server: Lumitag) -> None:
    mail = {"channel": "mail", "address": "ana@example.org"}
    server.call("POST", "/subscriptions", mail)  # Without a mail server, mails wait in the outbox.
    server.wait_for_end(server.upload("cat.jpg", jpeg_of(photograph("cat"))))
    page.get_by_role("link", name="Be told").click()
    expect(page.get_by_role("link", name="cat.jpg")).to_be_visible()


def test_dead_letters_can_be_redriven(open_page: Callable[..., Page]) -> None:
    letter = {
        "id": "7",
        "queue": "images",
        "key": "01k9x3r7m2v8q4t6w0y5z1a3b7",
        "reason": "The recognizer process died while it worked on this image.",
        "receiveCount": 5,
        "deadTime": "2026-11-23T12:00:00.000Z",
    }
    letters = [letter]
    asked: list[Any] = []

    def answer(route: Route) -> None:
        if route.request.method == "POST":
            asked.append(route.request.post_data_json)
            letters.clear()
            route.fulfill(json={"redriven": 1, "keys": [letter["key"]]})
        else:
            route.fulfill(json={"deadLetters": letters, "nextCursor": None})

    page = open_page("/#/told", prepare=lambda page: page.route("**/dead-letters", answer))
    expect(page.get_by_text("died while it worked")).to_be_visible()
    page.get_by_role("button", name=f"Redrive {letter['key']}").click()
    expect(page.get_by_text("died while it worked")).to_have_count(0)
    assert asked == [{"ids": ["7"]}]


def test_a_server_with_a_token_asks_for_it(
    open_page: Callable[..., Page], watch: Watch, tmp_path: Path, photographs: dict[str, Path], screenshots: Path
) -> None:
    with GuardedLumitag(tmp_path / "data", workers=1, token=TOKEN) as server:
        watch.origin = server.base_url
        page = open_page()
        page.screenshot(path=screenshots / "sign-in.png")
        page.get_by_label("Token").fill("not-the-token-at-all")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#session-problem")).to_contain_text("not the token")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        upload(page, photographs["cat"])
        recognized(page, 1)
        page.reload()
        recognized(page, 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_nothing_is_wider_than_a_small_screen(
    open_page: Callable[..., Page], server: Lumitag, screenshots: Path, scheme: str
) -> None:
    key = server.upload("a-rather-long-name-" * 8 + ".jpg", jpeg_of(photograph("coffee")))
    server.wait_for_end(key)
    page = open_page(viewport={"width": 320, "height": 640}, color_scheme=scheme, reduced_motion="reduce")
    for path in ("#/", f"#/images/{key}", "#/told", "#/?label=Unicorn"):
        page.goto(f"{server.base_url}/{path}")
        time.sleep(0.5)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(_NAMELESS) == []
        assert page.evaluate(_FAINT) == [], path
        page.screenshot(path=screenshots / f"small-{scheme}-{re.sub(r'[^a-z]', '', path)[:6]}.png", full_page=True)


# Visible controls without a name and pictures without alt text.
_NAMELESS = """
    () => [...document.querySelectorAll("button, a, input, select, img")]
      .filter((node) => node.checkVisibility() && !node.matches("[aria-hidden=true]"))
      .filter((node) => !(node.ariaLabel || node.alt || node.labels?.length || node.textContent.trim() ||
                          node.querySelector("img[alt]")))
      .map((node) => node.outerHTML)
"""

# Visible text on a plain background whose contrast is below 4.5 : 1 (WCAG 2.2, 1.4.3).
_FAINT = """
    () => {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
      const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
      };
      const light = (color) => rgba(color).slice(0, 3).map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
      const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
          const color = getComputedStyle(at).backgroundColor;
          if (rgba(color)[3] === 255) return color;
        }
        return "white";
      };
      const contrast = (node) => {
        const [dark, bright] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => a - b);
        return (bright + 0.05) / (dark + 0.05);
      };
      return [...document.querySelectorAll("body *")]
        .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
        .filter((node) => node.checkVisibility({ opacityProperty: true }) && !node.closest(".unseen, svg, .box-name"))
        .filter((node) => contrast(node) < 4.5)
        .map((node) => `${node.textContent.slice(0, 40)} ${contrast(node).toFixed(2)}`);
    }
"""
