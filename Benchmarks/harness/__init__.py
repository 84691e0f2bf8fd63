# SPDX-License-Identifier: Apache-2.0
# The parts of `make bench`: conditions, servers, scenarios, peers and the report.
