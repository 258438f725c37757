"""Python runs this at its start, in the driver and in executors: it lies in the archive with PySpark.

PySpark hands the variables of `spark.executorEnv` to executors' Python as they stand in the configuration,
where their values are quoted for YARN's shell. The true values come beside them, encoded. With those of a job
comes the address at which its Python opens the market's HDFS.
"""

import base64
import contextlib
import json
import os

# Where memory runs out, the kernel ends the container's Java rather than this: the container then ends as a
# whole, saying why, and not one worker of it, which would be told as a crash (`_offer` in enclose.py).
with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as _score:
    _score.write("0")

_encoded = os.environ.get("MARKET_VARIABLES", "")
if _encoded:
    os.environ.update(json.loads(base64.urlsafe_b64decode(_encoded + "=" * (-len(_encoded) % 4))))

if "MARKET_SECRETS" in os.environ:
    import market_secrets

    market_secrets.receive()

if "MARKET_JOB_ID" in os.environ:
    import market_folder

    market_folder.lay_out()

if "MARKET_WEBHDFS" in os.environ:
    with contextlib.suppress(ImportError):  # a module of a name that the market's own has is the program's
        from market_runner import addresses

        addresses.teach()
