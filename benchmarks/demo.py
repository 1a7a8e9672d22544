"""Measure how soon the page of `handlatent demo` can be used.

Run `python benchmarks/demo.py`; it needs the extras `demo` and `browser`, and Chromium or Chrome. It starts the
command, opens its page in fresh windows, draws 20 hands, and counts the requests that leave the machine.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WINDOWS = 3


def start() -> tuple[subprocess.Popen[str], str, float]:
    """Start the command; return its process, the page's address, and the seconds until it printed that."""
    began = time.perf_counter()
    words = [sys.executable, "-m", "agents.cli", "demo", "--no-browser", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None, "asked for"
    line = process.stdout.readline()
    return process, line.split()[1], time.perf_counter() - began


def visit(browser: Browser, address: str) -> dict[str, float]:
    """Open the page in a fresh window; return seconds from navigation, and requests."""
    context = browser.new_context()
    window = context.new_page()
    sent: list[str] = []
    window.on("request", lambda request: sent.append(request.url))
    began = time.perf_counter()
    window.goto(address)
    window.wait_for_selector("body[data-ready]")
    ready = time.perf_counter() - began
    window.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    paint = window.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    began = time.perf_counter()
    window.get_by_role("button", name="Draw", exact=True).click()
    window.locator("#draw .hand").first.wait_for()
    first = time.perf_counter() - began
    window.locator("#draw .status", has_text="Correct").wait_for(timeout=120_000)
    drawn = time.perf_counter() - began
    outside = [url for url in sent if not url.startswith((address, "data:"))]
    context.close()
    return {
        "first contentful paint": paint / 1000,
        "page ready": ready,
        "first hand": first,
        "20 hands": drawn,
        "requests": len(sent),
        "to other hosts": len(outside),
    }


def main() -> None:
    """Print the seconds of each window."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    from playwright.sync_api import sync_playwright  # an extra, which --help does not need

    process, address, seconds = start()
    print(f"command to address: {seconds:.2f} s")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=next(filter(None, map(shutil.which, BROWSERS))))
            for _ in range(WINDOWS):
                print(", ".join(f"{name} {value:.2f}" for name, value in visit(browser, address).items()))
            browser.close()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
