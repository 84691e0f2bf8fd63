// SPDX-License-Identifier: Apache-2.0
// The outbound rules applied to the address of an agent at registration.
package import Domain

extension OutboundPolicy {
  /// How long a name may take to resolve, in milliseconds.
  private static let resolveTimeout = 3_000

  /// Refuses a URL that is not strictly formed or leads to an address that may not be reached.
  ///
  /// A name is refused if any of its addresses is. A name that does not resolve now is accepted:
  /// what counts in the end is the address of each connection.
  ///
  /// - Parameter path: The field that holds the URL, for the error.
  package func check(
    url: String, path: String, isEndpoint: Bool
  ) async throws(ControlError) {
    let parsed: EndpointURL
    do throws(EndpointURL.Problem) { parsed = try EndpointURL(url) } catch {
      throw ControlError(.invalidField, error.rawValue, path: path)
    }
    let addresses = await NameResolver.addresses(
      of: parsed.host, within: Self.resolveTimeout)
    for address in addresses {
      if let refusal = refusal(of: address, port: parsed.port, isEndpoint: isEndpoint) {
        throw ControlError(.addressNotAllowed, refusal.sentence, path: path)
      }
    }
  }

  /// The same for a host that is an address already; nil for a name, which connecting decides.
  func refusalOfLiteral(_ url: EndpointURL, isEndpoint: Bool) -> Refusal? {
    IPAddress(url.host).flatMap { refusal(of: $0, port: url.port, isEndpoint: isEndpoint) }
  }
}
