"""What YARN, HDFS or a log server answered that a caller can act on."""

from __future__ import annotations

from market.kit.errors import MarketError, UnavailableError


class ClusterUnavailable(UnavailableError):  # noqa: N818
    """A server of the cluster does not answer, or answers 5xx; trying again later helps."""


class ClusterRefused(MarketError):  # noqa: N818
    """A server of the cluster refused: the request or the state of things is not as it must be."""

    status = 502
    title = "The cluster refused"


class HdfsNotFound(ClusterRefused):
    """No such file or folder in HDFS."""

    status = 404
    title = "Not found"


class HdfsDenied(ClusterRefused):
    """HDFS does not allow this to this user."""

    status = 404
    title = "Not found"


class HdfsOverQuota(ClusterRefused):
    """The folder's quota is used up."""

    status = 413
    title = "Too large"
