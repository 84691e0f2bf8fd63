// SPDX-License-Identifier: Apache-2.0
// The stores that the contract is tried on.
