// SPDX-License-Identifier: Apache-2.0
// The contract that the server hands out.
import COpenAPI

enum OpenAPIDocument {
  static var bytes: [UInt8] {
    Array(UnsafeBufferPointer(start: orrery_openapi_bytes(), count: orrery_openapi_count()))
  }
}
