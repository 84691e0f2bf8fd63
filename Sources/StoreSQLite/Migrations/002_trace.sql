-- SPDX-License-Identifier: Apache-2.0
-- The trace that a task was submitted in. NULL costs a byte, and is read without the payload.

ALTER TABLE tasks ADD COLUMN trace TEXT;   -- traceparent, and after a space tracestate
