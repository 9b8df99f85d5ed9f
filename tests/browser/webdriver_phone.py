"""The same phone with another engine, driven by Selenium: what differs is in webkit.py and firefox.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from server import Server

SIZE = (390, 844)
WAIT_SECONDS = 60
SHOWN_LETTERS = 600
LEAVE = "window.isLeft = true"
IS_LOADED = "return !window.isLeft && document.readyState === 'complete'"


class WebDriverPhone:
    """One engineer's phone, driven as a thumb would; words as in :class:`phone.Phone`."""

    def __init__(self, browser: WebDriver, server: Server) -> None:
        self.browser = browser
        self.server = server
        browser.set_window_size(*SIZE)

    def sign_in(self, account: str) -> None:
        """Sign in; the phone enrols itself and becomes its own server."""
        self.browser.get(f"{self.server.url}/sign-in")
        self.find("#account").send_keys(account)
        self.find("#password").send_keys(self.server.accounts[account].password)
        self.press("main button")
        self.arrives("/visits/install")
        self.until(self.is_controlled, "a worker in control")
        opened = "return document.querySelectorAll('details[open]').length"
        self.until(lambda: self.browser.execute_script(opened) == 1, "the way of this browser")
        self.press(".save-bar a")
        self.arrives("/visits")

    def is_controlled(self) -> bool:
        """Whether the phone itself answers."""
        return bool(self.browser.execute_script("return !!navigator.serviceWorker.controller"))

    @property
    def path(self) -> str:
        """The path of the page shown."""
        return self.browser.current_url.removeprefix(self.server.url).partition("?")[0]

    def open(self, path: str) -> None:
        """Open a page; the phone itself must be the one that answers."""
        self.browser.execute_script(LEAVE)
        self.browser.get(f"{self.server.url}{path}")
        # WebKit's driver can take the end of the swap before for the end of this load: what is done
        # then comes before the page's scripts, and a photo or a tap is lost.
        self.until(lambda: self.browser.execute_script(IS_LOADED), path)
        assert self.is_controlled(), f"{path} was answered by the network"

    def reload(self) -> None:
        """The same page again, as the browser's own button does it.

        Firefox's driver reloads past the worker, as with the shift key held.
        """
        self.browser.execute_script(f"{LEAVE}; location.reload()")
        self.until(lambda: self.browser.execute_script(IS_LOADED), "the same page again")

    def back(self) -> None:
        """One step back: a page comes, by a load or by a swap."""
        self.browser.execute_script(
            f"{LEAVE}; document.addEventListener('htmx:after:swap', () => {{ window.isLeft = false }})"
        )
        self.browser.back()
        self.until(lambda: self.browser.execute_script(IS_LOADED), "the page before")

    def asks(self, promise: str) -> Any:
        """What a promise in the page comes to."""
        return self.browser.execute_async_script(
            f"const done = arguments[arguments.length - 1]; ({promise}).then(done)"
        )

    def find(self, selector: str) -> WebElement:
        """The first element that matches; it may still have to come."""
        return self.until(
            lambda: next(iter(self.browser.find_elements(By.CSS_SELECTOR, selector)), None),
            selector,
        )

    def press(self, selector: str) -> None:
        """Press a button or a label."""
        element = self.find(selector)
        self.show(element)
        element.click()

    def hold(self, selector: str, path: str) -> None:
        """Hold a button until its page comes.  Firefox cannot let go on a page that is leaving."""
        button = self.find(selector)
        self.show(button)
        ActionChains(self.browser).click_and_hold(button).perform()
        self.arrives(path)
        self.until(lambda: self.browser.execute_script(IS_LOADED), path)
        ActionChains(self.browser).release().perform()

    def show(self, element: WebElement) -> None:
        """Scroll until the element is in the middle of the screen."""
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)

    def top_of(self, element: WebElement) -> float:
        """How far below the top of the page it stands, in CSS pixels."""
        top = "return arguments[0].getBoundingClientRect().top + scrollY"
        return round(float(self.browser.execute_script(top, element)), 1)

    def record(self, visit: str, noun: str, **fields: Any) -> None:
        """Fill in one form and save it; back on the visit's page afterwards."""
        list_ = fields.pop("list_", "")
        self.open(f"/visits/{visit}/{noun}{f'?list={list_}' if list_ else ''}")
        for name, value in fields.items():
            self.fill(name, value)
        self.save(visit)

    def fill(self, name: str, value: Any) -> None:
        """Give one field its value: text, a choice's key, a list of ticks."""
        field = self.find(f"form.entry-form [name='{name}']")
        if field.get_attribute("type") in ("radio", "checkbox"):
            for key in value if isinstance(value, list) else [value]:
                choice = f"[name='{name}'][value='{key}']"
                self.press(f"label:has({choice})")
                assert self.find(choice).get_property("checked"), f"{choice} is not chosen"
        else:
            if field.get_property("value"):
                field.clear()
            self.press(f"form.entry-form [name='{name}']")
            field.send_keys(value)
            assert field.get_property("value") == value

    def save(self, visit: str) -> None:
        """Press the button; the visit's page must come."""
        self.press("form.entry-form button.save")
        self.arrives(f"/visits/{visit}")
        self.find("ol.steps")

    def arrives(self, path: str) -> None:
        """The page comes."""
        self.until(lambda: self.path == path, path)

    def take_photo(self, visit: str, file: Path, caption: str) -> None:
        """Choose a picture file as the camera would give it, and save the entry."""
        self.open(f"/visits/{visit}/photos")
        self.find("[data-photo-file]").send_keys(str(file))
        kept = self.find("input[name=sha256]")
        self.until(lambda: len(str(kept.get_property("value"))) == 64, "a kept photo")
        self.fill("caption", caption)
        self.save(visit)

    def sign(self, visit: str, name: str, role: str = "contact") -> None:
        """The customer signs on the hand-over page; the engineer takes the phone back."""
        self.open(f"/visits/{visit}/signatures")
        self.fill("name", name)
        self.fill("role", role)
        self.draw()
        self.press("form.entry-form button.save")
        self.find("#thanks")
        self.hold(".hold", f"/visits/{visit}")

    def kept_for_later(self) -> list[str]:
        """Paths of the files that the worker fetched behind its first sync."""
        paths: list[str] = self.asks(
            """caches.open("later").then((cache) => cache.keys())
              .then((all) => all.map((each) => new URL(each.url).pathname))"""
        )
        return paths

    def loaded(self, selector: str) -> bool:
        """Whether a picture came, 320 px wide."""
        image = self.find(selector)
        self.show(image)
        return bool(image.get_property("naturalWidth") == 320)

    def keeps_its_room(self, selector: str) -> bool:
        """Whether a picture takes as much room before it has come as afterwards."""
        image = self.find(selector)
        self.show(image)
        self.until(lambda: image.get_property("naturalWidth"), "the picture")
        taken = image.size
        self.browser.execute_script("arguments[0].removeAttribute('src')", image)
        return bool(image.size == taken)

    def draw(self, selector: str = "[data-pad] canvas") -> None:
        """Two strokes on the pad, by a pointer that goes down, moves and goes up."""
        pad = self.find(selector)
        self.show(pad)
        width, height = pad.size["width"], pad.size["height"]
        for start, end in (((-0.4, -0.2), (0.0, 0.2)), ((0.0, -0.3), (0.4, 0.3))):
            strokes = ActionChains(self.browser, duration=40)
            strokes.move_to_element_with_offset(
                pad, int(start[0] * width), int(start[1] * height)
            ).click_and_hold()
            for _ in range(8):
                strokes.move_by_offset(
                    int((end[0] - start[0]) * width / 8), int((end[1] - start[1]) * height / 8)
                )
            strokes.release().perform()

    @property
    def text(self) -> str:
        """All that can be read on the page."""
        return str(self.browser.execute_script("return document.body?.innerText ?? ''"))

    def until(self, look: Callable[[], Any], what: str) -> Any:
        """What ``look`` finds, once it finds something; AssertionError after a minute."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (found := look()):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"waited in vain for {what}; {self.path} shows: {self.text[:SHOWN_LETTERS]}"
                )
            time.sleep(0.05)
        return found

    def sees(self, text: str) -> None:
        """The text comes to be on the page."""
        self.until(lambda: text in self.text, text)

    def sync_line(self) -> str:
        """What the sync line says."""
        return self.find(".sync").text.strip()

    def choose_pin(self, pin: str) -> None:
        """Lock what is handed over with a PIN."""
        self.open("/visits/pin")
        self.find("#pin").send_keys(pin)
        self.find("#repeat").send_keys(pin)
        self.press("main button.save")
        self.find("#has-pin")

    def take_back(self, visit: str, pin: str) -> None:
        """The engineer takes the phone back: by ``pin`` when it has one, else by holding a button."""
        if self.browser.find_elements(By.CSS_SELECTOR, ".hold"):
            self.hold(".hold", f"/visits/{visit}")
        else:
            self.leave_with_pin(visit, pin)

    def leave_with_pin(self, visit: str, pin: str) -> None:
        """The engineer takes the phone back by his PIN."""
        self.press(".leave")
        self.find("#pin").send_keys(pin)
        self.press("main button.save")
        self.arrives(f"/visits/{visit}")

    def is_handed_over(self) -> bool:
        """Whether the customer's page is shown, and nothing else."""
        shown = "return ['.handover', '.bar'].map((each) => !!document.querySelector(each))"
        return bool(self.browser.execute_script(shown) == [True, False])

    def has_newest(self) -> bool:
        """Whether no other worker waits for this one to be done."""
        return bool(
            self.asks(
                """navigator.serviceWorker.getRegistration().then(
                  ({ installing, waiting, active }) =>
                    !installing && !waiting && active.state === "activated"
                      && navigator.serviceWorker.controller === active)"""
            )
        )

    def looks_for_update(self) -> None:
        """Ask the office for another worker, as the browser does by itself within a day."""
        self.asks("navigator.serviceWorker.getRegistration().then((each) => each.update())")

    def waits_for_sync(self, text: str, but_not: str) -> None:
        """The sync line comes to say ``text``; the phone is asked again and again."""

        def says() -> bool:
            self.browser.execute_script(
                "navigator.serviceWorker.controller.postMessage({type: 'sync'})"
            )
            time.sleep(0.5)
            self.reload()
            line = self.sync_line()
            return text in line and but_not not in line

        self.until(says, f"{text!r} on the sync line")
