"$LOOPSMITH_PYTHON" -m pytest
