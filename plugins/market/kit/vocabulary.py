"""The market's words, each defined once: what a row, an answer or a page may say of a state.

The schema's CHECKs repeat those that are stored; a test holds the two equal. Standard library only.
"""

from __future__ import annotations

# A job's status. On its way to the cluster, while it is stopped, and at its end.
WAY = ("submitted", "queued", "accepted", "running")
CANCELLING = "cancelling"
OPEN = (*WAY, CANCELLING)
ENDED = ("succeeded", "failed", "cancelled", "lost")
JOB_STATUSES = (*OPEN, *ENDED)
# A run's: it waits until its job lets it begin.
WAITING = "waiting"
RUN_WAY = (WAITING, *WAY[1:])
RUN_STATUSES = (*RUN_WAY, CANCELLING, *ENDED)

# Why a job ended or is being stopped (`reason_code`), and what a person can do about it.
REASONS = {
    "user_error": "The time until then is charged.",
    "out_of_memory": "A container needed more memory than it had. Submit again with more for the executors "
    "or the driver.",
    "log_limit": "A container printed more than a log may hold, so it was stopped. Print less, or write it "
    "as a result; the time until then is charged.",
    "disk_limit": "The job held more of a machine's disk than it may. Store less there, or spread it over "
    "more executors; the time until then is charged.",
    "credit_exhausted": "The hold was used up, so the job was stopped. Submit again with a larger limit, "
    "or let it extend by itself.",
    "max_duration": "The job ran for as long as it was allowed to. Submit again with more minutes.",
    "no_capacity": "No machine of this type came free in time. Nothing was charged. Try another type, "
    "or later.",
    "over_size": "The program held more containers than were quoted. Keep to the cores and the memory "
    "of the submission.",
    "cancelled": "Only what ran until then is charged.",
    "points_failed": "The other points have their results. Run those that failed again, alone.",
    "pool_failure": "The pool failed, not your program. What the lost attempt had paid is given back, "
    "within bounds.",
}

# What a job waits for (`waiting`), until its first executor has run.
BEGINS, PACKAGES, SUBMITS, YARN, PREPARES = "begins", "packages", "submits", "yarn", "prepares"
NO_MACHINE, ALL_JOINING, ALL_DRAINING, ALL_RESTING = "no_machine", "joining", "draining", "resting"
TOO_LARGE, CORES, DRIVER_ROOM = "too_large", "cores", "driver_room"
WAITS_FOR_MACHINES = (NO_MACHINE, ALL_JOINING, ALL_DRAINING, ALL_RESTING, TOO_LARGE, CORES, DRIVER_ROOM)
WAITS = (BEGINS, PACKAGES, SUBMITS, YARN, PREPARES, *WAITS_FOR_MACHINES)

# A machine's state.
OFFERED, JOINING, ACTIVE, DRAINING = "offered", "joining", "active", "draining"
RESTING, LEFT, LOST, REJECTED = "resting", "left", "lost", "rejected"
MACHINE_STATES = (OFFERED, JOINING, ACTIVE, DRAINING, RESTING, LEFT, LOST, REJECTED)
MACHINE_GONE = (LEFT, REJECTED)
MACHINE_LIVE = tuple(state for state in MACHINE_STATES if state not in MACHINE_GONE)
MACHINE_IN_POOL = tuple(state for state in MACHINE_LIVE if state != OFFERED)  # or was there a moment ago
MACHINE_STAYING = tuple(state for state in MACHINE_LIVE if state != DRAINING)  # may be resized, and come back

# What a verification came to; none: it measured nothing.
GOOD, POOR, NONE = "good", "poor", "none"
VERIFICATION_OUTCOMES = (GOOD, POOR, NONE)

# A container's part in its application, and how it ended.
DRIVER, EXECUTOR = "driver", "executor"
CONTAINER_ROLES = (DRIVER, EXECUTOR)
FINISHED, KILLED, NODE_LOST, PREEMPTED, DRAINED = "finished", "killed", "node_lost", "preempted", "drained"
CONTAINER_ENDS = (FINISHED, KILLED, NODE_LOST, PREEMPTED, DRAINED)
NOT_CHARGED = (NODE_LOST, PREEMPTED, DRAINED)  # the pool's doing, which a buyer does not pay for

# What a token for a program may be for.
READ, SUBMIT, LEND, FILES, PROJECT = "read", "submit", "lend", "files", "project"
TOKEN_SCOPES = (READ, SUBMIT, LEND, FILES, PROJECT)

# The ledger: kinds of journals, what changes a hold, steps of a settlement, accounts that are nobody's.
JOURNAL_KINDS = ("grant", "capture", "pay", "stipend", "refund", "return", "transfer")
HOLD_CHANGES = ("take", "extend", "capture", "release")
SETTLEMENT_STEPS = ("freeze", "price", "capture", "pay", "reconcile", "seal")
SYSTEM_ACCOUNTS = ("treasury", "pool", "fee")

# A member's part in a project, the strongest first.
OWNER, MANAGER, MEMBER, VIEWER = "owner", "manager", "member", "viewer"
PROJECT_ROLES = (OWNER, MANAGER, MEMBER, VIEWER)

# How somebody becomes a member, and what an administrator says of an account.
OPEN_TO_ALL, CONFIRMED, INVITED, BY_APPROVAL = REGISTRATIONS = ("open", "confirmed", "invited", "approved")
AWAITED, APPROVED, REFUSED = APPROVAL_STATES = ("waiting", "approved", "refused")
# What is mailed about an account itself: a code that confirms an address, one that lets its owner set a new
# password, to the old address that another one is to take its place, and that a deletion was asked for.
CONFIRM, RESET, LEAVING, DELETION = ACCOUNT_MAILS = ("confirm", "reset", "leaving", "deletion")

# How somebody is told of events, and what became of it.
MAIL, WEBHOOK = WAYS = ("mail", "webhook")
DELIVERED, GIVEN_UP = DELIVERY_OUTCOMES = ("delivered", "given_up")
