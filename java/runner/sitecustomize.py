"""Python runs this at its start, in the driver and in executors: it lies in the archive with PySpark.

PySpark hands the variables of `spark.executorEnv` to executors' Python as they stand in the configuration,
where their values are quoted for YARN's shell. The true values come beside them, encoded.
"""

import base64
import json
import os

_encoded = os.environ.get("MARKET_VARIABLES", "")
if _encoded:
    os.environ.update(json.loads(base64.urlsafe_b64decode(_encoded + "=" * (-len(_encoded) % 4))))
