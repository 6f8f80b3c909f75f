#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One small real program of the truth tests (tests/truth): pgo's conversions of it against the exact counts of the run that was
# sampled, and against those of the other converters that are here. `make truth` holds the rest.
#
# Exit 0: held; 77: the last line says why it could not be tried (no registry, no instrument); 1: something did not hold.
set -u
export PGO_TRUTH_CACHE=${PGO_TRUTH_CACHE:-$PWD/${B:-build}/truth}
# with fixed addresses and DWARF 4, so that all converters understand it
exec tests/truth/truth.sh -n 300000 lua gcc fixed
