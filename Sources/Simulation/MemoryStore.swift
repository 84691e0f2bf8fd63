// SPDX-License-Identifier: Apache-2.0
// Placeholder header, replaced below.
