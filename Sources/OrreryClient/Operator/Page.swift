// SPDX-License-Identifier: Apache-2.0
// Lists that come in pages, and walking through all of them.

import Domain

/// One page of a list.
public struct Page<Element: Sendable>: Sendable {
  public let elements: [Element]
  /// Asks for the next page; nil on the last.
  public let nextCursor: String?
  /// As the server sent it.
  public let json: JSONText

  init(
    _ answer: Answer, _ key: String, _ read: (JSONNode) throws(OrreryError) -> Element
  ) throws(OrreryError) {
    let node = try answer.object()
    guard let list = node[key], list.kind == .array else {
      throw answer.badAnswer("without \"\(key)\"")
    }
    var elements: [Element] = []
    for element in list.elements { elements.append(try read(element)) }
    self.elements = elements
    nextCursor = node["nextCursor"]?.stringValue
    json = JSONText(node)
  }
}

/// Every element of a paged list, page after page, asked for as it is needed.
public struct PagedSequence<Element: Sendable>: AsyncSequence, Sendable {
  let page: @Sendable (_ cursor: String?) async throws -> Page<Element>

  public func makeAsyncIterator() -> Iterator {
    Iterator(page: page)
  }

  public struct Iterator: AsyncIteratorProtocol {
    let page: @Sendable (_ cursor: String?) async throws -> Page<Element>
    private var buffer: ArraySlice<Element> = []
    private var cursor: String?
    private var isAtEnd = false

    init(page: @escaping @Sendable (_ cursor: String?) async throws -> Page<Element>) {
      self.page = page
    }

    public mutating func next() async throws -> Element? {
      while buffer.isEmpty, !isAtEnd {
        let next = try await page(cursor)
        buffer = next.elements[...]
        isAtEnd = next.nextCursor == nil || next.nextCursor == cursor
        cursor = next.nextCursor
      }
      return buffer.popFirst()
    }
  }
}
