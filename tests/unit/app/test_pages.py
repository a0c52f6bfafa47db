"""Files of the page: those that are in the repository, and nothing that lies beside them."""

from __future__ import annotations

from pathlib import Path

from app.http.pages import PAGES, files_of


def test_what_editors_and_archives_leave_is_not_served(tmp_path: Path) -> None:
    for name in ("index.html", "page.js", "._page.js", "types.d.ts", "page.js~", ".page.js.swp"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".#page.js").symlink_to("someone@host.1234")  # which Emacs makes; leads nowhere
    assert files_of(tmp_path).keys() == {"/", "/page/page.js"}


def test_every_module_is_open_without_a_key() -> None:
    assert {"/", "/page/page.js", "/page/page.css", "/docs", "/openapi.json"} <= PAGES
    assert not any("/." in path or path.endswith(".ts") for path in PAGES)
