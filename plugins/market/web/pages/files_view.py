"""The page My files: a member's home, with what may be done to it, and examples to begin with."""

from __future__ import annotations

from flask import Response
from flask_appbuilder import expose

from market.airflow import menu
from market.people import tidying
from market.people.member import Member
from market.web.pages import examples
from market.web.pages.base import MarketPage, page, part
from market.web.pages.text import share


class FilesView(MarketPage):
    """A member's files."""

    route_base = "/market/files"
    class_permission_name = menu.FILES
    default_view = "files"
    entry = "My files"

    @expose("/")
    @page("read")
    def files(self, member: Member) -> Response:
        """Show how full the home is; the list itself is fetched by the page."""
        room = part(tidying.room, member)
        used = room.value.used_bytes if room.value else 0
        quota = room.value.quota_bytes if room.value else None
        return self.show(
            "files.html", member, room=room, percent=share(used, quota or 0), examples=examples.EXAMPLES
        )

    @expose("/examples/<string:name>", methods=["POST"])
    @page("create")
    def example(self, member: Member, name: str) -> Response:
        """Copy an example into the home, and open the form of a job with it."""
        folder = examples.copy(member, name)
        notice = f"The example is in your home, in {folder}. Have a look at its size, and submit it."
        return self.go("JobsView.new", notice, folder=folder)
