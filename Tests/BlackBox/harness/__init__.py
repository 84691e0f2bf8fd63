# SPDX-License-Identifier: Apache-2.0
# The black-box suite's own tools: a server under test, an operator, agents and their signatures.
