"""What the market takes and answers.

Made by tools/write_routes.py from the OpenAPI document: change the market instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from typing import NotRequired  # from Python 3.11 on


class AccountBalance(TypedDict):
    """`AccountBalance` of the OpenAPI document."""

    account: NotRequired[str]
    user_id: NotRequired[str | None]
    balance: NotRequired[str]


class Advice(TypedDict):
    """`Advice` of the OpenAPI document."""

    core_num: NotRequired[int]
    executor_cores: NotRequired[int]
    # MiB
    driver_memory: NotRequired[int]
    # MiB
    executor_memory: NotRequired[int]
    # of that size, at the job's own rate; null after want of memory
    cost: NotRequired[str | None]
    # what the job has cost; null after want of memory
    paid: NotRequired[str | None]
    # how long its driver would have run, milliseconds
    duration: NotRequired[int | None]
    # the same for people, with what it follows from
    sentence: NotRequired[str]


class Alert(TypedDict):
    """`Alert` of the OpenAPI document."""

    alert_id: int
    # unregistered_node, ledger, backup and the like
    kind: NotRequired[str]
    # what it is about
    subject: NotRequired[str]
    detail: NotRequired[str]
    # epoch milliseconds
    first: NotRequired[int | None]
    # epoch milliseconds
    at: NotRequired[int | None]
    # how often it was raised since `first`
    times: int
    # epoch milliseconds
    acknowledged: NotRequired[int | None]
    acknowledged_by: str | None
    # epoch milliseconds
    cleared: NotRequired[int | None]


class AlertsList(TypedDict):
    """`AlertsList` of the OpenAPI document."""

    alerts: list[Alert]
    total: int


class Approval(TypedDict):
    """`Approval` of the OpenAPI document."""

    user_id: str
    username: str
    email: str
    state: Literal["waiting", "approved", "refused"]
    asked_time: int
    decided_time: NotRequired[int | None]
    decided_by: NotRequired[str | None]
    reason: NotRequired[str]


class ApprovalsList(TypedDict):
    """`ApprovalsList` of the OpenAPI document."""

    approvals: list[Approval]
    total: int


class Asked(TypedDict):
    """`Asked` of the OpenAPI document."""

    detail: str


class AuditLine(TypedDict):
    """`AuditLine` of the OpenAPI document."""

    # epoch milliseconds
    at: NotRequired[int | None]
    # refusal, unknown_application, rotation, administration and the like
    kind: NotRequired[str]
    # who did it, as far as is known: a member's name, an address, a service
    actor: NotRequired[str]
    # what it was done to
    subject: NotRequired[str]
    detail: NotRequired[str]


class Cancellation(TypedDict):
    """`Cancellation` of the OpenAPI document."""

    # its owner reads it; whoever stops another's job must give one
    reason: NotRequired[str]


class Choices(TypedDict):
    """`Choices` of the OpenAPI document."""

    mail: NotRequired[
        list[
            Literal[
                "job_started",
                "job_ended",
                "job_failed",
                "job_hold",
                "job_extended",
                "job_stopped",
                "machine_joined",
                "machine_lost",
                "machine_rejected",
                "machine_drained",
                "machine_poor",
                "lease_ending",
                "budget",
                "cap",
                "grant",
                "account",
                "refund",
                "alert",
            ]
        ]
    ]
    digest: NotRequired[
        list[
            Literal[
                "job_started",
                "job_ended",
                "job_failed",
                "job_hold",
                "job_extended",
                "job_stopped",
                "machine_joined",
                "machine_lost",
                "machine_rejected",
                "machine_drained",
                "machine_poor",
                "lease_ending",
                "budget",
                "cap",
                "grant",
                "account",
                "refund",
                "alert",
            ]
        ]
    ]
    # where to
    address: NotRequired[str]
    # whether this market sends mail
    mail_enabled: NotRequired[bool]
    # whether its owner has confirmed it: else nothing is mailed there
    address_confirmed: NotRequired[bool]
    # what keeps mail from coming, if something does
    notice: NotRequired[str]
    # why the last mail could not be delivered, if it could not
    failure: NotRequired[str]


class ChoicesInput(TypedDict):
    """`ChoicesInput` of the OpenAPI document."""

    # kinds of events that are mailed at once
    mail: list[
        Literal[
            "job_started",
            "job_ended",
            "job_failed",
            "job_hold",
            "job_extended",
            "job_stopped",
            "machine_joined",
            "machine_lost",
            "machine_rejected",
            "machine_drained",
            "machine_poor",
            "lease_ending",
            "budget",
            "cap",
            "grant",
            "account",
            "refund",
        ]
    ]
    # kinds of events that are mailed together, once a day
    digest: list[
        Literal[
            "job_started",
            "job_ended",
            "job_failed",
            "job_hold",
            "job_extended",
            "job_stopped",
            "machine_joined",
            "machine_lost",
            "machine_rejected",
            "machine_drained",
            "machine_poor",
            "lease_ending",
            "budget",
            "cap",
            "grant",
            "account",
            "refund",
        ]
    ]


class Code(TypedDict):
    """`Code` of the OpenAPI document."""

    code: str


class Column(TypedDict):
    """`Column` of the OpenAPI document."""

    name: NotRequired[str]
    # of Parquet's columns as Arrow names it; else text
    type: NotRequired[str]


class Contribution(TypedDict):
    """`Contribution` of the OpenAPI document."""

    # epoch milliseconds
    since: NotRequired[int | None]
    # epoch milliseconds
    until: NotRequired[int | None]
    # seconds for which the stipend counts
    online_s: NotRequired[int]
    vcore_seconds: NotRequired[int]
    memory_mib_seconds: NotRequired[int]
    # from jobs, less the fee and what was given back of attempts that it lost
    jobs_earned: NotRequired[str]
    stipend: NotRequired[str]
    earned: NotRequired[str]


class ContributionList(TypedDict):
    """`ContributionList` of the OpenAPI document."""

    contributions: NotRequired[list[Contribution]]
    total: NotRequired[int]
    totals: NotRequired[Totals]


class Credits(TypedDict):
    """`Credits` of the OpenAPI document."""

    user_id: NotRequired[str]
    # all earned by lending
    sharing_credit: NotRequired[str]
    # all spent on jobs
    using_credit: NotRequired[str]
    granted: NotRequired[str]
    # from other accounts, less what went to them
    transferred: NotRequired[str]
    balance: NotRequired[str]
    held: NotRequired[str]
    available: NotRequired[str]
    # to be given back of attempts that one's machine lost: taken from the next earnings
    owed: NotRequired[str]
    # the current rate
    rate: NotRequired[str]


class Deactivated(TypedDict):
    """`Deactivated` of the OpenAPI document."""

    user_id: str
    username: str
    cancelled_jobs: int
    draining_machines: int


class Deactivation(TypedDict):
    """`Deactivation` of the OpenAPI document."""

    password: str
    # open jobs are cancelled; without it there may be none (409, `open_jobs`)
    cancel_jobs: NotRequired[bool]


class Deletion(TypedDict):
    """`Deletion` of the OpenAPI document."""

    password: str
    # open jobs are cancelled; without it there may be none (409, `open_jobs`)
    cancel_jobs: NotRequired[bool]


class DeletionAsked(TypedDict):
    """`DeletionAsked` of the OpenAPI document."""

    user_id: str
    username: str
    cancelled_jobs: int
    draining_machines: int
    # when what is its owner's is removed; until then it can be reopened
    deletion_time: int


class DisplayName(TypedDict):
    """`DisplayName` of the OpenAPI document."""

    display_name: str


class Email(TypedDict):
    """`Email` of the OpenAPI document."""

    password: str
    email: str


class Event(TypedDict):
    """`Event` of the OpenAPI document."""

    event_id: NotRequired[str]
    # the cursor behind it
    position: NotRequired[int]
    # epoch milliseconds
    at: NotRequired[int | None]
    kind: NotRequired[
        Literal[
            "job_started",
            "job_ended",
            "job_failed",
            "job_hold",
            "job_extended",
            "job_stopped",
            "machine_joined",
            "machine_lost",
            "machine_rejected",
            "machine_drained",
            "machine_poor",
            "lease_ending",
            "budget",
            "cap",
            "grant",
            "account",
            "refund",
            "alert",
        ]
    ]
    # the event in one line
    text: NotRequired[str]
    job_id: NotRequired[str | None]
    machine_id: NotRequired[str | None]
    # figures and words, by kind
    data: NotRequired[dict[str, Any]]


class EventPage(TypedDict):
    """`EventPage` of the OpenAPI document."""

    events: NotRequired[list[Event]]
    # of the last one: `after` for what comes then
    cursor: NotRequired[int]


class ExecutorUse(TypedDict):
    """`ExecutorUse` of the OpenAPI document."""

    containers: NotRequired[int]
    # containers that were held for 5 s or more and whose machines told nothing
    not_measured: NotRequired[int]
    # vcores x seconds that were allocated, of all containers
    held_core_s: NotRequired[float]
    # processor seconds that they used, all their processes together
    cpu_s: NotRequired[float | None]
    # allocated to each container
    memory_mib: NotRequired[int]
    # the most that one of them held: each process at its own peak, summed up
    peak_memory_mib: NotRequired[int | None]
    # core seconds in which tasks ran; null unless the job succeeded in one run
    busy_core_s: NotRequired[float | None]


class Extension(TypedDict):
    """`Extension` of the OpenAPI document."""

    max_credits: NotRequired[str]
    # seconds
    max_duration: NotRequired[int]


class FileEntry(TypedDict):
    """`FileEntry` of the OpenAPI document."""

    path: str
    # bytes
    size: int
    is_folder: NotRequired[bool]
    # epoch milliseconds
    modified_time: NotRequired[int | None]


class FilesList(TypedDict):
    """`FilesList` of the OpenAPI document."""

    files: list[FileEntry]
    total: int


class Folder(TypedDict):
    """`Folder` of the OpenAPI document."""

    # relative to the home
    path: str


class GivenBack(TypedDict):
    """`GivenBack` of the OpenAPI document."""

    # epoch milliseconds
    at: NotRequired[int | None]
    amount: NotRequired[str]
    reason: NotRequired[str]


class Grant(TypedDict):
    """`Grant` of the OpenAPI document."""

    amount: str
    # why; whom it concerns may read it
    reason: str


class Granted(TypedDict):
    """`Granted` of the OpenAPI document."""

    user_id: NotRequired[str]
    amount: NotRequired[str]
    reason: NotRequired[str]
    balance: NotRequired[str]


class Health(TypedDict):
    """`Health` of the OpenAPI document."""

    status: NotRequired[Literal["healthy", "degraded"]]
    parts: NotRequired[dict[str, str]]


class Invitation(TypedDict):
    """`Invitation` of the OpenAPI document."""

    invitation_id: str
    note: str
    # how many accounts it is good for
    uses: int
    # how many were made with it
    used: int
    made_by: str
    created_time: int
    expires_time: int
    revoked_time: NotRequired[int | None]


class InvitationRequest(TypedDict):
    """`InvitationRequest` of the OpenAPI document."""

    # for whom it is
    note: str
    # how many accounts it is good for
    uses: NotRequired[int]
    # seconds until it ends
    lifetime_s: NotRequired[int]


class InvitationsList(TypedDict):
    """`InvitationsList` of the OpenAPI document."""

    invitations: list[Invitation]
    total: int


class Job(TypedDict):
    """`Job` of the OpenAPI document."""

    root_path: NotRequired[str | None]
    entry_file: NotRequired[str | None]
    machine_type: NotRequired[str | None]
    # executor cores in all
    core_num: NotRequired[int | None]
    # cores of one executor
    executor_cores: NotRequired[int | None]
    # MiB
    driver_memory: NotRequired[int | None]
    # MiB
    executor_memory: NotRequired[int | None]
    # seconds
    max_duration: NotRequired[int | None]
    # seconds to wait for a machine
    max_wait: NotRequired[int | None]
    main_class: NotRequired[str | None]
    libs: NotRequired[list[str] | None]
    archives: NotRequired[list[str] | None]
    # a packed Python environment in root_path, with bin/python in it
    python_env: NotRequired[str | None]
    # packages that it needs; without it what root_path's requirements.txt says
    requirements: NotRequired[list[str] | None]
    # what of root_path goes along with the program; without it all
    files: NotRequired[list[str] | None]
    # what of root_path does not go along with the program
    exclude: NotRequired[list[str] | None]
    # variables of the program's environment; for what is no secret
    env: NotRequired[dict[str, str] | None]
    # names of secrets of one's own: PUT /secrets/NAME stores them
    secrets: NotRequired[list[str] | None]
    # numbers, true and false are taken as text
    app_params: NotRequired[list[str] | None]
    # the most that may be held and charged
    max_credits: NotRequired[str | None]
    # how far the hold grows by itself
    auto_extend_to: NotRequired[str | None]
    # numbers, true and false are taken as text
    spark_conf: NotRequired[dict[str, str] | None]
    # the name of the project that pays; without it the submitter does
    project: NotRequired[str | None]
    # the owner's words about it
    job_note: NotRequired[str | None]
    # a sweep: names and their values; `{name}` in app_params stands for one of them
    grid: NotRequired[dict[str, Any] | None]
    # points of a sweep that run at once
    max_parallel: NotRequired[int | None]
    # how often a failed point of a sweep runs again
    point_retries: NotRequired[int | None]
    job_id: str
    user_id: str
    # who submitted it, by name
    owner: NotRequired[str]
    job_name: str
    status: Literal[
        "submitted", "queued", "accepted", "running", "cancelling", "succeeded", "failed", "cancelled", "lost"
    ]
    # why it ended or is being stopped
    reason_code: NotRequired[str | None]
    # the same in words
    reason: NotRequired[str | None]
    # epoch milliseconds
    added_time: NotRequired[int | None]
    # epoch milliseconds
    start_time: NotRequired[int | None]
    # epoch milliseconds
    end_time: NotRequired[int | None]
    # end - start, milliseconds
    duration: NotRequired[int | None]
    # locked when it was submitted
    rate: NotRequired[str | None]
    # the most that it may cost, in credits
    hold: NotRequired[str | None]
    # captured so far
    used_credit: NotRequired[str | None]
    # used of the hold by now, also what is not captured yet
    cost: NotRequired[str]
    # the receipt is final; until then the cost is measured, not charged
    cost_final: NotRequired[bool]
    # its owner has taken it off his list
    hidden: NotRequired[bool]
    # what its owner should do about it, while it is open: its hold is nearly used up
    warning: NotRequired[str | None]
    # at YARN
    application_id: NotRequired[str | None]
    # in Airflow
    dag_id: NotRequired[str | None]
    # of a sweep: how many points have each status
    points: NotRequired[dict[str, int] | None]


class JobDetail(TypedDict):
    """`JobDetail` of the OpenAPI document."""

    root_path: NotRequired[str | None]
    entry_file: NotRequired[str | None]
    machine_type: NotRequired[str | None]
    # executor cores in all
    core_num: NotRequired[int | None]
    # cores of one executor
    executor_cores: NotRequired[int | None]
    # MiB
    driver_memory: NotRequired[int | None]
    # MiB
    executor_memory: NotRequired[int | None]
    # seconds
    max_duration: NotRequired[int | None]
    # seconds to wait for a machine
    max_wait: NotRequired[int | None]
    main_class: NotRequired[str | None]
    libs: NotRequired[list[str] | None]
    archives: NotRequired[list[str] | None]
    # a packed Python environment in root_path, with bin/python in it
    python_env: NotRequired[str | None]
    # packages that it needs; without it what root_path's requirements.txt says
    requirements: NotRequired[list[str] | None]
    # what of root_path goes along with the program; without it all
    files: NotRequired[list[str] | None]
    # what of root_path does not go along with the program
    exclude: NotRequired[list[str] | None]
    # variables of the program's environment; for what is no secret
    env: NotRequired[dict[str, str] | None]
    # names of secrets of one's own: PUT /secrets/NAME stores them
    secrets: NotRequired[list[str] | None]
    # numbers, true and false are taken as text
    app_params: NotRequired[list[str] | None]
    # the most that may be held and charged
    max_credits: NotRequired[str | None]
    # how far the hold grows by itself
    auto_extend_to: NotRequired[str | None]
    # numbers, true and false are taken as text
    spark_conf: NotRequired[dict[str, str] | None]
    # the name of the project that pays; without it the submitter does
    project: NotRequired[str | None]
    # the owner's words about it
    job_note: NotRequired[str | None]
    # a sweep: names and their values; `{name}` in app_params stands for one of them
    grid: NotRequired[dict[str, Any] | None]
    # points of a sweep that run at once
    max_parallel: NotRequired[int | None]
    # how often a failed point of a sweep runs again
    point_retries: NotRequired[int | None]
    job_id: str
    user_id: str
    # who submitted it, by name
    owner: NotRequired[str]
    job_name: str
    status: Literal[
        "submitted", "queued", "accepted", "running", "cancelling", "succeeded", "failed", "cancelled", "lost"
    ]
    # why it ended or is being stopped
    reason_code: NotRequired[str | None]
    # the same in words
    reason: NotRequired[str | None]
    # epoch milliseconds
    added_time: NotRequired[int | None]
    # epoch milliseconds
    start_time: NotRequired[int | None]
    # epoch milliseconds
    end_time: NotRequired[int | None]
    # end - start, milliseconds
    duration: NotRequired[int | None]
    # locked when it was submitted
    rate: NotRequired[str | None]
    # the most that it may cost, in credits
    hold: NotRequired[str | None]
    # captured so far
    used_credit: NotRequired[str | None]
    # used of the hold by now, also what is not captured yet
    cost: NotRequired[str]
    # the receipt is final; until then the cost is measured, not charged
    cost_final: NotRequired[bool]
    # its owner has taken it off his list
    hidden: NotRequired[bool]
    # what its owner should do about it, while it is open: its hold is nearly used up
    warning: NotRequired[str | None]
    # at YARN
    application_id: NotRequired[str | None]
    # in Airflow
    dag_id: NotRequired[str | None]
    # of a sweep: how many points have each status
    points: NotRequired[dict[str, int] | None]
    # null once an executor has run, and at its end
    waiting: NotRequired[Any]
    # null until it is known, some seconds after the job's end
    used: NotRequired[Any]


class JobRequest(TypedDict):
    """`JobRequest` of the OpenAPI document."""

    root_path: str
    entry_file: NotRequired[str]
    machine_type: str
    # executor cores in all
    core_num: int
    # cores of one executor
    executor_cores: NotRequired[int]
    # MiB
    driver_memory: NotRequired[int]
    # MiB
    executor_memory: NotRequired[int]
    # seconds
    max_duration: NotRequired[int]
    # seconds to wait for a machine
    max_wait: NotRequired[int]
    main_class: NotRequired[str]
    libs: NotRequired[list[str]]
    archives: NotRequired[list[str]]
    # a packed Python environment in root_path, with bin/python in it
    python_env: NotRequired[str | None]
    # packages that it needs; without it what root_path's requirements.txt says
    requirements: NotRequired[list[str] | None]
    # what of root_path goes along with the program; without it all
    files: NotRequired[list[str]]
    # what of root_path does not go along with the program
    exclude: NotRequired[list[str]]
    # variables of the program's environment; for what is no secret
    env: NotRequired[dict[str, str]]
    # names of secrets of one's own: PUT /secrets/NAME stores them
    secrets: NotRequired[list[str]]
    # numbers, true and false are taken as text
    app_params: NotRequired[list[str]]
    # the most that may be held and charged
    max_credits: NotRequired[str | None]
    # how far the hold grows by itself
    auto_extend_to: NotRequired[str | None]
    # numbers, true and false are taken as text
    spark_conf: NotRequired[dict[str, str]]
    # the name of the project that pays; without it the submitter does
    project: NotRequired[str | None]
    # the owner's words about it
    job_note: NotRequired[str | None]
    # a sweep: names and their values; `{name}` in app_params stands for one of them
    grid: NotRequired[dict[str, Any] | None]
    # points of a sweep that run at once
    max_parallel: NotRequired[int]
    # how often a failed point of a sweep runs again
    point_retries: NotRequired[int]
    job_name: NotRequired[str]


class JobState(TypedDict):
    """`JobState` of the OpenAPI document."""

    status: str
    job_id: str


class JobsList(TypedDict):
    """`JobsList` of the OpenAPI document."""

    jobs: list[Job]
    total: int


class Join(TypedDict):
    """`Join` of the OpenAPI document."""

    token: NotRequired[str]
    ip_address: NotRequired[str]
    service_port: NotRequired[int]
    core_count: NotRequired[int]
    # MiB
    memory_size: NotRequired[int]
    # epoch milliseconds
    lease_end: NotRequired[int | None]
    # seconds
    drain_timeout: NotRequired[int]
    files: NotRequired[dict[str, dict[str, str]]]


class JoinRequest(TypedDict):
    """`JoinRequest` of the OpenAPI document."""

    token: str
    # the port that the NodeManager will use
    service_port: NotRequired[int]
    # cores of the host, up to which it may be resized
    host_cores: NotRequired[int]
    # MiB of the host
    host_memory: NotRequired[int]


class LinesList(TypedDict):
    """`LinesList` of the OpenAPI document."""

    lines: list[AuditLine]
    total: int


class LogFile(TypedDict):
    """`LogFile` of the OpenAPI document."""

    container_id: NotRequired[str]
    role: NotRequired[Literal["driver", "executor", "environment"]]
    # the machine's display name
    host: NotRequired[str]
    file: NotRequired[str]
    # bytes
    size: NotRequired[int]
    # of a sweep only
    point: NotRequired[int]


class LogFiles(TypedDict):
    """`LogFiles` of the OpenAPI document."""

    files: NotRequired[list[LogFile]]
    total: NotRequired[int]


class Login(TypedDict):
    """`Login` of the OpenAPI document."""

    username: str
    password: str


class Machine(TypedDict):
    """`Machine` of the OpenAPI document."""

    machine_id: NotRequired[str]
    display_name: NotRequired[str]
    machine_type: NotRequired[str]
    core_count: NotRequired[int]
    # MiB
    memory_size: NotRequired[int]
    # seconds
    time_period: NotRequired[int]
    availability: NotRequired[
        Literal["offered", "joining", "active", "draining", "resting", "left", "lost", "rejected"]
    ]
    # epoch milliseconds
    created_time: NotRequired[int | None]
    # epoch milliseconds
    active_time: NotRequired[int | None]
    # epoch milliseconds
    drain_time: NotRequired[int | None]
    # epoch milliseconds
    left_time: NotRequired[int | None]
    # epoch milliseconds
    lease_end: NotRequired[int | None]
    # of the day for which it is lent, as 22:00-06:00; empty: all
    hours: NotRequired[str]
    # that the hours are meant in
    time_zone: NotRequired[str]
    # good measurements in a row, up to 10
    trust: NotRequired[int]
    # epoch milliseconds
    verified_time: NotRequired[int | None]
    ip_address: NotRequired[str]
    service_port: NotRequired[int]
    user_id: NotRequired[str | None]
    # who lends it, by name, in the list of all machines; null: the pool's own
    owner: NotRequired[str | None]
    # why it is in this state
    reason: NotRequired[str]
    # over all settled intervals
    earned: NotRequired[str]


class MachineRequest(TypedDict):
    """`MachineRequest` of the OpenAPI document."""

    core_count: int
    # MiB
    memory_size: int
    # seconds
    time_period: int
    machine_type: str
    # by default the server chooses: the caller's address
    ip_address: NotRequired[str]
    # the NodeManager's own port
    service_port: NotRequired[int]
    # what others see instead of an address
    name: NotRequired[str]
    # of the day, as 22:00-06:00; by default all of them
    hours: NotRequired[str]
    # that the hours are meant in
    time_zone: NotRequired[str]


class MachineState(TypedDict):
    """`MachineState` of the OpenAPI document."""

    status: str
    machine_id: str


class MachinesList(TypedDict):
    """`MachinesList` of the OpenAPI document."""

    machines: list[Machine]
    total: int


class MembersList(TypedDict):
    """`MembersList` of the OpenAPI document."""

    members: list[ProjectMember]
    total: int


class Metadata(TypedDict):
    """`Metadata` of the OpenAPI document."""

    machine_info: NotRequired[dict[str, Any]]


class Move(TypedDict):
    """`Move` of the OpenAPI document."""

    # the new path, relative to the home
    to: str


class NewInvitation(TypedDict):
    """`NewInvitation` of the OpenAPI document."""

    invitation_id: str
    note: str
    # how many accounts it is good for
    uses: int
    # how many were made with it
    used: int
    made_by: str
    created_time: int
    expires_time: int
    revoked_time: NotRequired[int | None]
    code: str


class NewPassword(TypedDict):
    """`NewPassword` of the OpenAPI document."""

    code: str
    new_password: str


class NewProgramToken(TypedDict):
    """`NewProgramToken` of the OpenAPI document."""

    token_id: str
    name: str
    scopes: list[Literal["read", "submit", "lend", "files", "project"]]
    created_time: int
    expires_time: int
    last_used_time: NotRequired[int | None]
    token: str


class NewProject(TypedDict):
    """`NewProject` of the OpenAPI document."""

    title: NotRequired[str]
    # the most that it and its sub-projects may spend
    budget: str
    # epoch milliseconds
    start: NotRequired[int]
    # epoch milliseconds
    end: int
    name: str
    # the project that it is a part of
    parent_id: NotRequired[str]


class NewWebhook(TypedDict):
    """`NewWebhook` of the OpenAPI document."""

    webhook_id: NotRequired[str]
    url: NotRequired[str]
    kinds: NotRequired[
        list[
            Literal[
                "job_started",
                "job_ended",
                "job_failed",
                "job_hold",
                "job_extended",
                "job_stopped",
                "machine_joined",
                "machine_lost",
                "machine_rejected",
                "machine_drained",
                "machine_poor",
                "lease_ending",
                "budget",
                "cap",
                "grant",
                "account",
                "refund",
                "alert",
            ]
        ]
    ]
    # epoch milliseconds
    created_time: NotRequired[int | None]
    # one after the other, until now
    failures: NotRequired[int]
    # the last one, in words
    failure: NotRequired[str]
    # epoch milliseconds
    delivered_time: NotRequired[int | None]
    # what its messages are signed with, as whsec_BASE64
    secret: NotRequired[str]


class Password(TypedDict):
    """`Password` of the OpenAPI document."""

    old_password: str
    new_password: str


class Point(TypedDict):
    """`Point` of the OpenAPI document."""

    point: NotRequired[int]
    params: NotRequired[dict[str, Any]]
    status: NotRequired[str]
    reason_code: NotRequired[str | None]
    reason: NotRequired[str]
    application_id: NotRequired[str | None]
    # epoch milliseconds
    start_time: NotRequired[int | None]
    # epoch milliseconds
    end_time: NotRequired[int | None]
    # milliseconds
    duration: NotRequired[int | None]
    # what the program left in metrics.json
    metrics: NotRequired[dict[str, Any]]


class PointList(TypedDict):
    """`PointList` of the OpenAPI document."""

    points: NotRequired[list[Point]]
    total: NotRequired[int]


class Price(TypedDict):
    """`Price` of the OpenAPI document."""

    rate: NotRequired[str]
    # epoch milliseconds
    at: NotRequired[int | None]
    types: NotRequired[dict[str, Any]]
    history: NotRequired[list[Rate]]
    total: NotRequired[int]


class Problem(TypedDict):
    """`Problem` of the OpenAPI document."""

    type: NotRequired[str]
    title: NotRequired[str]
    status: NotRequired[int]
    # what happened and what to do
    detail: NotRequired[str]
    # name of a problem that programs tell from others of its status, where it has one
    code: NotRequired[str]
    # messages by field, for bad input
    errors: NotRequired[dict[str, Any]]
    # for 402
    available: NotRequired[str]
    # for 402
    needed: NotRequired[str]


class ProgramToken(TypedDict):
    """`ProgramToken` of the OpenAPI document."""

    token_id: str
    name: str
    scopes: list[Literal["read", "submit", "lend", "files", "project"]]
    created_time: int
    expires_time: int
    last_used_time: NotRequired[int | None]


class ProgramTokenRequest(TypedDict):
    """`ProgramTokenRequest` of the OpenAPI document."""

    name: str
    # what it may be used for
    scopes: list[Literal["read", "submit", "lend", "files", "project"]]
    # seconds until it ends
    lifetime_s: NotRequired[int]


class Progress(TypedDict):
    """`Progress` of the OpenAPI document."""

    status: NotRequired[str]
    application_id: NotRequired[str | None]
    stages: NotRequired[list[Stage]]
    tasks_done: NotRequired[int]
    # of all Spark jobs that the program began
    tasks_total: NotRequired[int]
    # that are alive
    executors: NotRequired[int]
    # used of the hold by now, also what is not captured yet
    cost: NotRequired[str]
    # the receipt is final; until then the cost is measured, not charged
    cost_final: NotRequired[bool]
    # epoch milliseconds
    updated_time: NotRequired[int | None]
    # epoch milliseconds
    estimated_end_time: NotRequired[int | None]


class Project(TypedDict):
    """`Project` of the OpenAPI document."""

    project_id: NotRequired[str]
    # what `project` of a job names
    name: NotRequired[str]
    title: NotRequired[str]
    parent_id: NotRequired[str | None]
    # the caller's: owner, manager, member, viewer; null for an administrator
    role: NotRequired[str | None]
    # the most that it and its sub-projects may spend
    budget: NotRequired[str]
    # what they have spent, and what their open jobs may still cost
    committed: NotRequired[str]
    # of the budget
    left: NotRequired[str]
    # epoch milliseconds
    start: NotRequired[int | None]
    # epoch milliseconds
    end: NotRequired[int | None]
    # whether it pays for new jobs
    is_open: NotRequired[bool]
    # epoch milliseconds
    created_time: NotRequired[int | None]
    # spent from its own account
    used: NotRequired[str]
    # of its own account
    balance: NotRequired[str]
    held: NotRequired[str]
    available: NotRequired[str]


class ProjectBudget(TypedDict):
    """`ProjectBudget` of the OpenAPI document."""

    title: NotRequired[str]
    # the most that it and its sub-projects may spend
    budget: NotRequired[str]
    # epoch milliseconds
    start: NotRequired[int]
    # epoch milliseconds
    end: NotRequired[int]


class ProjectMember(TypedDict):
    """`ProjectMember` of the OpenAPI document."""

    user_id: NotRequired[str]
    username: NotRequired[str]
    # owner, manager, member, viewer
    role: NotRequired[str]
    # what his jobs of one month may cost; null: no cap
    month_cap: NotRequired[str | None]
    # what those of this month cost, or may still
    month_committed: NotRequired[str]
    # epoch milliseconds
    since: NotRequired[int | None]


class ProjectMemberInput(TypedDict):
    """`ProjectMemberInput` of the OpenAPI document."""

    role: Literal["owner", "manager", "member", "viewer"]
    # the most that his jobs of one month (UTC) may cost; without it no cap
    month_cap: NotRequired[str]


class ProjectsList(TypedDict):
    """`ProjectsList` of the OpenAPI document."""

    projects: list[Project]
    total: int


class Quote(TypedDict):
    """`Quote` of the OpenAPI document."""

    rate: str
    # all containers together, at this rate
    credits_per_hour: str
    # the most that it may cost
    hold: str


class Quoted(TypedDict):
    """`Quoted` of the OpenAPI document."""

    quote: Quote


class Rate(TypedDict):
    """`Rate` of the OpenAPI document."""

    # epoch milliseconds
    at: NotRequired[int | None]
    rate: NotRequired[str]


class Reason(TypedDict):
    """`Reason` of the OpenAPI document."""

    # why; whom it concerns may read it
    reason: str


class Receipt(TypedDict):
    """`Receipt` of the OpenAPI document."""

    job_id: NotRequired[str]
    # the project that pays, or who submitted it
    payer: NotRequired[str]
    # who submitted it
    submitter: NotRequired[str]
    rate: NotRequired[str]
    # credits an hour for a GiB at rate 1, as locked at submission
    gib_weight: NotRequired[str]
    charge: NotRequired[str]
    final: NotRequired[bool]
    containers: NotRequired[list[ReceiptLine]]
    # what the treasury gave back of lost attempts: off the charge already
    refunded: NotRequired[str]
    # what lenders gave back of attempts that their machines lost: off the charge already
    returned: NotRequired[str]
    # what a lender still has to give back: it is taken from his next earnings
    owed: NotRequired[str]
    # by administrators, beside the charge
    refunds: NotRequired[list[GivenBack]]
    # null until it is known, some seconds after the job's end
    used: NotRequired[Any]


class ReceiptLine(TypedDict):
    """`ReceiptLine` of the OpenAPI document."""

    container_id: NotRequired[str]
    # of a sweep only
    point: NotRequired[int]
    role: NotRequired[str]
    host: NotRequired[str]
    machine_id: NotRequired[str | None]
    seconds: NotRequired[Any]
    vcores: NotRequired[int]
    memory_mib: NotRequired[int]
    weight: NotRequired[str]
    amount: NotRequired[str]
    # micro-credits that were dropped
    rounding: NotRequired[Any]
    not_charged_because: NotRequired[str | None]


class Refund(TypedDict):
    """`Refund` of the OpenAPI document."""

    amount: str
    # why; whom it concerns may read it
    reason: str


class Refunded(TypedDict):
    """`Refunded` of the OpenAPI document."""

    job_id: NotRequired[str]
    user_id: NotRequired[str]
    amount: NotRequired[str]
    reason: NotRequired[str]
    # all that was given back for the job by now
    refunded: NotRequired[str]


class Refusal(TypedDict):
    """`Refusal` of the OpenAPI document."""

    # told to the owner of the account
    reason: str


class Registered(TypedDict):
    """`Registered` of the OpenAPI document."""

    status: str
    machine_id: str
    join: Join


class Registration(TypedDict):
    """`Registration` of the OpenAPI document."""

    username: str
    password: str
    email: str
    # the code of an invitation, where people come by invitation only
    invitation: NotRequired[str]


class Report(TypedDict):
    """`Report` of the OpenAPI document."""

    # like 202611
    month: NotRequired[int]
    project_id: NotRequired[str]
    project: NotRequired[str]
    spent: NotRequired[str]
    held: NotRequired[str]
    committed: NotRequired[str]
    lines: NotRequired[list[ReportLine]]


class ReportLine(TypedDict):
    """`ReportLine` of the OpenAPI document."""

    project_id: NotRequired[str]
    project: NotRequired[str]
    user_id: NotRequired[str]
    username: NotRequired[str]
    jobs: NotRequired[int]
    open_jobs: NotRequired[int]
    # captured, less what came back
    spent: NotRequired[str]
    # what open jobs may still cost
    held: NotRequired[str]
    # both together
    committed: NotRequired[str]
    # of that month; null: none
    cap: NotRequired[str | None]


class Reset(TypedDict):
    """`Reset` of the OpenAPI document."""

    # the username or the e-mail address
    account: str


class ResizeRequest(TypedDict):
    """`ResizeRequest` of the OpenAPI document."""

    core_count: NotRequired[int]
    # MiB
    memory_size: NotRequired[int]


class Result(TypedDict):
    """`Result` of the OpenAPI document."""

    path: str
    # bytes
    size: int
    is_folder: NotRequired[bool]
    # epoch milliseconds
    modified_time: NotRequired[int | None]
    # in hex; null until it is computed, some seconds after the job's end
    sha256: NotRequired[str | None]


class Results(TypedDict):
    """`Results` of the OpenAPI document."""

    files: NotRequired[list[Result]]
    total: NotRequired[int]


class Retry(TypedDict):
    """`Retry` of the OpenAPI document."""

    points: NotRequired[list[int]]


class RoleUse(TypedDict):
    """`RoleUse` of the OpenAPI document."""

    containers: NotRequired[int]
    # containers that were held for 5 s or more and whose machines told nothing
    not_measured: NotRequired[int]
    # vcores x seconds that were allocated, of all containers
    held_core_s: NotRequired[float]
    # processor seconds that they used, all their processes together
    cpu_s: NotRequired[float | None]
    # allocated to each container
    memory_mib: NotRequired[int]
    # the most that one of them held: each process at its own peak, summed up
    peak_memory_mib: NotRequired[int | None]


class Room(TypedDict):
    """`Room` of the OpenAPI document."""

    # bytes
    used: int
    # bytes; null: no limit
    quota: NotRequired[int | None]
    # files and folders
    names: int
    # null: no limit
    names_quota: NotRequired[int | None]


class Secret(TypedDict):
    """`Secret` of the OpenAPI document."""

    name: NotRequired[str]
    # epoch milliseconds
    modified_time: NotRequired[int | None]


class SecretValue(TypedDict):
    """`SecretValue` of the OpenAPI document."""

    value: str


class SecretsList(TypedDict):
    """`SecretsList` of the OpenAPI document."""

    secrets: list[Secret]
    total: int


class Settlement(TypedDict):
    """`Settlement` of the OpenAPI document."""

    interval_id: NotRequired[int]
    # epoch milliseconds
    since: NotRequired[int | None]
    # epoch milliseconds
    until: NotRequired[int | None]
    # the rate from its end on
    rate: NotRequired[str | None]
    # what was wanted of the pool, as a share of what was there
    utilisation: NotRequired[str | None]
    # charged for jobs
    captured: NotRequired[str]
    # of it, what the market kept
    fee: NotRequired[str]
    # of it, what machines brought in
    paid: NotRequired[str]
    # of that, what their owners got
    paid_to_lenders: NotRequired[str]
    # of that, what the market's own machines brought in
    paid_to_treasury: NotRequired[str]
    # paid for idle machines
    stipend: NotRequired[str]
    # given back by the treasury, of attempts that the pool lost
    refunded: NotRequired[str]
    # given back by lenders, of attempts that their machines lost
    returned: NotRequired[str]
    # rows under the seal
    rows: NotRequired[int | None]
    # SHA-256 over these rows and the seal before
    seal: NotRequired[str | None]


class SettlementDetail(TypedDict):
    """`SettlementDetail` of the OpenAPI document."""

    interval_id: NotRequired[int]
    # epoch milliseconds
    since: NotRequired[int | None]
    # epoch milliseconds
    until: NotRequired[int | None]
    # the rate from its end on
    rate: NotRequired[str | None]
    # what was wanted of the pool, as a share of what was there
    utilisation: NotRequired[str | None]
    # charged for jobs
    captured: NotRequired[str]
    # of it, what the market kept
    fee: NotRequired[str]
    # of it, what machines brought in
    paid: NotRequired[str]
    # of that, what their owners got
    paid_to_lenders: NotRequired[str]
    # of that, what the market's own machines brought in
    paid_to_treasury: NotRequired[str]
    # paid for idle machines
    stipend: NotRequired[str]
    # given back by the treasury, of attempts that the pool lost
    refunded: NotRequired[str]
    # given back by lenders, of attempts that their machines lost
    returned: NotRequired[str]
    # rows under the seal
    rows: NotRequired[int | None]
    # SHA-256 over these rows and the seal before
    seal: NotRequired[str | None]
    # 0 to 1
    fee_share: NotRequired[str]
    # the utilisation at which the rate stays
    target: NotRequired[str]
    # how far off it was, -1 to 1
    error: NotRequired[str | None]
    # all errors so far: rate = initial rate x e^(sum / 8)
    error_sum: NotRequired[str | None]
    # what is done, in order
    steps: NotRequired[list[str]]


class SettlementsList(TypedDict):
    """`SettlementsList` of the OpenAPI document."""

    settlements: list[Settlement]
    total: int


class Stage(TypedDict):
    """`Stage` of the OpenAPI document."""

    stage_id: NotRequired[int]
    name: NotRequired[str]
    status: NotRequired[str]
    tasks_done: NotRequired[int]
    tasks_total: NotRequired[int]


class Statement(TypedDict):
    """`Statement` of the OpenAPI document."""

    lines: NotRequired[list[StatementLine]]
    total: NotRequired[int]


class StatementLine(TypedDict):
    """`StatementLine` of the OpenAPI document."""

    # epoch milliseconds
    at: NotRequired[int | None]
    kind: NotRequired[str]
    amount: NotRequired[str]
    balance: NotRequired[str]
    job_id: NotRequired[str | None]
    machine_id: NotRequired[str | None]
    note: NotRequired[str]
    # of a job: the project that pays, or who submitted it
    payer: NotRequired[str | None]
    # of a job: who submitted it
    submitter: NotRequired[str | None]


class Submitted(TypedDict):
    """`Submitted` of the OpenAPI document."""

    status: str
    job_id: str
    quote: Quote


class Suspension(TypedDict):
    """`Suspension` of the OpenAPI document."""

    # the person is told it when he tries to log in
    reason: str
    # what becomes of his open jobs
    jobs: NotRequired[Literal["finish", "cancel"]]


class Table(TypedDict):
    """`Table` of the OpenAPI document."""

    columns: NotRequired[list[Column]]
    # at most 100; cells are texts, cut where they are long; null is missing
    rows: NotRequired[list[list[str | None]]]
    # there are rows or columns beyond these
    more: NotRequired[bool]


class Token(TypedDict):
    """`Token` of the OpenAPI document."""

    access_token: str
    token_type: NotRequired[Any]
    # seconds
    expires_in: int
    user_id: str


class TokensList(TypedDict):
    """`TokensList` of the OpenAPI document."""

    tokens: list[ProgramToken]
    total: int


class Totals(TypedDict):
    """`Totals` of the OpenAPI document."""

    online_s: NotRequired[int]
    vcore_seconds: NotRequired[int]
    memory_mib_seconds: NotRequired[int]
    # from jobs, less the fee and what was given back of attempts that it lost
    jobs_earned: NotRequired[str]
    stipend: NotRequired[str]
    earned: NotRequired[str]


class Transfer(TypedDict):
    """`Transfer` of the OpenAPI document."""

    payer_id: str
    payee_id: str
    amount: str
    reason: str


class Transferred(TypedDict):
    """`Transferred` of the OpenAPI document."""

    payer_id: NotRequired[str]
    payee_id: NotRequired[str]
    amount: NotRequired[str]
    reason: NotRequired[str]
    # the payer's
    balance: NotRequired[str]


class Treasury(TypedDict):
    """`Treasury` of the OpenAPI document."""

    balance: NotRequired[str]
    days: NotRequired[list[TreasuryDay]]


class TreasuryDay(TypedDict):
    """`TreasuryDay` of the OpenAPI document."""

    # epoch milliseconds
    at: NotRequired[int | None]
    # to new people
    signup: NotRequired[str]
    # by administrators
    grants: NotRequired[str]
    # by administrators, of what jobs had paid
    refunds: NotRequired[str]
    # for idle machines
    stipends: NotRequired[str]
    # given back of attempts that the pool lost
    lost_attempts: NotRequired[str]
    # got for the market's own machines
    own_machines: NotRequired[str]
    # given, less got
    issued: NotRequired[str]


class TrialBalance(TypedDict):
    """`TrialBalance` of the OpenAPI document."""

    accounts: NotRequired[list[AccountBalance]]
    sum: NotRequired[str]


class Used(TypedDict):
    """`Used` of the OpenAPI document."""

    driver: NotRequired[Any]
    executors: NotRequired[Any]
    # null where there is nothing to be gained
    advice: NotRequired[Any]


class User(TypedDict):
    """`User` of the OpenAPI document."""

    user_id: str
    username: str
    display_name: str
    email: str
    # only to such an address events are mailed, and new passwords
    email_confirmed: bool
    # takes the place of email when it is confirmed
    new_email: NotRequired[str | None]
    # why the last mail with a code could not be sent, if it could not
    email_failure: NotRequired[str]
    # what an administrator says of the account; null: it needs no word
    approval: NotRequired[Literal["waiting", "approved", "refused"] | None]
    approval_reason: NotRequired[str]
    # what the first credits still wait for
    credit_waits_for: NotRequired[Literal["confirmation", "approval"] | None]
    is_admin: bool
    # the balance, in credits
    credit: str
    created_time: int


class UserPage(TypedDict):
    """`UserPage` of the OpenAPI document."""

    users: NotRequired[list[UserRecord]]
    # send it as `after` for the next ones; null: no more
    cursor: NotRequired[int | None]


class UserRecord(TypedDict):
    """`UserRecord` of the OpenAPI document."""

    user_id: NotRequired[str]
    username: NotRequired[str]
    email: NotRequired[str]
    state: NotRequired[Literal["active", "suspended"]]
    # epoch milliseconds
    suspended_time: NotRequired[int | None]
    # the administrator, by name
    suspended_by: NotRequired[str | None]
    suspended_because: NotRequired[str | None]
    # epoch milliseconds
    created_time: NotRequired[int | None]
    # epoch milliseconds
    last_login_time: NotRequired[int | None]
    balance: NotRequired[str]
    held: NotRequired[str]
    available: NotRequired[str]
    granted: NotRequired[str]
    # all earned by lending
    sharing_credit: NotRequired[str]
    # all spent on jobs
    using_credit: NotRequired[str]
    open_jobs: NotRequired[int]
    live_machines: NotRequired[int]


class Verification(TypedDict):
    """`Verification` of the OpenAPI document."""

    verification_id: NotRequired[str]
    # cores that were measured
    core_count: NotRequired[int]
    # epoch milliseconds
    start_time: NotRequired[int | None]
    # epoch milliseconds
    end_time: NotRequired[int | None]
    outcome: NotRequired[Literal["running", "good", "poor", "none"]]
    # why it is not good, or measured nothing
    detail: NotRequired[str]
    # of one core alone
    core_speed: NotRequired[int | None]
    # of all cores at once
    speed: NotRequired[int | None]
    # MiB a second
    memory_speed: NotRequired[int | None]


class VerificationList(TypedDict):
    """`VerificationList` of the OpenAPI document."""

    verifications: NotRequired[list[Verification]]
    total: NotRequired[int]


class Waiting(TypedDict):
    """`Waiting` of the OpenAPI document."""

    code: NotRequired[
        Literal[
            "begins",
            "packages",
            "submits",
            "yarn",
            "prepares",
            "no_machine",
            "joining",
            "draining",
            "resting",
            "too_large",
            "cores",
            "driver_room",
        ]
    ]
    # the same for people, with its evidence
    sentence: NotRequired[str]
    # epoch milliseconds
    since: NotRequired[int | None]
    # place in the queue of its type (from 1), jobs_before and cores_before it; the type's machines,
    # cores, free_cores; executor_cores and executor_mib of one executor; usual_wait, seconds: the median
    # of like jobs in the last 24 hours, null for too few
    figures: NotRequired[dict[str, int | None]]


class Webhook(TypedDict):
    """`Webhook` of the OpenAPI document."""

    webhook_id: NotRequired[str]
    url: NotRequired[str]
    kinds: NotRequired[
        list[
            Literal[
                "job_started",
                "job_ended",
                "job_failed",
                "job_hold",
                "job_extended",
                "job_stopped",
                "machine_joined",
                "machine_lost",
                "machine_rejected",
                "machine_drained",
                "machine_poor",
                "lease_ending",
                "budget",
                "cap",
                "grant",
                "account",
                "refund",
                "alert",
            ]
        ]
    ]
    # epoch milliseconds
    created_time: NotRequired[int | None]
    # one after the other, until now
    failures: NotRequired[int]
    # the last one, in words
    failure: NotRequired[str]
    # epoch milliseconds
    delivered_time: NotRequired[int | None]


class WebhookInput(TypedDict):
    """`WebhookInput` of the OpenAPI document."""

    url: str
    # kinds of events that it is sent
    kinds: list[
        Literal[
            "job_started",
            "job_ended",
            "job_failed",
            "job_hold",
            "job_extended",
            "job_stopped",
            "machine_joined",
            "machine_lost",
            "machine_rejected",
            "machine_drained",
            "machine_poor",
            "lease_ending",
            "budget",
            "cap",
            "grant",
            "account",
            "refund",
        ]
    ]


class WebhookTest(TypedDict):
    """`WebhookTest` of the OpenAPI document."""

    delivered: NotRequired[bool]
    # why not
    detail: NotRequired[str]
    # ms
    took: NotRequired[int]


class WebhooksList(TypedDict):
    """`WebhooksList` of the OpenAPI document."""

    webhooks: list[Webhook]
    total: int
