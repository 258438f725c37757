"""Every route of the market as a method.

Made by tools/write_routes.py from the OpenAPI document: change the market instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import requests

from distributedmarket.client import MarketClient
from distributedmarket.client.body import Data
from distributedmarket.sdk import models


class Routes:
    """One method for each operation of the interface, by its name there.

    A `key` repeats an earlier call with the same body: the first answer comes again. Bytes and
    text come as an open answer, to be read and closed. Each raises MarketApiError for a refusal,
    with its problem document, and UnreachableError.
    """

    def __init__(self, client: MarketClient) -> None:
        self._client = client

    def register_user(self, body: models.Registration) -> models.User:
        """Make a user, with a home in HDFS and the first credits."""
        answer: models.User = self._client.call("POST", "/users", body=body, key="")
        return answer

    def list_users(
        self,
        *,
        limit: int | None = None,
        after: int | None = None,
        search: str | None = None,
        state: Literal["all", "active", "suspended"] | None = None,
    ) -> models.UserPage:
        """List people behind a cursor, those who came last first; for administrators."""
        answer: models.UserPage = self._client.call(
            "GET", "/users", query={"limit": limit, "after": after, "search": search, "state": state}
        )
        return answer

    def login(self, body: models.Login) -> models.Token:
        """Return a token for a username and a password."""
        answer: models.Token = self._client.call("POST", "/login", body=body, key="")
        return answer

    def me(self) -> models.User:
        """Return who asks."""
        answer: models.User = self._client.call("GET", "/users/me")
        return answer

    def delete_account(self, body: models.Deletion) -> models.DeletionAsked:
        """Have one's own account deleted: it is deactivated at once, and erased when its time has come."""
        answer: models.DeletionAsked = self._client.call("DELETE", "/users/me", body=body)
        return answer

    def change_password(self, body: models.Password) -> models.Token:
        """Change one's password. All older tokens and sessions end; the answer is a new token."""
        answer: models.Token = self._client.call("PUT", "/users/me/password", body=body)
        return answer

    def deactivate_account(self, body: models.Deactivation) -> models.Deactivated:
        """Deactivate one's own account: all its sessions and tokens end, its machines leave."""
        answer: models.Deactivated = self._client.call("POST", "/users/me/deactivate", body=body, key="")
        return answer

    def get_user(self, user_id: str) -> models.UserRecord:
        """Return a user; for administrators."""
        answer: models.UserRecord = self._client.call("GET", f"/users/{quote(user_id, safe='')}")
        return answer

    def suspend_user(
        self, user_id: str, body: models.Suspension, *, key: str | None = None
    ) -> models.UserRecord:
        """Suspend an account: its sessions and tokens end at once; for administrators."""
        answer: models.UserRecord = self._client.call(
            "POST", f"/users/{quote(user_id, safe='')}/suspend", body=body, key=key
        )
        return answer

    def reopen_user(self, user_id: str, body: models.Reason, *, key: str | None = None) -> models.UserRecord:
        """Reopen a suspended account; its person logs in anew; for administrators."""
        answer: models.UserRecord = self._client.call(
            "POST", f"/users/{quote(user_id, safe='')}/reopen", body=body, key=key
        )
        return answer

    def change_email(self, body: models.Email) -> models.Asked:
        """Give oneself another address; it takes the old one's place when it is confirmed."""
        answer: models.Asked = self._client.call("PUT", "/users/me/email", body=body)
        return answer

    def ask_to_confirm(self) -> models.Asked:
        """Have a code mailed by which one confirms one's address; older codes are good no more."""
        answer: models.Asked = self._client.call("POST", "/users/me/email/confirmation", key="")
        return answer

    def confirm_email(self, body: models.Code) -> models.Asked:
        """Confirm an address by the code that was mailed there."""
        answer: models.Asked = self._client.call("POST", "/users/confirm", body=body, key="")
        return answer

    def rename_user(self, body: models.DisplayName) -> models.User:
        """Give oneself another name to be shown by; the username stays."""
        answer: models.User = self._client.call("PUT", "/users/me/name", body=body)
        return answer

    def ask_for_reset(self, body: models.Reset) -> models.Asked:
        """Have a code for a new password mailed; the answer never tells whether there is such an account."""
        answer: models.Asked = self._client.call("POST", "/users/reset", body=body, key="")
        return answer

    def reset_password(self, body: models.NewPassword) -> None:
        """Set a new password by the code that was mailed. All sessions and tokens end."""
        self._client.call("POST", "/users/reset/password", body=body, key="")

    def list_invitations(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["created_time", "-created_time"] | None = None,
    ) -> models.InvitationsList:
        """List invitations without their codes, the newest first; for administrators."""
        answer: models.InvitationsList = self._client.call(
            "GET", "/invitations", query={"limit": limit, "offset": offset, "order_by": order_by}
        )
        return answer

    def create_invitation(self, body: models.InvitationRequest) -> models.NewInvitation:
        """Make an invitation; its code is in this answer, and nowhere else. For administrators."""
        answer: models.NewInvitation = self._client.call("POST", "/invitations", body=body, key="")
        return answer

    def revoke_invitation(self, invitation_id: str) -> None:
        """Have an invitation be good no more; for administrators."""
        self._client.call("DELETE", f"/invitations/{quote(invitation_id, safe='')}")

    def list_approvals(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["asked_time", "-asked_time"] | None = None,
        state: Literal["waiting", "approved", "refused", "all"] | None = None,
    ) -> models.ApprovalsList:
        """List accounts that wait for approval, or had it, the newest first; for administrators."""
        answer: models.ApprovalsList = self._client.call(
            "GET",
            "/approvals",
            query={"limit": limit, "offset": offset, "order_by": order_by, "state": state},
        )
        return answer

    def approve_account(self, user_id: str, *, key: str | None = None) -> models.Approval:
        """Let an account submit jobs, and pay its first credits; for administrators."""
        answer: models.Approval = self._client.call(
            "POST", f"/approvals/{quote(user_id, safe='')}/approve", key=key
        )
        return answer

    def refuse_account(
        self, user_id: str, body: models.Refusal, *, key: str | None = None
    ) -> models.Approval:
        """Refuse an account that waits, with a reason for its owner; for administrators."""
        answer: models.Approval = self._client.call(
            "POST", f"/approvals/{quote(user_id, safe='')}/refuse", body=body, key=key
        )
        return answer

    def create_token(self, body: models.ProgramTokenRequest) -> models.NewProgramToken:
        """Make a token for a program; its text is in this answer, and nowhere else."""
        answer: models.NewProgramToken = self._client.call("POST", "/users/me/tokens", body=body, key="")
        return answer

    def list_tokens(self, *, limit: int | None = None, offset: int | None = None) -> models.TokensList:
        """List one's tokens for programs, newest first, without their texts."""
        answer: models.TokensList = self._client.call(
            "GET", "/users/me/tokens", query={"limit": limit, "offset": offset}
        )
        return answer

    def revoke_token(self, token_id: str) -> None:
        """End a token for a program, at once."""
        self._client.call("DELETE", f"/users/me/tokens/{quote(token_id, safe='')}")

    def credits(self, user_id: str) -> models.Credits:
        """Return what a user has earned, spent and holds."""
        answer: models.Credits = self._client.call("GET", f"/users/{quote(user_id, safe='')}/credits")
        return answer

    def statement(
        self, user_id: str, *, limit: int | None = None, offset: int | None = None
    ) -> models.Statement:
        """Return every posting of a user's account, oldest first, with the balance after it."""
        answer: models.Statement = self._client.call(
            "GET", f"/users/{quote(user_id, safe='')}/statement", query={"limit": limit, "offset": offset}
        )
        return answer

    def statement_as(
        self,
        user_id: str,
        format: Literal["csv", "beancount"],
        *,
        limit: int | None = None,
        offset: int | None = None,
    ) -> requests.Response:
        """Do the same, answered in another form."""
        return self._client.stream(
            "GET",
            f"/users/{quote(user_id, safe='')}/statement",
            query={"format": format, "limit": limit, "offset": offset},
        )

    def grant(self, user_id: str, body: models.Grant, *, key: str | None = None) -> models.Granted:
        """Give a user credits, with a reason; for administrators."""
        answer: models.Granted = self._client.call(
            "POST", f"/users/{quote(user_id, safe='')}/grants", body=body, key=key
        )
        return answer

    def refund(self, job_id: str, body: models.Refund, *, key: str | None = None) -> models.Refunded:
        """Give back to its owner part of what a settled job has paid, with a reason; for administrators."""
        answer: models.Refunded = self._client.call(
            "POST", f"/jobs/{quote(job_id, safe='')}/refunds", body=body, key=key
        )
        return answer

    def create_project(self, body: models.NewProject, *, key: str | None = None) -> models.Project:
        """Make a project, or a part of one that one manages."""
        answer: models.Project = self._client.call("POST", "/projects", body=body, key=key)
        return answer

    def list_projects(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal[
            "name", "created_time", "end", "budget", "-name", "-created_time", "-end", "-budget"
        ]
        | None = None,
    ) -> models.ProjectsList:
        """List the projects in which one has a role."""
        answer: models.ProjectsList = self._client.call(
            "GET", "/projects", query={"limit": limit, "offset": offset, "order_by": order_by}
        )
        return answer

    def get_project(self, project_id: str) -> models.Project:
        """Return a project: its budget, what is left of it, and its account."""
        answer: models.Project = self._client.call("GET", f"/projects/{quote(project_id, safe='')}")
        return answer

    def change_project(self, project_id: str, body: models.ProjectBudget) -> models.Project:
        """Give a project another title, budget or time; what is not named stays."""
        answer: models.Project = self._client.call(
            "PUT", f"/projects/{quote(project_id, safe='')}", body=body
        )
        return answer

    def list_project_members(
        self,
        project_id: str,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["username", "since", "role", "-username", "-since", "-role"] | None = None,
    ) -> models.MembersList:
        """List who has a role in a project, with his cap and what is committed of it this month."""
        answer: models.MembersList = self._client.call(
            "GET",
            f"/projects/{quote(project_id, safe='')}/members",
            query={"limit": limit, "offset": offset, "order_by": order_by},
        )
        return answer

    def put_project_member(
        self, project_id: str, username: str, body: models.ProjectMemberInput
    ) -> models.ProjectMember:
        """Give somebody a role and a cap in a project, or other ones."""
        answer: models.ProjectMember = self._client.call(
            "PUT", f"/projects/{quote(project_id, safe='')}/members/{quote(username, safe='')}", body=body
        )
        return answer

    def delete_project_member(self, project_id: str, username: str) -> None:
        """Take somebody out of a project, or leave it; his jobs go on, and the project pays for them."""
        self._client.call(
            "DELETE", f"/projects/{quote(project_id, safe='')}/members/{quote(username, safe='')}"
        )

    def get_project_statement(
        self, project_id: str, *, limit: int | None = None, offset: int | None = None
    ) -> models.Statement:
        """Return every posting of a project's account, oldest first, with the balance after it."""
        answer: models.Statement = self._client.call(
            "GET",
            f"/projects/{quote(project_id, safe='')}/statement",
            query={"limit": limit, "offset": offset},
        )
        return answer

    def get_project_statement_as(
        self,
        project_id: str,
        format: Literal["csv", "beancount"],
        *,
        limit: int | None = None,
        offset: int | None = None,
    ) -> requests.Response:
        """Do the same, answered in another form."""
        return self._client.stream(
            "GET",
            f"/projects/{quote(project_id, safe='')}/statement",
            query={"format": format, "limit": limit, "offset": offset},
        )

    def get_project_report(self, project_id: str, *, month: int | None = None) -> models.Report:
        """Return what a month came to, by project of the tree and by member."""
        answer: models.Report = self._client.call(
            "GET", f"/projects/{quote(project_id, safe='')}/report", query={"month": month}
        )
        return answer

    def get_project_report_as(
        self, project_id: str, format: Literal["csv"], *, month: int | None = None
    ) -> requests.Response:
        """Do the same, answered in another form."""
        return self._client.stream(
            "GET", f"/projects/{quote(project_id, safe='')}/report", query={"format": format, "month": month}
        )

    def create_transfer(self, body: models.Transfer, *, key: str | None = None) -> models.Transferred:
        """Move credits into a project, within its tree, or back to its members, with a reason."""
        answer: models.Transferred = self._client.call("POST", "/transfers", body=body, key=key)
        return answer

    def list_files(
        self,
        *,
        path: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["path", "size", "modified_time", "-path", "-size", "-modified_time"] | None = None,
    ) -> models.FilesList:
        """List one folder of one's home."""
        answer: models.FilesList = self._client.call(
            "GET", "/files", query={"path": path, "limit": limit, "offset": offset, "order_by": order_by}
        )
        return answer

    def upload_file(self, path: str, data: Path | Data) -> models.FileEntry:
        """Store the body as a file, whole or not at all; parents are made, an old file is replaced."""
        answer: models.FileEntry = self._client.call("PUT", f"/files/{quote(path)}", data=data)
        return answer

    def download_file(
        self, path: str, *, range: str | None = None, if_range: str | None = None
    ) -> requests.Response:
        """Return a file's bytes, or the range of them that is asked for."""
        return self._client.stream(
            "GET", f"/files/{quote(path)}", headers={"Range": range, "If-Range": if_range}
        )

    def move_file(self, path: str, body: models.Move, *, key: str | None = None) -> models.FileEntry:
        """Give a file or folder another name or place in one's home."""
        answer: models.FileEntry = self._client.call("POST", f"/files/{quote(path)}", body=body, key=key)
        return answer

    def delete_file(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it."""
        self._client.call("DELETE", f"/files/{quote(path)}")

    def make_folder(self, body: models.Folder, *, key: str | None = None) -> models.FileEntry:
        """Make an empty folder in one's home, and those above it."""
        answer: models.FileEntry = self._client.call("POST", "/folders", body=body, key=key)
        return answer

    def get_room(self) -> models.Room:
        """Return how full one's home is."""
        answer: models.Room = self._client.call("GET", "/home")
        return answer

    def list_secrets(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["name", "modified_time", "-name", "-modified_time"] | None = None,
    ) -> models.SecretsList:
        """List one's secrets by name."""
        answer: models.SecretsList = self._client.call(
            "GET", "/secrets", query={"limit": limit, "offset": offset, "order_by": order_by}
        )
        return answer

    def put_secret(self, name: str, body: models.SecretValue) -> models.Secret:
        """Store a secret under a name, in the place of an older one."""
        answer: models.Secret = self._client.call("PUT", f"/secrets/{quote(name, safe='')}", body=body)
        return answer

    def delete_secret(self, name: str) -> None:
        """Delete a secret."""
        self._client.call("DELETE", f"/secrets/{quote(name, safe='')}")

    def submit_job(
        self, body: models.JobRequest, *, dry_run: bool | None = None, key: str | None = None
    ) -> models.Quoted | models.Submitted:
        """Submit a job: hold what it may cost, and run it as soon as there is room."""
        answer: models.Quoted | models.Submitted = self._client.call(
            "POST", "/jobs", body=body, query={"dry_run": dry_run}, key=key
        )
        return answer

    def list_jobs(
        self,
        *,
        scope: Literal["own", "all"] | None = None,
        project: str | None = None,
        status: Literal[
            "any",
            "open",
            "ended",
            "submitted",
            "queued",
            "accepted",
            "running",
            "cancelling",
            "succeeded",
            "failed",
            "cancelled",
            "lost",
        ]
        | None = None,
        machine_type: str | None = None,
        q: str | None = None,
        since: int | None = None,
        before: int | None = None,
        hidden: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal[
            "added_time",
            "start_time",
            "end_time",
            "job_name",
            "status",
            "machine_type",
            "core_num",
            "duration",
            "reason_code",
            "rate",
            "hold",
            "used_credit",
            "-added_time",
            "-start_time",
            "-end_time",
            "-job_name",
            "-status",
            "-machine_type",
            "-core_num",
            "-duration",
            "-reason_code",
            "-rate",
            "-hold",
            "-used_credit",
        ]
        | None = None,
    ) -> models.JobsList:
        """List one's own jobs, those that a project pays which one manages, or everybody's."""
        answer: models.JobsList = self._client.call(
            "GET",
            "/jobs",
            query={
                "scope": scope,
                "project": project,
                "status": status,
                "machine_type": machine_type,
                "q": q,
                "since": since,
                "before": before,
                "hidden": hidden,
                "limit": limit,
                "offset": offset,
                "order_by": order_by,
            },
        )
        return answer

    def get_job(self, job_id: str) -> models.JobDetail:
        """Return a job, also to who manages the project that pays.

        Why it waits, or what an ended one used.
        """
        answer: models.JobDetail = self._client.call("GET", f"/jobs/{quote(job_id, safe='')}")
        return answer

    def hide_job(self, job_id: str) -> None:
        """Take an ended job off one's list; its receipt stays."""
        self._client.call("DELETE", f"/jobs/{quote(job_id, safe='')}")

    def cancel_job(
        self, job_id: str, body: models.Cancellation | None = None, *, key: str | None = None
    ) -> models.JobState:
        """Stop a job in any status; of an ended one nothing changes. Who stops another's says why."""
        answer: models.JobState = self._client.call(
            "POST", f"/jobs/{quote(job_id, safe='')}/cancel", body=body, key=key
        )
        return answer

    def extend_job(self, job_id: str, body: models.Extension, *, key: str | None = None) -> models.Job:
        """Let an open job cost more or run longer, at its locked rate."""
        answer: models.Job = self._client.call(
            "POST", f"/jobs/{quote(job_id, safe='')}/extend", body=body, key=key
        )
        return answer

    def retry_job(self, job_id: str, body: models.Retry, *, key: str | None = None) -> models.Submitted:
        """Submit an ended job once more as a new one; of a sweep the points that did not succeed."""
        answer: models.Submitted = self._client.call(
            "POST", f"/jobs/{quote(job_id, safe='')}/retry", body=body, key=key
        )
        return answer

    def list_points(
        self, job_id: str, *, limit: int | None = None, offset: int | None = None
    ) -> models.PointList:
        """Return the points of a sweep with their parameters and what they reported; of other jobs none."""
        answer: models.PointList = self._client.call(
            "GET", f"/jobs/{quote(job_id, safe='')}/points", query={"limit": limit, "offset": offset}
        )
        return answer

    def list_points_as(
        self, job_id: str, format: Literal["csv"], *, limit: int | None = None, offset: int | None = None
    ) -> requests.Response:
        """Do the same, answered in another form."""
        return self._client.stream(
            "GET",
            f"/jobs/{quote(job_id, safe='')}/points",
            query={"format": format, "limit": limit, "offset": offset},
        )

    def unhide_job(self, job_id: str, *, key: str | None = None) -> None:
        """Put a hidden job onto one's list again."""
        self._client.call("POST", f"/jobs/{quote(job_id, safe='')}/unhide", key=key)

    def get_receipt(self, job_id: str) -> models.Receipt:
        """Return what a job cost so far, by container, also to who manages the project that pays."""
        answer: models.Receipt = self._client.call("GET", f"/jobs/{quote(job_id, safe='')}/receipt")
        return answer

    def get_progress(self, job_id: str) -> models.Progress:
        """Return how far a running job is."""
        answer: models.Progress = self._client.call("GET", f"/jobs/{quote(job_id, safe='')}/progress")
        return answer

    def list_results(
        self, job_id: str, *, limit: int | None = None, offset: int | None = None
    ) -> models.Results:
        """List a job's result files; before its end, what is there by now."""
        answer: models.Results = self._client.call(
            "GET", f"/jobs/{quote(job_id, safe='')}/results", query={"limit": limit, "offset": offset}
        )
        return answer

    def list_results_as(
        self, job_id: str, format: Literal["zip"], *, limit: int | None = None, offset: int | None = None
    ) -> requests.Response:
        """Do the same, answered in another form."""
        return self._client.stream(
            "GET",
            f"/jobs/{quote(job_id, safe='')}/results",
            query={"format": format, "limit": limit, "offset": offset},
        )

    def delete_results(self, job_id: str) -> None:
        """Delete what an ended job has left in its owner's home.

        The list of the files stays, and its logs do.
        """
        self._client.call("DELETE", f"/jobs/{quote(job_id, safe='')}/results")

    def get_result(
        self, job_id: str, path: str, *, range: str | None = None, if_range: str | None = None
    ) -> requests.Response:
        """Return a result file's bytes, or the range of them that is asked for."""
        return self._client.stream(
            "GET",
            f"/jobs/{quote(job_id, safe='')}/results/{quote(path)}",
            headers={"Range": range, "If-Range": if_range},
        )

    def get_table(self, job_id: str, path: str) -> models.Table:
        """Return the first rows of a result file that is a table: CSV, TSV or Parquet."""
        answer: models.Table = self._client.call(
            "GET", f"/jobs/{quote(job_id, safe='')}/tables/{quote(path)}"
        )
        return answer

    def list_logs(
        self, job_id: str, *, limit: int | None = None, offset: int | None = None
    ) -> models.LogFiles:
        """List a job's log files."""
        answer: models.LogFiles = self._client.call(
            "GET", f"/jobs/{quote(job_id, safe='')}/logs", query={"limit": limit, "offset": offset}
        )
        return answer

    def get_log(
        self,
        job_id: str,
        container_id: str,
        file: str,
        *,
        offset: int | None = None,
        length: int | None = None,
        tail: int | None = None,
        wait: int | None = None,
    ) -> requests.Response:
        """Return a log file's bytes from an offset, or its last ones; past its end, nothing."""
        return self._client.stream(
            "GET",
            f"/jobs/{quote(job_id, safe='')}/logs/{quote(container_id, safe='')}/{quote(file, safe='')}",
            query={"offset": offset, "length": length, "tail": tail, "wait": wait},
        )

    def register(self, body: models.MachineRequest, *, key: str | None = None) -> models.Registered:
        """Lend a machine: the answer holds what its agent starts the NodeManager with."""
        answer: models.Registered = self._client.call("POST", "/machines", body=body, key=key)
        return answer

    def list_machines(
        self,
        *,
        scope: Literal["own", "market", "all"] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal[
            "created_time",
            "lease_end",
            "display_name",
            "machine_type",
            "core_count",
            "memory_size",
            "availability",
            "-created_time",
            "-lease_end",
            "-display_name",
            "-machine_type",
            "-core_count",
            "-memory_size",
            "-availability",
        ]
        | None = None,
    ) -> models.MachinesList:
        """List one's own machines, those of the market, or all."""
        answer: models.MachinesList = self._client.call(
            "GET", "/machines", query={"scope": scope, "limit": limit, "offset": offset, "order_by": order_by}
        )
        return answer

    def join(self, machine_id: str, body: models.JoinRequest, *, key: str | None = None) -> models.Machine:
        """Use the one-time token: from now on the machine's NodeManager is expected and admitted."""
        answer: models.Machine = self._client.call(
            "POST", f"/machines/{quote(machine_id, safe='')}/join", body=body, key=key
        )
        return answer

    def resize(
        self, machine_id: str, body: models.ResizeRequest, *, key: str | None = None
    ) -> models.Machine:
        """Change what one's machine lends while it runs; what runs there may end first."""
        answer: models.Machine = self._client.call(
            "POST", f"/machines/{quote(machine_id, safe='')}/resize", body=body, key=key
        )
        return answer

    def verify(self, machine_id: str, *, key: str | None = None) -> models.Machine:
        """Have a machine measured as soon as nothing runs on it; for its owner and administrators."""
        answer: models.Machine = self._client.call(
            "POST", f"/machines/{quote(machine_id, safe='')}/verify", key=key
        )
        return answer

    def verifications(self, machine_id: str) -> models.VerificationList:
        """Return what was measured on a machine, newest first."""
        answer: models.VerificationList = self._client.call(
            "GET", f"/machines/{quote(machine_id, safe='')}/verifications"
        )
        return answer

    def resume(self, machine_id: str, *, key: str | None = None) -> models.Registered:
        """Give the agent of a lent machine a new token, after it had to start again."""
        answer: models.Registered = self._client.call(
            "POST", f"/machines/{quote(machine_id, safe='')}/resume", key=key
        )
        return answer

    def hadoop(self) -> requests.Response:
        """Return Hadoop's jars, from which an agent starts its machine's NodeManager."""
        return self._client.stream("GET", "/machines/hadoop")

    def machine(self, machine_id: str) -> models.Machine:
        """Return a machine."""
        answer: models.Machine = self._client.call("GET", f"/machines/{quote(machine_id, safe='')}")
        return answer

    def leave(self, machine_id: str, *, now: bool | None = None) -> models.MachineState:
        """Drain a machine and take it out of the pool; for its owner and administrators."""
        answer: models.MachineState = self._client.call(
            "DELETE", f"/machines/{quote(machine_id, safe='')}", query={"now": now}
        )
        return answer

    def contributions(
        self, machine_id: str, *, limit: int | None = None, offset: int | None = None
    ) -> models.ContributionList:
        """Return what a machine did and earned, by settled interval."""
        answer: models.ContributionList = self._client.call(
            "GET",
            f"/machines/{quote(machine_id, safe='')}/contributions",
            query={"limit": limit, "offset": offset},
        )
        return answer

    def contributions_as(
        self, machine_id: str, format: Literal["csv"], *, limit: int | None = None, offset: int | None = None
    ) -> requests.Response:
        """Do the same, answered in another form."""
        return self._client.stream(
            "GET",
            f"/machines/{quote(machine_id, safe='')}/contributions",
            query={"format": format, "limit": limit, "offset": offset},
        )

    def metadata(self) -> models.Metadata:
        """Return capacity, use, waiting demand and price for each machine type."""
        answer: models.Metadata = self._client.call("GET", "/metadata")
        return answer

    def price(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["at", "rate", "-at", "-rate"] | None = None,
    ) -> models.Price:
        """Return the rate now, what a core and a GiB cost for an hour, and the rate's history."""
        answer: models.Price = self._client.call(
            "GET", "/price", query={"limit": limit, "offset": offset, "order_by": order_by}
        )
        return answer

    def list_settlements(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal[
            "interval_id",
            "since",
            "until",
            "rate",
            "captured",
            "-interval_id",
            "-since",
            "-until",
            "-rate",
            "-captured",
        ]
        | None = None,
    ) -> models.SettlementsList:
        """List the settled intervals."""
        answer: models.SettlementsList = self._client.call(
            "GET", "/settlements", query={"limit": limit, "offset": offset, "order_by": order_by}
        )
        return answer

    def settlement(self, interval_id: str) -> models.SettlementDetail:
        """Return a settled interval, with what its rate follows from."""
        answer: models.SettlementDetail = self._client.call(
            "GET", f"/settlements/{quote(interval_id, safe='')}"
        )
        return answer

    def trial_balance(self) -> models.TrialBalance:
        """Return the balance of every account; for administrators."""
        answer: models.TrialBalance = self._client.call("GET", "/ledger/trial-balance")
        return answer

    def get_treasury(self, *, days: int | None = None) -> models.Treasury:
        """Return what the treasury gave and got, by day and what for; for administrators."""
        answer: models.Treasury = self._client.call("GET", "/treasury", query={"days": days})
        return answer

    def list_alerts(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["at", "-at"] | None = None,
        state: Literal["open", "all"] | None = None,
    ) -> models.AlertsList:
        """List alerts, those that were raised last first; for administrators."""
        answer: models.AlertsList = self._client.call(
            "GET", "/alerts", query={"limit": limit, "offset": offset, "order_by": order_by, "state": state}
        )
        return answer

    def acknowledge_alert(self, alert_id: str, *, key: str | None = None) -> models.Alert:
        """Have an alert count as seen: it is open no more unless it clears and is raised again."""
        answer: models.Alert = self._client.call(
            "POST", f"/alerts/{quote(alert_id, safe='')}/acknowledge", key=key
        )
        return answer

    def list_audit(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["at", "-at"] | None = None,
        kind: Literal[
            "all", "refusal", "unknown_application", "rotation", "administration", "account", "project"
        ]
        | None = None,
        actor: str | None = None,
        subject: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> models.LinesList:
        """List what was refused, ended on sight, made anew or done by administrators; for administrators."""
        answer: models.LinesList = self._client.call(
            "GET",
            "/audit",
            query={
                "limit": limit,
                "offset": offset,
                "order_by": order_by,
                "kind": kind,
                "actor": actor,
                "subject": subject,
                "since": since,
                "until": until,
            },
        )
        return answer

    def list_events(self, *, limit: int | None = None, after: int | None = None) -> models.EventPage:
        """List one's own events behind a cursor, the oldest first; administrators' with the alerts."""
        answer: models.EventPage = self._client.call("GET", "/events", query={"limit": limit, "after": after})
        return answer

    def notifications(self) -> models.Choices:
        """Return what one is mailed."""
        answer: models.Choices = self._client.call("GET", "/users/me/notifications")
        return answer

    def choose_notifications(self, body: models.ChoicesInput) -> models.Choices:
        """Choose what one is mailed at once, and what in a daily digest; all else is not mailed."""
        answer: models.Choices = self._client.call("PUT", "/users/me/notifications", body=body)
        return answer

    def list_webhooks(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: Literal["created_time", "-created_time"] | None = None,
    ) -> models.WebhooksList:
        """List one's webhooks."""
        answer: models.WebhooksList = self._client.call(
            "GET", "/users/me/webhooks", query={"limit": limit, "offset": offset, "order_by": order_by}
        )
        return answer

    def add_webhook(self, body: models.WebhookInput) -> models.NewWebhook:
        """Add a webhook; its secret is in this answer alone."""
        answer: models.NewWebhook = self._client.call("POST", "/users/me/webhooks", body=body, key="")
        return answer

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook, with what waits for it."""
        self._client.call("DELETE", f"/users/me/webhooks/{quote(webhook_id, safe='')}")

    def try_webhook(self, webhook_id: str) -> models.WebhookTest:
        """Send a test to a webhook now, and tell what became of it."""
        answer: models.WebhookTest = self._client.call(
            "POST", f"/users/me/webhooks/{quote(webhook_id, safe='')}/test", key=""
        )
        return answer

    def health(self) -> models.Health:
        """Tell whether the market works."""
        answer: models.Health = self._client.call("GET", "/health")
        return answer

    def openapi_document(self) -> dict[str, Any]:
        """Return this document."""
        answer: dict[str, Any] = self._client.call("GET", "/openapi.json")
        return answer
