"""Model families, their search spaces, the search itself and the artifact it produces."""

import os

# OpenMP's threads wait by spinning, which on a busy machine takes the very cores they wait for:
# a fit beside other work took twice as long. Read when the library is loaded, so set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
