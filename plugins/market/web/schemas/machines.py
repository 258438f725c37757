"""Machines as the routes show them."""

from __future__ import annotations

from marshmallow import Schema, fields

from market.kit.vocabulary import MACHINE_STATES, VERIFICATION_OUTCOMES
from market.web.schemas.common import credit, identity, text, time_ms


def mib() -> fields.Integer:
    """Return a field for an amount of memory."""
    return fields.Integer(metadata={"description": "MiB"})


class MarketMachineSchema(Schema):
    """A machine in the pool, without its address and its owner."""

    machine_id = identity()
    display_name = text()
    machine_type = text()
    core_count = fields.Integer()
    memory_size = mib()
    time_period = fields.Integer(metadata={"description": "seconds"})
    availability = fields.String(metadata={"enum": list(MACHINE_STATES)})
    created_time = time_ms()
    active_time = time_ms()
    drain_time = time_ms()
    left_time = time_ms()
    lease_end = time_ms()
    hours = text("of the day for which it is lent, as 22:00-06:00; empty: all")
    time_zone = text("that the hours are meant in")
    trust = fields.Integer(metadata={"description": "good measurements in a row, up to 10"})
    verified_time = time_ms()


class MachineSchema(MarketMachineSchema):
    """A machine, as its owner sees it."""

    ip_address = text()
    service_port = fields.Integer()
    user_id = identity(allow_none=True)
    owner = text("who lends it, by name, in the list of all machines; null: the pool's own", allow_none=True)
    reason = text("why it is in this state")
    earned = credit("over all settled intervals")


class JoinSchema(Schema):
    """What an agent starts the NodeManager with: properties by file, and a token that works once."""

    token = text()
    ip_address = text()
    service_port = fields.Integer()
    core_count = fields.Integer()
    memory_size = mib()
    lease_end = time_ms()
    drain_timeout = fields.Integer(metadata={"description": "seconds"})
    files = fields.Dict(
        keys=fields.String(), values=fields.Dict(keys=fields.String(), values=fields.String())
    )


class RegisteredSchema(Schema):
    """The answer to a registration."""

    status = text(required=True)
    machine_id = identity(required=True)
    join = fields.Nested(JoinSchema, required=True)


class HandshakeSchema(Schema):
    """The market's release."""

    api = fields.Integer(metadata={"description": "version of the interface for agents"})
    runtime = text("digest of what runs jobs, SHA-256")
    python = text("version of the Python that runs jobs, as 3.11")


class ClientPackageSchema(Schema):
    """The client that the market gives away."""

    file_name = text("of the wheel")
    address = text("below the market's own, where it is fetched")
    size = fields.Integer(metadata={"description": "bytes"})
    sha256 = text("of the file")


class PulseSchema(Schema):
    """How a machine is, for its agent."""

    version = text("changes with what an agent acts upon: send it with the next heartbeat")
    availability = text()
    reason = text("why it is in this state")
    core_count = fields.Integer()
    memory_size = mib()
    remaining_s = fields.Integer(metadata={"description": "seconds until the lease ends"})
    earned = credit("over all settled intervals")
    ticket = text("opens the pages of its own NodeManager for a minute; empty where they are open")
    admitted = fields.Boolean(metadata={"description": "its NodeManager may register: start it now"})
    encrypted = fields.Boolean(
        metadata={"description": "Hadoop's servers and machines encrypt what they say"}
    )


class IdentitySchema(Schema):
    """Who a machine is to Hadoop's servers, and what its NodeManager needs beside that."""

    principal = text()
    krb5_conf = text("where the realm is")
    keytab = text("the machine's key, in base 64")
    ticket_key = text("a public key: what the market's tickets are checked by")
    classes = text("the market's own classes for Hadoop's servers: a zip, in base 64")


class MachineStateSchema(Schema):
    """A machine's state after a command."""

    status = text(required=True)
    machine_id = identity(required=True)


class ContributionSchema(Schema):
    """What a machine did and earned in a settled interval."""

    since = time_ms()
    until = time_ms()
    online_s = fields.Integer(metadata={"description": "seconds for which the stipend counts"})
    vcore_seconds = fields.Integer()
    memory_mib_seconds = fields.Integer()
    jobs_earned = credit("from jobs, less the fee and what was given back of attempts that it lost")
    stipend = credit()
    earned = credit()


class TotalsSchema(Schema):
    """What all settled intervals of a machine add up to."""

    online_s = fields.Integer()
    vcore_seconds = fields.Integer()
    memory_mib_seconds = fields.Integer()
    jobs_earned = credit("from jobs, less the fee and what was given back of attempts that it lost")
    stipend = credit()
    earned = credit()


class ContributionListSchema(Schema):
    """All settled intervals of a machine, oldest first."""

    contributions = fields.List(fields.Nested(ContributionSchema))
    total = fields.Integer()
    totals = fields.Nested(TotalsSchema)


class VerificationSchema(Schema):
    """What a canary measured on a machine. Speeds are thousands of steps a second."""

    verification_id = identity()
    core_count = fields.Integer(metadata={"description": "cores that were measured"})
    start_time = time_ms()
    end_time = time_ms()
    outcome = fields.String(metadata={"enum": ["running", *VERIFICATION_OUTCOMES]})
    detail = text("why it is not good, or measured nothing")
    core_speed = fields.Integer(allow_none=True, metadata={"description": "of one core alone"})
    speed = fields.Integer(allow_none=True, metadata={"description": "of all cores at once"})
    memory_speed = fields.Integer(allow_none=True, metadata={"description": "MiB a second"})


class VerificationListSchema(Schema):
    """A machine's measurements, newest first."""

    verifications = fields.List(fields.Nested(VerificationSchema))
    total = fields.Integer()
