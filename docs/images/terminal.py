"""Draws terminals as an SVG file, from what commands really print.

    python terminal.py picture.svg SECONDS 'command' [SECONDS 'command' …]

Each command runs in a pseudo-terminal of 80 columns, in the working directory, and its screen is
drawn as it stands after SECONDS (`end`: when the command has ended), one window per command. Needs
pyte (pip install pyte).
"""

import fcntl
import os
import pty
import struct
import sys
import termios
import time
from xml.sax.saxutils import escape

import pyte

COLUMNS, ROWS = 80, 40
# Geometry in pixels, of a monospaced font at 14 px.
CELL_WIDTH, LINE_HEIGHT, MARGIN, BAR = 8.43, 19, 16, 30
PALETTE = {"default": "#d5dae3", "green": "#8fd694", "red": "#f2777a", "yellow": "#ffcc66"}


def record(command: str) -> list[tuple[float, bytes]]:
    """What the command writes to its terminal, and when."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execvp("bash", ["bash", "-c", command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    start, written = time.monotonic(), []
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        written.append((time.monotonic() - start, data))
    os.waitpid(child, 0)
    return written


def screen_of(command: str, written: list[tuple[float, bytes]], until: float) -> list[list]:
    """Lines of (text, colour) as they stand on the screen, below the command itself."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    # As one types it.
    stream.feed(("$ " + command.replace("\n", "\r\n") + "\r\n").encode())
    for seconds, data in written:
        if seconds <= until:
            stream.feed(data)
    lines = []
    for y in range(ROWS):
        row = screen.buffer[y]
        parts = []
        for x in range(COLUMNS):
            cell = row[x]
            if parts and parts[-1][1] == cell.fg:
                parts[-1][0] += cell.data
            else:
                parts.append([cell.data, cell.fg])
        lines.append(parts)
    while lines and not "".join(text for text, _ in lines[-1]).strip():
        lines.pop()
    return lines


def window(lines: list[list], top: float) -> tuple[str, float]:
    width = COLUMNS * CELL_WIDTH + 2 * MARGIN
    height = BAR + len(lines) * LINE_HEIGHT + MARGIN
    drawn = [f'<rect y="{top}" width="{width}" height="{height}" rx="8" fill="#1d2129"/>']
    for i, colour in enumerate(("#f2777a", "#ffcc66", "#8fd694")):
        drawn.append(f'<circle cx="{MARGIN + 4 + i * 18}" cy="{top + 15}" r="5" fill="{colour}"/>')
    for y, parts in enumerate(lines):
        baseline = top + BAR + (y + 0.75) * LINE_HEIGHT
        spans, x = [], 0
        for text, colour in parts:
            if text.strip():
                bold = ' font-weight="bold"' if x == 0 and text.startswith("$ ") else ""
                start = x + len(text) - len(text.lstrip())
                fill = PALETTE.get(colour, PALETTE["default"])
                # Each run at its own column, so that no font moves what follows.
                spans.append(
                    f'<tspan x="{MARGIN + start * CELL_WIDTH:.1f}" fill="{fill}"{bold} '
                    f'textLength="{len(text.strip()) * CELL_WIDTH:.1f}" '
                    f'lengthAdjust="spacingAndGlyphs">{escape(text.strip())}</tspan>'
                )
            x += len(text)
        if spans:
            drawn.append(f'<text y="{baseline:.1f}" xml:space="preserve">{"".join(spans)}</text>')
    return "\n".join(drawn), height


def main(picture: str, *arguments: str) -> None:
    drawn, top = [], 0.0
    for when, command in zip(arguments[::2], arguments[1::2]):
        written = record(command)
        until = float("inf") if when == "end" else float(when)
        text, height = window(screen_of(command, written, until), top)
        drawn.append(text)
        top += height + 12
    width = COLUMNS * CELL_WIDTH + 2 * MARGIN
    with open(picture, "w", encoding="utf-8") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top - 12}" '
            f'width="{width}" height="{top - 12}" font-family="ui-monospace, SFMono-Regular, '
            f'Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="14">\n'
            + "\n".join(drawn)
            + "\n</svg>\n"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
