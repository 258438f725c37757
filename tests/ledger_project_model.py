"""The model of the ledger, of projects: budgets, caps, transfers, and a tree that all workers share."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger_model import Account, Held, Worker, submit
from ledger_world import T0, given

from market.credits import ledger
from market.credits import projects as project_ledger
from market.credits.project_errors import OverBudgetError
from market.kit.errors import NotEnoughCreditError, OverLimitError

_DAY_LIMIT = 60_000_000  # each worker comes to it in the tests' 5 000 operations


@dataclass
class Project(Account):
    """A project that one worker has alone; its tree's budget is so large that it never binds."""

    budget: int = 0
    cap: int = 0


@dataclass
class ProjectWorker(Worker):
    """A worker who has sub-projects, too, and spends from one that all share and that is always short."""

    projects: list[Project] = field(default_factory=list)
    short: Account | None = None
    paid_in: dict[str, int] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)  # what refusals were about

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kinds += [*[self.pay_in] * 2, *[self.project_hold] * 4, *[self.project_extend] * 2]
        self.kinds += [*[self.project_release] * 3, *[self.short_hold] * 2]

    def pay_in(self) -> None:
        """Transfer credits from an account of one's own into a project."""
        project = self.chance.choice(self.projects)
        account = next(one for one in self.own if one.user_id == project.submitter)
        amount = self.chance.randrange(1, max(2, account.available * 5 // 4))
        key = given("transfer", account.user_id, project.user_id, self.key())
        request = (account.user_id, project.user_id, amount, "work", key, account.user_id, _DAY_LIMIT, T0)
        answer = self.ask(lambda cursor: project_ledger.transfer(cursor, *request))
        if self.paid_in.get(account.user_id, 0) + amount > _DAY_LIMIT:
            self.expect(answer, OverLimitError)
            self.over.add("day")
        elif amount > account.available:
            self.expect(answer, NotEnoughCreditError)
            self.expect(answer.available_ucr, account.available)
        else:
            self.expect(answer, True)
            self.paid_in[account.user_id] = self.paid_in.get(account.user_id, 0) + amount
            account.transferred -= amount
            project.transferred += amount
            again = self.ask(lambda cursor: project_ledger.transfer(cursor, *request))
            self.expect(again in (False, True), True)  # True: it was asked again after a kill

    def project_hold(self) -> None:
        project = self.chance.choice(self.projects)
        amount, job_id = self.chance.randrange(0, project.available * 4 // 3 + 500_000), self.new_job()
        answer = self.ask(lambda cursor: submit(cursor, job_id, project, amount))
        if self.allowed(project, amount, answer):
            project.holds[job_id] = Held(amount)

    def project_extend(self) -> None:
        project = self.chance.choice(self.projects)
        still_open = [job_id for job_id, held in project.holds.items() if not held.closed]
        if not still_open:
            return
        job_id = self.chance.choice(still_open)
        held, key = project.holds[job_id], self.key()
        more = self.chance.randrange(0, 2_000_000)
        new = held.amount + more
        answer = self.ask(lambda cursor: ledger.extend_hold(cursor, job_id, new, key, T0))
        if self.allowed(project, more, answer):
            held.amount = new

    def allowed(self, project: Project, amount: int, answer: object) -> bool:
        """Compare an answer with what budget, cap and account say, in this order; tell whether it was yes."""
        for of, most in (("budget", project.budget), ("cap", project.cap)):
            left = most - project.used - project.held
            if amount > left:
                self.expect(answer, OverBudgetError)
                assert isinstance(answer, OverBudgetError)
                self.expect((answer.of, answer.available_ucr), (of, left))
                self.over.add(of)
                return False
        if amount > project.available:
            self.expect(answer, NotEnoughCreditError)
            self.over.add("account")
            return False
        self.expect(answer, True)
        return True

    def project_release(self) -> None:
        project = self.chance.choice(self.projects)
        still_open = [job_id for job_id, held in project.holds.items() if not held.closed]
        if still_open:
            job_id = self.chance.choice(still_open)
            key = f"release:{job_id}"
            self.expect(self.ask(lambda cursor: ledger.release_hold(cursor, job_id, key, T0)), True)
            project.holds[job_id].closed = True

    def short_hold(self) -> None:
        """Take from the project that is always short: what goes wrong between two goes wrong there."""
        assert self.short is not None
        account, amount, job_id = self.short, self.chance.randrange(1, 3_000_000), self.new_job()
        answer = self.ask(lambda cursor: submit(cursor, job_id, account, amount))
        if answer is True:
            account.holds[job_id] = held = Held(amount)
            self.open_shared.append((job_id, held))
        else:
            self.expect(answer, OverBudgetError)
            assert answer.available_ucr < amount
