"""Make whetstone.png, .ico and .icns from whetstone.svg; run it after a change of the drawing.

Draws with a Chromium through playwright (a development dependency); both containers hold plain PNG files.
"""

import shutil
import struct
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ICONS = Path(__file__).parent / "icons"
PNG_SIZE = 256
ICO_SIZES = (16, 24, 32, 48, 64, 256)
ICNS_TYPES = {b"icp4": 16, b"icp5": 32, b"icp6": 64, b"ic07": 128, b"ic08": 256, b"ic09": 512, b"ic10": 1024}


def main() -> None:
    """Draw all sizes and write the three files."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        drawn = {size: png(page, size) for size in sorted({PNG_SIZE, *ICO_SIZES, *ICNS_TYPES.values()})}
        browser.close()
    (ICONS / "whetstone.png").write_bytes(drawn[PNG_SIZE])
    (ICONS / "whetstone.ico").write_bytes(ico([(size, drawn[size]) for size in ICO_SIZES]))
    (ICONS / "whetstone.icns").write_bytes(icns([(kind, drawn[size]) for kind, size in ICNS_TYPES.items()]))
    for file in sorted(ICONS.iterdir()):
        print(f"{file.name} {file.stat().st_size:,} bytes")


def png(page: Page, size: int) -> bytes:
    """Draw the icon `size` pixels wide on a transparent ground."""
    drawing = (ICONS / "whetstone.svg").read_text(encoding="utf-8")
    page.set_viewport_size({"width": size, "height": size})
    page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block; width: {size}px }}</style>{drawing}")
    return page.screenshot(omit_background=True)


def ico(pictures: list[tuple[int, bytes]]) -> bytes:
    """Pack PNG files for Windows (header of 6 bytes, 16 per picture; 256 is written as 0)."""
    head = struct.pack("<HHH", 0, 1, len(pictures))
    offset = len(head) + 16 * len(pictures)
    for size, data in pictures:
        head += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(data), offset)
        offset += len(data)
    return head + b"".join(data for _, data in pictures)


def icns(pictures: list[tuple[bytes, bytes]]) -> bytes:
    """Pack PNG files for macOS (each with its type and its length, both counted in)."""
    body = b"".join(kind + struct.pack(">I", len(data) + 8) + data for kind, data in pictures)
    return b"icns" + struct.pack(">I", len(body) + 8) + body


if __name__ == "__main__":
    main()
