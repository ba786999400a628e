"""The web page: pictures in, numbered heads with names out. Needs gradio.

Gradio and onnxruntime read these variables when they are imported, so they are set before any file here can import them.
"""

import os
import tempfile

# Also where gradio makes folders when it starts; its default /tmp/gradio may belong to somebody else. Goes with the process.
FOLDER = tempfile.TemporaryDirectory(prefix="crystal-eyes-", ignore_cleanup_errors=True)
os.environ["GRADIO_TEMP_DIR"] = FOLDER.name
# No calls home.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
